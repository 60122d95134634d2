//! A file system without room, and a limit to the size of files.

use std::path::Path;
use std::process::Command;
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::super::{REOPEN_PAUSE, Spool, SpoolError};
use super::{batch, child, child_directory, number, numbers, open, take_all};

const BATCH: usize = 500_000;

/// Pushes until there is no room. Gives the number of the batch that found none.
fn fill(spool: &mut Spool) -> u64 {
    for number in 0..100 {
        match spool.push(&batch(number, BATCH)) {
            Ok(dropped) => assert_eq!(dropped.total().batches, 0),
            Err(error) => {
                assert!(matches!(error, SpoolError::NoRoom { .. }), "{error}");
                assert_eq!(spool.push(&batch(number, BATCH)), Err(error), "too early to try again");
                return number;
            }
        }
    }
    panic!("there is room for everything");
}

/// Without room, then with room again.
fn fills_and_recovers(directory: &Path, make_room: impl FnOnce()) {
    let mut spool = open(directory);
    let refused = fill(&mut spool);
    assert!(refused > 2, "only {refused} batches have room");
    assert_eq!(spool.stats().held.this_run.batches, refused, "no batch is lost");
    thread::sleep(REOPEN_PAUSE);
    let error = spool.push(&batch(refused, BATCH)).unwrap_err();
    assert!(matches!(error, SpoolError::NoRoom { .. }), "{error}");

    // Without room the spool can still be emptied.
    thread::sleep(REOPEN_PAUSE);
    let first = spool.take().unwrap().unwrap();
    assert_eq!(number(&first), 0);
    spool.remove(&[first.key]).unwrap();

    make_room();
    thread::sleep(REOPEN_PAUSE);
    spool.push(&batch(refused, BATCH)).unwrap();
    let taken = take_all(&mut spool);
    assert_eq!(numbers(&taken), (1..=refused).collect::<Vec<_>>());
    for taken in &taken {
        assert_eq!(taken.batch, batch(number(taken), BATCH));
        assert!(!taken.of_earlier_run, "it is the same run");
    }
    drop(spool);
    assert_eq!(open(directory).stats().held.earlier_runs.batches, refused);
}

#[test]
fn a_full_file_system_is_an_error_that_passes() {
    let name = "full_disk::a_full_file_system_is_an_error_that_passes";
    if let Some(directory) = child_directory() {
        let remount = ["-o", "remount,size=64m"];
        fills_and_recovers(&directory, || {
            assert!(
                Command::new("mount").args(remount).arg(&directory).status().unwrap().success()
            );
        });
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // A mount that only this process and its children see.
    let script = "mount -t tmpfs -o size=8m tmpfs \"$1\" || exit 77; shift; exec \"$@\"";
    let test = child(name, directory.path());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(directory.path());
    command
        .arg(test.get_program())
        .args(test.get_args())
        .envs(test.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let can_mount = Command::new("unshare").args(["--mount", "true"]).output();
    if !can_mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: without root there is no file system to fill");
        return;
    }
    let status = command.status().unwrap();
    if status.code() == Some(77) {
        println!("skipped: tmpfs cannot be mounted here");
        return;
    }
    assert!(status.success(), "{status}");
}

#[test]
fn a_limit_to_the_size_of_files_is_an_error_that_passes() {
    let name = "full_disk::a_limit_to_the_size_of_files_is_an_error_that_passes";
    if let Some(directory) = child_directory() {
        fills_and_recovers(&directory, || {
            let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
            setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
        });
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // 8 MiB in blocks of 512 octets. The signal would end the process.
    let script = "trap '' XFSZ; ulimit -S -f 16384; exec \"$@\"";
    let test = child(name, directory.path());
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(test.get_program()).args(test.get_args());
    command.env(super::CHILD_DIRECTORY, directory.path());
    let status = command.status().unwrap();
    assert!(status.success(), "{status}");
}
