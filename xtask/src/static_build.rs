//! The program in one file without libraries, for systems with another libc or none.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use commands::debian::{self, Need};
use commands::{cargo, execute, root};

/// How it is built and checked.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only build it
    #[arg(long)]
    no_check: bool,
}

const TARGET: &str = "x86_64-unknown-linux-musl";

/// A C compiler for musl: ring and zstd have parts in C.
const NEEDS: [Need; 1] = [Need { package: "musl-tools", check: &["musl-gcc", "--version"] }];

pub(crate) fn run(options: &Options) -> Result<()> {
    debian::install(&NEEDS);
    execute(Command::new("rustup").args(["target", "add", TARGET]))?;
    let build = ["build", "--release", "--locked", "--package", "probe", "--bin", "flowprobe"];
    execute(cargo().args(build).args(["--target", TARGET]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| root().join("target"));
    let program = target.join(TARGET).join("release/flowprobe");
    if !options.no_check {
        let mut check = cargo();
        check.args(["test", "--features", "kafka", "--test", "standalone"]);
        execute(check.env("FLOWPROBE_STATIC", &program))?;
    }
    println!("{}", program.display());
    Ok(())
}
