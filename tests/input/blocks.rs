//! pcapng, block by block.

use crate::files::{gzip, zstd};
use crate::support::capture::{
    Captured, Order, block, enhanced, enhanced_at, interface, pcapng, section,
};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::{flowprobe, scratch, write};
use crate::{datagram, ports_and_starts, replay};

const ORDERS: [Order; 2] = [Order::Little, Order::Big];

/// Option codes of interfaces and of packets.
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

fn u64_of(order: Order, value: u64) -> [u8; 8] {
    match order {
        Order::Little => value.to_le_bytes(),
        Order::Big => value.to_be_bytes(),
    }
}

/// A Simple Packet Block: the length on the wire, then as much as the interface's snap length
/// allows.
fn simple(order: Order, packet: &Captured) -> Vec<u8> {
    block(order, 3, &[&order.u32(packet.wire_length)[..], &packet.data].concat())
}

/// A Packet Block, obsolete: interface and drop count have 16 bits each.
fn obsolete(order: Order, packet: &Captured, ticks: u64) -> Vec<u8> {
    let mut octets = enhanced_at(order, packet, ticks);
    octets[..4].copy_from_slice(&order.u32(2));
    octets[8..10].copy_from_slice(&order.u16(packet.interface.try_into().unwrap()));
    octets[10..12].copy_from_slice(&order.u16(3));
    octets
}

/// A section with an Ethernet interface that has these options, and a packet at these ticks.
fn one_packet(order: Order, options: &[(u16, &[u8])], ticks: u64) -> Vec<u8> {
    let packet = enhanced_at(order, &datagram(1, 0), ticks);
    [section(order), interface(order, 1, 0, options), packet].concat()
}

#[test]
fn ticks_have_the_resolution_of_the_interface() {
    let cases: [(u8, u64, u64); 8] = [
        (6, 1_700_000_000_123_456, 1_700_000_000_123),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123),
        (3, 1_700_000_000_123, 1_700_000_000_123),
        (0, 1_700_000_000, 1_700_000_000_000),
        (7, 17_000_000_001_234_567, 1_700_000_000_123),
        (12, 1_700_000_123_456_789_012, 1_700_000_123),
        // Powers of two: 1,700,000,000 s and 512 / 1024; the same in 2^-32 s.
        (0x80 | 10, (1_700_000_000 << 10) + 512, 1_700_000_000_500),
        (0x80 | 32, (1_700_000_000 << 32) + (1 << 30), 1_700_000_000_250),
    ];
    for order in ORDERS {
        for (resolution, ticks, millis) in cases {
            let run = replay(&one_packet(order, &[(IF_TSRESOL, &[resolution])], ticks));
            assert_eq!(ports_and_starts(&run), [(1, millis)], "{order:?}, {resolution:#x}");
        }
        // Microseconds where nothing is said.
        let run = replay(&one_packet(order, &[], 1_700_000_000_123_456));
        assert_eq!(ports_and_starts(&run), [(1, 1_700_000_000_123)]);
    }
}

#[test]
fn offset_in_seconds_is_added() {
    let then = 1_700_000_000_000_u64;
    for order in ORDERS {
        for (offset, millis) in [(3600, 1_700_003_600_000), (-3600_i64, 1_699_996_400_000)] {
            let offset = u64_of(order, offset.cast_unsigned());
            let micros = one_packet(order, &[(IF_TSOFFSET, &offset)], then * 1000);
            assert_eq!(ports_and_starts(&replay(&micros)), [(1, millis)], "{order:?}");
            let options: [(u16, &[u8]); 2] = [(IF_TSOFFSET, &offset), (IF_TSRESOL, &[3])];
            let resolved = one_packet(order, &options, then);
            assert_eq!(ports_and_starts(&replay(&resolved)), [(1, millis)], "{order:?}");
        }
    }
}

#[test]
fn times_before_the_epoch_are_the_epoch() {
    let offset = (-3600_i64).to_le_bytes();
    let file = one_packet(Order::Little, &[(IF_TSOFFSET, &offset)], 1_000_000);
    assert_eq!(ports_and_starts(&replay(&file)), [(1, 0)]);
}

#[test]
fn options_of_any_length_are_walked_through() {
    for order in ORDERS {
        for length in 0..9 {
            let text = vec![b'x'; length];
            let options: [(u16, &[u8]); 4] =
                [(COMMENT, &text), (IF_NAME, &text), (IF_DESCRIPTION, &text), (IF_TSRESOL, &[3])];
            let run = replay(&one_packet(order, &options, 1_700_000_000_123));
            assert_eq!(ports_and_starts(&run), [(1, 1_700_000_000_123)], "{order:?}, {length}");
            let name = String::from_utf8(text).unwrap();
            assert_eq!(run.documents()[0]["observer"]["ingress"]["interface"]["name"], name);
        }
    }
}

#[test]
fn options_after_their_end_are_not_read() {
    let options: [(u16, &[u8]); 3] = [(COMMENT, b"one"), (0, &[]), (IF_TSRESOL, &[3])];
    let run = replay(&one_packet(Order::Little, &options, 1_700_000_000_123_456));
    assert_eq!(ports_and_starts(&run), [(1, 1_700_000_000_123)]);
    // An option that claims more than the block has ends them too.
    let mut file = one_packet(Order::Little, &[(COMMENT, b"four")], 1_700_000_000_123_456);
    let length_at = section(Order::Little).len() + 16 + 2;
    file[length_at..length_at + 2].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(ports_and_starts(&replay(&file)), [(1, 1_700_000_000_123)]);
}

#[test]
fn options_of_packets_are_skipped() {
    for order in ORDERS {
        for length in 0..9 {
            // A frame whose length is no multiple of 4.
            let mut packet = datagram(1, 0);
            packet.data.truncate(59);
            let mut body = Vec::new();
            for word in [0, 0, 1000, 59, 60] {
                body.extend(order.u32(word));
            }
            body.extend(&packet.data);
            body.push(0);
            body.extend(order.u16(COMMENT));
            body.extend(order.u16(length));
            body.resize(body.len() + usize::from(length).next_multiple_of(4), b'x');
            body.extend([0; 4]);
            let packets = [block(order, 6, &body), enhanced(order, &datagram(2, 5_000_000))];
            let start = [section(order), interface(order, 1, 0, &[])].concat();
            let run = replay(&[start, packets.concat()].concat());
            assert_eq!(ports_and_starts(&run), [(1, 1), (2, 5)], "{order:?}, {length}");
        }
    }
}

#[test]
fn each_interface_has_its_own_clock() {
    for order in ORDERS {
        let file = [
            section(order),
            interface(order, 1, 0, &[(IF_TSRESOL, &[9])]),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &[(IF_TSRESOL, &[3])]),
            enhanced_at(order, &datagram(1, 0), 1_700_000_000_001_000_000),
            enhanced_at(order, &datagram(2, 0).on(1), 1_700_000_000_002_000),
            enhanced_at(order, &datagram(3, 0).on(2), 1_700_000_000_003),
        ];
        let run = replay(&file.concat());
        let expected = [(1, 1_700_000_000_001), (2, 1_700_000_000_002), (3, 1_700_000_000_003)];
        assert_eq!(ports_and_starts(&run), expected);
        let interfaces: Vec<_> = run.sorted_flows().iter().map(|flow| flow.interface).collect();
        assert_eq!(interfaces, [1, 2, 3]);
    }
}

#[test]
fn sections_have_their_own_interfaces_and_byte_order() {
    let part = |order, resolution: &[u8], ticks, port| {
        let options: [(u16, &[u8]); 1] = [(IF_TSRESOL, resolution)];
        let packet = enhanced_at(order, &datagram(port, 0), ticks);
        [section(order), interface(order, 1, 0, &options), packet].concat()
    };
    let file = [
        part(Order::Little, &[6], 1_700_000_000_001_000, 1),
        part(Order::Big, &[9], 1_700_000_000_002_000_000, 2),
        part(Order::Big, &[6], 1_700_000_000_003_000, 3),
        part(Order::Little, &[3], 1_700_000_000_004, 4),
    ];
    let run = replay(&file.concat());
    let expected: Vec<_> = (1..=4).map(|n| (n, 1_700_000_000_000 + n)).collect();
    assert_eq!(ports_and_starts(&run), expected);
    assert!(run.flows().iter().all(|flow| flow.interface == 1), "the same over sections");
}

#[test]
fn simple_packets_take_the_time_before_and_the_snap_length_of_the_first_interface() {
    let frame = ethernet(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(2, 53, 973)));
    let whole = Captured::at(0, frame);
    for order in ORDERS {
        for snap_length in [0, 64, 65, 1015, 1016] {
            let kept = if snap_length == 0 { 1015 } else { snap_length.min(1015) };
            let packet = whole.clone().cut(kept as usize);
            let file = [
                section(order),
                interface(order, 1, snap_length, &[]),
                interface(order, 1, 7, &[]),
                enhanced_at(order, &datagram(1, 0).on(1), 1_700_000_000_123_456),
                simple(order, &packet),
                enhanced_at(order, &datagram(3, 0), 1_700_000_000_999_000),
            ];
            let run = replay(&file.concat());
            let expected = [(1, 1_700_000_000_123), (2, 1_700_000_000_123), (3, 1_700_000_000_999)];
            assert_eq!(ports_and_starts(&run), expected, "{order:?}, {snap_length}");
            assert_eq!(run.count("input.packets_timeless"), 1);
            let flow = &run.sorted_flows()[1];
            assert_eq!((flow.octets, flow.interface), (1001, 1));
            assert_eq!(run.count("received.octets"), 60 + 1015 + 60);
        }
    }
}

#[test]
fn simple_packets_alone_have_no_time() {
    let order = Order::Little;
    let packet = simple(order, &datagram(1, 0));
    let run = replay(&[section(order), interface(order, 1, 0, &[]), packet].concat());
    assert_eq!(ports_and_starts(&run), [(1, 0)]);
    assert_eq!(run.count("input.packets_timeless"), 1);
}

#[test]
fn obsolete_packet_blocks_are_read() {
    for order in ORDERS {
        let file = [
            section(order),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &[(IF_TSRESOL, &[3])]),
            obsolete(order, &datagram(1, 0), 1_700_000_000_001_000),
            obsolete(order, &datagram(2, 0).on(1), 1_700_000_000_002),
        ];
        let run = replay(&file.concat());
        assert_eq!(ports_and_starts(&run), [(1, 1_700_000_000_001), (2, 1_700_000_000_002)]);
        let interfaces: Vec<_> = run.sorted_flows().iter().map(|flow| flow.interface).collect();
        assert_eq!(interfaces, [1, 2]);
    }
}

#[test]
fn other_blocks_are_skipped() {
    // Name resolution, interface statistics, secrets, custom blocks, and two that nobody knows.
    let kinds = [4, 5, 10, 0xbad, 0x4000_0bad, 0x7777_7777, 0xffff_ffff];
    for order in ORDERS {
        let mut file = [section(order), interface(order, 1, 0, &[])].concat();
        for (index, kind) in kinds.into_iter().enumerate() {
            // Empty, small, and longer than any packet.
            for length in [0, 4, 2_000_000] {
                file.extend(block(order, kind, &vec![6; length]));
            }
            let port = u16::try_from(index).unwrap();
            file.extend(enhanced(order, &datagram(port, u64::from(port) * 1_000_000)));
        }
        let expected: Vec<_> = (0..kinds.len() as u64).map(|n| (n, n)).collect();
        assert_eq!(ports_and_starts(&replay(&file)), expected);
    }
}

#[test]
fn interfaces_may_be_described_between_packets() {
    let order = Order::Little;
    let mut file = pcapng(1, &[datagram(1, 1_000_000)]);
    file.extend(interface(order, 1, 0, &[(IF_NAME, b"late")]));
    file.extend(enhanced(order, &datagram(2, 2_000_000).on(1)));
    let run = replay(&file);
    assert_eq!(ports_and_starts(&run), [(1, 1), (2, 2)]);
    assert_eq!(run.sorted_flows()[1].interface, 2);
    let documents = run.documents();
    let named = documents.iter().find(|one| one["source"]["port"] == 2).unwrap();
    assert_eq!(named["observer"]["ingress"]["interface"]["name"], "late");
}

#[test]
fn length_of_a_section_may_be_said() {
    let order = Order::Little;
    let packets = [interface(order, 1, 0, &[]), enhanced(order, &datagram(1, 1_000_000))].concat();
    let mut file = section(order);
    file[16..24].copy_from_slice(&(packets.len() as u64).to_le_bytes());
    let run = replay(&[file.clone(), packets.clone(), file, packets].concat());
    assert_eq!(run.count("metered.packets"), 2);
}

#[test]
fn section_header_may_have_options() {
    for order in ORDERS {
        let mut body = section(order)[8..24].to_vec();
        body.extend(order.u16(4));
        body.extend(order.u16(9));
        body.extend(b"dumpcap 4\0\0\0");
        body.extend([0; 4]);
        let start = block(order, 0x0a0d_0d0a, &body);
        let packet = enhanced(order, &datagram(1, 1_000_000));
        let run = replay(&[start, interface(order, 1, 0, &[]), packet].concat());
        assert_eq!(ports_and_starts(&run), [(1, 1)]);
    }
}

/// Options longer than any buffer: comments of 65,000 octets.
fn comments(order: Order, count: usize) -> Vec<u8> {
    let comment = [&order.u16(COMMENT)[..], &order.u16(65_000), &[b'c'; 65_000][..]].concat();
    comment.repeat(count)
}

/// A block with more octets behind its body.
fn with_options(order: Order, whole: &[u8], options: &[u8]) -> Vec<u8> {
    let kind: [u8; 4] = whole[..4].try_into().unwrap();
    let kind = match order {
        Order::Little => u32::from_le_bytes(kind),
        Order::Big => u32::from_be_bytes(kind),
    };
    block(order, kind, &[&whole[8..whole.len() - 4], options].concat())
}

#[test]
fn blocks_may_have_comments_longer_than_any_packet() {
    for order in ORDERS {
        for count in [1, 5, 6, 40] {
            let long = comments(order, count);
            let resolution = [&order.u16(IF_TSRESOL)[..], &order.u16(1), &[3, 0, 0, 0]].concat();
            let name = [&order.u16(IF_NAME)[..], &order.u16(4), b"last"].concat();
            let options = [&long[..], &resolution, &name].concat();
            let file = [
                with_options(order, &section(order), &long),
                with_options(order, &interface(order, 1, 0, &[]), &options),
                with_options(order, &enhanced_at(order, &datagram(1, 0), 1_700_000_000_001), &long),
                enhanced_at(order, &datagram(2, 0), 1_700_000_000_002),
                with_options(order, &obsolete(order, &datagram(3, 0), 1_700_000_000_003), &long),
                with_options(order, &enhanced_at(order, &datagram(4, 0), 1_700_000_000_004), &long),
            ];
            let run = replay(&file.concat());
            let expected = [1, 2, 3, 4].map(|n| (n, 1_700_000_000_000 + n));
            assert_eq!(ports_and_starts(&run), expected, "{order:?}, {count}");
            for document in run.documents() {
                assert_eq!(document["observer"]["ingress"]["interface"]["name"], "last");
            }
        }
    }
}

#[test]
fn block_of_a_packet_that_is_too_long_is_skipped() {
    let order = Order::Little;
    for length in [262_145, 327_680, 400_000, 3_000_000] {
        let mut long = datagram(1, 1_000_000);
        long.data.resize(length, 0);
        let claim = u32::try_from(length).unwrap();
        let simple = [&order.u32(claim)[..], &long.data].concat();
        let file = [
            section(order),
            interface(order, 1, 0, &[]),
            enhanced(order, &long),
            enhanced(order, &datagram(2, 2_000_000)),
            block(order, 3, &simple),
            obsolete(order, &long, 2_000),
            enhanced(order, &datagram(3, 3_000_000)),
        ];
        let file = file.concat();
        for file in [&gzip(&file), &zstd(&file), &file] {
            let run = replay(file);
            assert_eq!(ports_and_starts(&run), [(2, 2), (3, 3)], "{length}");
            assert_eq!(run.count("input.packets_too_long"), 3, "{length}");
            assert!(run.stderr.contains("3 packets of more than 262144"), "{}", run.stderr);
        }
    }
}

/// An Interface Statistics Block with options of 64 bits.
fn statistics(order: Order, interface: u32, options: &[(u16, u64)]) -> Vec<u8> {
    let mut body = [order.u32(interface), order.u32(0), order.u32(0)].concat();
    for (code, value) in options {
        body.extend(order.u16(*code));
        body.extend(order.u16(8));
        body.extend(u64_of(order, *value));
    }
    block(order, 5, &body)
}

#[test]
fn packets_that_the_capture_lost_are_in_the_totals() {
    for order in ORDERS {
        let one = [
            section(order),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &[]),
            // Received, dropped by the interface, accepted, dropped by the system.
            statistics(order, 0, &[(4, 1000), (5, 7), (6, 900), (7, 30)]),
            enhanced(order, &datagram(1, 1_000_000)),
            // The counts are those since the capture began.
            statistics(order, 0, &[(4, 2000), (5, 7), (6, 1900), (7, 35)]),
            statistics(order, 1, &[(5, 100)]),
            // Of an interface that is not described.
            statistics(order, 2, &[(5, 1_000_000)]),
        ]
        .concat();
        assert_eq!(replay(&one).count("input.packets_dropped"), 142);
        let run = replay(&[&one[..], &one].concat());
        assert_eq!(run.count("input.packets_dropped"), 284, "by section");
        let folder = scratch();
        let path = write(&folder, "lossy", &one);
        let output = flowprobe().arg("-r").arg(path).args(["-o", "json:/dev/null"]).output();
        let totals = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(totals.contains("142 packets were lost when the input"), "{totals}");
    }
    assert_eq!(replay(&pcapng(1, &[datagram(1, 0)])).count("input.packets_dropped"), 0);
}

/// An Enhanced Packet with `epb_dropcount` behind a comment.
fn after_losses(order: Order, packet: &Captured, lost: u64) -> Vec<u8> {
    let whole = enhanced(order, packet);
    let mut body = whole[8..whole.len() - 4].to_vec();
    body.extend([order.u16(1), order.u16(5)].concat());
    body.extend(b"hello\0\0\0");
    body.extend([order.u16(4), order.u16(8)].concat());
    body.extend(u64_of(order, lost));
    block(order, 6, &body)
}

#[test]
fn losses_before_packets_are_in_the_totals() {
    for order in ORDERS {
        let one = [
            section(order),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &[]),
            enhanced(order, &datagram(1, 1_000_000)),
            after_losses(order, &datagram(2, 2_000_000), 10),
            after_losses(order, &datagram(3, 3_000_000), 0),
            after_losses(order, &datagram(4, 4_000_000).on(1), 5),
            after_losses(order, &datagram(5, 5_000_000), 20),
        ]
        .concat();
        let run = replay(&one);
        assert_eq!(run.count("input.packets_dropped"), 35);
        assert_eq!(run.count("metered.packets"), 5);
        // Statistics of the same losses, and of more.
        let same = [&one[..], &statistics(order, 0, &[(5, 30)])].concat();
        assert_eq!(replay(&same).count("input.packets_dropped"), 35);
        let more = [&one[..], &statistics(order, 0, &[(5, 31)])].concat();
        assert_eq!(replay(&more).count("input.packets_dropped"), 36);
    }
}

#[test]
fn times_that_cannot_be_said_are_counted() {
    const OFFSET: u16 = 14;
    let seconds = (-1_000_000_i64).to_le_bytes();
    let order = Order::Little;
    let file = [
        section(order),
        interface(order, 1, 0, &[]),
        interface(order, 1, 0, &[(OFFSET, &seconds)]),
        // 2603, and ten days before 1970; also one behind the other.
        enhanced_at(order, &datagram(2, 0).on(1), 100_000_000_000),
        enhanced_at(order, &datagram(1, 0), 1_700_000_000_000_000),
        enhanced_at(order, &datagram(3, 0), 20_000_000_000_000_000),
        enhanced_at(order, &datagram(3, 0), 20_000_000_000_000_000),
    ];
    let run = replay(&file.concat());
    run.assert_conservation();
    assert_eq!(run.count("received.packets"), 4);
    assert_eq!(run.count("input.packets_time_clamped"), 3, "{}", run.stats);
}
