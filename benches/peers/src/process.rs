//! Runs of programs, with their resource use.
//!
//! The kernel reports the resource use of all children of a process together. So each program is
//! run by a separate process without other children: this program, with a hidden task.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};

use anyhow::{Context, Result, bail, ensure};
use commands::debian;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The program to run, and the path of the report.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    report: PathBuf,

    /// The CPU to run on
    #[arg(long)]
    cpu: Option<usize>,

    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// Resource use of a run, and the messages of the program.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Time from before the start of the process to its end.
    pub(super) seconds: f64,
    /// CPU time of all its threads, including the kernel's part.
    pub(super) cpu_seconds: f64,
    /// Its peak memory, in octets.
    pub(super) peak_memory: u64,
    pub(super) stderr: String,
}

/// Maximum time of a run.
const LIMIT: Duration = Duration::from_secs(300);

/// The task: runs the program and writes the report.
///
/// # Errors
///
/// The program could not be run, or the report could not be written.
pub fn measure(options: &Options) -> Result<()> {
    let (program, arguments) = options.command.split_first().context("no program")?;
    if let Some(cpu) = options.cpu {
        let mut cpus = CpuSet::new();
        cpus.set(cpu).context("choosing a CPU")?;
        sched_setaffinity(Pid::from_raw(0), &cpus).context("staying on a CPU")?;
    }
    let begin = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let id = Pid::from_raw(i32::try_from(child.id()).context("a process id")?);
    let (ended, end) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // If the program has just ended, there is no process to kill.
            let _killed = kill(id, Signal::SIGKILL);
        }
    });
    let status = child.wait().context("waiting for the program")?;
    let seconds = begin.elapsed().as_secs_f64();
    drop(ended);
    ensure!(watch.join().is_ok(), "the watch has failed");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking what the program took")?;
    let cpu = [usage.user_time(), usage.system_time()];
    let cpu_micros: i64 = cpu.iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum();
    let report = format!("{seconds} {cpu_micros} {}", usage.max_rss());
    fs::write(&options.report, report).context("writing the report")?;
    process::exit(status.code().unwrap_or(1));
}

/// Processor time of each thread of a process that has not ended, with its name.
pub(super) fn of_threads(process: u32) -> Result<Vec<(String, Duration)>> {
    let mut threads = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = thread?.path();
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let (name, time) = (read("comm")?, read("schedstat")?);
        let nanos = time.split(' ').next().unwrap_or_default().parse()?;
        threads.push((name.trim_end().to_owned(), Duration::from_nanos(nanos)));
    }
    Ok(threads)
}

/// CPUs that a program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cpus {
    All,
    /// Only the first CPU.
    One,
}

/// Runs a program, which must succeed. `folder` is for the report.
pub(super) fn run(
    folder: &Path,
    cpus: Cpus,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<Run> {
    let report = folder.join("report");
    let this = env::current_exe().context("finding this program")?;
    let mut command = Command::new(this);
    command.arg("measure").arg("--report").arg(&report);
    if cpus == Cpus::One {
        command.args(["--cpu", "0"]);
    }
    command.arg("--").arg(program).args(arguments);
    command.env("PATH", debian::path()).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("starting {}", program.display()))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        bail!("{} {}: {}\n{stderr}", program.display(), words.join(" "), output.status);
    }
    let text = fs::read_to_string(&report).context("reading what the program took")?;
    let words: Vec<_> = text.split(' ').collect();
    let [seconds, cpu_micros, kib] = words[..] else { bail!("{text}: not a report") };
    Ok(Run {
        seconds: seconds.parse()?,
        cpu_seconds: cpu_micros.parse::<f64>()? / 1e6,
        peak_memory: kib.parse::<u64>()? * 1024,
        stderr,
    })
}
