//! Names in payload, of packets that are captured live.

use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support::capture::{Captured, pcap};
use crate::support::net::{Links, Network};
use crate::support::packet::{ethernet, ipv4, tcp, udp};
use crate::support::{self, payload};

const CLIENT: [u8; 4] = [10, 1, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 9];

fn segment(port: u16, sequence: u32, octets: &[u8]) -> Vec<u8> {
    let mut segment = tcp(port, 443, 0x18, octets.len());
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[20..].copy_from_slice(octets);
    ethernet(&ipv4(CLIENT, SERVER, 6, &segment))
}

fn datagram(port: u16, to: u16, octets: &[u8]) -> Vec<u8> {
    let mut datagram = udp(port, to, octets.len());
    datagram[8..].copy_from_slice(octets);
    ethernet(&ipv4(CLIENT, SERVER, 17, &datagram))
}

/// Openings that take most of a packet: what AF_PACKET captures without names ends before them.
fn openings() -> Vec<Captured> {
    let mut request = b"GET / HTTP/1.1\r\nCookie: ".to_vec();
    request.resize(1350, b'c');
    request.extend(b"\r\nHost: http.example\r\n\r\n");
    let hello = payload::records(&payload::client_hello(b"tls.example", b"h2"), 1 << 14);
    let (first, second) = hello.split_at(80);
    let quic = payload::client_hello(b"quic.example", b"h3");
    let frames = [
        segment(1080, 1, &request),
        segment(1443, 1, first),
        segment(1443, 81, second),
        datagram(2443, 443, &payload::initial(&quic, 0, 0)),
        datagram(1053, 53, &payload::dns_question(7, "dns.example", 1)),
    ];
    (0..).zip(frames).map(|(index, frame)| Captured::at(1_700_000_000_000 + index, frame)).collect()
}

#[test]
fn packets_are_captured_as_far_as_their_names() {
    for method in METHODS {
        let Some(network) = Network::beside(Links::default()) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "names.pcap", &pcap(&openings()));
        let names: &[&str] = &["--payload", "dns,tls,quic,http"];
        let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, names]);
        network.send_file("tx0", &file, &[]);
        let run = probe.stop();
        assert_eq!(lost(&run), 0, "{method:?}: {}", run.stats);
        assert_eq!(run.count("payload.not_read.truncated"), 0, "{method:?}");
        let mut found: Vec<_> = run
            .documents()
            .iter()
            .map(|document| document["related"]["hosts"][0].as_str().unwrap_or("none").to_owned())
            .collect();
        found.sort();
        assert_eq!(found, ["dns.example", "http.example", "quic.example", "tls.example"]);
        assert_eq!(run.count("payload.one_sided"), 4, "{method:?}");
    }
}
