//! JSON documents: each kind of flow against a document written by hand, which stands in
//! `tests/data/wire/*.json`, and the ids that join documents.

use std::fs;
use std::sync::Arc;

use exporter::{Context, Interface, MeterReport};
use flow::{
    Batch, FlowEndReason, FlowKey, FlowRecord, KeyField, KeyFields, RecordTally, Tag, Tags,
};
use serde_json::Value;

use crate::collector::{assert_accounted, context, open};
use crate::record::{T0, key, record, udp4, udp6};
use crate::support;

/// The documents of records, one to a line.
fn documents(context: &Context, interfaces: &[Interface], records: &[FlowRecord]) -> Vec<Value> {
    let folder = support::scratch();
    let path = folder.path().join("flows.json");
    let mut exporter = open(&format!("json:{}?odid=77", path.display()), context);
    exporter.observe(&MeterReport { interfaces: Arc::from(interfaces), ..MeterReport::default() });
    exporter.export(&Batch::from(records)).unwrap();
    exporter.finish().unwrap();
    let mut given = RecordTally::default();
    records.iter().for_each(|record| given.count(record));
    let counts = exporter.counts();
    assert_accounted(given, &counts);
    assert_eq!((counts.sent, counts.messages), (given, given.records));
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(counts.octets, text.len() as u64);
    assert!(text.ends_with('\n') || records.is_empty());
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a document")).collect()
}

/// Compares the document of a record with that of a file.
fn check(name: &str, context: &Context, interfaces: &[Interface], record: FlowRecord) {
    let path = support::root().join("tests/data/wire").join(format!("{name}.json"));
    let expected: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let [document] = &documents(context, interfaces, &[record])[..] else { panic!("one document") };
    let pretty = |value| serde_json::to_string_pretty(value).unwrap();
    assert_eq!(pretty(document), pretty(&expected), "{name}");
}

#[test]
fn tcp_over_ipv4() {
    let key = FlowKey {
        type_of_service: 0xb8,
        interface: 7,
        ..key("10.1.1.1", 40_000, "192.0.2.9", 443, 6)
    };
    let record = FlowRecord {
        tcp_control_bits: 0x1b,
        minimum_ttl: 57,
        end_reason: FlowEndReason::EndOfFlow,
        ..record(key, T0 + 123, T0 + 1456, T0 + 16_500)
    };
    check("tcp_ipv4", &context(), &[], record);
}

#[test]
fn udp_over_ipv6_in_a_vlan() {
    let record = FlowRecord {
        octets: (1 << 40) + 1,
        packets: 3,
        vlan_id: 100,
        minimum_ttl: 1,
        maximum_ttl: 255,
        end_reason: FlowEndReason::ActiveTimeout,
        ..record(
            FlowKey {
                type_of_service: 0x2e,
                interface: 70_000,
                ..key("2001:db8::1", 5353, "fd00::53", 53, 17)
            },
            T0 - 60_000,
            T0 - 1,
            T0,
        )
    };
    check("udp_ipv6_vlan", &context(), &[], record);
}

#[test]
fn icmp() {
    let key = key("10.1.1.2", 0, "10.1.1.3", 0x0301, 1);
    check("icmp", &context(), &[], record(key, T0 + 2000, T0 + 2000, T0 + 17_001));
}

#[test]
fn sampled_flow_of_a_protocol_without_ports() {
    let context = Context { sampling_interval: 100, ..context() };
    let key = key("172.16.0.1", 0, "192.168.0.1", 0, 47);
    let record = FlowRecord {
        end_reason: FlowEndReason::ForcedEnd,
        ..record(key, T0 + 10, T0 + 20, T0 + 17_003)
    };
    check("sampled", &context, &[], record);
}

#[test]
fn fields_that_were_dropped_from_the_key_are_absent() {
    let fields = [KeyField::Source, KeyField::Destination, KeyField::Protocol];
    let context = Context { key: KeyFields::new(fields), ..context() };
    let key = FlowKey { interface: 0, ..key("203.0.113.5", 0, "10.0.0.7", 0, 6) };
    let record = FlowRecord {
        tcp_control_bits: 0x02,
        end_reason: FlowEndReason::LackOfResources,
        ..record(key, T0, T0 + 1, T0 + 2)
    };
    let interfaces = [Interface { number: 0, name: "eth0".to_owned() }];
    check("reduced_key", &context, &interfaces, record);
}

#[test]
fn interface_name_is_escaped() {
    let interfaces = [
        Interface { number: 2, name: "eth2".to_owned() },
        Interface { number: 3, name: "TAP \"north\\south\"\t\u{1}\u{e9}".to_owned() },
    ];
    let key = FlowKey { interface: 3, ..key("10.0.0.1", 1, "10.0.0.1", 2, 17) };
    check("interface_name", &context(), &interfaces, record(key, T0, T0, T0));
}

#[test]
fn every_reduced_key_gives_documents_without_the_dropped_fields() {
    let paths = [
        (KeyField::Source, "/source/ip"),
        (KeyField::Source, "/source/locality"),
        (KeyField::Source, "/netflow/source_ipv4_address"),
        (KeyField::Destination, "/destination/ip"),
        (KeyField::Destination, "/destination/locality"),
        (KeyField::Destination, "/netflow/destination_ipv4_address"),
        (KeyField::SourcePort, "/source/port"),
        (KeyField::SourcePort, "/netflow/source_transport_port"),
        (KeyField::DestinationPort, "/destination/port"),
        (KeyField::DestinationPort, "/netflow/destination_transport_port"),
        (KeyField::DestinationPort, "/netflow/icmp_type_code_ipv4"),
        (KeyField::Protocol, "/network/transport"),
        (KeyField::Protocol, "/network/iana_number"),
        (KeyField::Protocol, "/netflow/protocol_identifier"),
        (KeyField::TypeOfService, "/netflow/ip_class_of_service"),
        (KeyField::Interface, "/observer/ingress"),
        (KeyField::Interface, "/netflow/ingress_interface"),
    ];
    for bits in 0..1_u32 << KeyField::ALL.len() {
        let fields: Vec<_> = (0..KeyField::ALL.len())
            .filter(|index| bits >> index & 1 != 0)
            .map(|index| KeyField::ALL[index])
            .collect();
        let has = |field| fields.contains(&field);
        let mut key = key("10.1.1.2", 0, "10.1.1.3", 0x0800, 1);
        if !has(KeyField::Source) {
            key.source = [0; 16];
        }
        if !has(KeyField::Destination) {
            key.destination = [0; 16];
        }
        if !has(KeyField::DestinationPort) {
            key.destination_port = 0;
        }
        if !has(KeyField::Protocol) {
            key.protocol = 0;
        }
        let context = Context { key: KeyFields::new(fields.clone()), ..context() };
        let document = documents(&context, &[], &[record(key, T0, T0, T0)]).remove(0);
        for (field, path) in paths {
            let needs_protocol = path.contains("icmp");
            let expected = has(field) && (!needs_protocol || has(KeyField::Protocol));
            assert_eq!(document.pointer(path).is_some(), expected, "{path} with {fields:?}");
        }
        let five_tuple = KeyField::ALL[..5].iter().all(|&field| has(field));
        assert_eq!(document.pointer("/network/community_id").is_some(), five_tuple, "{fields:?}");
        assert_eq!(document["network"]["bytes"], 5000);
    }
}

/// Published vectors of both ids.
#[test]
fn ids_are_those_that_other_programs_compute() {
    let community = [
        (key("192.168.1.52", 54_585, "8.8.8.8", 53, 17), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (key("8.8.8.8", 53, "192.168.1.52", 54_585, 17), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (key("192.168.0.89", 0, "192.168.0.1", 0x0800, 1), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (key("192.168.0.1", 0, "192.168.0.89", 0, 1), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (key("10.0.0.1", 0, "10.0.0.2", 0x0b00, 1), "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
        (key("192.168.170.8", 7, "192.168.170.56", 7, 132), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (key("10.1.12.1", 0, "10.1.12.2", 0, 46), "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
        (
            key("fe80::200:86ff:fe05:80da", 0, "fe80::260:97ff:fe07:69ea", 0x8700, 58),
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
        (
            key("fe80::260:97ff:fe07:69ea", 0, "fe80::200:86ff:fe05:80da", 0x8800, 58),
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
    ];
    // Of the reference implementation, communityid 1.5.0 on PyPI.
    let reference = [
        (key("10.1.1.2", 0, "10.1.1.3", 0x0301, 1), "1:ndgFX/cOIJ7uPlgEsUJ0budOx6Q="),
        (key("2001:db8::9", 0, "2001:db8::1", 0x0104, 58), "1:ASui7IJLN62GLqSkUY/QjGQPoxA="),
        (key("10.0.0.9", 5, "10.0.0.9", 4, 17), "1:ceKOd5ArFca4q6+pd5U94afd+kI="),
        (key("fd00::2", 7, "fd00::1", 7, 6), "1:gN+jaY9E/3UDunurQZjo36fEHeo="),
    ];
    for (key, expected) in community.into_iter().chain(reference) {
        let document = documents(&context(), &[], &[record(key, T0, T0, T0)]).remove(0);
        assert_eq!(document["network"]["community_id"], expected, "{key}");
    }
    for key in [
        key("192.168.0.17", 64_020, "192.168.0.1", 80, 6),
        key("192.168.0.1", 80, "192.168.0.17", 64_020, 6),
    ] {
        let document = documents(&context(), &[], &[record(key, T0, T0, T0)]).remove(0);
        assert_eq!(document["flow"]["id"], "_dzJqQAoWYk", "{key}");
    }
}

/// The types of ICMP that the reference implementation joins with their answers.
#[test]
fn icmp_messages_and_their_answers_share_a_community_id() {
    const V4: &[(u8, u8)] = &[(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)];
    const V6: &[(u8, u8)] =
        &[(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];
    for (protocol, here, there, pairs) in
        [(1, "10.0.0.1", "10.0.0.2", V4), (58, "fe80::1", "fe80::2", V6)]
    {
        let answer = |kind| {
            let both = pairs.iter().flat_map(|&(one, other)| [(one, other), (other, one)]);
            both.into_iter().find(|&(one, _)| one == kind).map(|(_, other)| other)
        };
        let message = |source, destination, kind: u8| {
            let type_and_code = u16::from(kind) << 8;
            record(key(source, 0, destination, type_and_code, protocol), T0, T0, T0)
        };
        let exchange =
            |kind| [message(here, there, kind), message(there, here, answer(kind).unwrap_or(kind))];
        let records: Vec<_> = (0..=255).flat_map(exchange).collect();
        let documents = documents(&context(), &[], &records);
        for (kind, exchange) in (0..=255).zip(documents.chunks(2)) {
            let [there, back] = [0, 1].map(|index| &exchange[index]["network"]["community_id"]);
            assert_eq!(there == back, answer(kind).is_some(), "protocol {protocol} type {kind}");
        }
    }
}

#[test]
fn absent_address_counts_as_0_0_0_0_in_the_flow_id() {
    let fields = KeyField::ALL.into_iter().filter(|&field| field != KeyField::Source);
    let context = Context { key: KeyFields::new(fields), ..context() };
    // Addresses of 4 and 16 octets, one after the other.
    for (record, expected) in [(udp4(T0), "vE1H7qkIrDY"), (udp6(T0), "kmhlk5LT5K4")] {
        let key = FlowKey { source: [0; 16], source_port: 1024, ..record.key };
        let document = documents(&context, &[], &[FlowRecord { key, ..record }]).remove(0);
        assert_eq!(document["flow"]["id"], expected, "{key}");
    }
}

#[test]
fn documents_are_numbered_and_each_is_a_line() {
    let name = "line\nbreak \u{2028} \"quoted\"".to_owned();
    let context = Context { name: name.clone(), version: "\"".to_owned(), ..context() };
    let records: Vec<_> =
        (0..1000).map(|n| if n % 2 == 0 { udp4(T0 + n) } else { udp6(T0 + n) }).collect();
    let documents = documents(&context, &[], &records);
    assert_eq!(documents.len(), 1000);
    for (index, document) in documents.iter().enumerate() {
        assert_eq!(document["event"]["sequence"], index);
        assert_eq!(document["agent"]["name"], name);
        assert_eq!(document["@timestamp"], document["event"]["end"]);
    }
}

#[test]
fn direction_is_that_seen_from_the_perimeter() {
    let cases = [
        ("10.0.0.1", "192.168.0.1", "internal"),
        ("10.0.0.1", "8.8.8.8", "outbound"),
        ("8.8.8.8", "172.31.255.255", "inbound"),
        ("8.8.8.8", "1.1.1.1", "external"),
        ("172.32.0.1", "169.254.0.1", "inbound"),
        ("fe80::1", "ff02::1", "internal"),
        ("fd12::1", "2001:db8::1", "outbound"),
    ];
    for (source, destination, expected) in cases {
        let key = key(source, 1, destination, 2, 17);
        let document = documents(&context(), &[], &[record(key, T0, T0, T0)]).remove(0);
        assert_eq!(document["network"]["direction"], expected, "{key}");
        let external = expected != "internal";
        let locality = if external { "external" } else { "internal" };
        assert_eq!(document["flow"]["locality"], locality, "{key}");
    }
}

#[test]
fn local_networks_are_the_inside() {
    let networks = ["203.0.113.0/24", "2001:db8::/32"];
    let networks = networks.into_iter().map(|text| analysis::networks::network(text).unwrap());
    let context = Context { local_networks: networks.collect(), ..context() };
    let cases = [
        ("203.0.113.1", "203.0.113.2", "internal"),
        ("203.0.113.1", "8.8.8.8", "outbound"),
        ("8.8.8.8", "203.0.113.255", "inbound"),
        // Private, but not here.
        ("10.0.0.1", "203.0.114.0", "external"),
        ("2001:db8::1", "fd12::1", "outbound"),
        // What does not leave a link is inside everywhere.
        ("203.0.113.1", "224.0.0.251", "internal"),
        ("fe80::1", "ff02::1", "internal"),
    ];
    for (source, destination, expected) in cases {
        let key = key(source, 1, destination, 2, 17);
        let document = documents(&context, &[], &[record(key, T0, T0, T0)]).remove(0);
        assert_eq!(document["network"]["direction"], expected, "{key}");
        let side = |is_inside| if is_inside { "internal" } else { "external" };
        let from_inside = matches!(expected, "internal" | "outbound");
        assert_eq!(document["source"]["locality"], side(from_inside), "{key}");
    }
}

#[test]
fn tags_are_written_by_name() {
    let tagged = FlowRecord { tags: Tags::ALL, ..udp4(T0) };
    let one = FlowRecord { tags: Tag::SynOnly.into(), ..udp4(T0) };
    let documents = documents(&context(), &[], &[tagged, one, udp4(T0)]);
    let names: Vec<_> = Tag::ALL.into_iter().map(Tag::name).collect();
    assert_eq!(documents[0]["tags"], serde_json::json!(names));
    assert_eq!(documents[1]["tags"], serde_json::json!(["syn-only"]));
    assert_eq!(documents[2].get("tags"), None);
}
