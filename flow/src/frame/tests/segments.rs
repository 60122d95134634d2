//! What super-packets stand for.

use super::made;
use super::*;
use crate::key::IpVersion;

/// What is expected of a segment: octets of the frame and of the packet, and the control bits.
type Segment = (u32, u32, u8);

const ALL_BITS: u8 = 0xff;
const CWR: u8 = 0x80;
const FIN_PSH: u8 = 0x09;

/// A TCP super-packet of either version with all control bits.
fn super_packet(version: IpVersion, payload: usize) -> Vec<u8> {
    let mut tcp = made::tcp();
    tcp[13] = ALL_BITS;
    tcp.resize(20 + payload, 0xa5);
    match version {
        IpVersion::V4 => made::ipv4(6, &tcp),
        IpVersion::V6 => made::ipv6(6, &tcp),
    }
}

fn offload(segment_octets: u16) -> Offload {
    Offload { protocol: Segmented::Tcp, segment_octets, header_offset: None }
}

fn segments(frame: &Frame<'_>, offload: &Offload) -> Vec<Segment> {
    let mut segments = Vec::new();
    let count = each_segment(frame, offload, |segment| {
        let packet = dissect(segment).unwrap();
        assert!(!packet.exceeds_wire);
        segments.push((segment.wire_length, packet.octets, packet.tcp_control_bits));
    });
    assert_eq!(usize::try_from(count).unwrap(), segments.len());
    segments
}

/// With and without what the kernel says of the header's place the same comes out.
fn check(octets: &[u8], header: usize, offload: Offload, expected: &[Segment]) {
    let wire_length = u32::try_from(octets.len()).unwrap();
    let frame = frame(LinkType::Ethernet, octets, wire_length);
    assert_eq!(segments(&frame, &offload), expected);
    let told = Offload { header_offset: Some(header), ..offload };
    assert_eq!(segments(&frame, &told), expected);
}

#[test]
fn tcp_segments_have_headers_and_control_bits_of_their_own() {
    let (first, between, last) = (ALL_BITS & !FIN_PSH, ALL_BITS & !FIN_PSH & !CWR, ALL_BITS & !CWR);
    for (version, ip) in [(IpVersion::V4, 20), (IpVersion::V6, 40)] {
        for tags in [&[][..], &[(0x8100, 7)], &[(0x88a8, 7), (0x8100, 8)]] {
            let octets = made::ethernet(tags, &super_packet(version, 3500));
            let link = u32::try_from(14 + 4 * tags.len()).unwrap();
            let of = |payload, bits| (link + ip + 20 + payload, ip + 20 + payload, bits);
            let expected = [of(1448, first), of(1448, between), of(604, last)];
            check(&octets, usize::try_from(link + ip).unwrap(), offload(1448), &expected);
            let expected = [of(1750, first), of(1750, last)];
            check(&octets, usize::try_from(link + ip).unwrap(), offload(1750), &expected);
        }
    }
}

#[test]
fn options_are_in_every_segment() {
    let mut tcp = made::tcp();
    (tcp[12], tcp[13]) = (0x80, 0x10);
    tcp.resize(32 + 100, 0xa5);
    let octets = made::ethernet(&[], &made::ipv4(6, &tcp));
    check(&octets, 34, offload(60), &[(126, 112, 0x10), (106, 92, 0x10)]);

    // IPv6 with a Destination Options header of 8 octets.
    let mut payload = Vec::from([6, 0, 1, 4, 0, 0, 0, 0]);
    payload.extend(&tcp);
    let octets = made::ethernet(&[], &made::ipv6(60, &payload));
    check(&octets, 62, offload(60), &[(154, 140, 0x10), (134, 120, 0x10)]);
}

#[test]
fn udp_segments_are_datagrams() {
    let mut udp = made::udp();
    udp.resize(8 + 2500, 0xa5);
    let udp_offload = Offload { protocol: Segmented::Udp, ..offload(1000) };
    let octets = made::ethernet(&[], &made::ipv4(17, &udp));
    let expected = [(1042, 1028, 0), (1042, 1028, 0), (542, 528, 0)];
    check(&octets, 34, udp_offload, &expected);
    let octets = made::ethernet(&[], &made::ipv6(17, &udp));
    let expected = [(1062, 1048, 0), (1062, 1048, 0), (562, 548, 0)];
    check(&octets, 54, udp_offload, &expected);
}

#[test]
fn more_than_64_kib_leave_no_trace_in_the_segments() {
    // IPv4: the total length is 0.
    let mut ip = super_packet(IpVersion::V4, 2000);
    ip[2..4].fill(0);
    ip[33] = 0x10;
    let mut octets = made::ethernet(&[], &ip);
    let wire_length = 14 + 40 + 150_000;
    let big = frame(LinkType::Ethernet, &octets, wire_length);
    let found = segments(&big, &offload(1448));
    assert_eq!(found.len(), 150_000_usize.div_ceil(1448));
    assert_eq!(found[0], (14 + 40 + 1448, 40 + 1448, 0x10));
    assert_eq!(found.iter().map(|one| one.1 - 40).sum::<u32>(), 150_000);

    // IPv6: the payload length is 0 and a Hop-by-Hop Options header has a Jumbo Payload option.
    let mut payload = Vec::from([6, 0, 0xc2, 4, 0, 2, 0x49, 0xf0]);
    payload.extend(&made::tcp());
    let mut ip = made::ipv6(0, &payload);
    ip[4..6].fill(0);
    octets = made::ethernet(&[], &ip);
    let big = frame(LinkType::Ethernet, &octets, 14 + 40 + 8 + 20 + 150_000);
    let bits = made::CONTROL_BITS;
    for header_offset in [None, Some(62)] {
        let found = segments(&big, &Offload { header_offset, ..offload(1428) });
        assert_eq!(found.len(), 150_000_usize.div_ceil(1428));
        assert_eq!(found[0], (14 + 60 + 1428, 60 + 1428, bits));
        assert_eq!(found[1], (14 + 60 + 1428, 60 + 1428, bits & !CWR));
        assert_eq!(found.iter().map(|one| one.1 - 60).sum::<u32>(), 150_000);
    }
}

#[test]
fn what_is_segmented_may_be_in_a_tunnel() {
    // IPv4, UDP and 8 octets of VXLAN around an Ethernet frame: the outer length is a segment's.
    let mut inner = Vec::from([0x12, 0xb5, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0]);
    inner.extend(made::ethernet(&[], &super_packet(IpVersion::V4, 1000)));
    let octets = made::ethernet(&[], &made::ipv4(17, &inner));
    let whole = frame(LinkType::Ethernet, &octets, u32::try_from(octets.len()).unwrap());
    let told = Offload { header_offset: Some(84), ..offload(600) };
    assert_eq!(segments(&whole, &told), [(704, 690, 0), (504, 490, 0)]);
    // Where the inner header is cannot be guessed.
    assert_eq!(segments(&whole, &offload(600)), [(1104, 1090, 0)]);
}

#[test]
fn frames_that_cannot_be_taken_apart_are_lent_whole() {
    let octets = made::ethernet(&[], &super_packet(IpVersion::V4, 1000));
    let wire_length = u32::try_from(octets.len()).unwrap();
    let whole = frame(LinkType::Ethernet, &octets, wire_length);
    let as_it_is = [(wire_length, 1040, ALL_BITS)];
    let udp = Offload { protocol: Segmented::Udp, ..offload(600) };
    for offload in [offload(0), offload(1000), offload(u16::MAX), udp] {
        assert_eq!(segments(&whole, &offload), as_it_is, "{offload:?}");
    }
    for header_offset in [0, 14, 33, octets.len(), usize::MAX - 30] {
        let offload = Offload { header_offset: Some(header_offset), ..offload(600) };
        assert_eq!(segments(&whole, &offload), as_it_is, "{header_offset}");
    }
}

#[test]
fn captures_cut_anywhere_and_any_offset_lose_nothing() {
    let mut payload = Vec::from([6, 0, 0xc2, 4, 0, 2, 0x49, 0xf0]);
    payload.extend(&made::tcp());
    let mut jumbo = made::ipv6(0, &payload);
    jumbo[4..6].fill(0);
    for ip in [super_packet(IpVersion::V4, 20), super_packet(IpVersion::V6, 20), jumbo] {
        let octets = made::ethernet(&[], &ip);
        for captured in 0..=octets.len() {
            let cut = frame(LinkType::Ethernet, &octets[..captured], 3000);
            for header_offset in (0..octets.len() + 2).map(Some).chain([None]) {
                let offload = Offload { header_offset, ..offload(1000) };
                let (mut count, mut wire_octets) = (0, 0);
                let said = each_segment(&cut, &offload, |segment| {
                    assert!(segment.data.len() <= captured);
                    count += 1;
                    wire_octets += segment.wire_length;
                });
                assert_eq!(said, count);
                assert!(count >= 1 && wire_octets >= 3000 - 8, "{captured} {header_offset:?}");
            }
        }
    }
}
