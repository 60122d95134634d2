//! What values of records mean, and what a collector keeps of an exporter whatever it sends.

use collect::{Collector, Limits};
use flow::{FlowEndReason, FlowRecord, Timestamp};

use crate::messages::{FIELDS, Given, NOW, Session, be16, be32, flow, ipfix, set, template};

/// The records of IPFIX with addresses, ports, protocol, and these fields and values.
fn read(protocol: u8, fields: &[(u16, u16)], values: &[u8]) -> FlowRecord {
    let fields = [&FIELDS[..5], fields].concat();
    let mut record = flow(1)[..13].to_vec();
    record[12] = protocol;
    let mut session = Session::new();
    let data = set(300, &[&record, values].concat());
    session.take(&ipfix(0, &[set(2, &template(300, &fields)), data]));
    session.only().0
}

#[test]
fn other_counters_count_if_there_are_no_deltas() {
    let of = |fields: &[(u16, u16)], values: &[u32]| {
        let record = read(6, fields, &be32(values));
        (record.octets, record.packets)
    };
    let (deltas, totals) = ([(1, 4), (2, 4)], [(85, 4), (86, 4)]);
    let (post, initiator) = ([(23, 4), (24, 4)], [(231, 4), (298, 4)]);
    assert_eq!(of(&post, &[500, 5]), (500, 5), "those of packets that leave");
    assert_eq!(of(&totals, &[600, 6]), (600, 6));
    assert_eq!(of(&initiator, &[700, 7]), (700, 7));
    let both = |one: [(u16, u16); 2], other| [one, other].concat();
    assert_eq!(of(&both(post, deltas), &[500, 5, 100, 1]), (100, 1));
    assert_eq!(of(&both(post, totals), &[500, 5, 600, 6]), (600, 6));
    assert_eq!(of(&both(totals, initiator), &[600, 6, 700, 7]), (700, 7));
    // 0 is a delta too.
    assert_eq!(of(&both(post, deltas), &[500, 5, 0, 0]), (0, 0));
}

/// A flow of which each record has the octets and packets from its begin on.
#[test]
fn totals_of_a_flow_that_goes_on_are_differences() {
    const IDLE: u8 = 1;
    const ACTIVE: u8 = 2;
    let fields = [&FIELDS[..5], &[(85, 4), (86, 4), (150, 4), (151, 4), (136, 1)]].concat();
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template(300, &fields))]));
    let record = |port: u16, totals: [u32; 2], times: [u32; 2], reason: u8| {
        let numbers = be32(&[totals[0], totals[1], NOW + times[0], NOW + times[1]]);
        [&flow(port)[..13], &numbers, &[reason]].concat()
    };
    let mut read = |record: Vec<u8>| {
        session.take(&ipfix(0, &[set(300, &record)]));
        let record = *session.records().last().unwrap();
        let after = |time: Timestamp| time.as_millis() / 1000 - u64::from(NOW);
        ((record.octets, record.packets), after(record.start)..after(record.end))
    };
    assert_eq!(read(record(1, [1000, 10], [0, 60], ACTIVE)), ((1000, 10), 0..60));
    assert_eq!(read(record(2, [7000, 70], [0, 60], ACTIVE)), ((7000, 70), 0..60));
    assert_eq!(read(record(1, [1500, 14], [0, 120], ACTIVE)), ((500, 4), 60..120));
    assert_eq!(read(record(1, [1500, 14], [0, 120], ACTIVE)), ((0, 0), 120..120));
    assert_eq!(read(record(1, [1600, 15], [0, 130], IDLE)), ((100, 1), 120..130));
    // The flow has ended: another one with its key has totals of its own.
    assert_eq!(read(record(1, [2000, 20], [0, 200], IDLE)), ((2000, 20), 0..200));
    // One that began at another time is another one, and so is one with smaller totals.
    assert_eq!(read(record(2, [9000, 90], [100, 200], ACTIVE)), ((9000, 90), 100..200));
    assert_eq!(read(record(2, [8000, 80], [100, 300], ACTIVE)), ((8000, 80), 100..300));
    // That of another exporter too.
    session.take_from("192.0.2.2:1", &ipfix(0, &[set(2, &template(300, &fields))]));
    let data = set(300, &record(2, [8500, 85], [100, 300], ACTIVE));
    session.take_from("192.0.2.2:1", &ipfix(0, &[data]));
    assert_eq!(session.records().last().unwrap().octets, 8500);
}

#[test]
fn totals_that_are_kept_are_bounded() {
    let fields = [&FIELDS[..5], &[(85, 4), (86, 4)]].concat();
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template(300, &fields))]));
    for host in 0..2000_u32 {
        let records = (0..50).map(|port| {
            let mut record = [flow(port), vec![]].concat();
            record[..4].copy_from_slice(&host.to_be_bytes());
            record
        });
        session.take(&ipfix(0, &[set(300, &records.collect::<Vec<_>>().concat())]));
    }
    let counts = session.counts();
    assert_eq!((counts.records, counts.packets), (100_000, 300_000));
    assert!((67_232..=70_000).contains(&counts.totals_forgotten), "{counts:?}");
}

#[test]
fn the_source_may_be_the_responder_of_a_conversation() {
    for (direction, is_turned) in [(0, false), (1, false), (2, true), (3, false)] {
        let key = read(6, &[(239, 1)], &[direction]).key;
        let (source, ports) = (key.source_address().to_string(), key.source_port);
        let expected = if is_turned { ("198.51.100.20", 443) } else { ("192.0.2.10", 1) };
        assert_eq!((source.as_str(), ports), expected, "{direction}");
    }
}

#[test]
fn type_and_code_of_icmp_have_elements_of_their_own() {
    for (protocol, fields, values, expected) in [
        (1, &[][..], &[][..], 443),
        (1, &[(32, 2)], &[8, 1], 0x0801),
        (1, &[(176, 1), (177, 1)], &[3, 4], 0x0304),
        (1, &[(176, 1)], &[8], 0x0800),
        (1, &[(139, 2)], &[128, 0], 0x8000),
        (1, &[(178, 1), (179, 1)], &[1, 3], 0x0103),
        (1, &[(32, 2), (139, 2)], &[8, 0, 0, 0], 0x0800),
        (6, &[(32, 2)], &[8, 1], 443),
    ] {
        let key = read(protocol, fields, values).key;
        assert_eq!(key.destination_port, expected, "{protocol} {fields:?}");
    }
}

#[test]
fn the_reason_of_the_end_is_that_of_the_exporter() {
    assert_eq!(read(6, &[(2, 4)], &be32(&[1])).end_reason, FlowEndReason::Unknown);
    assert_eq!(read(6, &[(136, 1)], &[2]).end_reason, FlowEndReason::ActiveTimeout);
    assert_eq!(read(6, &[(136, 1)], &[99]).end_reason, FlowEndReason::Unknown);
}

#[test]
fn lists_are_skipped_as_a_whole() {
    // basicList, subTemplateList and subTemplateMultiList (RFC 6313).
    for list in 291..=293 {
        let long = [&[255, 1, 1][..], &[0xff; 257], &be32(&[7])].concat();
        assert_eq!(read(6, &[(list, u16::MAX), (2, 4)], &long).packets, 7, "{list}");
    }
}

/// A datagram of NetFlow v5 with records of which each has 3 packets of 500 octets.
fn netflow5(sequence: u32, records: u16, sampling: u16) -> Vec<u8> {
    let head = [be16(&[5, records]), be32(&[1_000_000, NOW, 250_000_000, sequence])].concat();
    let head = [head, vec![1, 2], be16(&[sampling])].concat();
    let addresses = [192, 0, 2, 10, 198, 51, 100, 20, 192, 0, 2, 254];
    let counts = be32(&[3, 1500, 998_000, 999_000]);
    let ports = [be16(&[3, 4]), counts, be16(&[1234, 443]), vec![0, 0x1b, 6, 0]].concat();
    let record = [&addresses[..], &ports, &be16(&[64_500, 64_501]), &[24, 16, 0, 0]].concat();
    [head, record.repeat(records.into())].concat()
}

#[test]
fn netflow5_counts_flows_and_has_a_mode_above_its_sampling_interval() {
    let mut session = Session::new();
    session.take(&netflow5(100, 2, 0x4064)).take(&netflow5(102, 1, 0)).take(&netflow5(108, 1, 1));
    let counts = session.counts();
    assert_eq!((counts.records, counts.lost, counts.restarts), (4, 5, 0));
    let begin = Timestamp::from_millis(u64::from(NOW) * 1000 + 250);
    let intervals = session.given.0.iter().map(|(exporter, record, details)| {
        assert_eq!((exporter.domain, record.packets, record.octets), (0x0102, 3, 1500));
        let times = (record.start, record.end);
        assert_eq!(times, (begin.minus_millis(2000), begin.minus_millis(1000)));
        details.collected.as_ref().unwrap().sampling_interval
    });
    assert_eq!(intervals.collect::<Vec<_>>(), [100, 100, 0, 1]);
    session.take(&netflow5(0, 1, 0));
    assert_eq!((session.counts().lost, session.counts().restarts), (5, 1));
    // The octets of a record more or less than its count says.
    let whole = netflow5(1, 2, 0);
    session.take(&whole[..whole.len() - 1]).take(&[&whole[..], &[1]].concat());
    assert_eq!((session.counts().malformed, session.counts().records), (2, 5));
}

#[test]
fn no_step_of_sequence_numbers_forgets_templates() {
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template(300, &FIELDS))]));
    for sequence in [1, 1000, 5_000_000, 3, u32::MAX, 0] {
        session.take(&ipfix(sequence, &[set(300, &flow(1))]));
    }
    let counts = session.counts();
    assert_eq!((counts.records, counts.templates, counts.waiting_sets), (6, 1, 0));
    assert!(counts.lost > 0 && counts.restarts > 0, "{counts:?}");
}

#[test]
fn templates_of_a_store_have_their_age() {
    let from = "192.0.2.1:2055".parse().unwrap();
    let sent = Timestamp::from_millis(u64::from(NOW) * 1000);
    let mut first = Collector::new(Limits::default());
    let message = ipfix(0, &[set(2, &template(300, &FIELDS))]);
    first.datagram(from, sent, &message, &mut Given::default());
    let stored: Vec<_> = first.templates().collect();
    assert_eq!(stored.len(), 1);
    let half_an_hour = 30 * 60 * 1000;
    for (now, records) in [
        (sent, 1),
        (sent.plus_millis(half_an_hour), 1),
        (sent.plus_millis(half_an_hour + 1), 0),
        (sent.minus_millis(1), 0),
    ] {
        let mut next = Collector::new(Limits::default());
        stored.iter().for_each(|template| next.restore(template, now));
        let mut given = Given::default();
        next.datagram(from, now, &ipfix(1, &[set(300, &flow(1))]), &mut given);
        assert_eq!(given.0.len(), records, "{now:?}");
    }
}
