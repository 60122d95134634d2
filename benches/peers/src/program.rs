//! A program that runs while it is measured, with a folder for its files.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::process::of_threads;

/// Pause between two looks at a program.
const PAUSE: Duration = Duration::from_millis(20);

/// It is killed if a measurement fails.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    child: Child,
    /// In memory. It is removed at the end.
    pub(super) folder: PathBuf,
    /// Maximum time to start, to catch up or to end.
    patience: Duration,
}

impl Program {
    /// Starts the program. What it prints is in its folder.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        folder: PathBuf,
        patience: Duration,
    ) -> Result<Self> {
        let file = |name| File::create(folder.join(name)).context("making a file for output");
        command.stdout(file("output")?).stderr(file("messages")?);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, folder, patience })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time of each of its threads, with their names.
    pub(super) fn threads(&self) -> Result<Vec<(String, Duration)>> {
        of_threads(self.id())
    }

    /// What it has printed.
    pub(super) fn messages(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        read("output") + &read("messages")
    }

    pub(super) fn wait_until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let begin = Instant::now();
        while !is_so(self)? {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "{} ended before {what}: {}", self.name, self.messages());
            ensure!(begin.elapsed() < self.patience, "{}, not in time: {what}", self.name);
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(&mut self) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.id())?);
        kill(id, Signal::SIGTERM).context("asking the program to end")?;
        self.wait()
    }

    /// Waits until it has ended.
    pub(super) fn wait(&mut self) -> Result<()> {
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begin.elapsed() < self.patience, "{} does not end", self.name);
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless a measurement has failed.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            println!("{}: not removed: {error}", self.folder.display());
        }
    }
}

/// The statistics in JSON, which are the last line that our program has printed.
pub(super) fn statistics(messages: &str) -> Result<Value> {
    let line = messages.lines().rev().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("no statistics: {messages}"))?;
    serde_json::from_str(line).with_context(|| format!("statistics: {line}"))
}
