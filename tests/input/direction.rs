//! Directions and interfaces that captures tell of each packet.

use serde_json::Value;

use crate::support::capture::{
    Captured, Order, block, enhanced, interface, pcap, pcap_as, pcapng, section,
};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::{Run, run_with_input};
use crate::{assert_sound, datagram, replay};

/// flowDirection, ingressInterface and egressInterface of each flow, by source port.
fn points(run: &Run) -> Vec<(u64, u64, u64, u64)> {
    let point = |document: &Value| {
        let netflow = &document["netflow"];
        let number = |name: &str| netflow[name].as_u64().unwrap_or(0);
        let direction = number("flow_direction");
        let names = ["ingress", "egress"].map(|side| document["observer"].get(side).is_some());
        assert_eq!(names, [direction == 0, direction == 1], "{document}");
        let egress = number("egress_interface");
        (number("source_transport_port"), direction, number("ingress_interface"), egress)
    };
    let mut points: Vec<_> = run.documents().iter().map(point).collect();
    points.sort_unstable();
    points
}

/// An IP packet from a port.
fn packet(port: u16) -> Vec<u8> {
    ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(port, 53, 0))
}

/// Replays packets behind these headers, from ports 1, 2, ..., as a classic pcap file.
fn behind(link: u32, headers: &[Vec<u8>]) -> Run {
    let packets: Vec<_> = headers
        .iter()
        .zip(1..)
        .map(|(header, port)| Captured::at(1000, [&header[..], &packet(port)].concat()))
        .collect();
    replay(&pcap_as(Order::Little, false, link, &packets))
}

#[test]
fn flags_of_pcapng_packets_say_the_direction() {
    let packets = [datagram(1, 0), datagram(2, 0).outbound(), datagram(3, 0).on(1).outbound()];
    assert_eq!(points(&replay(&pcapng(2, &packets))), [(1, 0, 1, 0), (2, 1, 0, 1), (3, 1, 0, 2)]);
}

#[test]
fn flags_are_found_among_other_options_in_either_byte_order() {
    for order in [Order::Little, Order::Big] {
        let option = |code, value: &[u8]| {
            let length = u16::try_from(value.len()).unwrap();
            let mut option = [order.u16(code), order.u16(length)].concat();
            option.extend(value);
            option.resize(option.len().next_multiple_of(4), 0);
            option
        };
        let (end, comment) = (option(0, &[]), option(1, b"a comment"));
        let flags = |bits| option(2, &order.u32(bits));
        let cases = [
            (1, flags(2)),
            (0, flags(1)),
            (0, flags(0)),
            (1, [comment.clone(), flags(0x1e6), end.clone()].concat()),
            (0, [end, flags(2)].concat()),
            // Of another length than flags have.
            (0, option(2, &[2, 0])),
            (0, comment[..8].to_vec()),
        ];
        let mut file = section(order);
        file.extend(interface(order, 1, 0, &[]));
        for ((_, options), port) in cases.iter().zip(1..) {
            let plain = enhanced(order, &datagram(port, 0));
            let body = &plain[8..plain.len() - 4];
            file.extend(block(order, 6, &[body, options].concat()));
        }
        let expected: Vec<_> = cases
            .iter()
            .zip(1..)
            .map(|((direction, _), port)| (port, *direction, 1 - direction, *direction))
            .collect();
        assert_eq!(points(&replay(&file)), expected, "{order:?}");
    }
}

#[test]
fn linux_cooked_header_says_the_direction() {
    // To this host, broadcast, multicast, to another host, sent by this host.
    let header = |kind: u8| [&[0, kind, 0, 1, 0, 6][..], &[0; 8], &[8, 0]].concat();
    let run = behind(113, &[0, 1, 2, 3, 4].map(header));
    assert_eq!(
        points(&run),
        [(1, 0, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0), (4, 0, 0, 0), (5, 1, 0, 0)]
    );
}

fn cooked2(interface: u32, kind: u8) -> Vec<u8> {
    let mut header = vec![8, 0, 0, 0];
    header.extend(interface.to_be_bytes());
    header.extend([0, 1, kind, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
    header
}

#[test]
fn linux_cooked_header_of_version_2_also_says_the_interface() {
    let run = behind(276, &[cooked2(7, 0), cooked2(70_000, 4), cooked2(0, 0)]);
    assert_eq!(points(&run), [(1, 0, 7, 0), (2, 1, 0, 70_000), (3, 0, 0, 0)]);
}

#[test]
fn name_of_a_capture_on_all_interfaces_is_not_that_of_one() {
    let order = Order::Little;
    let mut file = section(order);
    file.extend(interface(order, 276, 0, &[(2, b"any")]));
    let frame = [cooked2(1, 0), packet(1)].concat();
    file.extend(enhanced(order, &Captured::at(1000, frame)));
    let run = replay(&file);
    assert_eq!(points(&run), [(1, 0, 1, 0)]);
    assert!(!String::from_utf8_lossy(&run.stdout).contains("any"), "{:?}", run.stdout);
}

#[test]
fn other_headers_that_say_the_direction() {
    // PPP: 0 received, anything else sent.
    let run = behind(204, &[vec![0, 0xff, 3, 0, 0x21], vec![1, 0xff, 3, 0, 0x21]]);
    assert_eq!(points(&run), [(1, 0, 0, 0), (2, 1, 0, 0)]);
    // pflog: 1 in, 2 out; its octet is the 61st.
    let pflog = |direction| {
        let mut header = vec![0; 64];
        (header[0], header[1], header[60]) = (61, 2, direction);
        header
    };
    assert_eq!(points(&behind(117, &[pflog(1), pflog(2)])), [(1, 0, 0, 0), (2, 1, 0, 0)]);
    // PKTAP: flags 1 in, 2 out, of raw IP.
    let pktap = |flags: u32| {
        let mut header = vec![0; 108];
        header[0..4].copy_from_slice(&108_u32.to_le_bytes());
        header[4..8].copy_from_slice(&1_u32.to_le_bytes());
        header[8..12].copy_from_slice(&12_u32.to_le_bytes());
        header[36..40].copy_from_slice(&flags.to_le_bytes());
        header
    };
    assert_eq!(points(&behind(258, &[pktap(1), pktap(2)])), [(1, 0, 0, 0), (2, 1, 0, 0)]);
}

#[test]
fn flow_has_the_direction_of_its_first_packet_unless_that_is_in_the_key() {
    let file = pcapng(1, &[datagram(1, 0).outbound(), datagram(1, 1000), datagram(1, 2000)]);
    let key = "src,dst,sport,dport,proto,tos,iface,direction";
    let packets = |arguments: &[&str]| {
        let run = run_with_input([&["-r", "-", "-o", "json:-"], arguments].concat(), &file);
        assert_sound(&run);
        let flow = |document: &Value| {
            ["flow_direction", "packet_delta_count"].map(|name| document["netflow"][name].as_u64())
        };
        let mut packets: Vec<_> = run.documents().iter().map(flow).collect();
        packets.sort_unstable();
        packets
    };
    assert_eq!(packets(&[]), [[Some(1), Some(3)]]);
    assert_eq!(packets(&["--flow-key", key]), [[Some(0), Some(2)], [Some(1), Some(1)]]);
}

/// Replays with numbers for interfaces.
fn numbered(file: &[u8], numbers: &[&str]) -> Run {
    let numbers = numbers.iter().flat_map(|number| ["--ifindex", number]);
    let arguments: Vec<_> = ["-r", "-", "-o", "json:-"].into_iter().chain(numbers).collect();
    let run = run_with_input(arguments, file);
    assert_sound(&run);
    run
}

#[test]
fn position_gives_an_interface_without_a_name_its_number() {
    let classic = pcap(&[Captured::at(1000, ethernet(&packet(1)))]);
    assert_eq!(points(&numbered(&classic, &["1=7"])), [(1, 0, 7, 0)]);
    let unnamed = pcapng(2, &[datagram(1, 0), datagram(2, 0).on(1)]);
    assert_eq!(points(&numbered(&unnamed, &["2=70"])), [(1, 0, 1, 0), (2, 0, 70, 0)]);
    // The number that a position would have is not given twice.
    assert_eq!(points(&numbered(&unnamed, &["1=2"])), [(1, 0, 2, 0), (2, 0, 3, 0)]);
    let other = numbered(&classic, &["2=7"]);
    assert_eq!(points(&other), [(1, 0, 0, 0)]);
    assert!(other.stderr.contains("--ifindex 2"), "{}", other.stderr);
}

#[test]
fn name_of_digits_is_a_position() {
    let order = Order::Little;
    let mut file = section(order);
    for name in ["eth0", "1"] {
        file.extend(interface(order, 1, 0, &[(2, name.as_bytes())]));
    }
    file.extend(
        [enhanced(order, &datagram(1, 0)), enhanced(order, &datagram(2, 0).on(1))].concat(),
    );
    assert_eq!(points(&numbered(&file, &["eth0=5", "2=6"])), [(1, 0, 5, 0), (2, 0, 6, 0)]);
    assert_eq!(points(&numbered(&file, &["1=9"])), [(1, 0, 9, 0), (2, 0, 2, 0)]);
    assert_eq!(points(&numbered(&file, &["1=9", "eth0=5"])), [(1, 0, 5, 0), (2, 0, 2, 0)]);
}
