//! What is captured live gives the records that a replay of the same frames gives.

use std::collections::BTreeMap;

use crate::captures::{self, Capture};
use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support::flows::Flow;
use crate::support::net::{Links, Network};
use crate::support::{self, Run};

/// Given to the interface, to find it in the records.
const NUMBER: u64 = 77;

/// Without what depends on when and where the frames came.
pub fn comparable(run: &Run) -> Vec<Flow> {
    let flows = run.flows().into_iter();
    let mut flows: Vec<_> =
        flows.map(|flow| Flow { start: 0, end: 0, interface: 0, ..flow }).collect();
    flows.sort();
    flows
}

/// One record for each key. Frames of a flow that came in by several queues are in several. The
/// tunnel and the VLAN of a record are those of its first packet, which differs then: the hash by
/// which the kernel spreads frames over queues has another seed after each start of the host.
fn merged(flows: Vec<Flow>) -> Vec<Flow> {
    let mut merged: BTreeMap<Flow, Flow> = BTreeMap::new();
    for flow in flows {
        let (tunnel, vlan, packets, octets) = Default::default();
        let (flags, ttl, end_reason) = Default::default();
        let key = Flow { packets, octets, flags, ttl, end_reason, vlan, tunnel, ..flow.clone() };
        let sum = merged.entry(key.clone()).or_insert_with(|| Flow { ttl: (255, 0), ..key });
        sum.packets += flow.packets;
        sum.octets += flow.octets;
        sum.flags |= flow.flags;
        sum.ttl = (sum.ttl.0.min(flow.ttl.0), sum.ttl.1.max(flow.ttl.1));
    }
    merged.into_values().collect()
}

/// Sends each capture into a fresh program with these settings, by each method, and compares.
pub fn check(captures: &[Capture], queues: u32, settings: &[&str]) {
    let largest = captures.iter().map(Capture::mtu).max().unwrap_or(0);
    let mtu = if largest > 1504 { 9000 } else { 1504 };
    let links = Links { queues, mtu, ..Links::default() };
    let Some(network) = Network::beside(links) else { return };
    for capture in captures {
        let folder = support::scratch();
        let file = support::write(&folder, "capture.pcap", &capture.file());
        let replay = ["-r", file.to_str().unwrap(), "-o", "json:-"];
        let expected = support::run([&replay, &PATIENT[..], settings].concat());
        let replayed = comparable(&expected);
        for method in METHODS {
            let what = format!("{}, {method:?}, {queues} queues", capture.name);
            let number = format!("rx0={NUMBER}");
            let numbered = ["--ifindex", &number];
            let settings: [&[&str]; 4] = [method, &PATIENT, &numbered, settings];
            let probe = Probe::capture(&network, &["rx0"], &settings);
            let sent = network.send_file("tx0", &file, &["--gaps"]);
            let run = probe.stop();
            assert_eq!((sent.packets, sent.refused), (capture.packets(), 0), "{what}");
            assert_eq!(lost(&run), 0, "{what}: {}", run.stats);
            assert_eq!(run.count("received.packets"), sent.packets, "{what}: {}", run.stats);
            assert!(run.flows().iter().all(|flow| flow.interface == NUMBER), "{what}");
            assert_eq!(run.stats["ignored"], expected.stats["ignored"], "{what}");
            let live = comparable(&run);
            if queues == 1 {
                assert_same(&live, &replayed, &what);
            } else {
                assert_same(&merged(live), &merged(replayed.clone()), &what);
            }
        }
    }
}

/// The first difference says more than all records.
pub fn assert_same(live: &[Flow], replayed: &[Flow], what: &str) {
    for (live, replayed) in live.iter().zip(replayed) {
        assert_eq!(live, replayed, "{what}: live, then replayed");
    }
    assert_eq!(live.len(), replayed.len(), "{what}: records, live and replayed");
}

#[test]
fn made_captures_over_one_queue() {
    check(&captures::made(), 1, &[]);
}

#[test]
fn made_captures_over_two_queues() {
    check(&captures::made(), 2, &[]);
}

#[test]
fn real_captures_over_one_queue() {
    let captures = captures::real();
    if captures.is_empty() {
        return support::skip_without("the folder of real captures");
    }
    check(&captures, 1, &[]);
}

#[test]
fn real_captures_over_two_queues() {
    let captures = captures::real();
    if captures.is_empty() {
        return support::skip_without("the folder of real captures");
    }
    check(&captures, 2, &[]);
}

#[test]
fn filtered_captures() {
    let filter = ["--filter", "tcp[tcpflags] & tcp-syn != 0 or udp or (vlan and ip)"];
    check(&captures::made(), 1, &filter);
}
