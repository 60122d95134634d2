//! Lists against counts of everything.

use std::collections::BTreeMap;

use flow::{DetailsIndex, FlowDirection, IpVersion, Tags, Timestamp};

use super::space_saving::ROOM;
use super::*;

fn record(source: u32, destination: u32, ports: (u16, u16), packets: u64) -> FlowRecord {
    let octets = |address: u32| {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&address.to_be_bytes());
        octets
    };
    FlowRecord {
        key: FlowKey {
            ip_version: IpVersion::V4,
            source: octets(source),
            destination: octets(destination),
            source_port: ports.0,
            destination_port: ports.1,
            protocol: 6,
            type_of_service: 0,
            interface: 1,
        },
        octets: packets * 100,
        packets,
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(0),
        exported: Timestamp::from_millis(0),
        vlan_id: 0,
        direction: FlowDirection::Ingress,
        tcp_control_bits: 0,
        minimum_ttl: 1,
        maximum_ttl: 1,
        end_reason: FlowEndReason::IdleTimeout,
        tags: Tags::NONE,
        details: DetailsIndex::NONE,
    }
}

fn list(by: &str, records: &[FlowRecord]) -> TopList {
    let mut list = TopList::new(by.parse().unwrap(), HashSeed::new(1));
    records.iter().for_each(|record| list.add(record));
    list
}

fn host(address: u32) -> Subject {
    Subject::Host(IpAddr::V4(address.into()))
}

fn exactly(count: u64) -> Counted {
    Counted { most: count, least: count }
}

#[test]
fn each_measure_has_its_order() {
    let slice =
        FlowRecord { end_reason: FlowEndReason::ActiveTimeout, ..record(1, 9, (40_000, 80), 100) };
    let mut records = vec![slice, record(1, 9, (40_000, 80), 1)];
    records.extend((0..10).map(|n| record(2, 10 + n, (40_000, 22), 1)));
    records.extend((0..20).map(|n| record(3, 9, (40_000 + n, 443), 2)));
    records.extend((0..20).map(|n| record(9, 3, (443, 40_000 + n), 1)));
    for (by, expected) in [
        ("sources:octets", vec![(host(1), 10_100), (host(3), 4000), (host(9), 2000)]),
        ("sources:packets", vec![(host(1), 101), (host(3), 40), (host(9), 20)]),
        ("sources:sessions", vec![(host(3), 20), (host(9), 20), (host(2), 10)]),
        ("sources:targets", vec![(host(2), 10), (host(1), 1), (host(3), 1)]),
        ("destinations:sessions", vec![(host(9), 21), (host(3), 20), (host(10), 1)]),
        ("destinations:targets", vec![(host(9), 2), (host(3), 1), (host(10), 1)]),
        ("ports:sessions", vec![(Subject::Port(6, 443), 40), (Subject::Port(6, 22), 10)]),
        ("ports:targets", vec![(Subject::Port(6, 22), 10), (Subject::Port(6, 443), 2)]),
    ] {
        let list = list(by, &records);
        let expected: Vec<_> =
            expected.into_iter().map(|(subject, count)| (subject, exactly(count))).collect();
        assert_eq!(list.largest(expected.len()), expected, "{by}");
        assert_eq!(list.missing_at_most(), None);
    }
    let pair =
        |one: u32, other: u32| Subject::Pair(IpAddr::V4(one.into()), IpAddr::V4(other.into()));
    let conversations = list("conversations", &records);
    assert_eq!(conversations.largest(1), [(pair(1, 9), exactly(10_100))]);
    assert_eq!(conversations.largest(9)[1], (pair(3, 9), exactly(6000)));
    assert_eq!(conversations.whole(), Some(records.iter().map(|record| record.octets).sum()));
    assert_eq!(list("sources:targets", &records).whole(), None);
}

/// Any input: a count is in its range, and what is large enough is there.
#[test]
fn counts_are_within_their_bounds() {
    for seed in 0..20_u64 {
        let mut state = seed;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).unwrap()
        };
        let mut truth: BTreeMap<Subject, u64> = BTreeMap::new();
        let mut list = TopList::new("sources:packets".parse().unwrap(), HashSeed::new(1));
        for _ in 0..30_000 {
            // Few have much, very many have little.
            let source = random() % (1 << (1 + random() % 18));
            let record = record(source, 9, (1, 2), u64::from(1 + random() % 50));
            *truth.entry(host(source)).or_default() += record.packets;
            list.add(&record);
        }
        assert!(truth.len() > 2 * ROOM);
        let missing = list.missing_at_most().unwrap();
        let whole: u64 = truth.values().sum();
        assert_eq!(list.whole(), Some(whole));
        let rows = list.largest(usize::MAX);
        assert_eq!(rows.len(), ROOM);
        assert_eq!(rows.iter().map(|(_, counted)| counted.most).sum::<u64>(), whole);
        for (subject, counted) in &rows {
            let count = truth[subject];
            assert!(counted.least <= count && count <= counted.most, "{subject:?}: {counted:?}");
            assert!(counted.most - counted.least <= whole / ROOM as u64, "{counted:?}");
        }
        let listed: Vec<_> = rows.iter().map(|(subject, _)| *subject).collect();
        for (subject, count) in &truth {
            assert!(*count <= missing || listed.contains(subject), "{subject:?}");
        }
        assert!(missing <= whole / ROOM as u64);
        let order: Vec<_> = rows.iter().map(|(_, counted)| counted.most).collect();
        assert!(order.is_sorted_by(|a, b| a >= b));
    }
}

/// A million sources that are forged do not hide one that scans, and take no more memory.
#[test]
fn many_forged_sources_hide_nobody() {
    let mut list = TopList::new("sources:targets".parse().unwrap(), HashSeed::new(1));
    for n in 0..1_000_000 {
        list.add(&record(1000 + n, 9, (1, 80), 1));
        if n % 100 == 0 {
            list.add(&record(7, 50_000 + n, (1, 445), 1));
        }
    }
    let (subject, counted) = list.largest(1)[0];
    assert_eq!(subject, host(7));
    assert!(counted.most >= 9000 && counted.least <= 11_000, "{counted:?}");
    assert_eq!(list.largest(usize::MAX).len(), ROOM);
}

#[test]
fn names_are_read_and_fields_are_needed() {
    for text in
        ["sources:octets", "destinations:targets", "conversations:packets", "ports:sessions"]
    {
        let by: TopBy = text.parse().unwrap();
        assert_eq!(by.to_string(), text);
        assert_eq!(by.check(KeyFields::SEVEN), Ok(()));
    }
    assert_eq!("sources".parse::<TopBy>().unwrap().to_string(), "sources:octets");
    for text in ["", "sources:", "source:octets", "sources:bytes", "flows"] {
        assert!(text.parse::<TopBy>().unwrap_err().contains("sources:targets"), "{text}");
    }
    let key = KeyFields::new([KeyField::Source, KeyField::Protocol]);
    let check = |text: &str| text.parse::<TopBy>().unwrap().check(key);
    assert_eq!(check("sources:octets"), Ok(()));
    assert!(check("sources:targets").unwrap_err().contains("no field dst"));
    assert!(check("ports:octets").unwrap_err().contains("no field sport"));
}
