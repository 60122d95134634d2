//! The file is opened again after an error, and compared with what the spool knows.

use std::collections::VecDeque;
use std::thread;
use std::time::SystemTime;

use super::super::store::{Entry, Store};
use super::super::{REOPEN_PAUSE, Spool, SpoolError, WhenFull};
use super::{PLENTY, batch, number, numbers, open, push, take_all};

/// As after an error whose commit has nobody seen: closes the file.
fn break_off(spool: &mut Spool) -> SpoolError {
    let error = SpoolError::NoRoom { path: "file".into(), reason: "for the test".to_owned() };
    spool.fail(error)
}

#[test]
fn a_commit_that_failed_and_is_in_the_file_all_the_same_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(directory.path(), 350, WhenFull::DropOldest).unwrap();
    push(&mut spool, 1..=3, 100);
    // The push of the fourth has dropped the first, and then said that it failed.
    break_off(&mut spool);
    let fourth = batch(4, 100);
    let entry = Entry::new(&fourth, SystemTime::now());
    let (store, entries) = Store::open(directory.path()).unwrap();
    let (first, last) = (entries[0].0, entries[2].0);
    store.commit(&[first], &VecDeque::from([(last + 1, entry, fourth.octets.as_slice())])).unwrap();
    drop(store);
    thread::sleep(REOPEN_PAUSE);
    // Reading opens the file again. The caller still has the fourth, so the spool has it not.
    let second = spool.take().unwrap().unwrap();
    assert_eq!(number(&second), 2);
    assert_eq!(spool.stats().held.this_run.batches, 2);
    assert_eq!(spool.stats().unreported.this_run.records.packets, 1);
    let dropped = spool.push(&fourth).unwrap();
    assert_eq!((dropped.this_run.batches, dropped.this_run.records.packets), (1, 1));
    assert_eq!(spool.stats().unreported.total().batches, 0, "it is reported once");
    drop(spool);
    let taken = take_all(&mut open(directory.path()));
    assert_eq!(numbers(&taken), [2, 3, 4]);
    assert!(taken.iter().all(|taken| taken.batch == batch(number(taken), 100)));
}

#[test]
fn a_removal_that_failed_is_made_up_for() {
    let directory = tempfile::tempdir().unwrap();
    push(&mut open(directory.path()), [1], 10);
    let mut spool = open(directory.path());
    push(&mut spool, 2..=4, 10);
    let (first, second) = (spool.take().unwrap().unwrap(), spool.take().unwrap().unwrap());
    let error = break_off(&mut spool);
    assert_eq!(spool.remove(&[first.key, second.key]), Err(error.clone()));
    assert_eq!(spool.take(), Err(error), "not before the pause is over");
    thread::sleep(REOPEN_PAUSE);
    assert_eq!(numbers(&take_all(&mut spool)), [3, 4]);
    assert_eq!(spool.stats().held.total().records.packets, 3 + 4);
    spool.remove(&[]).unwrap();
    drop(spool);
    assert_eq!(numbers(&take_all(&mut open(directory.path()))), [3, 4]);
}

#[test]
fn a_file_that_somebody_removed_is_a_counted_loss() {
    let directory = tempfile::tempdir().unwrap();
    push(&mut open(directory.path()), 1..=2, 10);
    let mut spool = Spool::open(directory.path(), PLENTY, WhenFull::DropNewest).unwrap();
    push(&mut spool, [3], 10);
    let out = spool.take().unwrap().unwrap();
    break_off(&mut spool);
    std::fs::remove_file(directory.path().join("spool.redb")).unwrap();
    thread::sleep(REOPEN_PAUSE);
    let dropped = push(&mut spool, [4], 10);
    assert_eq!((dropped.earlier_runs.batches, dropped.this_run.batches), (2, 1));
    spool.give_back(out.key);
    assert_eq!(numbers(&take_all(&mut spool)), [4]);
}

#[test]
fn a_batch_that_could_not_be_replaced_is_there_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    push(&mut spool, 1..=2, 100);
    let first = spool.take().unwrap().unwrap();
    let error = break_off(&mut spool);
    assert_eq!(spool.replace(first.key, &batch(1, 40)), Err(error));
    // It is still handed out.
    assert_eq!(spool.stats().waiting.this_run.batches, 1);
    assert_eq!(spool.stats().held.this_run.batches, 2);
    drop(spool);
    let taken = take_all(&mut open(directory.path()));
    assert_eq!(numbers(&taken), [1, 2]);
    assert_eq!(taken[0].batch, batch(1, 100));
}
