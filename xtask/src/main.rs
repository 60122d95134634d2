//! Tasks of development, one file for each: `cargo xtask --help`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to who started them")]

mod bench;
mod ci;
mod debian;
mod ebpf;
mod fuzz;
mod instructions;
mod loadgen;
mod sample;
mod test;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure speed beside the peers
    Bench(bench::Options),
    /// Build the programs that run in the kernel
    BuildEbpf(ebpf::Options),
    /// All checks that a change has to pass
    Ci(ci::Options),
    /// Run the fuzz targets
    Fuzz(fuzz::Options),
    /// Count the instructions of the hot functions
    Instructions(instructions::Options),
    /// Send traffic into an interface, and count it
    Loadgen(loadgen::Options),
    /// Run a program and write down what it took
    #[command(hide = true)]
    Measure(bench::MeasureOptions),
    /// Write the sample captures
    Sample(sample::Options),
    /// Install what the tests need, and run them
    Test(test::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Bench(options) => bench::run(&options),
        Task::BuildEbpf(options) => ebpf::run(&options),
        Task::Ci(options) => ci::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Instructions(options) => instructions::run(&options),
        Task::Loadgen(options) => loadgen::run(&options),
        Task::Measure(options) => bench::measure(&options),
        Task::Sample(options) => sample::run(&options),
        Task::Test(options) => test::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace")
}

/// A command at the top of the workspace, by cargo's own program.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // What cargo tells this program of its package would make build scripts that look at it run
    // again.
    let told = ["CARGO_MANIFEST_", "CARGO_PKG_"];
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
        cargo.env_remove(name);
    }
    cargo
}

/// Runs a command to its end.
fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
