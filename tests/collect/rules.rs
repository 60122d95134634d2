//! What the collector does with messages that are right, wrong and hostile.

use std::net::{Ipv4Addr, SocketAddr};
use std::slice;

use collect::Limits;
use flow::{ExportProtocol, FlowDirection, FlowEndReason, IpVersion, Timestamp};

use crate::messages::{
    FIELDS, NOW, Session, be16, be32, flow, ipfix, ipfix_of, netflow9, options_template, set,
    template,
};

const VARIABLE: u16 = u16::MAX;

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_millis((u64::from(NOW) * 1000).saturating_add_signed(seconds * 1000))
}

/// A template of IPFIX with these fields, and a record.
fn read(fields: &[(u16, u16)], record: &[u8]) -> Session {
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template(300, fields)), set(300, record)]));
    session
}

#[test]
fn a_broken_set_behind_a_template_changes_nothing() {
    let data = set(300, &flow(1));
    for broken in [
        be16(&[300, 3]),
        be16(&[300, 0, 1, 1]),
        be16(&[300, 9]),
        be16(&[2, 8, 301, 1]),
        vec![1],
        set(2, &be16(&[301, 2, 8, 4])),
        set(2, &be16(&[301, 1, 0x8008, 4])),
    ] {
        let mut session = Session::new();
        session.take(&ipfix(0, &[set(2, &template(300, &FIELDS)), broken.clone()]));
        session.take(&ipfix(0, slice::from_ref(&data)));
        let counts = session.counts();
        let got = (counts.malformed, counts.templates, counts.records, counts.waiting_sets);
        assert_eq!(got, (1, 0, 0, 1), "{broken:?}");
    }
}

#[test]
fn zero_octets_behind_the_sets_are_no_mistake() {
    for zeros in [1, 3, 4, 5, 400] {
        let sets = [set(2, &template(300, &FIELDS)), set(300, &flow(1)), vec![0; zeros]];
        let mut session = Session::new();
        session.take(&ipfix(0, &sets));
        session.take(&[ipfix(1, &sets[1..2]), vec![0; zeros]].concat());
        let sets = [set(0, &template(300, &FIELDS)), set(300, &flow(1)), vec![0; zeros]];
        session.take(&netflow9(0, &sets));
        assert_eq!((session.counts().records, session.counts().malformed), (3, 0));
    }
    let mut session = Session::new();
    session.take(&[ipfix(0, &[]), vec![0, 0, 1]].concat());
    assert_eq!(session.counts().malformed, 1);
}

#[test]
fn templates_whose_records_have_no_octets_are_refused() {
    for fields in [&[(8, 0)][..], &[(8, 0), (12, 0)], &[(8, 1025)], &[(210, 1); 513]] {
        let mut session = Session::new();
        session.take(&ipfix(0, &[set(2, &template(300, fields)), set(300, &[0; 40])]));
        let counts = session.finish();
        assert_eq!((counts.templates_refused, counts.templates), (1, 0), "{fields:?}");
        assert_eq!((counts.no_template, counts.no_template_octets), (1, 40));
    }
    // NetFlow v9 has no variable length, and no ids below 256.
    for (id, fields) in [(300, &[(82, VARIABLE)][..]), (255, &FIELDS)] {
        let mut session = Session::new();
        session.take(&netflow9(0, &[set(0, &template(id, fields))]));
        assert_eq!(session.counts().templates_refused, 1);
    }
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template(300, &FIELDS)), set(2, &be16(&[300, 0]))]));
    let counts = session.counts();
    assert_eq!((counts.withdrawals_ignored, counts.templates), (1, 1));
}

#[test]
fn templates_belong_to_an_address_a_protocol_and_a_domain() {
    let mut session = Session::new();
    let data = [set(300, &flow(1))];
    session.take_from("192.0.2.1:1000", &ipfix(0, &[set(2, &template(300, &FIELDS))]));
    session.take_from("192.0.2.1:1001", &ipfix(0, &data));
    assert_eq!(session.counts().records, 1, "the port does not matter");
    session.take_from("192.0.2.2:1000", &ipfix(0, &data));
    session.take_from("192.0.2.1:1000", &ipfix_of(8, 0, &data));
    session.take_from("192.0.2.1:1000", &netflow9(0, &data));
    let counts = session.counts();
    assert_eq!((counts.records, counts.waiting_sets), (1, 3));
    let (exporter, ..) = &session.given.0[0];
    assert_eq!(exporter.address, "192.0.2.1:1001".parse().unwrap());
    assert_eq!((exporter.domain, exporter.protocol), (7, ExportProtocol::Ipfix));
}

#[test]
fn a_changed_template_is_for_what_comes_after_it() {
    let mut session = Session::new();
    let mut swapped = FIELDS;
    swapped.swap(2, 3);
    session.take(&ipfix(0, &[set(2, &template(300, &FIELDS)), set(300, &flow(5))]));
    session.take(&ipfix(1, &[set(300, &flow(5)), set(2, &template(300, &swapped))]));
    session.take(&ipfix(2, &[set(2, &template(300, &swapped)), set(300, &flow(5))]));
    let ports: Vec<u16> = session.records().iter().map(|it| it.key.source_port).collect();
    assert_eq!(ports, [5, 5, 443]);
    assert_eq!((session.counts().templates_changed, session.counts().templates), (1, 1));
}

#[test]
fn data_waits_for_its_template_in_order() {
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(300, &flow(1)), set(301, &flow(9))]));
    session.after_ms = 2000;
    session.take(&ipfix(2, &[set(300, &[flow(2), flow(3)].concat())]));
    session.take(&ipfix(4, &[set(2, &template(300, &FIELDS)), set(300, &flow(4))]));
    let records = session.records();
    let ports: Vec<u16> = records.iter().map(|it| it.key.source_port).collect();
    assert_eq!(ports, [1, 2, 3, 4]);
    assert_eq!((records[0].exported, records[1].exported), (second(0), second(2)));
    assert_eq!((session.counts().waiting_sets, session.counts().lost), (1, 0));
    session.after_ms = 301_000;
    session.take(&ipfix(5, &[set(302, &flow(1))]));
    let counts = session.counts();
    assert_eq!((counts.no_template, counts.waiting_sets), (1, 1), "five minutes are over");
    assert_eq!(session.finish().no_template, 2);
}

#[test]
fn waiting_data_is_bounded() {
    let limits = Limits { waiting_octets_total: 300_000, ..Limits::default() };
    let mut session = Session::with(limits);
    for _ in 0..100 {
        session.take(&ipfix(0, &[set(300, &flow(1))]));
    }
    assert_eq!((session.counts().waiting_sets, session.counts().no_template), (64, 36));
    let large = ipfix(0, &[set(300, &vec![1; 60_000])]);
    for _ in 0..10 {
        session.take_from("192.0.2.2:1", &large).take_from("192.0.2.3:1", &large);
    }
    assert_eq!(session.counts().waiting_sets, 64 + 4, "4 of 60,000 octets are all there is");
    session.take_from("192.0.2.2:1", &ipfix(0, &[set(2, &template(300, &FIELDS))]));
    assert!(session.counts().records > 100, "they are read");
}

#[test]
fn templates_live_for_half_an_hour() {
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template(300, &FIELDS))]));
    session.after_ms = 30 * 60 * 1000;
    session.take(&ipfix(0, &[set(300, &flow(1))]));
    session.after_ms += 1;
    session.take(&ipfix(1, &[set(300, &flow(1))]));
    let counts = session.counts();
    assert_eq!((counts.records, counts.templates_expired, counts.templates), (1, 1, 0));
    assert_eq!(counts.waiting_sets, 1);
}

#[test]
fn exporters_and_templates_are_bounded() {
    let limits = Limits { templates_of_exporter: 8, exporters: 3, ..Limits::default() };
    let mut session = Session::with(limits);
    for id in 300..400 {
        session.take(&ipfix(0, &[set(2, &template(id, &FIELDS))]));
        session.take(&ipfix(0, &[set(300, &flow(1))]));
    }
    let counts = session.counts();
    assert_eq!((counts.templates, counts.templates_evicted), (8, 92));
    assert_eq!(counts.records, 100, "the one in use stays");
    for last in 0..100 {
        let from = SocketAddr::new(Ipv4Addr::new(10, 0, 0, last).into(), 2055);
        session.take_of(from, &ipfix(0, &[set(2, &template(300, &FIELDS)), set(301, &[1; 9])]));
        session.take(&ipfix(0, &[set(300, &flow(1))]));
    }
    let counts = session.counts();
    assert_eq!((counts.exporters, counts.exporters_evicted), (3, 98));
    assert_eq!((counts.records, counts.templates), (200, 10));
    assert_eq!((counts.waiting_sets, counts.no_template), (2, 98));
    let limits = Limits { templates: 20, ..Limits::default() };
    let mut session = Session::with(limits);
    for last in 0..100 {
        let from = SocketAddr::new(Ipv4Addr::new(10, 0, 0, last).into(), 2055);
        let many: Vec<_> = (300..305).map(|id| set(2, &template(id, &FIELDS))).collect();
        session.take_of(from, &ipfix(0, &many));
    }
    assert_eq!(session.counts().templates, 20);
}

#[test]
fn values_of_variable_length_and_unknown_ones_are_skipped_by_their_length() {
    let fields = [(82, VARIABLE), (8, 4), (0x8001, VARIABLE), (12, 4), (0x8002, 3), (2, 4)];
    let start = [192, 0, 2, 10];
    let end = [198, 51, 100, 20];
    let short = [&[2][..], b"ab", &start, &[0], &end, &[9, 9, 9], &be32(&[7])].concat();
    let (record, _) = read(&fields, &short).only();
    assert_eq!(record.packets, 7);
    let long = [&[255, 1, 0][..], &[b'x'; 256], &start, &[3, 1, 2, 3], &end, &[9; 3]].concat();
    let long = [long, be32(&[8])].concat();
    let session = read(&fields, &[short, long.clone()].concat());
    assert_eq!(session.records().iter().map(|it| it.packets).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(session.counts().elements_unknown, 3, "each once: 82 is of interfaces only");
    for cut in 20..long.len() {
        let session = read(&fields, &long[..cut]);
        assert_eq!((session.counts().records, session.counts().cut_sets), (0, 1), "{cut}");
    }
}

#[test]
fn numbers_may_be_shorter_or_longer_than_usual() {
    let fields = [(8, 4), (12, 4), (2, 1), (1, 3), (10, 8), (10, 4), (7, 4)];
    let addresses = [1, 1, 1, 1, 2, 2, 2, 2];
    let rest = [&[200][..], &[1, 0, 0], &[0, 0, 0, 0, 0, 0, 0, 5], &be32(&[6, 80])].concat();
    let (record, details) = read(&fields, &[&addresses[..], &rest].concat()).only();
    assert_eq!((record.packets, record.octets, record.key.source_port), (200, 65_536, 80));
    assert_eq!(details.collected.unwrap().ingress_interface, 5, "the first of two counts");
    // Addresses of another length are none.
    let session = read(&[(8, 3), (12, 5)], &[1; 8]);
    assert_eq!((session.counts().records, session.counts().unmeterable), (0, 1));
}

#[test]
fn sequence_numbers_tell_what_is_lost() {
    let mut session = Session::new();
    let data = [set(300, &[flow(1), flow(2)].concat())];
    session.take(&ipfix(10, &[set(2, &template(300, &FIELDS))]));
    session.take(&ipfix(10, &data)).take(&ipfix(15, &data));
    assert_eq!((session.counts().lost, session.counts().restarts), (3, 0));
    session.take(&ipfix(0, &data));
    assert_eq!((session.counts().lost, session.counts().restarts), (3, 1));
    session.take(&netflow9(3, &[])).take(&netflow9(4, &[])).take(&netflow9(6, &[]));
    assert_eq!((session.counts().lost, session.counts().restarts), (4, 1));
}

#[test]
fn sampling_is_told_by_options_and_by_records() {
    let mut session = Session::new();
    let options = options_template(400, 1, &[(302, 4), (305, 4), (306, 4)]);
    let with_selector = [&FIELDS[..], &[(302, 4)]].concat();
    session.take(&ipfix(0, &[set(3, &options), set(400, &be32(&[9, 1, 99]))]));
    session.take(&ipfix(1, &[set(2, &template(300, &FIELDS)), set(300, &flow(1))]));
    session.take(&ipfix(2, &[set(3, &options), set(400, &be32(&[8, 1, 9]))]));
    session.take(&ipfix(3, &[set(300, &flow(1)), set(2, &template(301, &with_selector))]));
    let of = |selector| [flow(1), be32(&[selector])].concat();
    session.take(&ipfix(4, &[set(301, &[of(8), of(9), of(7)].concat())]));
    let intervals: Vec<u32> = session
        .given
        .0
        .iter()
        .map(|(_, record, details)| {
            assert_eq!((record.packets, record.octets), (3, 1500), "nothing is scaled");
            details.collected.as_ref().unwrap().sampling_interval
        })
        .collect();
    assert_eq!(intervals, [100, 0, 10, 100, 0]);
    assert_eq!(session.counts().options, 2);
}

#[test]
fn a_probability_of_sampling_is_an_interval() {
    let mut session = Session::new();
    let options = options_template(400, 1, &[(302, 4), (304, 2), (311, 8)]);
    let told = [be32(&[9]), be16(&[3]), 0.001_f64.to_be_bytes().to_vec()].concat();
    let fields = [&FIELDS[..], &[(302, 4)]].concat();
    let data = [flow(1), be32(&[9])].concat();
    let sets =
        [set(3, &options), set(400, &told), set(2, &template(300, &fields)), set(300, &data)];
    session.take(&ipfix(0, &sets));
    let details = &session.given.0[0].2;
    assert_eq!(details.collected.as_ref().unwrap().sampling_interval, 1000);
}

#[test]
fn sampling_of_interfaces_and_templates_is_theirs_alone() {
    let mut session = Session::new();
    // NetFlow v9 has its own numbers of scopes: 2 is an interface, 5 is a template.
    let of = |id, scope| set(1, &be16(&[id, 4, 4, scope, 4, 34, 4]));
    let fields = [&FIELDS[..], &[(10, 4)]].concat();
    let options = [of(400, 2), set(400, &be32(&[3, 10])), set(400, &be32(&[4, 20]))].concat();
    let options = [options, of(401, 5), set(401, &be32(&[301, 30]))].concat();
    session.take(&netflow9(0, &[options]));
    let on = |interface| [flow(1), be32(&[interface])].concat();
    for id in [300, 301] {
        let data = set(id, &[on(3), on(4), on(5)].concat());
        session.take(&netflow9(1, &[set(0, &template(id, &fields)), data]));
    }
    // In IPFIX the scopes are elements.
    let of = |id, scope| set(3, &options_template(id, 1, &[(scope, 4), (34, 4)]));
    let options = [of(400, 10), set(400, &be32(&[3, 40]))].concat();
    let options = [options, of(401, 145), set(401, &be32(&[300, 50]))].concat();
    let data = set(300, &[on(3), on(5)].concat());
    session.take(&ipfix(0, &[options, set(2, &template(300, &fields)), data]));
    let all = session.given.0.iter();
    let intervals = all.map(|(.., details)| details.collected.as_ref().unwrap().sampling_interval);
    assert_eq!(intervals.collect::<Vec<_>>(), [10, 20, 0, 10, 20, 30, 40, 50]);
}

#[test]
fn unknown_elements_count_once_for_each_exporter() {
    let mut session = Session::new();
    let fields = [&FIELDS[..], &[(0x8001, 4), (999, 4)]].concat();
    for id in 300..310 {
        session.take(&ipfix(0, &[set(2, &template(id, &fields))]));
    }
    assert_eq!(session.counts().elements_unknown, 2);
    session.take_from("192.0.2.2:1", &ipfix(0, &[set(2, &template(300, &fields))]));
    assert_eq!(session.counts().elements_unknown, 4);
    let many: Vec<_> = (0..400).map(|number| (1000 + number, 4)).collect();
    session.take(&ipfix(0, &[set(2, &template(300, &many))]));
    assert_eq!(session.counts().elements_unknown, 4 + 254, "of an exporter 256 are remembered");
}

/// Fields, their values, start and end in seconds after now, and invalid times.
type TimeCase<'a> = (&'a [(u16, u16)], Vec<u8>, (i64, i64), u64);

#[test]
fn times_are_those_of_the_best_element() {
    let addresses = [1, 1, 1, 1, 2, 2, 2, 2];
    let milliseconds = |time: Timestamp| time.as_millis().to_be_bytes().to_vec();
    let both = [milliseconds(second(-7)), milliseconds(second(-5))].concat();
    let seconds = be32(&[NOW - 70, NOW - 50]);
    let value = [&addresses[..], &seconds, &both].concat();
    let (record, _) =
        read(&[(8, 4), (12, 4), (150, 4), (151, 4), (152, 8), (153, 8)], &value).only();
    assert_eq!((record.start, record.end), (second(-7), second(-5)));
    let cases: [TimeCase<'_>; 8] = [
        (&[(150, 4), (151, 4)], seconds, (-70, -50), 0),
        (&[(158, 4), (159, 4)], be32(&[4_000_000, 1_000_000]), (-4, -1), 0),
        (&[(153, 8), (161, 4)], [milliseconds(second(-5)), be32(&[2000])].concat(), (-7, -5), 0),
        (&[(323, 8)], milliseconds(second(-9)), (-9, -9), 0),
        (
            &[(160, 8), (22, 4), (21, 4)],
            [milliseconds(second(-100)), be32(&[1000, 2000])].concat(),
            (-99, -98),
            0,
        ),
        (&[(22, 4), (21, 4)], be32(&[1000, 2000]), (0, 0), 1),
        (&[(2, 4)], be32(&[1]), (0, 0), 0),
        (&[(150, 4), (151, 4)], be32(&[NOW - 1, NOW - 2]), (-2, -2), 1),
    ];
    for (fields, values, (start, end), invalid) in cases {
        let fields = [&[(8, 4), (12, 4)][..], fields].concat();
        let session = read(&fields, &[&addresses[..], &values].concat());
        let (record, _) = session.only();
        assert_eq!((record.start, record.end), (second(start), second(end)), "{fields:?}");
        assert_eq!(session.counts().times_invalid, invalid, "{fields:?}");
    }
}

#[test]
fn uptimes_go_around_and_do_not_lie_in_the_future() {
    let uptimes = |first: u32, last: u32| {
        let fields = [&FIELDS[..], &[(22, 4), (21, 4)]].concat();
        let record = [flow(1), be32(&[first, last])].concat();
        let mut session = Session::new();
        session.take(&netflow9(0, &[set(0, &template(300, &fields)), set(300, &record)]));
        let (record, _) = session.only();
        ((record.start, record.end), session.counts().times_invalid)
    };
    assert_eq!(uptimes(400_000, 999_000), ((second(-600), second(-1)), 0));
    assert_eq!(uptimes(u32::MAX - 999, 0), ((second(-1001), second(-1000)), 0));
    assert_eq!(uptimes(1_000_000, 1_060_000), ((second(0), second(60)), 0));
    assert_eq!(uptimes(1_061_000, 1_062_000), ((second(0), second(0)), 1));
}

#[test]
fn facts_of_a_router_are_kept() {
    let fields = [
        (27, 16),
        (28, 16),
        (4, 1),
        (139, 2),
        (61, 1),
        (10, 4),
        (14, 4),
        (16, 4),
        (30, 1),
        (62, 16),
        (6, 2),
        (136, 1),
        (56, 6),
        (89, 1),
        (58, 2),
        (245, 2),
        (192, 1),
        (85, 8),
        (86, 8),
    ];
    let mut record = vec![0x20; 32];
    record.extend([58, 128, 0, 1]);
    record.extend(be32(&[3, 4, 64_500]));
    record.push(48);
    record.extend([0x2a; 16]);
    record.extend([0x51, 0x12, 3, 2, 2, 2, 2, 2, 2, 64, 0, 100, 0, 200, 61]);
    record.extend([1000_u64.to_be_bytes(), 10_u64.to_be_bytes()].concat());
    let (record, details) = read(&fields, &record).only();
    let collected = details.collected.unwrap();
    assert_eq!((record.key.ip_version, record.key.destination_port), (IpVersion::V6, 0x8000));
    assert_eq!((record.direction, record.key.interface), (FlowDirection::Egress, 4));
    assert_eq!((collected.ingress_interface, collected.egress_interface), (3, 4));
    assert_eq!(details.source.unwrap().as_number, Some(64_500));
    assert_eq!(details.destination.unwrap().prefix_length, Some(48));
    assert_eq!(
        collected.next_hop,
        Some("2a2a:2a2a:2a2a:2a2a:2a2a:2a2a:2a2a:2a2a".parse().unwrap())
    );
    assert_eq!((record.tcp_control_bits, collected.tcp_control_bits), (0x12, 0x112));
    assert_eq!((record.end_reason, collected.forwarding_status), (FlowEndReason::EndOfFlow, 64));
    assert_eq!((collected.source_mac, record.vlan_id), (Some([2; 6]), 100));
    assert_eq!(details.inner_vlan_id, 200);
    assert_eq!((record.minimum_ttl, record.maximum_ttl), (61, 61));
    assert_eq!((record.octets, record.packets), (1000, 10), "totals stand in for deltas");
}

#[test]
fn a_template_with_addresses_of_both_versions_has_flows_of_both() {
    let fields = [(8, 4), (12, 4), (27, 16), (28, 16)];
    let v4 = [vec![1; 8], vec![0; 32]].concat();
    let v6 = [vec![0; 8], vec![1; 32]].concat();
    let session = read(&fields, &[v4, v6].concat());
    let versions: Vec<_> = session.records().iter().map(|it| it.key.ip_version).collect();
    assert_eq!(versions, [IpVersion::V4, IpVersion::V6]);
}

#[test]
fn other_datagrams_are_counted() {
    let mut session = Session::new();
    for octets in [&[][..], &[0], &[0, 7, 0, 0], b"GET / HTTP/1.1"] {
        session.take(octets);
    }
    for octets in [&[0, 5][..], &[0, 9, 0], &[0, 10, 0, 15], &[0, 10, 0, 17, 0]] {
        session.take(octets);
    }
    let counts = session.counts();
    assert_eq!((counts.unknown_version, counts.malformed, counts.exporters), (4, 4, 0));
}

#[test]
fn malformed_datagrams_count_at_an_exporter_that_is_known() {
    let mut session = Session::new();
    let first = [0, 0, 0, 5, 0, 0, 0, 1, 192, 0, 2, 1];
    let sflow = [&first[..], &be32(&[7, 1, 0, 0])].concat();
    let netflow5 = [be16(&[5, 1]), vec![0; 16], be16(&[7, 0]), vec![0; 48]].concat();
    for datagram in [&ipfix(0, &[]), &netflow9(0, &[]), &sflow, &netflow5] {
        session.take(datagram);
        let broken = &datagram[..datagram.len().min(24)];
        let broken =
            if datagram == &sflow { &[&sflow[..20], &be32(&[0, 9])].concat() } else { broken };
        let broken = [broken, &[1]].concat();
        session.take(&broken).take_from("192.0.2.9:1", &broken);
    }
    let malformed = session.exporters().into_iter().map(|it| (it.exporter.protocol, it.malformed));
    let malformed: Vec<_> = malformed.collect();
    assert_eq!((session.counts().malformed, session.counts().exporters), (8, 1));
    assert!(malformed.len() == 4 && malformed.iter().all(|it| it.1 == 1), "{malformed:?}");
    assert!(session.take_over(1, &ipfix(0, &[])) && !session.take_over(1, &ipfix(0, &[vec![1]])));
    let of_connection = &session.exporters()[0];
    assert_eq!((of_connection.datagrams, of_connection.malformed), (1, 1));
}

/// Over a connection (RFC 7011 section 8.1).
#[test]
fn templates_are_valid_until_they_are_withdrawn() {
    let templates = [template(300, &FIELDS), template(301, &FIELDS)].concat();
    let options = options_template(400, 1, &[(149, 4), (34, 4)]);
    let announced = ipfix(0, &[set(2, &templates), set(3, &options)]);
    let mut session = Session::new();
    assert!(session.take_over(1, &announced) && session.take_over(2, &announced));
    assert_eq!(session.counts().templates, 6);
    assert!(session.take_over(1, &ipfix(0, &[set(2, &template(2, &[]))])));
    assert_eq!(session.counts().templates, 4, "options are of another kind");
    assert!(session.take_over(1, &ipfix(0, &[set(3, &template(3, &[]))])));
    session.after_ms = 31 * 60 * 1000;
    assert!(session.take_over(2, &ipfix(0, &[set(300, &flow(1)), set(301, &flow(2))])));
    assert!(session.take_over(1, &ipfix(0, &[set(300, &flow(3))])));
    let counts = session.counts();
    assert_eq!((counts.templates, counts.withdrawals, counts.records), (3, 2, 2));
    assert_eq!(session.finish().no_template, 1);
}
