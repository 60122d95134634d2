//! Fragments: later ones have no ports of their own and join the flow of their first.

use crate::support::capture::{Captured, pcapng};
use crate::support::flows::Flow;
use crate::support::packet::{ethernet, icmp, ipv4, ipv6, tcp, udp};
use crate::{A, A6, B, B6, ICMP, SYN, TCP, UDP, meter, meter_file, meter_packets, with};

const MORE: u16 = 0x2000;
const DO_NOT: u16 = 0x4000;

/// A fragment of an IPv4 datagram, `units` of 8 octets after its beginning.
fn fragment(id: u16, flags: u16, units: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let packet = with(ipv4(A, B, protocol, payload), 4, &id.to_be_bytes());
    ethernet(&with(packet, 6, &(flags | units).to_be_bytes()))
}

/// A fragment of an IPv6 datagram. The first octet of the fragment header says what follows.
fn fragment6(id: u32, more: bool, units: u16, next: u8, payload: &[u8]) -> Vec<u8> {
    let place = (units << 3 | u16::from(more)).to_be_bytes();
    let mut octets = vec![next, 0, place[0], place[1]];
    octets.extend(id.to_be_bytes());
    octets.extend(payload);
    ethernet(&ipv6(A6, B6, 44, &octets))
}

fn first(id: u16) -> Vec<u8> {
    fragment(id, MORE, 0, UDP, &udp(1000, 53, 1472))
}

fn later(id: u16) -> Vec<u8> {
    fragment(id, 0, 185, UDP, &[0xff; 100])
}

fn at(millis: u64, frame: Vec<u8>) -> Captured {
    Captured::at(millis, frame)
}

/// Ports, packets and octets of each flow.
fn summary(flows: &[Flow]) -> Vec<((u64, u64, u64), u64, u64)> {
    flows.iter().map(|flow| (flow.ports(), flow.packets, flow.octets)).collect()
}

#[test]
fn later_fragments_join_the_flow_of_the_first() {
    let frames = [
        first(7),
        fragment(7, MORE, 185, UDP, &[0xff; 1480]),
        fragment(7, 0, 370, UDP, &[0xff; 100]),
    ];
    let metered = meter(&frames);
    // Each fragment is a packet with an IPv4 header of its own.
    assert_eq!(summary(&metered.flows), [((1000, 17, 53), 3, 1500 + 1500 + 120)]);
    assert_eq!(metered.run.count("fragments_unknown"), 0);
}

#[test]
fn later_fragments_of_ipv6_join_the_flow_of_the_first() {
    let frames = [
        fragment6(7, true, 0, UDP, &udp(1000, 53, 1440)),
        fragment6(7, true, 181, UDP, &[0xff; 1448]),
        fragment6(7, false, 362, UDP, &[0xff; 100]),
    ];
    let octets = (40 + 8 + 1448) * 2 + 40 + 8 + 100;
    let metered = meter(&frames);
    assert_eq!(summary(&metered.flows), [((1000, 17, 53), 3, octets)]);
}

#[test]
fn later_fragment_of_ipv6_takes_the_protocol_of_the_first() {
    // Destination options belong to the fragmented part, so only the first fragment has them and
    // the protocol after them.
    let options = [UDP, 0, 1, 4, 0, 0, 0, 0];
    let frames = [
        fragment6(7, true, 0, 60, &[&options[..], &udp(1000, 53, 40)].concat()),
        fragment6(7, false, 7, 60, &[0xff; 100]),
    ];
    let metered = meter(&frames);
    assert_eq!(metered.one().ports(), (1000, 17, 53));
    assert_eq!(metered.one().packets, 2);
}

#[test]
fn later_fragments_are_not_read_as_headers() {
    // What stands where the ports would be looks like some, and like SYN.
    let frames = [
        fragment(7, MORE, 0, TCP, &tcp(1000, 80, 0x10, 100)),
        fragment(7, 0, 15, TCP, &tcp(6666, 7777, SYN, 0)),
        fragment(8, 0, 15, TCP, &tcp(6666, 7777, SYN, 0)),
        fragment6(8, false, 15, TCP, &tcp(6666, 7777, SYN, 0)),
    ];
    let metered = meter(&frames);
    let packets: Vec<_> =
        metered.flows.iter().map(|flow| (flow.ports(), flow.flags, flow.packets)).collect();
    let unknown = ((0, 6, 0), 0, 1);
    assert_eq!(packets, [unknown, ((1000, 6, 80), 0x10, 2), unknown]);
    assert_eq!(metered.run.count("fragments_unknown"), 2);
}

#[test]
fn fragments_before_their_first_have_no_ports() {
    let metered = meter(&[later(7), first(7), later(7)]);
    let expected = [((0, 17, 0), 1, 120), ((1000, 17, 53), 2, 1620)];
    assert_eq!(summary(&metered.flows), expected);
    assert_eq!(metered.run.count("fragments_unknown"), 1);
    let metered = meter(&[fragment6(7, false, 181, 60, &[0; 100])]);
    assert_eq!(summary(&metered.flows), [((0, 60, 0), 1, 148)]);
    assert_eq!(metered.run.count("fragments_unknown"), 1);
}

#[test]
fn datagrams_are_told_apart_by_addresses_identification_and_protocol() {
    let other_host = with(later(7), 14 + 12, &[10, 0, 0, 9]);
    let other_peer = with(later(7), 14 + 16, &[10, 0, 0, 9]);
    let other_protocol = fragment(7, 0, 185, 136, &[0xff; 100]);
    for stranger in [other_host, other_peer, other_protocol, later(8)] {
        let metered = meter(&[first(7), stranger]);
        assert_eq!(metered.run.count("fragments_unknown"), 1);
        assert_eq!(metered.flows.len(), 2);
    }
    // Two datagrams at a time, each with ports of its own.
    let second = fragment(8, MORE, 0, UDP, &udp(2000, 123, 1472));
    let metered = meter(&[first(7), second, later(8), later(7), later(8)]);
    let expected = [((1000, 17, 53), 2, 1620), ((2000, 17, 123), 3, 1740)];
    assert_eq!(summary(&metered.flows), expected);
}

#[test]
fn fragments_may_come_over_several_interfaces() {
    let packets = [at(1000, first(7)), at(1000, later(7)).on(1)];
    let metered = meter_file(&[], &pcapng(2, &packets));
    let found: Vec<_> = metered.flows.iter().map(|flow| (flow.ports(), flow.interface)).collect();
    assert_eq!(found, [((1000, 17, 53), 1), ((1000, 17, 53), 2)]);
}

#[test]
fn first_fragment_is_forgotten_after_30_seconds() {
    let settings = ["--idle-timeout", "1h", "--active-timeout", "1h"];
    let metered = meter_packets(&settings, &[at(1000, first(7)), at(31_000, later(7))]);
    assert_eq!(metered.one().packets, 2);
    let metered = meter_packets(&settings, &[at(1000, first(7)), at(31_001, later(7))]);
    let expected = [((0, 17, 0), 1, 120), ((1000, 17, 53), 1, 1500)];
    assert_eq!(summary(&metered.flows), expected);
    assert_eq!(metered.run.count("fragments_unknown"), 1);
}

#[test]
fn identification_that_comes_again_is_of_the_newer_datagram() {
    let again = fragment(7, MORE, 0, UDP, &udp(2000, 123, 1472));
    let metered = meter(&[first(7), again, later(7)]);
    assert_eq!(summary(&metered.flows), [((1000, 17, 53), 1, 1500), ((2000, 17, 123), 2, 1620)]);
}

#[test]
fn what_is_whole_is_no_fragment() {
    // "Do not fragment", and an identification that another datagram has.
    let whole = fragment(7, DO_NOT, 0, UDP, &udp(2000, 123, 4));
    let metered = meter(&[whole, later(7)]);
    assert_eq!(metered.run.count("fragments_unknown"), 1);
    assert_eq!(summary(&metered.flows), [((0, 17, 0), 1, 120), ((2000, 17, 123), 1, 32)]);
    // A Fragment header with offset 0 and nothing to come (RFC 6946).
    let atomic = fragment6(7, false, 0, UDP, &udp(2000, 123, 4));
    let metered = meter(&[atomic, fragment6(7, false, 181, UDP, &[0; 100])]);
    assert_eq!(metered.run.count("fragments_unknown"), 1);
    assert_eq!(summary(&metered.flows), [((0, 17, 0), 1, 148), ((2000, 17, 123), 1, 60)]);
}

#[test]
fn first_fragment_that_ends_before_the_ports_has_none() {
    let metered = meter(&[fragment(7, MORE, 0, TCP, &tcp(1000, 80, SYN, 0)[..8])]);
    assert_eq!((metered.one().ports(), metered.one().flags), ((1000, 6, 80), 0));
    // Padding after the packet is not a part of it.
    let metered = meter(&[fragment(7, MORE, 0, TCP, &[])]);
    assert_eq!((metered.one().ports(), metered.one().flags), ((0, 6, 0), 0));
}

#[test]
fn fragments_of_icmp_join_too() {
    let frames =
        [fragment(7, MORE, 0, ICMP, &icmp(8, 0, 1472)), fragment(7, 0, 185, ICMP, &[3; 100])];
    assert_eq!(summary(&meter(&frames).flows), [((0, 1, 8 * 256), 2, 1620)]);
}

#[test]
fn many_datagrams_at_a_time_keep_their_ports() {
    let firsts = (0..1000).map(|id| {
        let datagram = udp(1000 + id, 53, 1472);
        at(1000, fragment(id, MORE, 0, UDP, &datagram)).cut(64)
    });
    let laters = (0..1000).map(|id| at(1001, later(id)).cut(64));
    let metered = meter_packets(&[], &firsts.chain(laters).collect::<Vec<_>>());
    assert_eq!(metered.flows.len(), 1000);
    assert!(metered.flows.iter().all(|flow| flow.counts() == (2, 1620, 1000, 1001, 4)));
}
