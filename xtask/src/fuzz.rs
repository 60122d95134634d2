//! Runs the fuzz targets of tests/fuzz with libFuzzer. The stable compiler builds them. It is told
//! to accept nightly options.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use commands::debian::{self, Need};
use commands::{cargo, execute, root};

/// Selection and duration of targets.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these targets [default: all]
    targets: Vec<String>,

    /// Seconds for each target
    #[arg(long, default_value_t = 300)]
    seconds: u32,

    /// 10 seconds for each target: enough to see that they work
    #[arg(long, conflicts_with = "seconds")]
    smoke: bool,
}

/// The smoke test for each change.
pub(crate) const SMOKE: Options =
    Options { targets: Vec::new(), seconds: SMOKE_SECONDS, smoke: true };

const FOLDER: &str = "tests/fuzz";

const SMOKE_SECONDS: u32 = 10;

pub(crate) fn run(options: &Options) -> Result<()> {
    let known = targets()?;
    for target in &options.targets {
        ensure!(known.contains(target), "no fuzz target {target}; there are {}", known.join(", "));
    }
    install()?;
    plant_seeds()?;
    let seconds = if options.smoke { SMOKE_SECONDS } else { options.seconds };
    let targets = if options.targets.is_empty() { &known } else { &options.targets };
    for target in targets {
        execute(&mut fuzz("build", target))?;
    }
    run_all(targets, seconds)
}

/// Runs targets, one on each processor: libFuzzer uses one.
fn run_all(targets: &[String], seconds: u32) -> Result<()> {
    let next = Mutex::new(targets.iter());
    let failed = Mutex::new(Vec::new());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some(target) = take() {
            if let Err(error) = run_one(target, seconds) {
                println!("{error:#}");
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(target.as_str());
            }
        }
    };
    let processors = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(run);
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failed.is_empty(), "findings of {}", failed.join(", "));
    Ok(())
}

/// Runs a target. The error has all that it has said.
fn run_one(target: &str, seconds: u32) -> Result<()> {
    println!("fuzzing {target} for {seconds} s");
    let mut command = fuzz("run", target);
    command.args(["--", &format!("-max_total_time={seconds}"), "-seed=1"]);
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{said}\n{target}: {}", output.status);
    let done = said.lines().rfind(|line| line.starts_with("Done "));
    println!("{target}: {}", done.context("libFuzzer does not say how often it ran it")?);
    Ok(())
}

fn fuzz(task: &str, target: &str) -> Command {
    let mut command = cargo();
    command.args(["fuzz", task, "--fuzz-dir", FOLDER, target]).env("RUSTC_BOOTSTRAP", "1");
    command
}

/// Writes the seeds of the tests, as the first corpus.
fn plant_seeds() -> Result<()> {
    let corpus = root().join(FOLDER).join("corpus");
    let mut test = cargo();
    // With the features of the other tests, so that they are built once.
    test.args(["test", "--quiet", "--workspace", "--features", "kafka", "--test", "fuzz_checks"]);
    execute(test.env("FLOWPROBE_FUZZ_CORPUS", corpus))
}

/// The names of all targets.
fn targets() -> Result<Vec<String>> {
    let folder = root().join(FOLDER).join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn install() -> Result<()> {
    // libFuzzer is C++.
    debian::install(&[Need { package: "g++", check: &["c++", "--version"] }]);
    let version = cargo().args(["fuzz", "--version"]).stderr(Stdio::null()).output();
    if version.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    println!("installing cargo-fuzz");
    execute(cargo().args(["install", "cargo-fuzz", "--locked", "--debug"]))
}
