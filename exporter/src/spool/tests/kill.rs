//! A process that is killed in the middle of a write.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::{batch, child, child_directory, number, open, take_all};

const KILLS: u64 = 20;

/// Octets of the batch with this number: from none to some slices.
fn octets(number: u64) -> usize {
    (number * 77_773 % 900_000) as usize
}

/// Pushes batches from this number on, removes every third one when it is pushed, and says so when
/// it is done.
fn push_until_killed(first: u64) {
    let mut spool = open(&child_directory().unwrap());
    let mut stdout = std::io::stdout().lock();
    for number in (first..).step_by(2) {
        let pushed = [batch(number, octets(number)), batch(number + 1, octets(number + 1))];
        spool.push_all(&pushed).unwrap();
        writeln!(stdout, "\npushed {number}\npushed {}", number + 1).unwrap();
        while let Some(taken) = spool.take().unwrap() {
            let number = super::number(&taken);
            if number.is_multiple_of(3) {
                spool.remove(&[taken.key]).unwrap();
                writeln!(stdout, "\nremoved {number}").unwrap();
            }
        }
    }
}

/// This is the other process: it does nothing by itself.
#[test]
fn the_process_that_is_killed() {
    if child_directory().is_some() {
        let first = std::env::var("SPOOL_TEST_FIRST").unwrap().parse().unwrap();
        push_until_killed(first);
    }
}

#[test]
fn a_kill_loses_nothing_and_brings_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = 0;
    let mut seen = 0;
    for kill in 0..KILLS {
        let mut process = child("kill::the_process_that_is_killed", directory.path())
            .env("SPOOL_TEST_FIRST", first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // At a moment that depends on what it has done, or just after the start, where the file is
        // opened or made.
        let mut lines =
            BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let is_at_start = kill.is_multiple_of(4);
        let moment = kill * kill * 7919;
        let lines_first = if is_at_start { 0 } else { moment % 50 };
        let mut said: Vec<String> = lines.by_ref().take(lines_first as usize).collect();
        let pause = if is_at_start { moment % 20_000 } else { moment % 10_000 };
        thread::sleep(Duration::from_micros(pause));
        process.kill().unwrap();
        process.wait().unwrap();
        said.extend(lines);
        let said_of = |word: &str| -> Vec<u64> {
            let numbers = said.iter().filter_map(|line| line.strip_prefix(word));
            numbers.filter_map(|number| number.parse().ok()).collect()
        };
        let (pushed, removed) = (said_of("pushed "), said_of("removed "));

        let mut spool = open(directory.path());
        let taken = take_all(&mut spool);
        let there: Vec<u64> = taken.iter().map(number).collect();
        assert!(there.is_sorted_by(|a, b| a < b), "{there:?}");
        for number in &pushed {
            // Of the last ones the removal may have happened without a word.
            let is_there = there.contains(number);
            assert!(is_there || number.is_multiple_of(3), "{number} was pushed and is lost");
            assert!(!is_there || !removed.contains(number), "{number} came back");
        }
        for taken in &taken {
            let number = number(taken);
            assert_eq!(taken.batch, batch(number, octets(number)), "{number} is torn");
            assert!(number >= first, "{number} came back from an earlier run");
        }
        // Words that are lost are those of the last change.
        let silent = there.iter().filter(|number| !pushed.contains(number)).count();
        assert!(silent <= 2, "{silent} batches without a word");
        seen += pushed.len();
        first = pushed.iter().chain(&there).max().map_or(first, |last| last + 1);
        let keys: Vec<_> = taken.iter().map(|taken| taken.key).collect();
        spool.remove(&keys).unwrap();
    }
    assert!(seen > 50, "{seen} batches were pushed in all");
}
