//! The files of the package, where they are when it is installed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use commands::execute;

use super::{gzip, of_program, source};

/// Files that are copied, with the path in the package.
const COPIED: [(&str, &str); 6] = [
    ("deploy/flowprobe.toml", "etc/flowprobe/flowprobe.toml"),
    ("deploy/collect.toml", "etc/flowprobe/collect.toml"),
    ("deploy/debian/copyright", "usr/share/doc/flowprobe/copyright"),
    ("README.md", "usr/share/doc/flowprobe/README.md"),
    ("deploy/prometheus/alerts.yml", "usr/share/doc/flowprobe/examples/prometheus-alerts.yml"),
    ("deploy/prometheus/scrape.yml", "usr/share/doc/flowprobe/examples/prometheus-scrape.yml"),
];

/// Scripts of shells with completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/flowprobe"),
    ("zsh", "usr/share/zsh/vendor-completions/_flowprobe"),
    ("fish", "usr/share/fish/vendor_completions.d/flowprobe.fish"),
];

/// The units: live capture, and the collector.
const UNITS: [&str; 2] = ["flowprobe.service", "flowprobe-collect.service"];

/// What the package's units have instead of what units for a program installed by hand have. The
/// package has a user, whose group may read the files with flows.
const OF_UNIT: [(&str, &str); 3] = [
    ("/usr/local/bin/flowprobe", "/usr/bin/flowprobe"),
    ("DynamicUser=yes", "User=flowprobe\nGroup=flowprobe\nRemoveIPC=yes"),
    ("; install as\n# /etc/systemd/system/NAME, then: ", ", then:\n# "),
];

/// What users read, beside the README, which names it.
const DOCS: &str = "docs";

/// A folder with the files.
pub(super) struct Tree(PathBuf);

impl Tree {
    /// An empty one.
    pub(super) fn new(path: &Path) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
        }
        fs::create_dir_all(path.join("DEBIAN")).context("making the tree of the package")?;
        let tree = Self(path.to_owned());
        tree.permit(path, 0o755)?;
        tree.permit(&path.join("DEBIAN"), 0o755)?;
        Ok(tree)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Adds all files that do not depend on the package's version.
    pub(super) fn fill(&self, program: &Path) -> Result<()> {
        for (from, to) in COPIED {
            self.add(to, &source(from)?)?;
        }
        self.add("usr/share/doc/flowprobe/changelog.gz", &gzip(&source("CHANGELOG.md")?)?)?;
        for name in UNITS {
            self.add(&format!("usr/lib/systemd/system/{name}"), unit(name)?.as_bytes())?;
        }
        for path in pages()? {
            let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
            let page = source(&format!("{DOCS}/{name}"))?;
            self.add(&format!("usr/share/doc/flowprobe/{DOCS}/{name}"), &page)?;
        }
        self.add("usr/share/man/man1/flowprobe.1.gz", &gzip(&of_program(program, &["man"])?)?)?;
        for (shell, path) in COMPLETIONS {
            self.add(path, &of_program(program, &["completions", shell])?)?;
        }
        let path = self.make("usr/bin/flowprobe")?;
        execute(Command::new("strip").arg("-o").arg(&path).arg(program))?;
        self.permit(&path, 0o755)
    }

    /// Adds a file that all may read.
    pub(super) fn add(&self, path: &str, content: &[u8]) -> Result<()> {
        self.add_with(path, content, 0o644)
    }

    /// Adds a file with these permissions.
    pub(super) fn add_with(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let path = self.make(path)?;
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        self.permit(&path, mode)
    }

    /// All files but those of `DEBIAN`, by their paths in the package, sorted.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).context("reading the tree of the package")? {
                let path = entry?.path();
                let inside = path.strip_prefix(&self.0)?.to_owned();
                if path.is_dir() {
                    folders.extend((inside != Path::new("DEBIAN")).then_some(path));
                } else {
                    files.push(inside);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The path of a file, in folders that exist.
    fn make(&self, path: &str) -> Result<PathBuf> {
        let path = self.0.join(path);
        let folders = path.ancestors().skip(1).take_while(|folder| *folder != self.0);
        let folders: Vec<_> = folders.collect();
        for folder in folders.iter().rev().filter(|folder| !folder.exists()) {
            fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
            self.permit(folder, 0o755)?;
        }
        Ok(path)
    }

    fn permit(&self, path: &Path, mode: u32) -> Result<()> {
        let set = fs::set_permissions(path, Permissions::from_mode(mode));
        set.with_context(|| format!("permissions of {} in {}", path.display(), self.0.display()))
    }
}

/// The pages of the documentation and their charts, sorted.
fn pages() -> Result<Vec<PathBuf>> {
    let folder = commands::root().join(DOCS);
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {DOCS}"))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_page = |path: &PathBuf| path.extension().is_some_and(|it| it == "md" || it == "svg");
    let mut pages: Vec<_> = paths.into_iter().filter(is_page).collect();
    pages.sort();
    ensure!(!pages.is_empty(), "there is no page in {DOCS}");
    Ok(pages)
}

/// A unit of the package.
fn unit(name: &str) -> Result<String> {
    let mut unit = String::from_utf8(source(&format!("deploy/{name}"))?)?;
    for (before, after) in OF_UNIT {
        let before = before.replace("NAME", name);
        ensure!(unit.contains(&before), "{name} has no {before}");
        unit = unit.replace(&before, after);
    }
    Ok(unit)
}
