//! IPv6 headers, extension headers, and what follows them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// The extension headers that are walked through.
const EXTENSIONS: [u8; 5] = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS];

fn check_packet(name: impl Into<String>, octets: Vec<u8>, known: Known) {
    check(&Case::new(name, LinkType::Ipv6, octets, known));
}

/// An extension header (RFC 8200 section 4, RFC 4302 section 2). A fragment header is one of a
/// datagram that is whole. The lengths differ, and are not those of plain headers either.
fn extension(kind: u8, next_header: u8) -> Vec<u8> {
    match kind {
        HOP_BY_HOP => Vec::from([next_header, 0, 1, 4, 0, 0, 0, 0]),
        DESTINATION_OPTIONS => {
            let mut header = Vec::from([next_header, 1, 1, 12]);
            header.resize(16, 0);
            header
        }
        ROUTING => {
            let mut header = Vec::from([next_header, 2, 0, 1, 0, 0, 0, 0]);
            header.extend([0xfe; 16]);
            header
        }
        FRAGMENT => fragment(next_header, 0),
        AUTHENTICATION => {
            // 24 octets: the length is in words, less 2.
            let mut header = Vec::from([next_header, 4, 0, 0]);
            header.resize(24, 0x77);
            header
        }
        _ => unreachable!("not an extension header"),
    }
}

/// A fragment header with this offset and more-flag word; identification 0xdeadbeef.
fn fragment(next_header: u8, word: u16) -> Vec<u8> {
    let [high, low] = word.to_be_bytes();
    Vec::from([next_header, 0, high, low, 0xde, 0xad, 0xbe, 0xef])
}

const IDENTIFICATION: u32 = 0xdead_beef;

/// A TCP packet with these extension headers, and what is known of it: the protocol is that of the
/// header that the capture does not have whole.
fn with_extensions(kinds: &[u8]) -> (Vec<u8>, Known) {
    let mut payload = Vec::new();
    let mut ends = Vec::new();
    for (index, &kind) in kinds.iter().enumerate() {
        let next = kinds.get(index + 1).copied().unwrap_or(6);
        payload.extend(extension(kind, next));
        ends.push((40 + payload.len(), next));
    }
    let transport = 40 + payload.len();
    payload.extend(made::tcp());
    let first = kinds.first().copied().unwrap_or(6);
    let octets = made::ipv6(first, &payload);
    let length = octets.len();
    let mut known = Vec::from([(40, Ok(made::bare_v6(first, length)))]);
    known.extend(ends.into_iter().map(|(end, next)| (end, Ok(made::bare_v6(next, length)))));
    known.extend(tcp(made::bare_v6(6, length), transport, transport));
    (octets, known)
}

/// All orders of all choices of extension headers.
fn orders(rest: &[u8], chosen: &mut Vec<u8>, visit: &mut impl FnMut(&[u8])) {
    visit(chosen);
    for (index, &kind) in rest.iter().enumerate() {
        let mut others = rest.to_vec();
        others.remove(index);
        chosen.push(kind);
        orders(&others, chosen, visit);
        chosen.pop();
    }
}

#[test]
fn transport_protocols() {
    for protocol in (0..=u8::MAX).filter(|protocol| !EXTENSIONS.contains(protocol)) {
        let octets = made::ipv6(protocol, &made::tcp());
        let bare = made::bare_v6(protocol, 60);
        let known = match protocol {
            6 => tcp(bare, 40, 40),
            // UDP, DCCP, SCTP, UDP-Lite.
            17 | 33 | 132 | 136 => made::known_ports(bare, 40, 40),
            // ICMPv6.
            58 => {
                let code = Packet { ports: Ports::new(0, made::SOURCE_PORT), ..bare };
                Vec::from([(40, Ok(bare)), (42, Ok(code))])
            }
            // Also ICMP, ESP, no next header, mobility, HIP, shim6.
            _ => Vec::from([(40, Ok(bare))]),
        };
        check_packet(format!("protocol {protocol}"), octets, known);
    }
}

#[test]
fn traffic_class_straddles_two_octets() {
    for class in [0x00, 0x0f, 0xf0, 0xff, 0x5a] {
        let mut octets = made::ipv6(17, &made::udp());
        octets[0] = 0x60 | class >> 4;
        octets[1] = class << 4 | 0x0f;
        let bare = Packet { type_of_service: class, ..made::bare_v6(17, 52) };
        check_packet(format!("traffic class {class:#x}"), octets, made::known_ports(bare, 40, 40));
    }
}

#[test]
fn wrong_version_is_malformed() {
    for version in [0, 4, 5, 7, 15] {
        let mut octets = made::ipv6(6, &made::tcp());
        octets[0] = version << 4;
        let known = Vec::from([(40, Err(Ignored::Malformed))]);
        check_packet(format!("version {version}"), octets, known);
    }
}

#[test]
fn extension_headers_in_all_orders_are_walked_through() {
    let mut count = 0;
    orders(&EXTENSIONS, &mut Vec::new(), &mut |kinds| {
        let (octets, known) = with_extensions(kinds);
        check_packet(format!("extension headers {kinds:?}"), octets, known);
        count += 1;
    });
    assert_eq!(count, 326);
    for kind in EXTENSIONS {
        let (octets, known) = with_extensions(&[kind; 30]);
        check_packet(format!("30 extension headers {kind}"), octets, known);
    }
}

#[test]
fn esp_ends_the_walk() {
    let mut payload = extension(DESTINATION_OPTIONS, 50);
    payload.extend(made::tcp());
    let bare = |protocol| Ok(made::bare_v6(protocol, 76));
    let known = Vec::from([(40, bare(DESTINATION_OPTIONS)), (56, bare(50))]);
    check_packet("ESP", made::ipv6(DESTINATION_OPTIONS, &payload), known);
}

#[test]
fn authentication_header_too_short_for_itself_ends_the_walk() {
    let mut payload = Vec::from([6, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend(made::tcp());
    let known = Vec::from([(40, Ok(made::bare_v6(AUTHENTICATION, 68)))]);
    check_packet("AH of 8 octets", made::ipv6(AUTHENTICATION, &payload), known);
}

#[test]
fn walk_ends_where_the_packet_ends_by_its_own_length() {
    let (whole, known_of_whole) =
        with_extensions(&[HOP_BY_HOP, ROUTING, AUTHENTICATION, DESTINATION_OPTIONS]);
    for own_length in 1..=whole.len() - 40 {
        let mut octets = whole.clone();
        octets[5] = u8::try_from(own_length).unwrap();
        let end = 40 + own_length;
        let mut known = known_of_whole.clone();
        known.retain(|(from, _)| *from <= end);
        for (_, outcome) in &mut known {
            outcome.as_mut().unwrap().octets = u32::try_from(end).unwrap();
        }
        check_packet(format!("payload length {own_length}"), octets, known);
    }
}

#[test]
fn payload_length_counts_but_no_more_than_the_wire_had() {
    // Payload length, octets on the wire from the IP header on, whether it exceeds them.
    let cases: [(u16, u32, bool); 5] = [
        (20, 60, false),
        (20, 200, false),
        (20, 59, true),
        (1460, 1499, true),
        (65_535, 65_575, false),
    ];
    for (payload_length, wire_length, exceeds_wire) in cases {
        let mut octets = made::ipv6(6, &made::tcp());
        octets[4..6].copy_from_slice(&payload_length.to_be_bytes());
        let wire = usize::try_from(wire_length).unwrap();
        let length = (usize::from(payload_length) + 40).min(wire);
        let known = tcp(Packet { exceeds_wire, ..made::bare_v6(6, length) }, 40, 40);
        let name = format!("payload length {payload_length} of {wire_length}");
        check(&Case { wire_length, ..Case::new(name, LinkType::Ipv6, octets, known) });
    }
}

#[test]
fn payload_length_zero_is_an_empty_packet_or_all_that_the_wire_had() {
    // What follows the IP header on the wire: up to 60 octets of it are padding.
    for follow in [20, 46, 60, 61, 1460, 100_000] {
        let mut octets = made::ipv6(6, &made::tcp());
        octets[5] = 0;
        let known = if follow > 60 {
            tcp(made::bare_v6(6, 40 + follow), 40, 40)
        } else {
            Vec::from([(40, Ok(made::bare_v6(6, 40)))])
        };
        let wire_length = u32::try_from(40 + follow).unwrap();
        let name = format!("payload length 0, {follow} octets follow");
        let case = Case { wire_length, ..Case::new(name, LinkType::Ipv6, octets, known) };
        check(&case);
        // The link layer does not count.
        let mut tagged = case.clone();
        tagged.link_type = LinkType::Ethernet;
        tagged.octets = made::ethernet(&[(0x8100, 0)], &case.octets);
        tagged.wire_length += 18;
        tagged.known.iter_mut().for_each(|(from, _)| *from += 18);
        check(&tagged);
    }
}

/// A hop-by-hop header of these options, padded, with TCP behind it; payload length 0.
fn jumbogram(options: &[u8]) -> (Vec<u8>, usize) {
    let mut header = Vec::from([6, 0]);
    header.extend(options);
    header.resize(header.len().next_multiple_of(8), 0);
    header[1] = u8::try_from(header.len() / 8 - 1).unwrap();
    let transport = 40 + header.len();
    header.extend(made::tcp());
    let mut octets = made::ipv6(HOP_BY_HOP, &header);
    octets[4..6].fill(0);
    (octets, transport)
}

#[test]
fn jumbo_payload_option_says_the_length() {
    // The options, and where in the packet the jumbo payload option ends.
    let cases: [(&str, &[u8], usize); 4] = [
        ("alone", &[0xc2, 4, 0, 1, 0x11, 0x70], 48),
        ("after Pad1", &[0, 0xc2, 4, 0, 1, 0x11, 0x70], 49),
        ("after PadN", &[1, 2, 0, 0, 0xc2, 4, 0, 1, 0x11, 0x70], 52),
        ("after router alert", &[5, 2, 0, 1, 0xc2, 4, 0, 1, 0x11, 0x70], 52),
    ];
    let claimed = 40 + 70_000;
    for (name, options, option_end) in cases {
        let (octets, transport) = jumbogram(options);
        for (wire_length, exceeds_wire) in [(claimed, false), (claimed - 1, true), (200, true)] {
            let wire = usize::try_from(wire_length).unwrap();
            let cut = |protocol| Ok(made::bare_v6(protocol, wire));
            let jumbo = |protocol| Packet { exceeds_wire, ..made::bare_v6(protocol, wire) };
            let mut known = Vec::from([(40, cut(HOP_BY_HOP)), (option_end, Ok(jumbo(HOP_BY_HOP)))]);
            known.extend(tcp(jumbo(6), transport, transport));
            let name = format!("jumbo payload {name}, {wire_length} on the wire");
            let case = Case::new(name, LinkType::Ipv6, octets.clone(), known);
            check(&Case { wire_length, ..case });
        }
    }
}

#[test]
fn packet_ends_where_its_jumbo_payload_option_says() {
    for claimed in 8..=28 {
        let (octets, transport) = jumbogram(&[0xc2, 4, 0, 0, 0, claimed]);
        let end = 40 + usize::from(claimed);
        let jumbo = made::bare_v6(6, end);
        // Without the option it is known only that no more than padding follows.
        let mut known = Vec::from([(40, Ok(made::bare_v6(HOP_BY_HOP, 40)))]);
        known.extend(tcp(jumbo, transport, transport));
        known.retain(|(from, _)| *from <= end);
        check_packet(format!("jumbo payload of {claimed}"), octets, known);
    }
}

#[test]
fn jumbo_payload_that_is_none_is_not_heeded() {
    let not_there: [(&str, &[u8]); 4] = [
        ("of another length", &[0xc2, 3, 0, 1, 0x11, 0x70]),
        ("cut by its header", &[1, 0, 1, 0, 0xc2, 4]),
        ("of another kind", &[0xc3, 4, 0, 1, 0x11, 0x70]),
        ("behind an option without end", &[1, 200, 0xc2, 4, 0, 1, 0x11, 0x70]),
    ];
    for (name, options) in not_there {
        let (octets, transport) = jumbogram(options);
        let mut known = Vec::from([(40, Ok(made::bare_v6(HOP_BY_HOP, 240)))]);
        known.extend(tcp(made::bare_v6(6, 240), transport, transport));
        let case = Case::new(format!("jumbo payload {name}"), LinkType::Ipv6, octets, known);
        check(&Case { wire_length: 240, ..case });
    }
    // With a payload length the option means nothing.
    let (mut octets, transport) = jumbogram(&[0xc2, 4, 0, 1, 0x11, 0x70]);
    octets[5] = 28;
    let mut known = Vec::from([(40, Ok(made::bare_v6(HOP_BY_HOP, 68)))]);
    known.extend(tcp(made::bare_v6(6, 68), transport, transport));
    check_packet("jumbo payload beside a payload length", octets, known);
}

#[test]
fn fragments() {
    use Fragment::{First, Later, Whole};
    // Offset (13 bits), reserved (2), more fragments (1), RFC 8200 section 4.5.
    let cases: [(u16, Fragment); 7] = [
        (0x0000, Whole),
        (0x0006, Whole),
        (0x0001, First(IDENTIFICATION)),
        (0x0007, First(IDENTIFICATION)),
        (0x0008, Later(IDENTIFICATION)),
        (0x0009, Later(IDENTIFICATION)),
        (0xfff8, Later(IDENTIFICATION)),
    ];
    for (word, part) in cases {
        for before in [&[][..], &[HOP_BY_HOP], &[HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS]] {
            check_fragment(word, part, before, &[]);
            check_fragment(word, part, before, &[DESTINATION_OPTIONS]);
            check_fragment(word, part, before, &[AUTHENTICATION, DESTINATION_OPTIONS]);
        }
    }
}

/// A fragment with extension headers before and behind its fragment header. What is behind it in
/// a later fragment is data, whatever it looks like.
fn check_fragment(word: u16, part: Fragment, before: &[u8], behind: &[u8]) {
    let kinds = [before, &[FRAGMENT], behind].concat();
    let (mut octets, mut known) = with_extensions(&kinds);
    let at = 40 + before.iter().map(|&kind| extension(kind, 0).len()).sum::<usize>();
    octets[at + 2..at + 4].copy_from_slice(&word.to_be_bytes());
    for (from, outcome) in &mut known {
        let packet = outcome.as_mut().unwrap();
        if *from >= at + 8 {
            packet.fragment = part;
        }
    }
    if let Fragment::Later(_) = part {
        known.retain(|(from, _)| *from <= at + 8);
    }
    check_packet(format!("fragment {word:#06x} in {kinds:?}"), octets, known);
}

#[test]
fn ports_of_a_first_fragment_may_be_cut_by_its_own_length() {
    for own_length in 8..=28_u8 {
        let mut payload = fragment(6, 1);
        payload.extend(made::tcp());
        let mut octets = made::ipv6(FRAGMENT, &payload);
        octets[5] = own_length;
        let end = 40 + usize::from(own_length);
        let header = made::bare_v6(FRAGMENT, end);
        let first = Packet { fragment: Fragment::First(IDENTIFICATION), ..header };
        let mut known = Vec::from([(40, Ok(header))]);
        known.extend(tcp(Packet { protocol: 6, ..first }, 48, 48));
        known.retain(|(from, _)| *from <= end);
        check_packet(format!("first fragment, payload length {own_length}"), octets, known);
    }
}
