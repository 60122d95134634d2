//! Captures cut by a snap length: a packet counts in full, by its header, as soon as that is there.

use crate::support::capture::Captured;
use crate::support::packet::{icmp, ipv4, ipv6, tagged, tcp, udp, unpadded};
use crate::{A6, B, B6, ICMP, ICMPV6, TCP, UDP, meter_packets, with};

/// A frame and how much of it has to be there. Offsets are from the beginning of the frame.
struct Case {
    name: &'static str,
    frame: Vec<u8>,
    /// Where the source address ends: the last octet of it tells the packets of a capture apart.
    source_end: usize,
    /// Octets needed to meter the packet.
    enough: usize,
    octets: u64,
    /// Octets needed for the ports, or for type and code; the ports, with the protocol.
    ports: (usize, (u64, u64, u64)),
    /// Octets needed for the TCP control bits, and those.
    flags: (usize, u64),
}

const NEVER: usize = usize::MAX;

fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4([10, 0, 0, 0], B, protocol, payload)
}

fn cases() -> Vec<Case> {
    let v6 = |protocol, payload: &[u8]| ipv6(A6, B6, protocol, payload);
    let tcp6 = unpadded(&v6(TCP, &tcp(1000, 80, 0x12, 10)));
    // 6 words of IPv4 header.
    let mut options = with(v4(TCP, &tcp(1000, 80, 0x12, 0)), 0, &[0x46, 0, 0, 44]);
    options.splice(20..20, [1; 4]);
    vec![
        Case {
            name: "TCP over IPv6 in a VLAN",
            frame: tagged(&tcp6, 0x8100, 7),
            source_end: 18 + 24,
            enough: 18 + 40,
            octets: 70,
            ports: (18 + 44, (1000, 6, 80)),
            flags: (18 + 54, 0x12),
        },
        Case {
            name: "TCP over IPv4 with options",
            frame: unpadded(&options),
            source_end: 14 + 16,
            enough: 14 + 20,
            octets: 44,
            ports: (14 + 28, (1000, 6, 80)),
            flags: (14 + 38, 0x12),
        },
        Case {
            name: "UDP over IPv4",
            frame: unpadded(&v4(UDP, &udp(1000, 53, 10))),
            source_end: 14 + 16,
            enough: 14 + 20,
            octets: 38,
            ports: (14 + 24, (1000, 17, 53)),
            flags: (NEVER, 0),
        },
        Case {
            name: "ICMP",
            frame: unpadded(&v4(ICMP, &icmp(3, 4, 8))),
            source_end: 14 + 16,
            enough: 14 + 20,
            octets: 36,
            ports: (14 + 22, (0, 1, 3 * 256 + 4)),
            flags: (NEVER, 0),
        },
        Case {
            name: "ICMPv6 between two tags",
            frame: tagged(&tagged(&unpadded(&v6(ICMPV6, &icmp(135, 1, 8))), 0x8100, 7), 0x88a8, 8),
            source_end: 22 + 24,
            enough: 22 + 40,
            octets: 56,
            ports: (22 + 42, (0, 58, 135 * 256 + 1)),
            flags: (NEVER, 0),
        },
        Case {
            name: "ESP",
            frame: unpadded(&v4(50, &[1; 40])),
            source_end: 14 + 16,
            enough: 14 + 20,
            octets: 60,
            ports: (0, (0, 50, 0)),
            flags: (NEVER, 0),
        },
    ]
}

/// The frame cut to every length, 1 ms apart, each from a host of its own.
fn at_every_length(case: &Case) -> Vec<Captured> {
    let lengths = 0..=case.frame.len();
    let packets = lengths.map(|length| {
        let host = u8::try_from(length).unwrap();
        let frame = with(case.frame.clone(), case.source_end - 1, &[host]);
        Captured::at(1000 + u64::from(host), frame).cut(length)
    });
    packets.collect()
}

#[test]
fn packet_counts_in_full_wherever_the_capture_ends() {
    for case in cases() {
        let name = case.name;
        let packets = at_every_length(&case);
        let metered = meter_packets(&[], &packets);
        assert_eq!(metered.ignored("cut_short"), case.enough as u64, "{name}");
        assert_eq!(metered.flows.len(), packets.len() - case.enough, "{name}");
        for flow in &metered.flows {
            let length = usize::try_from(flow.start - 1000).unwrap();
            let (port_octets, (source, protocol, destination)) = case.ports;
            let there = length >= port_octets;
            let ports = if there { (source, protocol, destination) } else { (0, protocol, 0) };
            let flags = if length >= case.flags.0 { case.flags.1 } else { 0 };
            assert_eq!(flow.ports(), ports, "{name} cut to {length}");
            assert_eq!(flow.flags, flags, "{name} cut to {length}");
            assert_eq!(flow.octets, case.octets, "{name} cut to {length}");
        }
        assert_eq!(metered.run.count("exceeding_wire"), 0, "{name}");
    }
}

#[test]
fn cut_chain_of_extension_headers_counts_in_full() {
    let mut payload = vec![60, 0, 1, 4, 0, 0, 0, 0]; // Hop-by-Hop, before Destination Options
    payload.extend([44, 0, 1, 4, 0, 0, 0, 0]); // before a Fragment header
    payload.extend([51, 0, 0, 0, 0, 0, 0, 0]); // before an Authentication Header
    payload.extend([&[TCP, 4, 0, 0][..], &[0; 20]].concat());
    payload.extend(tcp(1000, 80, 0x12, 0));
    let case = Case {
        name: "",
        frame: unpadded(&ipv6(A6, B6, 0, &payload)),
        source_end: 14 + 24,
        enough: 14 + 40,
        octets: 40 + 68,
        ports: (14 + 40 + 48 + 4, (1000, 6, 80)),
        flags: (14 + 40 + 48 + 14, 0x12),
    };
    let packets = at_every_length(&case);
    let metered = meter_packets(&[], &packets);
    assert_eq!(metered.ignored("cut_short"), case.enough as u64);
    assert_eq!(metered.flows.len(), packets.len() - case.enough);
    for flow in &metered.flows {
        let length = usize::try_from(flow.start - 1000).unwrap();
        assert_eq!(flow.octets, case.octets, "cut to {length}");
        // Which protocol it is cannot be known before the last extension header is there.
        if length >= case.ports.0 {
            assert_eq!(flow.ports(), case.ports.1, "cut to {length}");
        } else {
            assert_eq!((flow.source_port, flow.destination_port), (0, 0), "cut to {length}");
        }
    }
}

#[test]
fn cut_link_layers_are_cut_short() {
    let datagram = v4(UDP, &udp(1000, 53, 10));
    let mut mpls = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x47];
    mpls.extend([0, 0, 0x10, 64, 0, 0, 0x21, 64]);
    mpls.extend(&datagram);
    let mut pppoe = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x64];
    pppoe.extend([0x11, 0, 0, 7, 0, 40, 0, 0x21]);
    pppoe.extend(&datagram);
    let mut snap = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 46];
    snap.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
    snap.extend(&datagram);
    for frame in [mpls, pppoe, snap] {
        let lengths = 0..=frame.len();
        let packets: Vec<_> =
            lengths.map(|length| Captured::at(1000, frame.clone()).cut(length)).collect();
        let metered = meter_packets(&[], &packets);
        // Link layers of 22 octets, then an IPv4 header of 20.
        assert_eq!(metered.ignored("cut_short"), 42);
        let with_ports = metered.flows.iter().find(|flow| flow.source_port == 1000).unwrap();
        assert_eq!(with_ports.packets, frame.len() as u64 + 1 - 46);
        assert!(metered.flows.iter().all(|flow| flow.octets == flow.packets * 38));
    }
}
