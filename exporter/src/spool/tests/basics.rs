//! Each rule of the spool alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use super::super::{BATCHES_MAX, LENGTH_KEPT, Spool, SpoolError, WhenFull};
use super::{batch, child, child_directory, number, numbers, open, push, take_all};

#[test]
fn batches_come_out_whole_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    let before = SystemTime::now();
    // Less than a slice, none at all, just a slice, some slices.
    let sizes = [0, 1, 1000, 262_016, 262_017, 3_000_000];
    let batches: Vec<_> = (1..).zip(sizes).map(|(number, size)| batch(number, size)).collect();
    spool.push_all(&batches).unwrap();
    let stats = spool.stats();
    assert_eq!(stats.held.this_run.batches, 6);
    assert_eq!(stats.held.this_run.octets, sizes.iter().sum::<usize>() as u64);
    assert_eq!(stats.held.this_run.records.packets, 21);
    assert_eq!(stats.held.earlier_runs.batches, 0);
    assert!(stats.oldest.is_some_and(|oldest| oldest >= before && oldest <= SystemTime::now()));
    let taken = take_all(&mut spool);
    assert!(taken.iter().zip(&batches).all(|(taken, batch)| taken.batch == *batch));
    assert_eq!(taken.len(), 6);
    assert!(taken.iter().all(|taken| !taken.of_earlier_run && Some(taken.pushed) == stats.oldest));
}

#[test]
fn a_batch_that_is_given_back_is_handed_out_again_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    push(&mut spool, 1..=3, 10);
    let first = spool.take().unwrap().unwrap();
    let second = spool.take().unwrap().unwrap();
    spool.give_back(second.key);
    spool.give_back(first.key);
    assert_eq!(numbers(&take_all(&mut spool)), [1, 2, 3]);
}

#[test]
fn what_is_left_of_a_batch_takes_its_place_and_its_age() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    push(&mut spool, 1..=2, 100);
    drop(spool);
    let mut spool = open(directory.path());
    push(&mut spool, [3], 100);
    let first = spool.take().unwrap().unwrap();
    spool.replace(first.key, &batch(1, 40)).unwrap();
    assert_eq!(spool.stats().held.earlier_runs.octets, 140);
    assert_eq!(spool.stats().waiting, spool.stats().held);
    let again = spool.take().unwrap().unwrap();
    assert_eq!((again.batch, again.pushed), (batch(1, 40), first.pushed));
    assert!(again.of_earlier_run);
    drop(spool);
    let taken = take_all(&mut open(directory.path()));
    assert_eq!(numbers(&taken), [1, 2, 3]);
    assert_eq!(taken[0].batch, batch(1, 40));
}

#[test]
fn what_is_not_removed_is_there_in_the_next_run_and_known_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    push(&mut spool, 1..=4, 10);
    let taken = take_all(&mut spool);
    spool.remove(&[taken[1].key, taken[1].key]).unwrap();
    drop(spool);
    let mut spool = open(directory.path());
    push(&mut spool, [5], 10);
    let held = spool.stats().held;
    assert_eq!((held.earlier_runs.batches, held.this_run.batches), (3, 1));
    assert_eq!(held.earlier_runs.records.packets, 1 + 3 + 4);
    assert_eq!(spool.stats().oldest, Some(taken[0].pushed));
    let taken = take_all(&mut spool);
    assert_eq!(numbers(&taken), [1, 3, 4, 5]);
    assert!(taken.iter().all(|taken| taken.of_earlier_run == (number(taken) < 5)));
    spool.remove(&taken.iter().map(|taken| taken.key).collect::<Vec<_>>()).unwrap();
    assert_eq!(spool.stats().oldest, None);
    drop(spool);
    assert_eq!(open(directory.path()).stats().held.total().batches, 0);
}

#[test]
fn a_full_spool_drops_the_oldest_but_none_that_is_handed_out() {
    let directory = tempfile::tempdir().unwrap();
    push(&mut open(directory.path()), 1..=2, 100);
    let mut spool = Spool::open(directory.path(), 400, WhenFull::DropOldest).unwrap();
    let out = spool.take().unwrap().unwrap();
    let dropped = push(&mut spool, 3..=5, 100);
    assert_eq!((dropped.earlier_runs.batches, dropped.this_run.batches), (1, 0));
    assert_eq!(dropped.earlier_runs.records.packets, 2);
    // Two more than there is room for, even if all others go.
    let dropped = push(&mut spool, 6..=10, 100);
    assert_eq!((dropped.earlier_runs.batches, dropped.this_run.batches), (0, 5));
    assert_eq!(dropped.this_run.records.packets, 3 + 4 + 5 + 6 + 7);
    // No room can be made for it, so none is.
    let dropped = push(&mut spool, [11], 301);
    assert_eq!((dropped.this_run.batches, dropped.this_run.octets), (1, 301));
    assert_eq!(numbers(&take_all(&mut spool)), [8, 9, 10]);
    let dropped = push(&mut spool, [12], 1);
    assert_eq!(dropped.this_run.records.packets, 12);
    spool.remove(&[out.key]).unwrap();
    assert_eq!(push(&mut spool, [13], 100).total().batches, 0);
}

#[test]
fn a_full_spool_drops_the_newest_if_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(directory.path(), 250, WhenFull::DropNewest).unwrap();
    let dropped = push(&mut spool, 1..=4, 100);
    assert_eq!(dropped.this_run.records.packets, 3 + 4);
    assert_eq!(push(&mut spool, [5], 51).this_run.batches, 1);
    assert_eq!(push(&mut spool, [6], 50).this_run.batches, 0);
    assert_eq!(numbers(&take_all(&mut spool)), [1, 2, 6]);
}

#[test]
fn the_number_of_batches_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    assert_eq!(push(&mut spool, 0..BATCHES_MAX, 0).total().batches, 0);
    let dropped = push(&mut spool, BATCHES_MAX..BATCHES_MAX + 2, 0);
    assert_eq!((dropped.this_run.batches, dropped.this_run.records.packets), (2, 1));
    assert_eq!(number(&spool.take().unwrap().unwrap()), 2);
    assert_eq!(spool.stats().held.this_run.batches, BATCHES_MAX);
}

#[test]
fn the_directory_is_made_for_the_user_alone() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("new/spool");
    let spool = open(&directory);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.clone()), 0o700);
    assert_eq!(mode(directory.join("spool.redb")), 0o600);
    drop(spool);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "one file");
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Spool::open(&file, 1, WhenFull::DropOldest).err();
    assert!(matches!(refused, Some(SpoolError::Directory { path, .. }) if path == file));
}

#[test]
fn a_directory_in_use_is_refused() {
    if let Some(directory) = child_directory() {
        let refused = Spool::open(&directory, 1, WhenFull::DropOldest).err();
        assert_eq!(refused, Some(SpoolError::InUse { path: directory }));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    let refused = Spool::open(directory.path(), 1, WhenFull::DropOldest).err();
    assert_eq!(refused, Some(SpoolError::InUse { path: directory.path().to_owned() }));
    let mut other = child("basics::a_directory_in_use_is_refused", directory.path());
    assert!(other.status().unwrap().success());
    // Between fork and exec a child process has the same open directory.
    let in_child = spool._lock.0.try_clone().unwrap();
    drop(spool);
    open(directory.path());
    drop(in_child);
}

#[test]
fn the_file_is_little_larger_than_its_batches_and_shrinks_when_they_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let octets_max = 100_000_000;
    let mut spool = Spool::open(directory.path(), octets_max, WhenFull::DropOldest).unwrap();
    let used = || {
        use std::os::unix::fs::MetadataExt;
        let file = fs::metadata(directory.path().join("spool.redb")).unwrap();
        (file.blocks() * 512, file.len())
    };
    for number in 0..40 {
        push(&mut spool, [number], 5_200_000);
    }
    let (blocks, length) = used();
    assert!(blocks < octets_max * 115 / 100, "{blocks} octets on the disk, length {length}");
    assert!(length > LENGTH_KEPT);
    let keys: Vec<_> = take_all(&mut spool).iter().map(|taken| taken.key).collect();
    spool.remove(&keys).unwrap();
    let (blocks, length) = used();
    assert!(length < LENGTH_KEPT, "{blocks} octets on the disk, length {length}");
}
