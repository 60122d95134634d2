//! Bad input, collectors that fail, full disks, signals, wrong usage: each with a clear sentence,
//! the right exit status, nothing lost in silence, and no panic.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod collectors;
mod contradictions;
mod damage;
mod files;
mod memory;
mod messages;
mod outputs;
mod places;
mod signals;
mod terminals;
mod tips;
mod tls;
mod totals;
mod trust;
mod udp;
mod usage;
mod waits;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use support::capture::{Captured, pcap};
use support::packet::{ethernet, ipv4, tcp, udp};
use support::{Run, wait_until};

/// Exit statuses.
const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;

/// A packet of 28 octets from a port.
fn datagram(port: u16, millis: u64) -> Captured {
    let frame = ethernet(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(port, 53, 0)));
    Captured::at(millis, frame)
}

/// So many flows of one packet each, 1 ms apart: most end by their idle timeout, in between.
fn many_flows(count: u32) -> Vec<u8> {
    let mut frame = ethernet(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &tcp(1000, 80, 0x02, 0)));
    let packets: Vec<_> = (0..count)
        .map(|index| {
            frame[26..30].copy_from_slice(&(0x0a00_0000 + index).to_be_bytes());
            Captured::at(1_700_000_000_000 + u64::from(index), frame.clone())
        })
        .collect();
    pcap(&packets)
}

/// Checks that a run failed at run time, before it read anything, and said so in one sentence
/// with all these parts.
fn assert_failed_at_start(run: &Run, parts: &[&str]) {
    assert_eq!(messages_of_failure(run).len(), 1, "{}", run.stderr);
    assert_error(run, parts);
}

/// Checks that a run waited for a collector, which it said, and failed at the start then.
fn assert_given_up(run: &Run, parts: &[&str]) {
    let [warning, _] = messages_of_failure(run)[..] else { panic!("{}", run.stderr) };
    assert!(warning.contains("warning: ") && warning.contains("; trying again for "), "{warning}");
    assert_error(run, parts);
}

/// The messages of a run that read nothing.
fn messages_of_failure(run: &Run) -> Vec<&str> {
    assert_eq!(run.status, FAILED, "{}", run.stderr);
    assert_eq!(run.count("received.packets"), 0, "{}", run.stats);
    assert_eq!(run.stats["outputs"], serde_json::json!([]), "{}", run.stats);
    let (totals, messages): (Vec<_>, Vec<_>) =
        run.stderr.lines().partition(|line| line.starts_with('{'));
    assert_eq!(totals.len(), 1, "{}", run.stderr);
    messages
}

/// Checks that there is an error message that has all these parts.
fn assert_error(run: &Run, parts: &[&str]) {
    let has = |line: &str, part: &str| line.to_lowercase().contains(&part.to_lowercase());
    let mut errors = run.stderr.lines().filter(|line| line.starts_with("flowprobe: error: "));
    let found = errors.any(|line| parts.iter().all(|part| has(line, part)));
    assert!(found, "no error with {parts:?} in: {}", run.stderr);
}

/// The program, under way, with pipes on all sides.
fn start(arguments: &[&str]) -> Child {
    start_command(support::flowprobe(), arguments)
}

fn start_command(mut command: Command, arguments: &[&str]) -> Child {
    command
        .args(arguments)
        .args(["--stats", "json", "--name", "test"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Waits for the end of a program that was started.
fn finish(child: Child) -> Run {
    support::finished(child.wait_with_output().expect("the program ends"))
}

/// Feeds standard input from a thread, which ends when the program has taken all or wants no more.
fn feed(child: &mut Child, octets: Vec<u8>) -> JoinHandle<()> {
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    thread::spawn(move || drop(stdin.write_all(&octets)))
}

/// All that a stream has until its end.
fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("the stream ends in good order");
    octets
}
