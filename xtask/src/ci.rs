//! All checks of a change, in sequence. Checks after a failed one run too.

use std::env;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Result;
use commands::{cargo, execute, root};

use crate::{ebpf, fuzz, instructions, test};

/// It has no options.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

/// It is built with the toolchain of the workspace.
const CARGO_DENY: &str = "0.20.2";

type Check = fn() -> Result<()>;

pub(crate) fn run(_options: &Options) -> Result<()> {
    let checks: [(&str, Check); 7] = [
        ("format", format),
        ("lints", lints),
        ("documentation", documentation),
        ("dependencies", dependencies),
        ("ebpf", programs),
        ("fuzz", smoke),
        ("instructions", || instructions::run(&instructions::Options::default())),
    ];
    let mut checked = Vec::new();
    for (name, check) in checks {
        println!("== {name}");
        let begin = Instant::now();
        let result = check();
        if let Err(error) = &result {
            println!("{error:#}");
        }
        checked.push((name, result.is_ok(), begin.elapsed()));
    }
    println!("== tests");
    let begin = Instant::now();
    let mut outcome = test::outcome(&test::Options::default())?;
    for (name, passed, time) in checked {
        println!("== {name}: {} s", time.as_secs());
        outcome.add(name, passed);
    }
    println!("== tests: {} s", begin.elapsed().as_secs());
    println!("{outcome}");
    outcome.check()
}

fn format() -> Result<()> {
    execute(cargo().args(["fmt", "--all", "--check"]))
}

fn lints() -> Result<()> {
    // `--all-targets` does not include benches that `cargo bench` does not run, so these are named.
    let targets = ["--all-targets", "--bench", "elastic"];
    // What is built by default has no Kafka.
    for features in [&[][..], &["--features", "kafka"]] {
        let arguments = ["clippy", "--workspace"].into_iter().chain(targets);
        let mut clippy = cargo();
        execute(clippy.args(arguments).args(features).args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

fn documentation() -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    execute(cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, sources and versions of dependencies. Known vulnerabilities are not checked here,
/// because they appear without a change. `cargo deny check advisories` does that.
fn dependencies() -> Result<()> {
    let version = cargo().args(["deny", "--version"]).stderr(Stdio::null()).output();
    if !version.is_ok_and(|output| output.status.success()) {
        if env::var_os("CI").is_none() {
            println!("skipped: cargo-deny is not installed");
            return Ok(());
        }
        execute(cargo().args([
            "install",
            "cargo-deny",
            "--locked",
            "--debug",
            "--version",
            CARGO_DENY,
        ]))?;
    }
    execute(cargo().args(["deny", "--workspace", "check", "bans", "licenses", "sources"]))
}

/// Checks that the eBPF programs were compiled from the sources beside them.
fn programs() -> Result<()> {
    ebpf::check_record()?;
    if env::var_os("CI").is_some() { ebpf::check_by_building() } else { Ok(()) }
}

fn smoke() -> Result<()> {
    if root().join("tests/fuzz/Cargo.toml").is_file() { fuzz::run(&fuzz::SMOKE) } else { Ok(()) }
}
