//! The Debian package: the program with its unit, settings, man page, completions and bill of
//! materials. `dpkg-deb` makes it; the scripts of the package are in deploy/debian/.

mod control;
mod sbom;
mod tree;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use commands::debian::{self, Need};
use commands::{cargo, execute, root};

use tree::Tree;

/// What goes into the package.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A program that is built already, instead of a build for release
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// Features of the build, such as kafka-tls
    #[arg(long, value_name = "FEATURES", conflicts_with = "program")]
    features: Option<String>,

    /// Revision of the package
    #[arg(long, value_name = "N", default_value_t = 1)]
    revision: u32,

    /// Folder for the package [default: target/package]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// The package's version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const NEEDS: [Need; 2] = [
    Need { package: "binutils", check: &["strip", "--version"] },
    // It reads which libraries the program needs.
    Need { package: "dpkg-dev", check: &["dpkg-shlibdeps", "--version"] },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    debian::install(&NEEDS);
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build(options.features.as_deref())?,
    };
    let out = options.out.clone().unwrap_or_else(|| root().join("target/package"));
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let architecture = printed(Command::new("dpkg").arg("--print-architecture"))?;
    let version = format!("{VERSION}-{}", options.revision);
    let name = format!("flowprobe_{version}_{architecture}");
    let tree = Tree::new(&out.join(&name))?;
    tree.fill(&program)?;
    tree.add(
        "usr/share/doc/flowprobe/sbom.cdx.json",
        &sbom::of("probe", options.features.as_deref())?,
    )?;
    control::write(&tree, &version, &architecture)?;
    let package = out.join(format!("{name}.deb"));
    let mut dpkg = Command::new("dpkg-deb");
    // Times and owners are not those of who builds it.
    dpkg.args(["--root-owner-group", "--build"]).env("SOURCE_DATE_EPOCH", time_of_change());
    dpkg.arg(tree.path()).arg(&package);
    execute(&mut dpkg)?;
    println!("{}", package.display());
    Ok(())
}

/// The program, built for release.
fn build(features: Option<&str>) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--package", "probe", "--bin", "flowprobe"]);
    command.args(features.iter().flat_map(|features| ["--features", features]));
    execute(&mut command)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    Ok(target.unwrap_or_else(|| root().join("target")).join("release/flowprobe"))
}

/// What a command prints, without the end of its line.
fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// The time of the last change of the sources, in seconds since 1970; 0 outside of a repository.
fn time_of_change() -> String {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(root());
    printed(&mut git).ok().filter(|time| !time.is_empty()).unwrap_or_else(|| "0".to_owned())
}

/// A file, compressed as Debian does: without its name and time.
fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write;
    use std::process::Stdio;
    let mut command = Command::new("gzip");
    command.args(["-9", "--no-name"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting gzip")?;
    let mut input = child.stdin.take().context("gzip has an input")?;
    let content = content.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&content));
    let output = child.wait_with_output().context("reading from gzip")?;
    let written = writer.join().map_err(|_panic| anyhow::anyhow!("the writer has failed"))?;
    written.context("writing to gzip")?;
    ensure!(output.status.success(), "gzip: {}", output.status);
    Ok(output.stdout)
}

/// A file of the sources.
fn source(path: &str) -> Result<Vec<u8>> {
    fs::read(root().join(path)).with_context(|| format!("reading {path}"))
}

/// Runs the program for a text that it prints of itself.
fn of_program(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    let output = command.args(arguments.iter().map(OsStr::new)).output();
    let output = output.with_context(|| format!("starting {}", program.display()))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(output.stdout)
}
