//! Capture files in all their forms: what is in them comes out, whatever they are wrapped in.

#[path = "../support/mod.rs"]
mod support;

mod blocks;
mod direction;
mod files;
mod interfaces;
mod layers;
mod links;
mod merge;
mod pipes;

use support::Run;
use support::capture::Captured;
use support::packet::{ethernet, ipv4, udp};

/// A packet of 28 octets from a port, at a time in nanoseconds.
fn datagram(port: u16, nanos: u64) -> Captured {
    let frame = ethernet(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(port, 53, 0)));
    Captured { nanos, ..Captured::at(0, frame) }
}

/// Replays a file on standard input, which is to be read without complaint.
fn replay(file: &[u8]) -> Run {
    let run = support::run_with_input(["-r", "-", "-o", "json:-"], file);
    assert_sound(&run);
    run
}

/// A run that found nothing wrong with its input.
fn assert_sound(run: &Run) {
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(run.count("input.files_damaged"), 0);
    assert_eq!(run.count("input.blocks_damaged"), 0);
}

/// Source port and start of each flow, sorted.
fn ports_and_starts(run: &Run) -> Vec<(u64, u64)> {
    let mut found: Vec<_> = run.flows().iter().map(|flow| (flow.source_port, flow.start)).collect();
    found.sort_unstable();
    found
}
