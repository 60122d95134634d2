//! Link types: what stands before the IP header.

use crate::support::capture::{Captured, Order, enhanced, interface, pcap_as, pcapng, section};
use crate::support::packet::{ipv4, ipv6, udp, unpadded};
use crate::support::run_with_input;
use crate::{datagram, ports_and_starts, replay};

fn v4() -> Vec<u8> {
    ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(1000, 53, 10))
}

fn v6() -> Vec<u8> {
    ipv6("2001:db8::1", "2001:db8::2", 17, &udp(1000, 53, 10))
}

/// Checks that frames of a link type are metered, in both formats: IPv4 first, then IPv6.
fn check(link: u16, before_v4: &[u8], before_v6: &[u8]) {
    let frames = [[before_v4, &v4()].concat(), [before_v6, &v6()].concat()];
    check_frames(link, &frames.map(|frame| Captured::at(1000, frame)));
}

fn check_frames(link: u16, packets: &[Captured]) {
    let order = Order::Little;
    let classic = pcap_as(order, false, link.into(), packets);
    let mut blocks = [section(order), interface(order, link, 0, &[])].concat();
    packets.iter().for_each(|packet| blocks.extend(enhanced(order, packet)));
    for file in [classic, blocks] {
        let run = replay(&file);
        assert_eq!(run.count("metered.packets"), packets.len() as u64, "link type {link}");
        for flow in run.flows() {
            let octets = if flow.source == "10.0.0.1" { 38 } else { 58 };
            assert_eq!(flow.octets, flow.packets * octets, "link type {link}");
            assert_eq!(flow.ports(), (1000, 17, 53), "link type {link}");
        }
    }
}

#[test]
fn ethernet() {
    let frames = [v4(), v6()].map(|packet| Captured::at(1000, unpadded(&packet)));
    check_frames(1, &frames);
}

#[test]
fn null_has_an_address_family_in_the_order_of_the_capturing_host() {
    // AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS.
    for inet6 in [10_u32, 24, 28, 30] {
        check(0, &2_u32.to_le_bytes(), &inet6.to_le_bytes());
        check(0, &2_u32.to_be_bytes(), &inet6.to_be_bytes());
    }
}

#[test]
fn loop_has_an_address_family_in_network_order() {
    for inet6 in [24_u32, 28, 30] {
        check(108, &2_u32.to_be_bytes(), &inet6.to_be_bytes());
    }
}

#[test]
fn ppp_with_and_without_address_control_and_compression() {
    for link in [9, 50] {
        check(link, &[0xff, 0x03, 0x00, 0x21], &[0xff, 0x03, 0x00, 0x57]);
        check(link, &[0x00, 0x21], &[0x00, 0x57]);
        check(link, &[0xff, 0x03, 0x21], &[0xff, 0x03, 0x57]);
        check(link, &[0x21], &[0x57]);
    }
}

#[test]
fn raw_ip_is_of_the_version_that_it_says() {
    for link in [12, 14, 101] {
        check(link, &[], &[]);
    }
}

#[test]
fn raw_ip_of_one_version() {
    check_frames(228, &[Captured::at(1000, v4())]);
    check_frames(229, &[Captured::at(1000, v6())]);
    // The other version in it is malformed.
    let longer = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(1000, 53, 20));
    for (link, packet) in [(228, v6()), (229, longer)] {
        let file = pcap_as(Order::Little, false, link, &[Captured::at(1000, packet)]);
        assert_eq!(replay(&file).count("ignored.malformed.packets"), 1);
    }
}

/// Version 1: packet type, address type, address length, address (8), protocol.
fn cooked(protocol: [u8; 2]) -> Vec<u8> {
    let mut header = vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    header.extend(protocol);
    header
}

/// Version 2: protocol, reserved (2), interface (4), address type (2), packet type, address
/// length, address (8).
fn cooked2(protocol: [u8; 2]) -> Vec<u8> {
    let mut header = protocol.to_vec();
    header.extend([0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
    header
}

#[test]
fn linux_cooked() {
    check(113, &cooked([0x08, 0x00]), &cooked([0x86, 0xdd]));
    check(276, &cooked2([0x08, 0x00]), &cooked2([0x86, 0xdd]));
}

#[test]
fn linux_cooked_with_a_vlan_tag() {
    for (link, header) in [(113, cooked([0x81, 0x00])), (276, cooked2([0x81, 0x00]))] {
        let frame = [&header[..], &[0x20, 0x07, 0x08, 0x00], &v4()].concat();
        let run = replay(&pcap_as(Order::Little, false, link, &[Captured::at(1000, frame)]));
        assert_eq!((run.flows()[0].vlan, run.flows()[0].octets), (7, 38));
    }
}

#[test]
fn what_is_not_ip_in_them_is_not_ip() {
    let cases: [(u32, Vec<u8>); 6] = [
        (0, [7, 0, 0, 0].to_vec()),
        (108, [0, 0, 0, 7].to_vec()),
        (9, [0xff, 0x03, 0xc0, 0x21].to_vec()),
        (101, Vec::new()),
        (113, cooked([0x08, 0x06])),
        (276, cooked2([0x08, 0x06])),
    ];
    for (link, header) in cases {
        let frame = [&header[..], &[0x10; 40]].concat();
        let run = replay(&pcap_as(Order::Little, false, link, &[Captured::at(1000, frame)]));
        assert_eq!(run.count("ignored.not_ip.packets"), 1, "link type {link}");
    }
}

#[test]
fn frames_cut_before_the_end_of_the_ip_header_are_cut_short() {
    let cases: [(u32, Vec<u8>); 8] = [
        (0, [2, 0, 0, 0].to_vec()),
        (1, [&[0; 12][..], &[0x08, 0x00]].concat()),
        (9, [0x00, 0x21].to_vec()),
        (12, Vec::new()),
        (108, [0, 0, 0, 2].to_vec()),
        (113, cooked([0x08, 0x00])),
        (228, Vec::new()),
        (276, cooked2([0x08, 0x00])),
    ];
    for (link, header) in cases {
        let frame = Captured::at(1000, [header.clone(), v4()].concat());
        let lengths = 0..header.len() + 20;
        let packets: Vec<_> = lengths.clone().map(|length| frame.clone().cut(length)).collect();
        let run = replay(&pcap_as(Order::Little, false, link, &packets));
        let cut_short = run.count("ignored.cut_short.packets");
        assert_eq!(cut_short, lengths.len() as u64, "link type {link}");
    }
}

#[test]
fn unsupported_link_type_is_named_and_counted() {
    let packets = [datagram(1, 0), datagram(2, 0)];
    let file = pcap_as(Order::Little, false, 187, &packets);
    let run = run_with_input(["-r", "-", "-o", "json:-"], &file);
    run.assert_conservation();
    assert_eq!(run.count("ignored.link_type.packets"), 2);
    assert_eq!(run.count("ignored.link_type.octets"), 120);
    // Nothing else is in the file.
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("link type 187 (Bluetooth HCI)"), "{}", run.stderr);
    assert!(run.stderr.contains("standard input"), "{}", run.stderr);
}

#[test]
fn unsupported_link_type_of_one_interface_does_not_fail_the_file() {
    let order = Order::Little;
    let file = [
        section(order),
        interface(order, 187, 0, &[(2, b"wlan0mon")]),
        interface(order, 1, 0, &[]),
        interface(order, 9999, 0, &[]),
        enhanced(order, &datagram(1, 0)),
        enhanced(order, &datagram(2, 0).on(1)),
        enhanced(order, &datagram(3, 0).on(2)),
        enhanced(order, &datagram(4, 0)),
    ];
    let run = run_with_input(["-r", "-", "-o", "json:-"], &file.concat());
    run.assert_conservation();
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(ports_and_starts(&run), [(2, 0)]);
    assert_eq!(run.count("ignored.link_type.packets"), 3);
    let line = |text: &str| {
        let found = run.stderr.lines().find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("no {text} in {}", run.stderr)).to_owned()
    };
    let wireless = line("wlan0mon");
    assert!(wireless.contains("2 frames"), "{wireless}");
    assert!(wireless.contains("interface 1"), "{wireless}");
    assert!(wireless.contains("187 (Bluetooth HCI)"), "{wireless}");
    assert!(line("9999").contains("interface 3"));
}

#[test]
fn interface_without_packets_needs_no_supported_link_type() {
    let order = Order::Little;
    let mut file = pcapng(1, &[datagram(1, 0)]);
    file.extend(interface(order, 187, 0, &[]));
    let run = replay(&file);
    assert!(!run.stderr.contains("187"), "{}", run.stderr);
}

#[test]
fn link_type_is_named_as_it_was_in_its_section() {
    let order = Order::Little;
    let part = |link, port| {
        [section(order), interface(order, link, 0, &[]), enhanced(order, &datagram(port, 0))]
            .concat()
    };
    let file = [part(187, 1), part(1, 2)].concat();
    let run = run_with_input(["-r", "-", "-o", "json:-"], &file);
    assert_eq!(run.count("ignored.link_type.packets"), 1);
    assert!(run.stderr.contains("187 (Bluetooth HCI)"), "{}", run.stderr);
    assert!(!run.stderr.contains("link type 1 "), "{}", run.stderr);
}
