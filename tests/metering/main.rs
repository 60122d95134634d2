//! What a flow is, from frames to documents: each test meters a small capture with the program.
//!
//! Octets, ports and times in the expectations come from the headers that the tests write, not
//! from what the program said once.

#[path = "../support/mod.rs"]
mod support;

mod cut;
mod extensions;
mod fragments;
mod key;
mod layers;
mod lengths;
mod table;
mod time;

use support::Run;
use support::capture::{Captured, pcap};
use support::flows::Flow;

/// What became of a capture.
struct Metered {
    run: Run,
    /// In an order that does not depend on when they left.
    flows: Vec<Flow>,
}

impl Metered {
    /// The flow, where there is to be exactly one.
    fn one(&self) -> &Flow {
        assert_eq!(self.flows.len(), 1, "{:#?}", self.flows);
        &self.flows[0]
    }

    /// Packets ignored for that reason, and for no other.
    fn ignored(&self, reason: &str) -> u64 {
        let all = self.run.stats["ignored"].as_object().unwrap();
        let others = all.iter().filter(|(name, _)| *name != reason);
        for (name, tally) in others {
            assert_eq!(tally["packets"], 0, "{name}");
        }
        self.run.count(&format!("ignored.{reason}.packets"))
    }
}

/// Meters whole Ethernet frames, all at the same time.
fn meter(frames: &[Vec<u8>]) -> Metered {
    let packets: Vec<_> = frames.iter().map(|frame| Captured::at(1000, frame.clone())).collect();
    meter_packets(&[], &packets)
}

/// Meters a capture of Ethernet frames with these settings.
fn meter_packets(arguments: &[&str], packets: &[Captured]) -> Metered {
    meter_file(arguments, &pcap(packets))
}

/// Meters a capture file. Bursts and workers make no difference to the flows.
fn meter_file(arguments: &[&str], file: &[u8]) -> Metered {
    let metered = meter_once(arguments, file);
    let others = [["--burst", "1", "--workers", "2"], ["--burst", "3", "--workers", "5"]];
    for other in others {
        let flows = meter_once(&[arguments, &other].concat(), file).flows;
        let same = metered.flows.iter().zip(&flows).take_while(|(one, two)| one == two).count();
        assert_eq!(metered.flows.get(same), flows.get(same), "{other:?}");
    }
    metered
}

fn meter_once(arguments: &[&str], file: &[u8]) -> Metered {
    let fixed = ["-r", "-", "-o", "json:-", "--max-flows", "20000"];
    let run = support::run_with_input([&fixed, arguments].concat(), file);
    run.assert_conservation();
    assert!(run.count("metered.octets") <= run.count("received.octets"));
    assert_eq!(run.status, 0, "{}", run.stderr);
    let flows = run.sorted_flows();
    Metered { run, flows }
}

/// The packet with other octets from there on.
fn with(mut packet: Vec<u8>, at: usize, octets: &[u8]) -> Vec<u8> {
    packet[at..at + octets.len()].copy_from_slice(octets);
    packet
}

/// Addresses that tests use where others would do.
const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];
const A6: &str = "2001:db8::1";
const B6: &str = "2001:db8::2";

/// IP protocols.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// TCP control bits.
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
