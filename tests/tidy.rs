//! The tree keeps its own rules: those of style, structure and safety that no compiler knows.
//!
//! Words that must not be in any file are put together here, so that this file may be read too.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file without its tests, and a file of tests or benches.
const LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 500;

const COLUMNS_MAX: usize = 100;

/// Files that may be longer: how long, and why.
const LONGER: [(&str, usize, &str); 2] = [
    ("element/src/table.rs", 640, "each element has its row in one table"),
    ("flow/src/table/mod.rs", 470, "what becomes of a packet in the table is read in one piece"),
];

/// Files and folders that may have unsafe code.
const UNSAFE: [&str; 4] = [
    "flow/src/prefetch.rs",
    "probe/src/sys/",
    "probe-ebpf/",
    // A socket option that no library has.
    "benches/loadgen/src/sys.rs",
];

/// Names that say nothing of what is in a module.
const EMPTY_NAMES: [&str; 10] = [
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "types",
    "util",
    "utils",
    "utilities",
];

/// Which crate of the workspace may use which. Nothing uses xtask, and the last is the tests.
const EDGES: [(&str, &[&str]); 16] = [
    ("flow", &[]),
    ("payload", &["flow"]),
    ("analysis", &["flow"]),
    ("element", &["flow"]),
    ("collect", &["element", "flow"]),
    ("exporter", &["element", "flow"]),
    ("web", &["exporter", "flow"]),
    ("probe", &["analysis", "collect", "exporter", "flow", "payload", "probe-ebpf", "web"]),
    ("instructions", &["exporter", "flow"]),
    ("commands", &[]),
    ("dashboards", &[]),
    ("sample", &["commands"]),
    ("loadgen", &["commands"]),
    ("peers", &["commands", "sample"]),
    ("xtask", &["commands", "dashboards", "loadgen", "peers", "sample"]),
    (
        "workspace",
        &["analysis", "collect", "dashboards", "exporter", "flow", "payload", "probe", "web"],
    ),
];

/// Crates whose modules import each other in one direction: a module is a file or a folder beside
/// lib.rs.
const LAYERED: [&str; 3] = ["element", "exporter", "flow"];

const RUST_VERSION: &str = "1.95";

/// A text file of the tree.
struct Text {
    /// From the top.
    path: String,
    content: String,
}

impl Text {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is tests or benches.
    fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        matches!(parts[0], "tests" | "benches")
            || parts.contains(&"tests")
            || parts.ends_with(&["tests.rs"])
    }

    /// Each line with its number.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.content.lines())
    }
}

/// All text files, but for what git ignores and git's own.
fn texts() -> Vec<Text> {
    let root = support::root();
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    let mut skipped: Vec<PathBuf> = vec![root.join(".git")];
    skipped.extend(ignored.lines().filter_map(|line| Some(root.join(line.strip_prefix('/')?))));
    let mut texts = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if skipped.contains(&path) || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(content) = String::from_utf8(fs::read(&path).unwrap()) {
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                texts.push(Text { path, content });
            }
        }
    }
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(texts.iter().filter(|text| text.is_rust()).count() > 50, "the tree was not found");
    texts
}

/// Fails with all that was found, a line each.
fn assert_none(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn files_and_lines_are_short() {
    let mut found = Vec::new();
    for text in texts() {
        let is_code = text.is_rust() || text.path.ends_with(".toml") || text.path == ".ci/run";
        for (number, line) in text.lines().filter(|_| is_code) {
            // A literal cannot always be broken.
            let is_literal =
                ["\"", "r\"", "r#\""].iter().any(|quote| line.trim_start().starts_with(quote));
            let columns = line.chars().count();
            if columns > COLUMNS_MAX && !is_literal {
                found.push(format!("{}:{number}: {columns} columns", text.path));
            }
        }
        if !text.is_rust() {
            continue;
        }
        let lines = text.content.lines().take_while(|line| *line != "#[cfg(test)]").count();
        let exception = LONGER.iter().find(|(path, ..)| *path == text.path);
        let most = match exception {
            Some((_, most, _)) => *most,
            None if text.is_test() => TEST_LINES_MAX,
            None => LINES_MAX,
        };
        if lines > most {
            found.push(format!("{}: {lines} lines, more than {most}", text.path));
        }
        if exception.is_some() && lines <= LINES_MAX {
            found.push(format!("{}: is not too long any more", text.path));
        }
    }
    assert_none(found);
}

#[test]
fn names_say_what_is_in_modules() {
    let mut found = Vec::new();
    for text in texts() {
        let path = Path::new(&text.path);
        let parents = path.parent().into_iter().flat_map(Path::iter);
        for name in parents.chain(path.file_stem()) {
            if EMPTY_NAMES.iter().any(|empty| name == OsStr::new(empty)) {
                found.push(format!("{}: {} says nothing", text.path, name.display()));
            }
        }
        for (number, line) in text.lines().filter(|_| text.is_rust()) {
            let declared =
                line.split_once("mod ").map(|(_, name)| name.trim_end_matches([';', ' ']));
            let inline = declared.and_then(|name| name.strip_suffix('{')).map(str::trim_end);
            if inline.is_some_and(|name| EMPTY_NAMES.contains(&name)) {
                found.push(format!("{}:{number}: {line}", text.path));
            }
        }
    }
    assert_none(found);
}

#[test]
fn nothing_is_left_over() {
    let leftovers = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("<<<<", "<<< "),
    ];
    // Folders of a machine, and a mirror in place of the registry.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("arti", "factory"),
        concat!("replace", "-with"),
        concat!("[source.", "crates"),
        concat!("[regi", "stries"),
    ];
    let mut found = Vec::new();
    for text in texts() {
        for (number, line) in text.lines() {
            for word in leftovers.iter().chain(&foreign).filter(|word| line.contains(**word)) {
                found.push(format!("{}:{number}: {word}", text.path));
            }
        }
    }
    assert_none(found);
}

#[test]
fn unsafe_code_is_where_it_may_be() {
    let keyword = concat!("un", "safe");
    let mut with = BTreeSet::new();
    for text in texts().iter().filter(|text| text.is_rust()) {
        for (_, line) in text.lines() {
            let code = line.split_once("//").map_or(line, |(code, _)| code);
            let is_name = |character: char| character.is_alphanumeric() || character == '_';
            let mut words = code.split(|character| !is_name(character));
            // In front of it an odd number of quotes means that it is said, not done.
            let is_said = code.split(keyword).next().unwrap_or("").matches('"').count() % 2 == 1;
            if words.any(|word| word == keyword) && !is_said {
                with.insert(text.path.clone());
            }
        }
    }
    let is_allowed = |path: &String| UNSAFE.iter().any(|allowed| path.starts_with(allowed));
    assert_none(with.iter().filter(|path| !is_allowed(path)).cloned().collect());
    assert!(with.contains(UNSAFE[0]), "the search finds none where some is");
}

/// Packets and records never wait for it: only the server of the page runs on it.
#[test]
fn the_asynchronous_runtime_stays_in_the_server_of_the_page() {
    let name = concat!("tok", "io");
    let with = texts().into_iter().filter(|text| text.is_rust() && text.content.contains(name));
    assert_eq!(with.map(|text| text.path).collect::<Vec<_>>(), ["web/src/server.rs"]);
}

#[test]
fn command_lines_are_read_in_the_settings() {
    let is_elsewhere = |text: &&Text| {
        text.path.starts_with("probe/src/") && !text.path.starts_with("probe/src/settings/")
    };
    let texts = texts();
    let lines = texts.iter().filter(is_elsewhere).flat_map(|text| {
        text.lines().map(move |(number, line)| format!("{}:{number}: {line}", text.path))
    });
    assert_none(lines.filter(|line| line.contains("clap::")).collect());
}

#[test]
fn every_source_file_is_part_of_a_crate() {
    let texts: Vec<Text> = texts().into_iter().filter(Text::is_rust).collect();
    let mut declared = BTreeSet::new();
    for text in &texts {
        let path = Path::new(&text.path);
        let folder = path.parent().unwrap();
        let stem = path.file_stem().unwrap();
        let is_root = stem == "mod" || stem == "lib" || stem == "main" || is_target(path);
        let home = if is_root { folder.to_owned() } else { folder.join(stem) };
        for (_, line) in text.lines() {
            let line = line.trim();
            if let Some((_, rest)) = line.split_once("#[path = \"") {
                let target = rest.split('"').next().unwrap();
                declared.insert(folder.join(target));
            } else if let Some((_, name)) = line.split_once("mod ")
                && let Some(name) = name.strip_suffix(';')
            {
                declared.insert(home.join(name).with_extension("rs"));
                declared.insert(home.join(name).join("mod.rs"));
            }
        }
    }
    let is_root = |path: &Path| {
        let name = path.file_name().unwrap();
        name == "lib.rs" || name == "main.rs" || is_target(path)
    };
    let paths = texts.iter().map(|text| Path::new(&text.path));
    let orphans = paths.filter(|path| !is_root(path) && !declared.contains(*path));
    assert_none(
        orphans.map(|path| format!("{}: no module of any crate", path.display())).collect(),
    );
}

/// Whether cargo builds this file by its place.
fn is_target(path: &Path) -> bool {
    let folder = path.parent().unwrap().to_str().unwrap();
    matches!(folder, "tests" | "benches" | "tests/fuzz/fuzz_targets") || folder.ends_with("src/bin")
}

/// What cargo knows of the workspace's packages.
fn packages() -> Vec<Value> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let output = support::cargo().args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn crates_use_each_other_only_in_one_direction() {
    let packages = packages();
    let names: BTreeSet<_> = packages.iter().map(|package| package["name"].as_str()).collect();
    assert_eq!(names, EDGES.iter().map(|(name, _)| Some(*name)).collect());
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let used: BTreeSet<_> = dependencies
            .filter(|dependency| dependency["path"].is_string())
            .map(|dependency| dependency["name"].as_str().unwrap())
            .collect();
        let (_, allowed) = EDGES.iter().find(|(edge, _)| *edge == name).unwrap();
        let beyond: Vec<_> = used.iter().filter(|used| !allowed.contains(used)).collect();
        assert!(beyond.is_empty(), "{name} uses {beyond:?}");
    }
}

/// The modules beside lib.rs that the code of each imports; tests are not looked at.
fn imports<'a>(texts: &'a [Text], name: &str) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let source = format!("{name}/src/");
    for text in texts.iter().filter(|text| text.is_rust() && !text.is_test()) {
        let Some(path) = text.path.strip_prefix(&source).filter(|path| *path != "lib.rs") else {
            continue;
        };
        let (module, root) = match path.split_once('/') {
            Some((folder, _)) => (folder, "crate::"),
            None => (path.trim_end_matches(".rs"), "super::"),
        };
        let imported = imports.entry(module).or_default();
        let code = text.content.lines().take_while(|line| *line != "#[cfg(test)]");
        for line in code.filter(|line| !line.trim_start().starts_with("//")) {
            let behind = ["crate::", root].into_iter().flat_map(|root| line.split(root).skip(1));
            let names = behind.filter_map(|path| path.split_once("::")).map(|(name, _)| name);
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let is_other = |name: &&str| *name != module && name.chars().all(is_name);
            imported.extend(names.filter(is_other));
        }
    }
    imports
}

#[test]
fn modules_import_each_other_only_in_one_direction() {
    let texts = texts();
    for name in LAYERED {
        let mut left = imports(&texts, name);
        assert!(left.values().filter(|imported| !imported.is_empty()).count() > 5, "{name}");
        // A module that imports none of the others is below them.
        while let Some(lowest) = left
            .iter()
            .find(|(_, imported)| imported.iter().all(|imported| !left.contains_key(imported)))
            .map(|(module, _)| *module)
        {
            left.remove(lowest);
        }
        assert!(left.is_empty(), "{name} has a circle among {left:?}");
    }
}

#[test]
fn crates_share_their_settings() {
    for package in packages() {
        let name = &package["name"];
        assert_eq!(package["rust_version"], RUST_VERSION, "{name}");
        assert_eq!(package["edition"], "2024", "{name}");
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{name}");
        let manifest = fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        if name == "workspace" {
            assert!(manifest.contains("[lints.rust]\n"), "{name}");
        } else {
            assert!(manifest.contains("[lints]\nworkspace = true\n"), "{name}");
        }
    }
    // Either would make rustup look for another toolchain than the one that is there.
    for name in ["rust-toolchain", "rust-toolchain.toml"] {
        assert!(!support::root().join(name).exists(), "{name}");
    }
    let lock = fs::read_to_string(support::root().join("Cargo.lock")).unwrap();
    let mut sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let registry = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    assert!(sources.all(|source| source == registry));
}

#[test]
fn promises_name_tests_that_exist() {
    let texts = texts();
    let promises = texts.iter().find(|text| text.path == "docs/reliability.md").unwrap();
    let mut named = 0;
    let mut found = Vec::new();
    for (number, line) in promises.lines() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let Some((file, test)) = quoted.split_once(".rs: ") else { continue };
            let (path, function) = (format!("tests/{file}.rs"), format!("fn {test}("));
            let mut there = texts.iter().filter(|text| text.path == path);
            named += 1;
            if !there.any(|text| text.content.contains(&function)) {
                found.push(format!("docs/reliability.md:{number}: {path} has no test {test}"));
            }
        }
    }
    assert!(named > 50, "the rows were not found");
    assert_none(found);
}
