//! Interrupts during a replay.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::capture::{Captured, pcap};
use crate::support::packet::ethernet;
use crate::support::{self, flowprobe};
use crate::{FAILED, datagram, feed, finish, many_flows, start, wait_until};

fn signal(child: &Child, signal: Signal) {
    support::signal(child.id(), signal).unwrap();
}

/// Writes a capture that does not end, and waits until the program has read the packets: behind
/// them is one of which a pipe cannot hold what is given, and not all is given.
fn write_and_wait(child: &mut Child, packets: &[Captured]) -> ChildStdin {
    let mut endless = Captured::at(99, ethernet(&[0; 200_000]));
    endless.nanos = packets.last().map_or(0, |packet| packet.nanos);
    let file = pcap(&[packets, &[endless]].concat());
    let mut stdin = child.stdin.take().unwrap();
    // A pipe holds 64 KiB.
    stdin.write_all(&file[..file.len() - 100_000]).unwrap();
    stdin
}

#[test]
fn interrupt_ends_all_flows_and_accounts_for_them() {
    for which in [Signal::SIGINT, Signal::SIGTERM] {
        for workers in ["1", "2"] {
            let mut child = start(&["-r", "-", "-o", "json:-", "--workers", workers]);
            let packets: Vec<_> = (1..=500).map(|port| datagram(port, port.into())).collect();
            let stdin = write_and_wait(&mut child, &packets);
            signal(&child, which);
            let run = finish(child);
            drop(stdin);
            run.assert_conservation();
            assert_eq!(run.status, FAILED, "{}", run.stderr);
            assert_eq!(run.stats["interrupted"], true);
            assert_eq!(run.count("received.packets"), 500);
            let flows = run.sorted_flows();
            assert_eq!(flows.len(), 500);
            assert!(flows.iter().all(|flow| flow.end_reason == 4));
            assert_eq!(run.count("outputs.0.sent.records"), 500);
            // What was cut off by the interrupt is no damage of the input.
            assert_eq!(run.count("input.files_damaged"), 0, "{}", run.stderr);
            assert!(!run.stderr.contains("error: "), "{}", run.stderr);
        }
    }
}

#[test]
fn interrupt_of_a_silent_input_ends_the_program() {
    let mut child = start(&["-r", "-", "-o", "json:-"]);
    let stdin = child.stdin.take();
    // The handlers are there before the outputs are opened; that of standard output is at once.
    wait_until(|| handles_interrupts(&child));
    let begin = Instant::now();
    signal(&child, Signal::SIGINT);
    let run = finish(child);
    drop(stdin);
    assert_eq!(run.status, FAILED);
    assert_eq!(run.stats["interrupted"], true);
    assert!(begin.elapsed().as_secs() < 5);
    // Nothing is wrong with an input that was not waited for.
    assert!(!run.stderr.contains("error: "), "{}", run.stderr);
}

/// Whether the process has a handler for SIGINT.
pub(crate) fn handles_interrupts(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (Signal::SIGINT as u64 - 1) != 0
}

#[test]
fn interrupt_of_a_replay_without_outputs_shows_what_there_is() {
    let mut child = flowprobe()
        .args(["-r", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = write_and_wait(&mut child, &[datagram(1, 1), datagram(2, 2)]);
    signal(&child, Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(FAILED));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("10.0.0.1:1"), "{table}");
    assert!(table.contains("interrupted"), "{table}");
}

#[test]
fn second_interrupt_ends_the_program_at_once() {
    for which in [Signal::SIGINT, Signal::SIGTERM] {
        // A collector that never reads: the first signal cannot end in good order.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ipfix+tcp://{}", listener.local_addr().unwrap());
        let mut child = start(&["-r", "-", "-o", &url]);
        let feeder = feed(&mut child, many_flows(200_000));
        let (stream, _) = listener.accept().unwrap();
        wait_until(|| stalled(&child));
        signal(&child, which);
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(child.try_wait().unwrap().is_none(), "it waits for the collector");
        let begin = Instant::now();
        signal(&child, which);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(FAILED));
        assert!(begin.elapsed().as_millis() < 2000, "{:?}", begin.elapsed());
        drop(stream);
        feeder.join().unwrap();
    }
}

/// Whether no thread of the process runs, five times in a row.
fn stalled(child: &Child) -> bool {
    let running = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        let mut states = tasks.map(|task| {
            let status = task.unwrap().path().join("status");
            std::fs::read_to_string(status).unwrap_or_default()
        });
        states.any(|status| status.contains("State:\tR"))
    };
    (0..5).all(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        !running()
    })
}
