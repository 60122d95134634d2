//! All checks of a change, one after the other; those after a failed one run too.

use std::env;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{cargo, execute, fuzz, instructions, root, test};

/// There is nothing to choose.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

/// Built with the toolchain that the workspace names.
const CARGO_DENY: &str = "0.20.2";

type Check = fn() -> Result<()>;

pub(crate) fn run(_options: &Options) -> Result<()> {
    let checks: [(&str, Check); 6] = [
        ("format", format),
        ("lints", lints),
        ("documentation", documentation),
        ("dependencies", dependencies),
        ("fuzz", smoke),
        ("instructions", || instructions::run(&instructions::Options::default())),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        println!("== {name}");
        let begin = Instant::now();
        if let Err(error) = check() {
            println!("{error:#}");
            failed.push(name);
        }
        println!("== {name}: {} s", begin.elapsed().as_secs());
    }
    println!("== tests");
    let outcome = test::outcome(&test::Options::default());
    let passed = outcome.as_ref().is_ok_and(|outcome| outcome.check().is_ok());
    if !passed {
        failed.push("tests");
    }
    if !failed.is_empty() {
        println!("FAILED: {}", failed.join(", "));
    }
    match outcome {
        Ok(outcome) => println!("{outcome}"),
        Err(error) => println!("tests: {error:#}"),
    }
    ensure!(failed.is_empty(), "not all checks passed");
    Ok(())
}

fn format() -> Result<()> {
    execute(cargo().args(["fmt", "--all", "--check"]))
}

fn lints() -> Result<()> {
    execute(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn documentation() -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    execute(cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, sources and versions of what the program is built from. Known vulnerabilities are
/// not looked for here: they appear without a change. `cargo deny check advisories` does that.
fn dependencies() -> Result<()> {
    let version = cargo().args(["deny", "--version"]).stderr(Stdio::null()).output();
    if !version.is_ok_and(|output| output.status.success()) {
        if env::var_os("CI").is_none() {
            println!("skipped: cargo-deny is not installed");
            return Ok(());
        }
        execute(cargo().args(["install", "cargo-deny", "--locked", "--version", CARGO_DENY]))?;
    }
    execute(cargo().args(["deny", "--workspace", "check", "bans", "licenses", "sources"]))
}

fn smoke() -> Result<()> {
    if root().join("tests/fuzz/Cargo.toml").is_file() { fuzz::run(&fuzz::SMOKE) } else { Ok(()) }
}
