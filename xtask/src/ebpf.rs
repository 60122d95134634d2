//! Builds the programs of probe-ebpf, and checks that the compiled ones belong to their sources.
//!
//! Compiled programs are committed, so that a Rust compiler is enough to build the probe. The
//! stable compiler builds them. It is told to accept nightly options.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use commands::debian::{self, Need};
use commands::{cargo, execute, root};

/// Build or check.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if the compiled programs do not match the sources
    #[arg(long)]
    check: bool,
}

const FOLDER: &str = "probe-ebpf";

/// Sources and tools of the compiled programs: a comment, then lines of `sha256sum`.
const RECORD: &str = "probe-ebpf/built.sha256";

const BPF_LINKER: &str = "0.13.0";

/// The linker is built with this version of LLVM, and its tools strip the result.
const LLVM: &str = "22";

const NEEDS: [Need; 4] = [
    Need { package: "llvm-22-dev", check: &["/usr/lib/llvm-22/bin/llvm-config", "--version"] },
    Need { package: "libzstd-dev", check: &["test", "-e", "/usr/include/zstd.h"] },
    Need { package: "zlib1g-dev", check: &["test", "-e", "/usr/include/zlib.h"] },
    Need { package: "libxml2-dev", check: &["test", "-e", "/usr/include/libxml2"] },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.check {
        check_record()?;
        return check_by_building();
    }
    install()?;
    for (object, content) in build()? {
        fs::write(&object, content).with_context(|| format!("writing {}", object.display()))?;
        println!("built {}", object.display());
    }
    let record = format!("{}{}", tools_line()?, hashes()?);
    fs::write(root().join(RECORD), record).with_context(|| format!("writing {RECORD}"))
}

/// The quick check: the files are those of the last build, which used the required tools.
pub(crate) fn check_record() -> Result<()> {
    let record = fs::read_to_string(root().join(RECORD)).with_context(|| RECORD.to_owned())?;
    let (tools, recorded) = record.split_once('\n').with_context(|| format!("{RECORD} is cut"))?;
    let expected = format!("# rustc {}", env!("CARGO_PKG_RUST_VERSION"));
    let is_current = tools.starts_with(&expected)
        && tools.contains(&format!("bpf-linker {BPF_LINKER}, LLVM {LLVM}."));
    ensure!(is_current, "{RECORD} is of other tools: {tools}; run cargo xtask build-ebpf");
    let found = hashes()?;
    let mut lines = found.lines().zip(recorded.lines());
    let changed = lines.find(|(found, recorded)| found != recorded).map(|(found, _)| found);
    ensure!(
        found == recorded,
        "the compiled programs are not of these sources ({}); run cargo xtask build-ebpf",
        changed.unwrap_or("files came or went")
    );
    Ok(())
}

/// Builds again and compares, if the tools are installed or can be installed.
pub(crate) fn check_by_building() -> Result<()> {
    if env::var_os("CI").is_some() {
        install()?;
    }
    let tools = match tools_line() {
        Ok(tools) => tools,
        Err(error) => {
            println!("skipped: not built again: {error:#}");
            return Ok(());
        }
    };
    let record = fs::read_to_string(root().join(RECORD)).with_context(|| RECORD.to_owned())?;
    for (object, content) in build()? {
        let committed = fs::read(&object).with_context(|| object.display().to_string())?;
        if committed == content {
            continue;
        }
        let object = object.display();
        // Other tools may produce different octets.
        let is_comparable = record.starts_with(&tools);
        ensure!(!is_comparable, "{object} is of another source; run cargo xtask build-ebpf");
        println!("skipped: {object} cannot be compared, it was built with other tools: {tools}");
    }
    Ok(())
}

/// Builds all programs. Returns the path and the content of each.
fn build() -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = root().join(FOLDER);
    let target = folder.join("target");
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--release", "--locked", "--features", "programs", "--bins"])
        .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&folder)?)
        .env("RUSTC_BOOTSTRAP", "1")
        // The same on every machine. It selects the names of registers, which these programs do not
        // use.
        .env("AYA_BPF_TARGET_ARCH", "x86_64");
    execute(&mut command)?;
    let mut objects = Vec::new();
    for source in files(&folder.join("src/bin"))? {
        if source.extension() != Some(OsStr::new("rs")) {
            continue;
        }
        let name = source.file_stem().context("a program has a name")?;
        let linked = target.join("bpfel-unknown-none/release").join(name);
        let stripped = linked.with_extension("bpf.o");
        let mut strip = Command::new(llvm_tool("llvm-objcopy"));
        // The types of maps and functions, for the kernel, are kept (BTF).
        execute(strip.arg("--strip-debug").arg(&linked).arg(&stripped))?;
        let content = fs::read(&stripped).with_context(|| stripped.display().to_string())?;
        objects.push((source.with_extension("bpf.o"), content));
    }
    Ok(objects)
}

/// Compiler flags. Paths of this machine must not be in the result.
fn flags(folder: &Path) -> Result<String> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let mut renamed = vec![(folder.to_owned(), FOLDER), (PathBuf::from(sysroot), "rust")];
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::home_dir()?;
        Some(home.join(".cargo"))
    });
    let registries = home.context("finding cargo's folder")?.join("registry/src");
    renamed.extend(files(&registries)?.into_iter().map(|registry| (registry, "registry")));
    let mut flags: Vec<String> =
        ["-Clinker=bpf-linker", "-Cdebuginfo=2", "-Clink-arg=--btf"].map(str::to_owned).into();
    for (from, to) in renamed {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    Ok(flags.join("\x1f"))
}

/// Hashes of all files that affect the programs, and of the compiled programs.
fn hashes() -> Result<String> {
    let folder = root().join(FOLDER);
    let mut paths = vec![PathBuf::from("Cargo.lock"), PathBuf::from("Cargo.toml")];
    for subfolder in ["src", "src/bin"] {
        let files = files(&folder.join(subfolder))?.into_iter().filter(|path| path.is_file());
        paths.extend(files.filter_map(|path| Some(path.strip_prefix(&folder).ok()?.to_owned())));
    }
    let hashes = output(Command::new("sha256sum").args(paths).current_dir(&folder))?;
    Ok(format!("{hashes}\n"))
}

/// The versions of the tools. Fails if one is missing.
fn tools_line() -> Result<String> {
    let rustc = output(Command::new("rustc").arg("--version"))?;
    let linker = output(Command::new("bpf-linker").arg("--version"))?;
    let llvm = output(Command::new(llvm_tool("llvm-config")).arg("--version"))?;
    output(Command::new(llvm_tool("llvm-objcopy")).arg("--version"))?;
    Ok(format!("# {rustc}, {linker}, LLVM {llvm}\n"))
}

/// Installs missing tools: LLVM as root on Debian, the linker by cargo.
fn install() -> Result<()> {
    debian::install(&NEEDS);
    let rustup = Command::new("rustup").args(["component", "add", "rust-src"]).output();
    // A compiler that is not from rustup may have its sources, or the build reports that they are
    // missing.
    drop(rustup);
    let linker = output(Command::new("bpf-linker").arg("--version"));
    if linker.is_ok_and(|version| version == format!("bpf-linker {BPF_LINKER}")) {
        return Ok(());
    }
    println!("installing bpf-linker");
    let feature = format!("llvm-{LLVM}");
    let mut command = cargo();
    command
        .args(["install", "bpf-linker", "--locked", "--version", BPF_LINKER])
        .args(["--no-default-features", "--features", &feature])
        .env("LLVM_PREFIX", llvm());
    execute(&mut command)
}

fn llvm() -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{LLVM}"))
}

fn llvm_tool(name: &str) -> PathBuf {
    llvm().join("bin").join(name)
}

/// Paths in a folder, sorted by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let paths: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| format!("reading {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

/// Standard output of a command.
fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout).context("reading what it printed")?.trim_end().to_owned())
}
