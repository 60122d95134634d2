//! Link layers between the frame's first octet and the IP header.

use crate::support::capture::Captured;
use crate::support::packet::{ethernet, ipv4, ipv6, tagged, udp, unpadded};
use crate::{A, A6, B, B6, UDP, meter, meter_packets, with};

fn datagram() -> Vec<u8> {
    ipv4(A, B, UDP, &udp(1000, 53, 10))
}

fn datagram6() -> Vec<u8> {
    ipv6(A6, B6, UDP, &udp(1000, 53, 10))
}

/// A frame of any Ethertype.
fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// An MPLS label stack (RFC 3032) around a packet.
fn labels(count: u8, packet: &[u8]) -> Vec<u8> {
    let mut stack = Vec::new();
    for label in 1..=count {
        stack.extend([0, 0, label << 4 | u8::from(label == count), 64]);
    }
    stack.extend(packet);
    stack
}

/// A PPPoE session (RFC 2516) around a PPP frame.
fn session(ppp: &[u8]) -> Vec<u8> {
    let length = u16::try_from(ppp.len()).unwrap().to_be_bytes();
    let mut session = vec![0x11, 0, 0, 7, length[0], length[1]];
    session.extend(ppp);
    session
}

/// Checks that all frames are metered as the datagram that they carry, which says this VLAN.
fn check_found(frame: Vec<u8>, vlan: u64) {
    let metered = meter(&[frame]);
    let flow = metered.one();
    assert_eq!(flow.ports(), (1000, 17, 53));
    let expected = if flow.source == A6 { 58 } else { 38 };
    assert_eq!((flow.packets, flow.octets, flow.vlan), (1, expected, vlan));
}

fn check_ignored(frame: Vec<u8>, reason: &str) {
    let wire = frame.len() as u64;
    let metered = meter(&[frame]);
    assert_eq!((metered.flows.len(), metered.ignored(reason)), (0, 1), "{reason}");
    assert_eq!(metered.run.count(&format!("ignored.{reason}.octets")), wire);
}

#[test]
fn vlan_tags_of_all_protocols_are_walked_through() {
    for protocol in [0x8100, 0x88a8, 0x9100] {
        for packet in [datagram(), datagram6()] {
            check_found(tagged(&ethernet(&packet), protocol, 7), 7);
            check_found(tagged(&tagged(&ethernet(&packet), 0x8100, 7), protocol, 8), 8);
        }
    }
}

#[test]
fn vlan_id_has_12_bits() {
    // Priority 7 and the drop eligible bit stand above them.
    check_found(tagged(&ethernet(&datagram()), 0x8100, 0xffff), 0xfff);
    check_found(tagged(&ethernet(&datagram()), 0x8100, 0xe000), 0);
}

#[test]
fn eight_tags_are_walked_through_and_nine_are_not() {
    let mut frame = ethernet(&datagram());
    for tag in 1..=8 {
        frame = tagged(&frame, 0x8100, tag);
        check_found(frame.clone(), tag.into());
    }
    check_ignored(tagged(&frame, 0x8100, 9), "too_deep");
}

#[test]
fn eight_labels_are_walked_through_and_nine_are_not() {
    for count in 1..=8 {
        check_found(frame(0x8847, &labels(count, &datagram())), 0);
        check_found(frame(0x8848, &labels(count, &datagram6())), 0);
    }
    check_ignored(frame(0x8847, &labels(9, &datagram())), "too_deep");
}

#[test]
fn tags_and_labels_go_together() {
    let mut deep = frame(0x8847, &labels(8, &datagram()));
    for tag in 1..=8 {
        deep = tagged(&deep, 0x88a8, tag);
    }
    check_found(deep, 8);
}

#[test]
fn labels_around_something_else_are_not_ip() {
    // A pseudowire's control word begins with 0 (RFC 4385).
    check_ignored(frame(0x8847, &labels(1, &[0, 0, 0, 1])), "not_ip");
}

#[test]
fn pppoe_is_walked_through() {
    let ppp = |protocol: &[u8], packet: &[u8]| session(&[protocol, packet].concat());
    check_found(frame(0x8864, &ppp(&[0x00, 0x21], &datagram())), 0);
    check_found(frame(0x8864, &ppp(&[0x00, 0x57], &datagram6())), 0);
    // The protocol field can be compressed to an octet (RFC 1661 section 6.5).
    check_found(frame(0x8864, &ppp(&[0x21], &datagram())), 0);
    check_found(frame(0x8864, &ppp(&[0x02, 0x81], &labels(2, &datagram()))), 0);
    check_found(tagged(&frame(0x8864, &ppp(&[0x00, 0x21], &datagram())), 0x8100, 7), 7);
    // Link control, and the discovery stage.
    check_ignored(frame(0x8864, &ppp(&[0xc0, 0x21], &[1, 1, 0, 4])), "not_ip");
    check_ignored(frame(0x8863, &[0x11, 0x09, 0, 0, 0, 0]), "not_ip");
}

#[test]
fn snap_is_walked_through() {
    let snap = |ethertype: u16, packet: &[u8]| {
        let mut llc = vec![0xaa, 0xaa, 0x03, 0, 0, 0];
        llc.extend(ethertype.to_be_bytes());
        llc.extend(packet);
        frame(u16::try_from(llc.len()).unwrap(), &llc)
    };
    check_found(snap(0x0800, &datagram()), 0);
    check_found(snap(0x86dd, &datagram6()), 0);
    let tagged_inside = tagged(&ethernet(&datagram()), 0x8100, 7);
    check_found(snap(0x8100, &tagged_inside[14..]), 7);
    // 1500 is the longest length there is.
    let mut llc = vec![0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00];
    llc.extend(datagram());
    llc.resize(1500, 0);
    check_found(frame(1500, &llc), 0);
}

#[test]
fn what_is_not_ip_is_counted_as_that() {
    // ARP, LLDP, a spanning tree in LLC, Cisco discovery in SNAP, IPX, an unknown Ethertype.
    check_ignored(frame(0x0806, &[0, 1, 8, 0, 6, 4, 0, 1]), "not_ip");
    check_ignored(frame(0x88cc, &[2, 7, 4, 0, 0, 0, 0, 0, 1]), "not_ip");
    check_ignored(frame(38, &[0x42, 0x42, 0x03, 0, 0, 0, 0, 0]), "not_ip");
    check_ignored(frame(38, &[0xaa, 0xaa, 0x03, 0, 0, 0x0c, 0x20, 0]), "not_ip");
    check_ignored(frame(38, &[0xff, 0xff, 0, 34]), "not_ip");
    check_ignored(frame(0x1234, &datagram()), "not_ip");
}

#[test]
fn wrong_ip_version_is_malformed() {
    let v4 = with(unpadded(&datagram()), 14, &[0x55]);
    check_ignored(v4, "malformed");
    // The Ethertype says IPv4, the packet IPv6, and the other way round.
    check_ignored(frame(0x0800, &datagram6()), "malformed");
    check_ignored(frame(0x86dd, &datagram()), "malformed");
    // A header of less than five words.
    check_ignored(with(unpadded(&datagram()), 14, &[0x44]), "malformed");
}

#[test]
fn padding_of_the_link_layer_is_not_counted() {
    let small = ipv4(A, B, UDP, &udp(1000, 53, 0));
    assert_eq!(ethernet(&small).len(), 60);
    let trailer = [unpadded(&small), vec![0xee; 400]].concat();
    let metered = meter(&[ethernet(&small), unpadded(&small), trailer]);
    assert_eq!((metered.one().packets, metered.one().octets), (3, 3 * 28));
}

#[test]
fn octets_of_ignored_frames_are_those_on_the_wire() {
    let arp = Captured::at(1000, frame(0x0806, &[0; 46]));
    let mut cut = Captured::at(1000, frame(0x88cc, &[2; 986])).cut(64);
    cut.wire_length = 1000;
    let metered = meter_packets(&[], &[arp, cut]);
    assert_eq!(metered.ignored("not_ip"), 2);
    assert_eq!(metered.run.count("ignored.not_ip.octets"), 60 + 1000);
    assert_eq!(metered.run.count("received.octets"), 60 + 1000);
}
