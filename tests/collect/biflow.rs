//! Records with counts of both directions of a flow: each is two records.

use flow::{FlowDirection, FlowRecord, Initiator, Timestamp};
use serde_json::{Value, json};

use crate::messages::{FIELDS, NOW, Session, be16, be32, flow, ipfix, netflow9, set, template};
use crate::program::{capture, collect};
use crate::support;

/// The enterprise of elements of the other direction (RFC 5103).
const REVERSE: u32 = 29_305;

/// A Template Record with these fields of IANA, and these of the other direction.
fn with_reverse(fields: &[(u16, u16)], reverse: &[(u16, u16)]) -> Vec<u8> {
    let count = u16::try_from(fields.len() + reverse.len()).unwrap();
    let own = fields.iter().flat_map(|(number, length)| be16(&[*number, *length]));
    let reverse = reverse.iter().flat_map(|(number, length)| {
        [be16(&[0x8000 | number, *length]), be32(&[REVERSE])].concat()
    });
    [be16(&[300, count]), own.chain(reverse).collect()].concat()
}

/// What a collector makes of one record of IPFIX.
fn taken(fields: &[(u16, u16)], reverse: &[(u16, u16)], values: &[u8]) -> Session {
    let fields = [&FIELDS[..], fields].concat();
    let record = [flow(1), values.to_vec()].concat();
    let mut session = Session::new();
    let template = with_reverse(&fields, reverse);
    session.take(&ipfix(0, &[set(2, &template), set(300, &record.repeat(2))]));
    session.take(&ipfix(2, &[]));
    assert_eq!(session.counts().lost + session.counts().restarts, 0, "one number for each");
    assert_eq!(session.counts().elements_unknown, 0);
    session
}

/// Source and its port, destination and its port, octets, packets.
fn ends(record: &FlowRecord) -> (String, String, [u64; 2]) {
    let key = &record.key;
    let end = |address: std::net::IpAddr, port: u16| format!("{address}:{port}");
    (
        end(key.source_address(), key.source_port),
        end(key.destination_address(), key.destination_port),
        [record.octets, record.packets],
    )
}

const CLIENT: &str = "192.0.2.10:1";
const SERVER: &str = "198.51.100.20:443";

fn of(source: &str, destination: &str, counts: [u64; 2]) -> (String, String, [u64; 2]) {
    (source.to_owned(), destination.to_owned(), counts)
}

#[test]
fn a_record_of_both_directions_is_two_records() {
    let session = taken(&[], &[(1, 4), (2, 4)], &be32(&[9000, 7]));
    let records = session.records();
    let both = [of(CLIENT, SERVER, [1500, 3]), of(SERVER, CLIENT, [9000, 7])];
    assert_eq!(records.iter().map(ends).collect::<Vec<_>>(), [both.clone(), both].concat());
    let counts = session.counts();
    assert_eq!((counts.records, counts.biflows, counts.unmeterable), (4, 2, 0));
    assert_eq!((counts.packets, counts.record_octets), (20, 21_000));
    assert_eq!(session.exporters()[0].records, 4);
}

#[test]
fn a_direction_without_packets_is_no_record() {
    let session = taken(&[], &[(1, 4), (2, 4)], &be32(&[0, 0]));
    let counts = session.counts();
    assert_eq!((counts.records, counts.biflows), (2, 0));
    // The same where only the other direction has packets.
    let fields = [&FIELDS[..5], &[(1, 4), (2, 4)]].concat();
    let record = [&flow(1)[..13], &be32(&[0, 0, 9000, 7])].concat();
    let mut session = Session::new();
    let template = with_reverse(&fields, &[(1, 4), (2, 4)]);
    session.take(&ipfix(0, &[set(2, &template), set(300, &record)]));
    assert_eq!(ends(&session.only().0), of(SERVER, CLIENT, [9000, 7]));
    assert_eq!(session.counts().biflows, 0);
    // Without counts, elements of the other direction say nothing of packets.
    let session = taken(&[], &[(6, 1)], &[0x12]);
    assert_eq!((session.counts().records, session.counts().biflows), (2, 0));
}

#[test]
fn each_direction_has_what_is_its_own() {
    let milliseconds = |after: u64| ((u64::from(NOW) - 100 + after) * 1000).to_be_bytes();
    let fields = [
        (152, 8),
        (153, 8),
        (5, 1),
        (6, 1),
        (10, 4),
        (14, 4),
        (16, 4),
        (17, 4),
        (9, 1),
        (61, 1),
        (136, 1),
        (52, 1),
        (225, 4),
    ];
    let reverse = [(1, 8), (2, 8), (6, 2), (152, 8), (153, 8), (52, 1)];
    let values = [
        &milliseconds(0)[..],
        &milliseconds(9),
        &[0xb8, 0x02],
        &be32(&[3, 4, 64_500, 64_501]),
        &[24, 0, 3, 60],
        &[203, 0, 113, 1],
        &9000_u64.to_be_bytes(),
        &7_u64.to_be_bytes(),
        &[0, 0x12],
        &milliseconds(1),
        &milliseconds(8),
        &[250],
    ]
    .concat();
    let session = taken(&fields, &reverse, &values);
    let [(_, first, of_first), (_, second, of_second), ..] = &session.given.0[..] else { panic!() };
    let seconds = |after: u64| Timestamp::from_millis((u64::from(NOW) - 100 + after) * 1000);
    assert_eq!([first.start, first.end], [seconds(0), seconds(9)]);
    assert_eq!([second.start, second.end], [seconds(1), seconds(8)]);
    assert_eq!([first.tcp_control_bits, second.tcp_control_bits], [0x02, 0x12]);
    assert_eq!([first.minimum_ttl, second.minimum_ttl], [60, 250]);
    assert_eq!(
        [first.direction, second.direction],
        [FlowDirection::Ingress, FlowDirection::Egress]
    );
    assert_eq!([first.key.interface, second.key.interface], [3, 3], "where they were observed");
    assert_eq!(first.end_reason, second.end_reason);
    // What is of one direction only is not told of the other.
    assert_eq!([first.key.type_of_service, second.key.type_of_service], [0xb8, 0]);
    assert!(of_first.collected.as_ref().unwrap().key.contains(flow::KeyField::TypeOfService));
    let collected = of_second.collected.as_ref().unwrap();
    assert!(!collected.key.contains(flow::KeyField::TypeOfService));
    assert_eq!((collected.ingress_interface, collected.egress_interface), (4, 3));
    assert_eq!(collected.translated.destination, Some([203, 0, 113, 1].into()));
    let number = |place: &Option<std::sync::Arc<flow::Place>>| place.as_ref().unwrap().as_number;
    assert_eq!(number(&of_second.source), Some(64_501));
    assert_eq!(number(&of_second.destination), Some(64_500));
    assert_eq!(of_second.destination.as_ref().unwrap().prefix_length, Some(24));
}

/// The times of both directions are in milliseconds, the end of the other direction in seconds.
#[test]
fn a_time_of_one_direction_counts_before_a_finer_one_of_both() {
    let seconds = |after: u64| Timestamp::from_millis((u64::from(NOW) - 100 + after) * 1000);
    let values = [
        &seconds(0).as_millis().to_be_bytes()[..],
        &seconds(9).as_millis().to_be_bytes(),
        &be32(&[9000, 7, NOW - 100 + 8]),
    ]
    .concat();
    let session = taken(&[(152, 8), (153, 8)], &[(1, 4), (2, 4), (151, 4)], &values);
    let [first, second, ..] = &session.records()[..] else { panic!() };
    assert_eq!([first.start, first.end], [seconds(0), seconds(9)]);
    assert_eq!([second.start, second.end], [seconds(0), seconds(8)]);
}

/// The initiator and the responder of firewalls (NetFlow Security Event Logging).
#[test]
fn initiator_and_responder_are_two_directions() {
    let fields = [&FIELDS[..5], &[(231, 4), (298, 4), (232, 4), (299, 4)]].concat();
    let record = |counts: [u32; 4]| [&flow(1)[..13], &be32(&counts)].concat();
    let data = [record([700, 7, 8000, 8]), record([900, 9, 0, 0]), record([0, 0, 0, 0])].concat();
    let mut session = Session::new();
    session.take(&netflow9(0, &[set(0, &template(300, &fields)), set(300, &data)]));
    let expected = [
        of(CLIENT, SERVER, [700, 7]),
        of(SERVER, CLIENT, [8000, 8]),
        of(CLIENT, SERVER, [900, 9]),
        of(CLIENT, SERVER, [0, 0]),
    ];
    assert_eq!(session.records().iter().map(ends).collect::<Vec<_>>(), expected);
    assert_eq!((session.counts().biflows, session.counts().elements_unknown), (1, 0));
}

#[test]
fn the_record_of_the_initiator_comes_first() {
    for (direction, is_turned) in [(0, false), (1, false), (2, true), (3, false)] {
        let values = [&[direction][..], &be32(&[9000, 7])].concat();
        let session = taken(&[(239, 1)], &[(1, 4), (2, 4)], &values);
        let mut both = [of(CLIENT, SERVER, [1500, 3]), of(SERVER, CLIENT, [9000, 7])];
        if is_turned {
            both.reverse();
        }
        let first: Vec<_> = session.records().iter().take(2).map(ends).collect();
        assert_eq!(first, both, "{direction}");
    }
}

/// Counts belong to the source of the record, whichever side has answered.
#[test]
fn the_initiator_of_one_direction_is_said_beside_its_counts() {
    let values = [&[2][..], &be32(&[0, 0])].concat();
    let session = taken(&[(239, 1)], &[(1, 4), (2, 4)], &values);
    assert_eq!(session.records().len(), 2, "one of each Data Record");
    for (_, record, details) in &session.given.0 {
        assert_eq!(ends(record), of(CLIENT, SERVER, [1500, 3]));
        let collected = details.collected.as_ref().expect("it is collected");
        assert_eq!(collected.initiator, Initiator::Destination);
    }
}

#[test]
fn a_probability_of_sampling_is_of_both_directions() {
    let values = [&0.01_f64.to_be_bytes()[..], &be32(&[9000, 7])].concat();
    let session = taken(&[(311, 8)], &[(1, 4), (2, 4)], &values);
    for (_, _, details) in &session.given.0 {
        assert_eq!(details.collected.as_ref().unwrap().sampling_interval, 100);
    }
}

#[test]
fn counters_behind_the_exporter_are_of_a_direction_too() {
    let fields = [&FIELDS[..5], &[(23, 4), (24, 4)]].concat();
    let template = with_reverse(&fields, &[(23, 4), (24, 4)]);
    let record = [&flow(1)[..13], &be32(&[1500, 3, 9000, 7])].concat();
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template), set(300, &record)]));
    let all: Vec<_> = session.records().iter().map(ends).collect();
    assert_eq!(all, [of(CLIENT, SERVER, [1500, 3]), of(SERVER, CLIENT, [9000, 7])]);
}

#[test]
fn documents_have_the_client_if_the_exporter_knows_it() {
    let folder = support::scratch();
    let documents = |direction: u8| {
        let fields = [&FIELDS[..], &[(239, 1)]].concat();
        let record = [flow(1), vec![direction], be32(&[9000, 7])].concat();
        let template = with_reverse(&fields, &[(1, 4), (2, 4)]);
        let datagrams = [ipfix(0, &[set(2, &template), set(300, &record)])];
        let name = format!("{direction}.pcap");
        let run = collect(&[support::write(&folder, &name, &capture(&datagrams))], &[]);
        let documents = run.documents();
        assert_eq!(documents.len(), 2, "{}", run.stderr);
        documents
    };
    for direction in [1, 2] {
        for document in documents(direction) {
            assert_eq!(document["event"]["category"], json!(["network", "session"]));
            let (client, server) = (&document["client"], &document["server"]);
            let (address, _) =
                (if direction == 1 { CLIENT } else { SERVER }).split_once(':').unwrap();
            let is_request = document["source"]["ip"] == address;
            let (sender, receiver) = if is_request { (client, server) } else { (server, client) };
            assert_eq!(client["ip"], address, "{document}");
            for (side, fields) in [
                ("source", &["ip", "port", "bytes", "packets"][..]),
                ("destination", &["ip", "port"]),
            ] {
                let party = if side == "source" { sender } else { receiver };
                let expected =
                    fields.iter().map(|it| ((*it).to_owned(), document[side][it].clone()));
                assert_eq!(*party, Value::Object(expected.collect()), "{document}");
            }
        }
    }
    for document in documents(0).iter().chain(&documents(3)) {
        assert_eq!(document["event"]["category"], json!(["network"]));
        assert!(document.get("client").is_none() && document.get("server").is_none());
    }
}

/// As YAF sends them: counters of both directions from the begin of the flow on.
#[test]
fn totals_of_both_directions_are_differences() {
    const ACTIVE: u8 = 2;
    let fields = [&FIELDS[..5], &[(85, 8), (86, 8), (150, 4), (136, 1)]].concat();
    let template = with_reverse(&fields, &[(85, 8), (86, 8)]);
    let record = |counts: [u64; 4]| {
        let [one, other] = [&counts[..2], &counts[2..]]
            .map(|counts| counts.iter().flat_map(|count| count.to_be_bytes()).collect::<Vec<_>>());
        [&flow(1)[..13], &one, &be32(&[NOW - 100]), &[ACTIVE], &other].concat()
    };
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template), set(300, &record([1000, 10, 5000, 50]))]));
    session.take(&ipfix(1, &[set(300, &record([1500, 15, 5000, 50]))]));
    session.take(&ipfix(2, &[set(300, &record([1500, 15, 7000, 70]))]));
    let counts: Vec<_> = session.records().iter().map(|it| it.octets).collect();
    assert_eq!(counts, [1000, 5000, 500, 0, 0, 2000]);
}

#[test]
fn types_of_icmp_stay_in_the_other_direction() {
    let fields = [&FIELDS[..], &[(32, 2)]].concat();
    let mut record = [flow(0), be16(&[0x0800]), be32(&[84, 1])].concat();
    record[10..13].copy_from_slice(&[0, 0, 1]);
    let mut session = Session::new();
    let template = with_reverse(&fields, &[(1, 4), (2, 4)]);
    session.take(&ipfix(0, &[set(2, &template), set(300, &record)]));
    let kinds: Vec<_> = session.records().iter().map(|it| it.key.destination_port).collect();
    assert_eq!(kinds, [0x0800, 0x0800]);
}
