//! The spool with real files.

#![expect(
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "small numbers; a child process reports what it did"
)]

mod basics;
mod damage;
mod full_disk;
mod kill;
mod model;
mod reopen;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use flow::RecordTally;
use tempfile::TempDir;

use super::{RunTallies, Spool, SpooledBatch, TakenBatch, WhenFull};

/// More than any test pushes.
const PLENTY: u64 = 1 << 30;

/// The directory, for a test that runs itself in another process.
const CHILD_DIRECTORY: &str = "SPOOL_TEST_DIRECTORY";

/// A batch that can be told from others by its number and its octets.
fn batch(number: u64, octets: usize) -> SpooledBatch {
    let octets = (number..).take(octets).map(|value| (value % 251) as u8).collect();
    let records = RecordTally { records: 1, packets: number, octets: 100 * number };
    SpooledBatch { records, events: number % 3, octets }
}

/// A directory in memory if there is a place for it: thousands of commits take a second there.
fn directory_in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn number(taken: &TakenBatch) -> u64 {
    taken.batch.records.packets
}

fn open(directory: &Path) -> Spool {
    Spool::open(directory, PLENTY, WhenFull::DropOldest).unwrap()
}

/// Takes all that can be taken.
fn take_all(spool: &mut Spool) -> Vec<TakenBatch> {
    std::iter::from_fn(|| spool.take().unwrap()).collect()
}

fn numbers(taken: &[TakenBatch]) -> Vec<u64> {
    taken.iter().map(number).collect()
}

/// Pushes batches of so many octets, and says what was dropped.
fn push(spool: &mut Spool, numbers: impl IntoIterator<Item = u64>, octets: usize) -> RunTallies {
    let batches: Vec<_> = numbers.into_iter().map(|number| batch(number, octets)).collect();
    spool.push_all(&batches).unwrap()
}

/// The command that runs one test of this file's folder in another process, with a directory.
fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("spool::tests::{test}"), "--nocapture", "--include-ignored"]);
    command.env(CHILD_DIRECTORY, directory);
    command
}

/// The directory if this is the other process.
fn child_directory() -> Option<PathBuf> {
    env::var_os(CHILD_DIRECTORY).map(PathBuf::from)
}
