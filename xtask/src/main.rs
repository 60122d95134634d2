//! Tasks of development, one file for each: `cargo xtask --help`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to who started them")]

mod ci;
mod dashboards;
mod ebpf;
mod fuzz;
mod instructions;
mod package;
mod test;

use std::process::ExitCode;

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
    Bench(peers::Options),
    /// Build the programs that run in the kernel
    BuildEbpf(ebpf::Options),
    /// All checks that a change has to pass
    Ci(ci::Options),
    /// Write the dashboards
    Dashboards(dashboards::Options),
    /// Run the fuzz targets
    Fuzz(fuzz::Options),
    /// Send traffic into an interface, and count it
    Loadgen(loadgen::Options),
    /// Run a program and record its resource use
    #[command(hide = true)]
    Measure(peers::MeasureOptions),
    /// Count the instructions of the hot functions
    Instructions(instructions::Options),
    /// Make the Debian package
    Package(package::Options),
    /// Write the sample captures
    Sample(sample::Options),
    /// Install what the tests need, and run them
    Test(test::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Bench(options) => peers::run(&options),
        Task::BuildEbpf(options) => ebpf::run(&options),
        Task::Ci(options) => ci::run(&options),
        Task::Dashboards(options) => dashboards::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Instructions(options) => instructions::run(&options),
        Task::Loadgen(options) => loadgen::run(&options),
        Task::Measure(options) => peers::measure(&options),
        Task::Package(options) => package::run(&options),
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
