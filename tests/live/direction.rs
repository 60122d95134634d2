//! Directions of packets, seen from the probe's host.

use std::net::UdpSocket;

use serde_json::Value;

use crate::probe::{PATIENT, Probe};
use crate::support;
use crate::support::capture::{Captured, pcap};
use crate::support::net::{Host, Links, Network};
use crate::support::packet::{ethernet, ipv4, udp};

const HOST: [u8; 4] = [10, 9, 0, 1];
const PEER: [u8; 4] = [10, 9, 0, 2];

/// Source, flowDirection, ingressInterface, egressInterface and packets of each UDP flow with port
/// 7777.
fn flows(documents: &[Value]) -> Vec<(String, [u64; 4])> {
    let flow = |document: &Value| {
        let source = document["source"]["ip"].as_str()?.to_owned();
        let netflow = &document["netflow"];
        let numbers =
            ["flow_direction", "ingress_interface", "egress_interface", "packet_delta_count"];
        let is_of_test = [&document["source"], &document["destination"]]
            .iter()
            .any(|side| side["port"].as_u64() == Some(7777));
        is_of_test.then(|| (source, numbers.map(|name| netflow[name].as_u64().unwrap_or(0))))
    };
    let mut flows: Vec<_> = documents.iter().filter_map(flow).collect();
    flows.sort();
    flows
}

#[test]
fn packets_that_the_host_sends_have_an_egress_interface() {
    let Some(network) = Network::beside(Links::default()) else { return };
    network.ip(Host::Probe, &["addr", "add", "10.9.0.1/24", "dev", "rx0"]);
    let neighbour = ["neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:09", "dev", "rx0"];
    network.ip(Host::Probe, &neighbour);
    let folder = support::scratch();
    // An answer, and a packet with the addresses and ports of those that the host sends.
    let frames = [
        ethernet(&ipv4(PEER, HOST, 17, &udp(7777, 8888, 4))),
        ethernet(&ipv4(HOST, PEER, 17, &udp(8888, 7777, 4))),
    ];
    let coming = frames.map(|frame| Captured::at(1000, frame));
    let file = support::write(&folder, "coming.pcap", &pcap(&coming));
    let [host, peer] = [HOST, PEER].map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}"));
    let (come, sent) = ([0, 9, 0, 1], [1, 0, 9, 2]);
    let expected = [
        ("in", vec![(host.clone(), come), (peer.clone(), come)]),
        ("out", vec![(host.clone(), sent)]),
        ("both", vec![(host.clone(), come), (host, sent), (peer, come)]),
    ];
    for (direction, expected) in expected {
        let settings = ["--capture", "packet", "--direction", direction, "--ifindex", "rx0=9"];
        let probe = Probe::capture(&network, &["rx0"], &[&settings, &PATIENT]);
        network.on(Host::Probe, || {
            let socket = UdpSocket::bind("10.9.0.1:8888").unwrap();
            for _ in 0..2 {
                socket.send_to(b"sent", "10.9.0.2:7777").unwrap();
            }
        });
        network.send_file("tx0", &file, &[]);
        let run = probe.stop();
        assert_eq!(flows(&run.documents()), expected, "--direction {direction}");
    }
}
