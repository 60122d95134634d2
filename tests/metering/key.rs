//! The flow key: the seven fields of classic NetFlow, and `--flow-key`.

use crate::support::capture::{Captured, pcap, pcapng};
use crate::support::ipfix;
use crate::support::packet::{ethernet, ipv4, ipv6, tagged, tcp, udp};
use crate::support::run_with_input;
use crate::{A, A6, ACK, B, B6, FIN, TCP, UDP, meter, meter_file, meter_packets, with};

const SEVEN: [&str; 7] = ["src", "dst", "sport", "dport", "proto", "tos", "iface"];

/// A packet, and for each of the seven fields one that differs from it in that field alone.
fn eight_packets() -> Vec<Captured> {
    let base = ipv4(A, B, UDP, &udp(1000, 53, 10));
    let packets = [
        base.clone(),
        ipv4([10, 0, 0, 9], B, UDP, &udp(1000, 53, 10)),
        ipv4(A, [10, 0, 0, 9], UDP, &udp(1000, 53, 10)),
        ipv4(A, B, UDP, &udp(1001, 53, 10)),
        ipv4(A, B, UDP, &udp(1000, 54, 10)),
        // UDP-Lite has the same ports at the same place.
        ipv4(A, B, 136, &udp(1000, 53, 10)),
        // The lowest bits of the octet are those of congestion notification.
        with(base.clone(), 1, &[0x01]),
        base,
    ];
    let mut packets = packets.map(|packet| Captured::at(1000, ethernet(&packet)));
    packets[7].interface = 1;
    packets.to_vec()
}

#[test]
fn each_of_the_seven_fields_tells_flows_apart() {
    let twice = [eight_packets(), eight_packets()].concat();
    let metered = meter_file(&[], &pcapng(2, &twice));
    assert_eq!(metered.flows.len(), 8);
    assert!(metered.flows.iter().all(|flow| flow.packets == 2 && flow.octets == 76));
}

#[test]
fn directions_are_two_flows() {
    let there = ethernet(&ipv4(A, B, UDP, &udp(1000, 53, 10)));
    let back = ethernet(&ipv4(B, A, UDP, &udp(53, 1000, 100)));
    let metered = meter(&[there.clone(), back, there]);
    let counts: Vec<_> = metered.flows.iter().map(|flow| (flow.packets, flow.octets)).collect();
    // 20 octets of IPv4, 8 of UDP, and the payload.
    assert_eq!(counts, [(2, 2 * 38), (1, 128)]);
}

#[test]
fn dropped_field_no_longer_tells_flows_apart() {
    let packets = eight_packets();
    for (index, name) in SEVEN.into_iter().enumerate() {
        let rest: Vec<_> = SEVEN.into_iter().filter(|field| *field != name).collect();
        let key = rest.join(",");
        let pair = [packets[0].clone(), packets[index + 1].clone()];
        let metered = meter_file(&["--flow-key", &key], &pcapng(2, &pair));
        assert_eq!(metered.one().packets, 2, "{name}");
        let metered = meter_file(&["--flow-key", &key], &pcapng(2, &packets));
        assert_eq!(metered.flows.len(), 7, "{name}");
    }
}

#[test]
fn dropped_field_is_absent_from_documents() {
    let members = [
        ("src", &["/source/ip", "/source/locality", "/netflow/source_ipv4_address"][..]),
        ("dst", &["/destination/ip", "/netflow/destination_ipv4_address"]),
        ("sport", &["/source/port", "/netflow/source_transport_port"]),
        ("dport", &["/destination/port", "/netflow/destination_transport_port"]),
        ("proto", &["/network/transport", "/netflow/protocol_identifier"]),
        ("tos", &["/netflow/ip_class_of_service"]),
        ("iface", &["/observer/ingress", "/netflow/ingress_interface"]),
    ];
    let file = pcap(&eight_packets()[..1]);
    let whole = run_with_input(["-r", "-", "-o", "json:-"], &file).documents();
    for (name, absent) in members {
        let key: Vec<_> = SEVEN.into_iter().filter(|field| *field != name).collect();
        let arguments = ["-r", "-", "-o", "json:-", "--flow-key", &key.join(",")];
        let documents = run_with_input(arguments, &file).documents();
        for (_, paths) in members {
            for path in paths {
                assert!(whole[0].pointer(path).is_some(), "{path} is there with the whole key");
                let there = documents[0].pointer(path).is_some();
                assert_eq!(there, !absent.contains(path), "{path} without {name}");
            }
        }
    }
}

#[test]
fn dropped_field_is_zero_on_the_wire() {
    let elements = [
        ("src", 8),
        ("dst", 12),
        ("sport", 7),
        ("dport", 11),
        ("proto", 4),
        ("tos", 5),
        ("iface", 10),
    ];
    let packet = with(ipv4(A, B, UDP, &udp(1000, 53, 10)), 1, &[0xb8]);
    let file = pcapng(1, &[Captured::at(1000, ethernet(&packet))]);
    for (name, _) in elements {
        let key: Vec<_> = SEVEN.into_iter().filter(|field| *field != name).collect();
        let arguments = ["-r", "-", "-o", "ipfix-file:-", "--flow-key", &key.join(",")];
        let run = run_with_input(arguments, &file);
        run.assert_conservation();
        let messages = ipfix::session(&run.stdout);
        let records: Vec<_> = messages.iter().flat_map(ipfix::Message::flows).collect();
        assert_eq!(records.len(), 1);
        for (other, element) in elements {
            let is_zero = ipfix::number(records[0], element) == 0;
            assert_eq!(is_zero, other == name, "{other} without {name}");
        }
    }
}

#[test]
fn vlan_tells_flows_apart_only_when_it_is_asked_for() {
    let frame = ethernet(&ipv4(A, B, UDP, &udp(1000, 53, 10)));
    let frames = [tagged(&frame, 0x8100, 7), tagged(&frame, 0x8100, 8), frame];
    let packets = frames.map(|frame| Captured::at(1000, frame));
    let metered = meter_packets(&[], &packets);
    assert_eq!((metered.one().packets, metered.one().vlan), (3, 7), "of the first packet");
    let metered = meter_packets(&["--flow-key", "src,dst,sport,dport,proto,vlan"], &packets);
    let vlans: Vec<_> = metered.flows.iter().map(|flow| (flow.vlan, flow.packets)).collect();
    assert_eq!(vlans, [(0, 1), (7, 1), (8, 1)]);
}

#[test]
fn ip_version_stays_in_the_key() {
    let frames = [
        ethernet(&ipv4(A, B, UDP, &udp(1000, 53, 10))),
        ethernet(&ipv6(A6, B6, UDP, &udp(1000, 53, 10))),
        ethernet(&ipv6(B6, A6, UDP, &udp(2000, 54, 10))),
    ];
    let packets = frames.map(|frame| Captured::at(1000, frame));
    let metered = meter_packets(&["--flow-key", "proto"], &packets);
    let mut counts: Vec<_> = metered.flows.iter().map(|flow| (flow.packets, flow.octets)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(1, 38), (2, 2 * 58)]);
    let types: Vec<_> = metered.run.documents().iter().map(|one| one["network"].clone()).collect();
    assert!(types.iter().any(|network| network["type"] == "ipv4"));
    assert!(types.iter().any(|network| network["type"] == "ipv6"));
}

#[test]
fn fin_ends_flows_only_while_the_five_tuple_is_whole() {
    let packet =
        |millis, flags| Captured::at(millis, ethernet(&ipv4(A, B, TCP, &tcp(1000, 80, flags, 0))));
    // 10 s after the FIN: beyond the linger time, within the idle timeout.
    let packets = [packet(1000, FIN | ACK), packet(11_000, ACK)];
    assert_eq!(meter_packets(&[], &packets).flows.len(), 2);
    for dropped in ["src", "dst", "sport", "dport", "proto"] {
        let key: Vec<_> = SEVEN.into_iter().filter(|field| *field != dropped).collect();
        let metered = meter_packets(&["--flow-key", &key.join(",")], &packets);
        assert_eq!(metered.one().packets, 2, "without {dropped}");
    }
    for key in ["src,dst,sport,dport,proto", "src,dst,sport,dport,proto,vlan"] {
        assert_eq!(meter_packets(&["--flow-key", key], &packets).flows.len(), 2, "{key}");
    }
}

#[test]
fn type_of_service_is_the_whole_octet() {
    // The traffic class of IPv6 straddles two octets (RFC 8200 section 3).
    for class in [0x01, 0x0f, 0x10, 0xb8, 0xff] {
        let v4 = with(ipv4(A, B, UDP, &udp(1, 2, 0)), 1, &[class]);
        assert_eq!(meter(&[ethernet(&v4)]).one().type_of_service, u64::from(class));
        let start = [0x60 | class >> 4, class << 4 | 0x0f];
        let v6 = with(ipv6(A6, B6, UDP, &udp(1, 2, 0)), 0, &start);
        assert_eq!(meter(&[ethernet(&v6)]).one().type_of_service, u64::from(class));
    }
}

#[test]
fn ttl_of_a_flow_is_the_lowest_and_the_highest() {
    let packet = ipv4(A, B, UDP, &udp(1, 2, 0));
    let frames = [64, 255, 3, 200].map(|ttl| ethernet(&with(packet.clone(), 8, &[ttl])));
    assert_eq!(meter(&frames).one().ttl, (3, 255));
}
