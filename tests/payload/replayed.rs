//! Real captures with names, replayed twice and by several workers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{self, Run, real_captures};
use crate::{ALL, sorted};

/// Captures that are replayed: those in which most names are found.
const CAPTURES: usize = 12;

/// Names in documents of a capture, one of each conversation and protocol.
fn found(run: &Run) -> u64 {
    let counts =
        ["dns", "tls", "quic", "http"].map(|kind| run.count(&format!("payload.found.{kind}")));
    counts.iter().sum()
}

/// Replays a capture into documents on standard output, with an event of each DNS transaction, and
/// into a file of IPFIX with names.
fn replay(path: &Path, file: &Path, workers: &str) -> Run {
    let ipfix = format!("ipfix-file:{}?names=ntop", file.display());
    let path = path.to_str().unwrap();
    let fixed = ["-r", path, "-o", "json:-?events=dns", "-o", &ipfix, "--workers", workers];
    let run = support::run(fixed.iter().chain(&ALL));
    assert_eq!(run.status, 0, "{path}: {}", run.stderr);
    run
}

/// The captures with most names, and how many these are.
fn with_most_names() -> Vec<(u64, PathBuf)> {
    let mut captures: Vec<_> = real_captures()
        .into_iter()
        .map(|path| {
            let run =
                support::run(["-r", path.to_str().unwrap(), "-o", "json:-"].iter().chain(&ALL));
            // One that is cut off at its end is read up to there, and has a status of its own.
            (if run.status == 0 { found(&run) } else { 0 }, path)
        })
        .collect();
    captures.sort();
    captures.reverse();
    captures.truncate(CAPTURES);
    captures
}

#[test]
fn a_real_capture_gives_the_same_octets_twice() {
    let captures = with_most_names();
    if captures.is_empty() {
        support::skip_without("real captures");
        return;
    }
    let folder = support::scratch();
    let mut names = 0;
    for (count, path) in captures {
        names += count;
        let mut first = None;
        for workers in ["1", "2", "4"] {
            let once = folder.path().join(format!("{workers}.once"));
            let again = folder.path().join(format!("{workers}.again"));
            let run = replay(&path, &once, workers);
            let second = replay(&path, &again, workers);
            let shown = path.display();
            assert!(run.stdout == second.stdout, "{shown}: documents, {workers} workers");
            let (once_octets, again_octets) = (fs::read(&once).unwrap(), fs::read(&again).unwrap());
            assert!(once_octets == again_octets, "{shown}: IPFIX, {workers} workers");
            fs::remove_file(once).unwrap();
            fs::remove_file(again).unwrap();
            let documents = sorted(&run);
            let first = first.get_or_insert_with(|| documents.clone());
            assert!(documents == *first, "{shown}: {workers} workers");
        }
    }
    println!("{names} names");
    assert!(names > 1000, "{names}");
}
