//! What super-packets stand for.

use super::made;
use super::*;
use crate::frame::tunnel::{TunnelKinds, ip_headers};
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
    let count = each_segment(frame, offload, &Dissection::default(), |segment| {
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

/// All tunnels are opened.
fn all() -> Dissection {
    let decap = DecapSettings { kinds: TunnelKinds::ALL, ..DecapSettings::default() };
    Dissection { decap, ..Dissection::default() }
}

/// UDP to a port around a payload.
fn udp_to(port: u16, payload: &[u8]) -> Vec<u8> {
    made::datagram([0x12b5, port], payload)
}

fn behind(header: &[u8], payload: &[u8]) -> Vec<u8> {
    [header, payload].concat()
}

/// Makes a packet of a protocol and its payload.
type Around = fn(u8, &[u8]) -> Vec<u8>;

/// A super-packet of 1,000 octets in each tunnel that the kernel segments: the packet around.
fn tunnelled(version: IpVersion, around: Around) -> Vec<Vec<u8>> {
    let inner = super_packet(version, 1000);
    let frame = made::ethernet(&[(0x8100, 9)], &inner);
    let (protocol, ethertype) = match version {
        IpVersion::V4 => (4, [8, 0]),
        IpVersion::V6 => (41, [0x86, 0xdd]),
    };
    let vxlan = |frame: &[u8]| udp_to(4789, &behind(&[8, 0, 0, 0, 0, 0, 7, 0], frame));
    let gre = behind(&behind(&[0x20, 0], &ethertype), &behind(&[0, 0, 0, 1], &inner));
    let geneve = behind(&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 0], &frame);
    let nested = made::ethernet(&[], &made::ipv4(47, &gre));
    Vec::from([
        around(17, &vxlan(&frame)),
        around(17, &udp_to(6081, &geneve)),
        around(47, &gre),
        around(47, &behind(&[0, 0, 0x65, 0x58], &frame)),
        around(protocol, &inner),
        around(17, &vxlan(&nested)),
        // MPLS believes IPv4 only if its checksum is right.
        around(137, &behind(&[0, 1, 0x31, 64], &inner)),
    ])
}

/// The octets of the innermost packets of segments, as an observer meters them.
fn innermost(frame: &Frame<'_>, offload: &Offload) -> Vec<Result<u32, Ignored>> {
    let mut octets = Vec::new();
    let count = each_segment(frame, offload, &all(), |segment| {
        let mut headers = ip_headers(segment, &all()).unwrap().into_iter().flatten();
        let header = headers.next_back().unwrap();
        let wire_octets = segment.wire_length - u32::try_from(header.offset).unwrap();
        let (packet, _) =
            network::general(header.version, &segment.data[header.offset..], wire_octets).unwrap();
        assert!(!packet.exceeds_wire);
        assert_eq!(packet.protocol, 6, "the innermost packet is found in each segment");
        octets.push(Ok(packet.octets));
    });
    assert_eq!(usize::try_from(count).unwrap(), octets.len());
    octets
}

#[test]
fn all_ip_headers_around_a_segment_have_its_lengths() {
    let arounds: [Around; 2] = [made::ipv4, made::ipv6];
    for version in [IpVersion::V4, IpVersion::V6] {
        let headers = if version == IpVersion::V4 { 40 } else { 60 };
        for packet in arounds.into_iter().flat_map(|around| tunnelled(version, around)) {
            for labels in [&[][..], &[0, 1, 0x31, 64]] {
                let mut octets = made::ethernet(&[], &packet);
                if !labels.is_empty() {
                    octets[12..14].copy_from_slice(&[0x88, 0x47]);
                    octets.splice(14..14, labels.iter().copied());
                }
                let wire_length = u32::try_from(octets.len()).unwrap();
                let transport = octets.len() - 1020;
                for captured in [octets.len(), transport + 20] {
                    let whole = frame(LinkType::Ethernet, &octets[..captured], wire_length);
                    for header_offset in [None, Some(transport)] {
                        let offload = Offload { header_offset, ..offload(600) };
                        let found = innermost(&whole, &offload);
                        assert_eq!(found, [Ok(headers + 600), Ok(headers + 400)], "{octets:02x?}");
                        let around = u32::try_from(transport + 20).unwrap();
                        let mut lengths = Vec::new();
                        each_segment(&whole, &offload, &all(), |segment| {
                            lengths.push(segment.wire_length);
                        });
                        assert_eq!(lengths, [around + 600, around + 400]);
                    }
                }
            }
        }
    }
}

#[test]
fn without_decapsulation_the_packet_around_has_the_length_of_a_segment() {
    let vxlan = &tunnelled(IpVersion::V4, made::ipv4)[0];
    let octets = made::ethernet(&[], vxlan);
    let whole = frame(LinkType::Ethernet, &octets, u32::try_from(octets.len()).unwrap());
    let told = Offload { header_offset: Some(88), ..offload(600) };
    assert_eq!(segments(&whole, &told), [(708, 694, 0), (508, 494, 0)]);
    // Where the inner header is cannot be guessed.
    assert_eq!(segments(&whole, &offload(600)), [(1108, 1094, 0)]);
}

/// The kernel may put datagrams together whose content is a tunnel: what looks like headers behind
/// the one that is segmented is payload.
#[test]
fn tunnels_in_segments_of_their_own_are_payload() {
    let vxlan = &tunnelled(IpVersion::V4, made::ipv4)[0];
    let octets = made::ethernet(&[], vxlan);
    let whole = frame(LinkType::Ethernet, &octets, u32::try_from(octets.len()).unwrap());
    let udp = Offload { protocol: Segmented::Udp, segment_octets: 600, header_offset: Some(34) };
    let mut lengths = Vec::new();
    each_segment(&whole, &udp, &all(), |segment| {
        let packet = dissect(segment).unwrap();
        lengths.push((segment.wire_length, segment.data.len(), packet.octets));
    });
    assert_eq!(lengths, [(642, 42, 628), (508, 42, 494)]);
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
    let vxlan = tunnelled(IpVersion::V6, made::ipv4).swap_remove(0);
    for ip in [super_packet(IpVersion::V4, 20), super_packet(IpVersion::V6, 20), jumbo, vxlan] {
        let octets = made::ethernet(&[], &ip);
        for captured in 0..=octets.len() {
            let cut = frame(LinkType::Ethernet, &octets[..captured], 3000);
            for header_offset in (0..octets.len() + 2).map(Some).chain([None]) {
                let offload = Offload { header_offset, ..offload(1000) };
                let (mut count, mut wire_octets) = (0, 0);
                let said = each_segment(&cut, &offload, &all(), |segment| {
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
