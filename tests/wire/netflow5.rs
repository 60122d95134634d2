//! What only NetFlow v5 has: 32-bit counters, no IPv6, sampling in the header.

use exporter::Context;
use flow::{FlowDirection, FlowKey, FlowRecord, RecordTally};

use crate::collector::{Session, context, exported};
use crate::message::{Message, read_stream};
use crate::record::{T0, udp4, udp6};

const LARGEST: u64 = u32::MAX as u64;

fn of(packets: u64, octets: u64) -> FlowRecord {
    FlowRecord { packets, octets, ..udp4(T0) }
}

/// Packets and octets of a record, and the rest of it.
fn counters(flow: &[u8]) -> (u64, u64, Vec<u8>) {
    let number = |at: usize| u32::from_be_bytes(flow[at..at + 4].try_into().unwrap());
    (number(16).into(), number(20).into(), [&flow[..16], &flow[24..]].concat())
}

#[test]
fn counters_beyond_32_bits_are_split_and_add_up() {
    let cases = [
        (10, LARGEST, 1),
        (100_000, LARGEST + 1, 2),
        (100_000, 2 * LARGEST, 2),
        (100_000, 2 * LARGEST + 1, 3),
        (1_000_000_007, 1_000_000_000_039, 233),
        (LARGEST, LARGEST, 1),
        (LARGEST + 1, 5 * LARGEST, 5),
        (3 * LARGEST + 1, 3 * LARGEST + 2, 4),
        (5 * LARGEST, 6 * LARGEST, 6),
        (1, 1, 1),
    ];
    for (packets, octets, parts) in cases {
        let record = FlowRecord { tcp_control_bits: 0x5a, ..of(packets, octets) };
        let (datagrams, counts) = exported("netflow5", "", &context(), &[record]);
        let messages = read_stream(&datagrams);
        let flows: Vec<_> = messages.iter().flat_map(Message::flows).map(counters).collect();
        assert_eq!(flows.len(), parts, "{packets} {octets}");
        assert_eq!(flows.iter().map(|(packets, ..)| packets).sum::<u64>(), packets);
        assert_eq!(flows.iter().map(|(_, octets, _)| octets).sum::<u64>(), octets);
        let rest = &flows[0].2;
        assert!(flows.iter().all(|(.., other)| other == rest), "parts differ only in counters");
        let whole = RecordTally { records: 1, packets, octets };
        assert_eq!(counts.sent, whole, "it is still one record");
    }
}

#[test]
fn parts_of_a_flow_may_be_in_two_datagrams() {
    let mut records = vec![of(1, 40); 29];
    records.push(of(300_000, 3 * LARGEST));
    records.push(of(2, 80));
    let (datagrams, _) = exported("netflow5", "", &context(), &records);
    let messages = read_stream(&datagrams);
    let flows: Vec<_> = messages.iter().map(|message| message.flows().len()).collect();
    assert_eq!(flows, [30, 3]);
    let octets = messages.iter().flat_map(Message::flows).map(|flow| counters(flow).1);
    assert_eq!(octets.sum::<u64>(), 29 * 40 + 3 * LARGEST + 80);
}

#[test]
fn ipv6_flows_are_counted_as_not_exportable() {
    let records = [udp6(T0), udp4(T0), udp6(T0), udp6(T0)];
    let (datagrams, counts) = exported("netflow5", "", &context(), &records);
    let messages = read_stream(&datagrams);
    assert_eq!(messages.iter().map(|message| message.flows().len()).sum::<usize>(), 1);
    let of = |records| RecordTally { records, packets: 10 * records, octets: 5000 * records };
    assert_eq!((counts.sent, counts.not_exportable), (of(1), of(3)));
}

#[test]
fn nothing_is_sent_when_all_flows_are_ipv6() {
    let (datagrams, counts) = exported("netflow5", "", &context(), &[udp6(T0); 5]);
    assert_eq!((datagrams.len(), counts.not_exportable.records), (0, 5));
}

#[test]
fn header_has_the_engine_and_the_sampling() {
    let cases = [
        ("odid=1", 1, 0x0001_0000),
        ("odid=256", 1, 0),
        ("odid=4294967295", 2, 0x00ff_4002),
        ("odid=767", 16_383, 0x00ff_7fff),
        // The domain of the program unless the output has its own.
        ("", 1000, 0x0022_43e8),
    ];
    for (settings, sampling_interval, expected) in cases {
        let context = Context { sampling_interval, observation_domain_id: 0x1122, ..context() };
        let (datagrams, _) = exported("netflow5", settings, &context, &[udp4(T0)]);
        assert_eq!(Message::read(&datagrams[0]).domain, expected, "{settings}");
    }
}

#[test]
fn domain_is_that_of_the_output_or_else_of_the_program() {
    let context = Context { observation_domain_id: 0x1122_3344, ..context() };
    for scheme in ["netflow9", "ipfix"] {
        for (settings, expected) in [("", 0x1122_3344), ("odid=7", 7)] {
            let (datagrams, _) = exported(scheme, settings, &context, &[udp4(T0)]);
            let messages = read_stream(&datagrams);
            assert!(messages.iter().all(|message| message.domain == expected), "{scheme}");
        }
    }
}

#[test]
fn interface_numbers_beyond_16_bits_are_zero_and_counted() {
    let of = |interface| FlowRecord { key: FlowKey { interface, ..udp4(T0).key }, ..udp4(T0) };
    // The last is split into parts, and still one record.
    let long = FlowRecord { octets: 3 * LARGEST, packets: 9, ..of(65_537) };
    let sent = FlowRecord { direction: FlowDirection::Egress, ..of(65_538) };
    let records = [of(7), of(65_535), of(65_536), of(u32::MAX), sent, long];
    let (datagrams, counts) = exported("netflow5", "", &context(), &records);
    let messages = read_stream(&datagrams);
    let flows = messages.iter().flat_map(Message::flows);
    let interfaces: Vec<_> = flows.map(|flow| u16::from_be_bytes([flow[12], flow[13]])).collect();
    assert_eq!(interfaces, [7, 65_535, 0, 0, 0, 0, 0, 0]);
    assert_eq!((counts.interfaces_zeroed, counts.sent.records), (4, 6));
    for scheme in ["netflow9", "ipfix"] {
        assert_eq!(exported(scheme, "", &context(), &records).1.interfaces_zeroed, 0);
    }
}

#[test]
fn fields_that_are_not_known_are_zero() {
    let key = FlowKey { interface: 0xffff, type_of_service: 0xff, ..udp4(T0).key };
    let record = FlowRecord {
        key,
        vlan_id: 4094,
        tcp_control_bits: 0xff,
        minimum_ttl: 255,
        maximum_ttl: 255,
        ..udp4(T0)
    };
    let mut session = Session::open("netflow5", "", &context());
    session.export(&[record]);
    let (datagrams, _) = session.finish();
    let messages = read_stream(&datagrams);
    let flow = messages[0].flows()[0];
    assert_eq!(flow[8..12], [0; 4], "nexthop");
    assert_eq!(flow[12..14], [0xff; 2], "input");
    assert_eq!(flow[14..16], [0; 2], "output");
    assert_eq!(flow[36], 0, "pad1");
    assert_eq!(flow[40..48], [0; 8], "src_as, dst_as, src_mask, dst_mask, pad2");
}
