//! IPv4 headers and what follows them.

use alloc::format;
use alloc::vec::Vec;

use super::*;

fn check_packet(name: &str, octets: Vec<u8>, known: Known) {
    check(&Case::new(name, LinkType::Ipv4, octets, known));
}

/// A packet with some octets of its header changed.
fn changed(mut packet: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    for &(at, octet) in changes {
        packet[at] = octet;
    }
    packet
}

/// A TCP packet with options of this length (RFC 791 section 3.1: a multiple of 4, at most 40).
fn with_options(length: u8) -> Vec<u8> {
    let plain = made::ipv4(6, &made::tcp());
    let mut packet = changed(plain, &[(0, 0x45 + length / 4), (3, 40 + length)]);
    packet.splice(20..20, core::iter::repeat_n(1, length.into()));
    packet
}

#[test]
fn transport_protocols() {
    for protocol in 0..=u8::MAX {
        let octets = made::ipv4(protocol, &made::tcp());
        let bare = made::bare_v4(protocol, 40);
        let known = match protocol {
            6 => tcp(bare, 20, 20),
            // UDP, DCCP, SCTP, UDP-Lite.
            17 | 33 | 132 | 136 => made::known_ports(bare, 20, 20),
            // ICMP: the first two octets are type and code.
            1 => {
                let code = Packet { ports: Ports::new(0, made::SOURCE_PORT), ..bare };
                Vec::from([(20, Ok(bare)), (22, Ok(code))])
            }
            // All others, also those that have an IP packet or a TCP header inside: IPv4, IPv6,
            // GRE, ESP, AH; and ICMPv6, which belongs to the other version.
            _ => Vec::from([(20, Ok(bare))]),
        };
        check_packet(&format!("protocol {protocol}"), octets, known);
    }
}

#[test]
fn icmp_type_and_code_stand_for_the_destination_port() {
    for (kind, code) in [(8_u8, 0_u8), (3, 1), (11, 0), (0, 0), (255, 255)] {
        let bare = made::bare_v4(1, 28);
        let port = u16::from(kind) * 256 + u16::from(code);
        let known =
            Vec::from([(20, Ok(bare)), (22, Ok(Packet { ports: Ports::new(0, port), ..bare }))]);
        check_packet("ICMP", made::ipv4(1, &[kind, code, 0, 0, 1, 2, 3, 4]), known);
    }
}

#[test]
fn all_eight_control_bits_are_read() {
    for bits in (0..8).map(|bit| 1 << bit).chain([0, 0xff]) {
        let octets = changed(made::ipv4(6, &made::tcp()), &[(20 + 13, bits)]);
        let bare = made::bare_v4(6, 40);
        let mut known = made::known_ports(bare, 20, 20);
        known.push((34, Ok(Packet { tcp_control_bits: bits, ..made::with_ports(bare) })));
        check_packet(&format!("control bits {bits:#x}"), octets, known);
    }
}

#[test]
fn type_of_service_and_ttl_are_whole_octets() {
    for octet in [0, 1, 0x80, 0xff] {
        let octets = changed(made::ipv4(17, &made::udp()), &[(1, octet), (8, !octet)]);
        let bare = Packet { type_of_service: octet, ttl: !octet, ..made::bare_v4(17, 32) };
        check_packet("type of service and TTL", octets, made::known_ports(bare, 20, 20));
    }
}

#[test]
fn options_are_skipped_and_may_be_cut() {
    for length in (4..=40).step_by(4) {
        let end = 20 + usize::from(length);
        let known = tcp(made::bare_v4(6, end + 20), 20, end);
        check_packet(&format!("{length} octets of options"), with_options(length), known);
    }
}

#[test]
fn header_that_contradicts_itself_is_malformed() {
    let malformed = |name: &str, octets| {
        check_packet(name, octets, Vec::from([(20, Err(Ignored::Malformed))]));
    };
    let plain = || made::ipv4(6, &made::tcp());
    for version in [0, 1, 3, 5, 6, 7, 15] {
        malformed(&format!("version {version}"), changed(plain(), &[(0, version << 4 | 5)]));
    }
    for words in 0..5 {
        malformed(&format!("{words} words of header"), changed(plain(), &[(0, 0x40 | words)]));
    }
    for length in 1..20 {
        malformed(&format!("total length {length}"), changed(plain(), &[(3, length)]));
    }
    for length in 20..32 {
        let octets = changed(with_options(12), &[(3, length)]);
        malformed(&format!("total length {length} with 12 of options"), octets);
    }
}

#[test]
fn ports_end_where_the_packet_ends_by_its_own_length() {
    for (options, own_length) in [0, 8].into_iter().flat_map(|o| (20..=40).map(move |l| (o, l))) {
        let (header, own_length) = (20 + options, own_length + options);
        let plain = if options == 0 { made::ipv4(6, &made::tcp()) } else { with_options(8) };
        let octets = changed(plain, &[(3, own_length)]);
        let end = usize::from(own_length);
        let mut known = tcp(made::bare_v4(6, end), 20, header.into());
        known.retain(|(from, _)| *from <= end);
        check_packet(&format!("{options} of options, total length {own_length}"), octets, known);
    }
    for own_length in 20..=28 {
        let octets = changed(made::ipv4(1, &[3, 1, 0, 0, 0, 0, 0, 0]), &[(3, own_length)]);
        let bare = made::bare_v4(1, own_length.into());
        let mut known = Vec::from([(20, Ok(bare))]);
        if own_length >= 22 {
            known.push((22, Ok(Packet { ports: Ports::icmp(3, 1), ..bare })));
        }
        check_packet(&format!("ICMP, total length {own_length}"), octets, known);
    }
}

#[test]
fn total_length_counts_but_no_more_than_the_wire_had() {
    let cases: [(u16, u32, bool); 6] = [
        // Total length, octets on the wire, whether it exceeds them.
        (40, 40, false),
        (40, 46, false),
        (40, 39, true),
        (1500, 1500, false),
        (1500, 1499, true),
        (65_535, 60, true),
    ];
    for (total_length, wire_length, exceeds_wire) in cases {
        let [high, low] = total_length.to_be_bytes();
        let octets = changed(made::ipv4(6, &made::tcp()), &[(2, high), (3, low)]);
        let octets_counted = usize::from(total_length).min(wire_length.try_into().unwrap());
        let bare = Packet { exceeds_wire, ..made::bare_v4(6, octets_counted) };
        let known = tcp(bare, 20, 20);
        let name = format!("total length {total_length} of {wire_length}");
        check(&Case { wire_length, ..Case::new(name, LinkType::Ipv4, octets, known) });
    }
}

#[test]
fn total_length_zero_means_all_that_the_wire_had() {
    for wire_length in [40, 46, 1514, 65_000, 200_000] {
        let octets = changed(made::ipv4(6, &made::tcp()), &[(3, 0)]);
        let known = tcp(made::bare_v4(6, wire_length), 20, 20);
        let name = format!("total length 0 of {wire_length}");
        let mut case = Case::new(name, LinkType::Ipv4, octets, known);
        case.wire_length = u32::try_from(wire_length).unwrap();
        check(&case);
        // The link layer is not of the packet.
        case.link_type = LinkType::Ethernet;
        case.octets = made::ethernet(&[(0x8100, 0)], &case.octets);
        case.wire_length += 18;
        case.known = tcp(made::bare_v4(6, wire_length), 38, 38);
        check(&case);
    }
}

#[test]
fn fragments() {
    use Fragment::{First, Later, Whole};
    // Flags (reserved, don't fragment, more fragments) and offset, RFC 791 section 3.1.
    let cases: [(u16, Fragment); 10] = [
        (0x0000, Whole),
        (0x4000, Whole),
        (0x8000, Whole),
        (0xc000, Whole),
        (0x2000, First(0x1234)),
        (0xe000, First(0x1234)),
        (0x0001, Later(0x1234)),
        (0x2001, Later(0x1234)),
        (0x1fff, Later(0x1234)),
        (0x3fff, Later(0x1234)),
    ];
    for (word, fragment) in cases {
        let [high, low] = word.to_be_bytes();
        let octets = changed(made::ipv4(6, &made::tcp()), &[(6, high), (7, low)]);
        let bare = Packet { fragment, ..made::bare_v4(6, 40) };
        let known = match fragment {
            Whole | First(_) => tcp(bare, 20, 20),
            Later(_) => Vec::from([(20, Ok(bare))]),
        };
        check_packet(&format!("flags and offset {word:#06x}"), octets, known);
    }
    // A later fragment of ICMP has no type, and one with options no ports either.
    let later = changed(made::ipv4(1, &[8, 0, 0, 0]), &[(7, 9)]);
    let known = Vec::from([(20, Ok(Packet { fragment: Later(0x1234), ..made::bare_v4(1, 24) }))]);
    check_packet("later fragment of ICMP", later, known);
    let known = Vec::from([(20, Ok(Packet { fragment: Later(0x1234), ..made::bare_v4(6, 48) }))]);
    check_packet("later fragment with options", changed(with_options(8), &[(7, 9)]), known);
}
