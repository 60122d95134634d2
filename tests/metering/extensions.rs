//! Protocols, ports, and the headers before them.

use crate::support::packet::{ethernet, icmp, ipv4, ipv6, tcp, udp};
use crate::{A, A6, B, B6, ICMP, ICMPV6, TCP, UDP, meter, with};

/// IP protocols with ports beside TCP and UDP.
const DCCP: u8 = 33;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

/// IPv6 extension headers.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ESP: u8 = 50;
const AH: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const NO_NEXT_HEADER: u8 = 59;

/// An IPv4 packet with options, a multiple of 4 octets.
fn with_options(options: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let packet = ipv4(A, B, protocol, payload);
    let total = u16::try_from(packet.len() + options.len()).unwrap();
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let packet = with(with(packet, 0, &[0x40 | words]), 2, &total.to_be_bytes());
    [&packet[..20], options, &packet[20..]].concat()
}

/// An IPv6 packet with these extension headers, all empty, before its last header.
fn chain(extensions: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (index, kind) in extensions.iter().enumerate() {
        let next = *extensions.get(index + 1).unwrap_or(&protocol);
        match *kind {
            // Four words of authentication: the length counts words less 2 (RFC 4302).
            AH => octets.extend([&[next, 4, 0, 0][..], &[0; 20]].concat()),
            // An atomic fragment: offset 0 and no more to come (RFC 6946).
            FRAGMENT => octets.extend([next, 0, 0, 0, 0, 0, 0, 1]),
            // One more unit of 8 octets, padded with an option (RFC 8200 section 4.2).
            HOP_BY_HOP | DESTINATION => {
                octets.extend([&[next, 1, 1, 12][..], &[0; 12]].concat());
            }
            _ => octets.extend([next, 0, 0, 0, 0, 0, 0, 0]),
        }
    }
    octets.extend(payload);
    ipv6(A6, B6, extensions.first().copied().unwrap_or(protocol), &octets)
}

fn check(packet: &[u8], ports: (u64, u64, u64), flags: u64) {
    let metered = meter(&[ethernet(packet)]);
    let flow = metered.one();
    assert_eq!((flow.ports(), flow.flags), (ports, flags));
    assert_eq!((flow.packets, flow.octets), (1, packet.len() as u64));
}

#[test]
fn ports_are_those_of_protocols_that_have_ports() {
    for protocol in [UDP, DCCP, SCTP, UDP_LITE] {
        let ports = (1000, u64::from(protocol), 53);
        check(&ipv4(A, B, protocol, &udp(1000, 53, 20)), ports, 0);
        check(&ipv6(A6, B6, protocol, &udp(1000, 53, 20)), ports, 0);
    }
    // IGMP, GRE, ESP, AH, EIGRP, OSPF, and one that is not assigned.
    for protocol in [2, 47, ESP, AH, 88, 89, 253] {
        check(&ipv4(A, B, protocol, &udp(1000, 53, 20)), (0, protocol.into(), 0), 0);
    }
}

#[test]
fn outer_ip_header_is_metered() {
    let inner = ipv4([192, 0, 2, 1], [192, 0, 2, 2], TCP, &tcp(1, 2, 0x12, 0));
    check(&ipv4(A, B, 4, &inner), (0, 4, 0), 0);
    check(&ipv6(A6, B6, 4, &inner), (0, 4, 0), 0);
    check(&ipv4(A, B, 41, &ipv6(A6, B6, UDP, &udp(1, 2, 0))), (0, 41, 0), 0);
}

#[test]
fn icmp_has_type_and_code_for_a_destination_port() {
    for (kind, code) in [(8_u8, 0_u8), (0, 0), (3, 13), (255, 255)] {
        let port = u64::from(kind) * 256 + u64::from(code);
        check(&ipv4(A, B, ICMP, &icmp(kind, code, 8)), (0, 1, port), 0);
        check(&ipv6(A6, B6, ICMPV6, &icmp(kind, code, 8)), (0, 58, port), 0);
    }
    // ICMP of the other version is just a protocol.
    check(&ipv4(A, B, ICMPV6, &icmp(8, 3, 8)), (0, 58, 0), 0);
    check(&ipv6(A6, B6, ICMP, &icmp(8, 3, 8)), (0, 1, 0), 0);
}

#[test]
fn tcp_control_bits_are_all_eight_and_of_tcp_only() {
    for bit in 0..8 {
        check(&ipv4(A, B, TCP, &tcp(1000, 80, 1 << bit, 0)), (1000, 6, 80), 1 << bit);
        check(&ipv6(A6, B6, TCP, &tcp(1000, 80, 1 << bit, 0)), (1000, 6, 80), 1 << bit);
    }
    // The bit above them (RFC 3540) stands in the octet of the data offset.
    let segment = with(tcp(1000, 80, 0xff, 0), 12, &[0x51]);
    check(&ipv4(A, B, TCP, &segment), (1000, 6, 80), 0xff);
    check(&ipv4(A, B, UDP, &tcp(1000, 80, 0xff, 0)), (1000, 17, 80), 0);
}

#[test]
fn tcp_control_bits_of_a_flow_are_ored() {
    let frames = [0x80, 0x40, 0x20, 0x10, 0x08]
        .map(|flags| ethernet(&ipv4(A, B, TCP, &tcp(1000, 80, flags, 0))));
    assert_eq!(meter(&frames).one().flags, 0xf8);
    assert_eq!(meter(&frames[1..3]).one().flags, 0x60);
}

#[test]
fn ipv4_options_are_walked_through() {
    for words in 1..=10 {
        let options = vec![1; words * 4];
        let segment = tcp(1000, 80, 0x12, 5);
        check(&with_options(&options, TCP, &segment), (1000, 6, 80), 0x12);
        check(&with_options(&options, ICMP, &icmp(3, 1, 8)), (0, 1, 3 * 256 + 1), 0);
    }
}

#[test]
fn ipv4_authentication_header_is_a_protocol() {
    let inside = [&[TCP, 4, 0, 0][..], &[0; 20], &tcp(1000, 80, 0x12, 0)].concat();
    check(&ipv4(A, B, AH, &inside), (0, 51, 0), 0);
}

#[test]
fn ipv6_extension_headers_are_walked_through() {
    let chains: [&[u8]; 10] = [
        &[HOP_BY_HOP],
        &[DESTINATION],
        &[ROUTING],
        &[FRAGMENT],
        &[AH],
        &[HOP_BY_HOP, ROUTING],
        &[HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, AH, DESTINATION],
        &[ROUTING, ROUTING, ROUTING],
        &[DESTINATION, DESTINATION, AH, AH],
        &[HOP_BY_HOP, FRAGMENT, DESTINATION],
    ];
    for extensions in chains {
        let segment = tcp(1000, 80, 0x12, 5);
        check(&chain(extensions, TCP, &segment), (1000, 6, 80), 0x12);
        check(&chain(extensions, ICMPV6, &icmp(135, 0, 8)), (0, 58, 135 * 256), 0);
        check(&chain(extensions, ESP, &udp(1, 2, 8)), (0, 50, 0), 0);
        check(&chain(extensions, NO_NEXT_HEADER, &[]), (0, 59, 0), 0);
    }
}

#[test]
fn many_extension_headers_are_walked_through() {
    // As many as a packet of the usual size has room for.
    let extensions = vec![ROUTING; 170];
    check(&chain(&extensions, UDP, &udp(1000, 53, 4)), (1000, 17, 53), 0);
}

#[test]
fn hop_by_hop_options_are_walked_through_wherever_they_stand() {
    check(&chain(&[DESTINATION, HOP_BY_HOP], UDP, &udp(1000, 53, 4)), (1000, 17, 53), 0);
}

#[test]
fn other_ipv6_headers_are_protocols() {
    for protocol in [MOBILITY, 139, 140, 253] {
        check(&chain(&[protocol], TCP, &tcp(1000, 80, 2, 0)), (0, protocol.into(), 0), 0);
    }
}

#[test]
fn esp_has_no_ports() {
    check(&ipv4(A, B, ESP, &udp(1000, 53, 20)), (0, 50, 0), 0);
    check(&ipv6(A6, B6, ESP, &udp(1000, 53, 20)), (0, 50, 0), 0);
}
