//! Golden messages: `tests/data/wire/*.hex` has what must be on the wire, octet for octet, each
//! field with its name and the section that it comes from.
//!
//! The files were written from RFC 7011, RFC 3954 and Cisco's tables of NetFlow v5, not from what
//! the program sends. `UPDATE_GOLDEN=1` writes what it does send in their place, without the
//! comments, for comparison.

use std::sync::Arc;
use std::{env, fs};

use exporter::{Context, Interface, MeterReport};
use flow::{
    Address, Batch, FlowEndReason, FlowKey, FlowRecord, IpVersion, Place, RecordTally, Tally,
    Timestamp, Tunnel, TunnelKind,
};

use crate::collector::{Session, assert_accounted, context, exported, open};
use crate::message::split_file;
use crate::record::{T0, key, numbered, record};
use crate::support;

/// Where sysUpTime counts from in the golden messages: not on a whole second.
const UPTIME_START: u64 = T0 - 3_600_000 + 250;

/// Every kind of flow: TCP with all flags, ICMP, UDP in a VLAN with counters whose octets all
/// differ, ICMPv6, and a protocol without ports.
fn flows() -> [FlowRecord; 5] {
    let on_7 = |key| FlowKey { interface: 7, ..key };
    let tcp = FlowKey { type_of_service: 0xb8, ..key("10.1.1.1", 40_000, "192.0.2.9", 443, 6) };
    let icmp = key("10.1.1.2", 0, "10.1.1.3", 0x0301, 1);
    let udp = key("2001:db8::1", 5353, "2001:db8:0:1::53", 53, 17);
    let icmp6 = key("fe80::1", 0, "ff02::1:ff00:2", 135 * 256, 58);
    let gre = key("10.1.1.4", 0, "10.1.1.5", 0, 47);
    [
        FlowRecord {
            tcp_control_bits: 0xff,
            minimum_ttl: 57,
            end_reason: FlowEndReason::EndOfFlow,
            ..record(on_7(tcp), T0 + 123, T0 + 1456, T0 + 16_500)
        },
        FlowRecord {
            packets: 3,
            octets: 252,
            ..record(on_7(icmp), T0 + 2000, T0 + 2999, T0 + 17_000)
        },
        FlowRecord {
            packets: 0x1112_1314_1516_1718,
            octets: 0x0102_0304_0506_0708,
            vlan_id: 100,
            minimum_ttl: 1,
            maximum_ttl: 255,
            end_reason: FlowEndReason::ActiveTimeout,
            ..record(
                FlowKey { type_of_service: 0x2e, interface: 70_000, ..udp },
                T0 - 60_000,
                T0 - 1,
                T0 + 17_001,
            )
        },
        FlowRecord {
            packets: 1,
            octets: 72,
            vlan_id: 4094,
            minimum_ttl: 255,
            maximum_ttl: 255,
            end_reason: FlowEndReason::ForcedEnd,
            ..record(on_7(icmp6), T0 + 5, T0 + 5, T0 + 17_002)
        },
        FlowRecord {
            packets: 2,
            octets: 200,
            minimum_ttl: 3,
            maximum_ttl: 4,
            end_reason: FlowEndReason::LackOfResources,
            ..record(on_7(gre), T0 + 10, T0 + 20, T0 + 17_003)
        },
    ]
}

fn with_uptime() -> Context {
    Context { uptime_start: Some(Timestamp::from_millis(UPTIME_START)), ..context() }
}

fn sampled() -> Context {
    Context { sampling_interval: 100, ..with_uptime() }
}

/// The low octet is the engine id of NetFlow v5.
const DOMAIN: &str = "odid=16909060";

#[test]
fn ipfix_messages_are_those_of_rfc_7011() {
    let mut session = Session::open("ipfix", DOMAIN, &context());
    session.export(&flows());
    session.exporter.observe(&MeterReport {
        ignored: Tally { packets: 5, octets: 300 },
        dropped: RecordTally { records: 2, packets: 20, octets: 2000 },
        ..MeterReport::default()
    });
    let (datagrams, counts) = session.finish();
    assert_eq!(counts.sent.records, 5);
    check("ipfix_flows", &datagrams);
}

#[test]
fn ipfix_file_is_that_of_rfc_5655() {
    let folder = support::scratch();
    let path = folder.path().join("flows.ipfix");
    let mut exporter = open(&format!("ipfix-file:{}?{DOMAIN}", path.display()), &context());
    exporter.export(&Batch::from(&flows()[..])).unwrap();
    exporter.finish().unwrap();
    let mut given = RecordTally::default();
    flows().iter().for_each(|record| given.count(record));
    assert_accounted(given, &exporter.counts());
    assert_eq!(exporter.counts().sent, given);
    check("ipfix_file", &split_file(&fs::read(path).unwrap()));
}

#[test]
fn ipfix_says_that_one_of_100_packets_is_sampled() {
    let (datagrams, _) = exported("ipfix", "", &sampled(), &flows()[..1]);
    check("ipfix_sampled", &datagrams);
}

#[test]
fn ipfix_says_how_interfaces_are_called() {
    let mut session = Session::open("ipfix", DOMAIN, &context());
    let named = |number, name: &str| Interface { number, name: name.to_owned() };
    let interfaces = [named(7, "eth1"), named(70_000, "ethernet-behind-the-wall")].into();
    session.exporter.observe(&MeterReport { interfaces, ..MeterReport::default() });
    session.tick(T0);
    // After the templates.
    check("ipfix_interfaces", &session.datagrams()[1..]);
    session.finish();
}

#[test]
fn full_ipfix_messages_are_counted_in_data_records() {
    let records: Vec<_> = (1..=9).map(numbered).collect();
    let (datagrams, _) = exported("ipfix", "mtu=576&odid=9", &context(), &records);
    check("ipfix_mtu_576", &datagrams);
}

#[test]
fn netflow9_packets_are_those_of_rfc_3954() {
    let (datagrams, counts) = exported("netflow9", DOMAIN, &with_uptime(), &flows());
    assert_eq!(counts.sent.records, 5);
    check("netflow9_flows", &datagrams);
}

#[test]
fn netflow9_says_that_one_of_100_packets_is_sampled() {
    let (datagrams, _) = exported("netflow9", "", &sampled(), &flows()[..1]);
    check("netflow9_sampled", &datagrams);
}

#[test]
fn full_netflow9_packets_are_counted_in_packets() {
    let records: Vec<_> = (1..=11).map(numbered).collect();
    let (datagrams, _) = exported("netflow9", "mtu=576&odid=9", &with_uptime(), &records);
    check("netflow9_mtu_576", &datagrams);
}

#[test]
fn netflow5_datagrams_are_those_of_cisco() {
    let (datagrams, counts) = exported("netflow5", DOMAIN, &with_uptime(), &flows());
    assert_eq!((counts.sent.records, counts.not_exportable.records), (3, 2));
    check("netflow5_flows", &datagrams);
}

#[test]
fn netflow5_says_that_one_of_100_packets_is_sampled() {
    let (datagrams, _) = exported("netflow5", "", &sampled(), &flows()[..1]);
    check("netflow5_sampled", &datagrams);
}

#[test]
fn full_netflow5_datagrams_are_counted_in_flows() {
    let records: Vec<_> = (1..=12).map(numbered).collect();
    let (datagrams, _) = exported("netflow5", "mtu=576&odid=9", &with_uptime(), &records);
    check("netflow5_mtu_576", &datagrams);
}

/// A batch of all kinds of flows: the source of each has a place, the destination of some.
fn batch_with_places() -> Batch {
    let place = |as_number, prefix_length| {
        Some(Arc::new(Place { as_number, prefix_length, ..Place::default() }))
    };
    let mut batch = Batch::from(&flows()[..]);
    for index in [0, 1, 2, 4] {
        let details = batch.details_mut(index);
        details.source = place(Some(64_512), Some(16 + u8::try_from(index).unwrap()));
    }
    batch.details_mut(0).destination = place(Some(4_200_000_001), None);
    batch.details_mut(2).destination = place(None, Some(48));
    batch
}

#[test]
fn places_have_templates_of_their_own_and_fields_of_netflow5() {
    for (scheme, golden) in [
        ("ipfix", "ipfix_places"),
        ("netflow9", "netflow9_places"),
        ("netflow5", "netflow5_places"),
    ] {
        let context = Context { has_places: true, ..with_uptime() };
        let mut session = Session::open(scheme, DOMAIN, &context);
        session.export_batch(&batch_with_places());
        let (datagrams, counts) = session.finish();
        assert_eq!(counts.sent.records + counts.not_exportable.records, 5);
        check(golden, &datagrams);
    }
}

/// VXLAN and GRE over IPv4, GENEVE over IPv6; the other flows came through none.
fn batch_with_tunnels() -> Batch {
    let v4 = |host| Address::v4([192, 0, 2, host]);
    let tunnel = |kind, id, protocol| Tunnel {
        kind,
        id,
        ip_version: IpVersion::V4,
        protocol,
        source: v4(1),
        destination: v4(2),
        depth: 1,
    };
    let mut batch = Batch::from(&flows()[..]);
    batch.details_mut(0).tunnel = Some(tunnel(TunnelKind::Vxlan, 0x01_0203, 17));
    batch.details_mut(1).tunnel = Some(tunnel(TunnelKind::Gre, 0x0405_0607, 47));
    let geneve = tunnel(TunnelKind::Geneve, 0x08_090a, 17);
    batch.details_mut(2).tunnel = Some(Tunnel { ip_version: IpVersion::V6, ..geneve });
    batch
}

#[test]
fn tunnels_have_templates_of_their_own() {
    let both = || Context { has_tunnels: true, has_places: true, ..with_uptime() };
    let tunnels = || Context { has_places: false, ..both() };
    for (context, golden) in [(tunnels(), "ipfix_tunnels"), (both(), "ipfix_tunnels_places")] {
        let mut session = Session::open("ipfix", DOMAIN, &context);
        session.export_batch(&batch_with_tunnels());
        let (datagrams, counts) = session.finish();
        assert_eq!(counts.sent.records, 5);
        check(golden, &datagrams);
    }
    // NetFlow v9 has no element of an enterprise.
    for scheme in ["netflow9", "netflow5"] {
        let sent = |context: &Context, batch: &Batch| {
            let mut session = Session::open(scheme, DOMAIN, context);
            session.export_batch(batch);
            session.finish().0
        };
        let without = sent(&with_uptime(), &Batch::from(&flows()[..]));
        assert_eq!(sent(&tunnels(), &batch_with_tunnels()), without, "{scheme}");
    }
}

/// Compares messages with those of a golden file.
fn check(name: &str, messages: &[Vec<u8>]) {
    let path = support::root().join("tests/data/wire").join(format!("{name}.hex"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        let texts: Vec<_> = messages.iter().map(|message| rows(message)).collect();
        fs::write(path, texts.join("\n---\n")).unwrap();
        return;
    }
    let text = fs::read_to_string(&path).expect("the golden file is there");
    let expected: Vec<_> = text.split("\n---\n").map(Golden::read).collect();
    for (index, (message, golden)) in messages.iter().zip(&expected).enumerate() {
        golden.compare(message, &format!("{name}, message {}", index + 1));
    }
    assert_eq!(messages.len(), expected.len(), "messages of {name}");
}

/// Octets in hexadecimal, 16 to a line.
fn rows(octets: &[u8]) -> String {
    let row = |row: &[u8]| row.iter().map(|octet| format!("{octet:02x} ")).collect::<String>();
    octets.chunks(16).map(|octets| row(octets).trim_end().to_owned() + "\n").collect()
}

/// A message of a golden file.
struct Golden {
    octets: Vec<u8>,
    /// Where each row of octets ends, and its comment or the last one before it.
    fields: Vec<(usize, String)>,
}

impl Golden {
    fn read(text: &str) -> Self {
        let mut golden = Self { octets: Vec::new(), fields: Vec::new() };
        let mut last_comment = "";
        for line in text.lines() {
            let (octets, comment) = line.split_once('#').unwrap_or((line, last_comment));
            last_comment = comment;
            for octet in octets.split_whitespace() {
                assert_eq!(octet.len(), 2, "two digits: {line}");
                golden.octets.push(u8::from_str_radix(octet, 16).expect("hexadecimal"));
            }
            golden.fields.push((golden.octets.len(), comment.trim().to_owned()));
        }
        golden
    }

    fn compare(&self, message: &[u8], name: &str) {
        let same = message.iter().zip(&self.octets).take_while(|(one, other)| one == other).count();
        if same == message.len() && same == self.octets.len() {
            return;
        }
        let field = self.fields.iter().find(|(end, _)| *end > same);
        panic!(
            "{name} differs at octet {same} ({}), of {} octets instead of {}\n\
             expected {}sent     {}",
            field.map_or("after the end", |(_, comment)| comment),
            message.len(),
            self.octets.len(),
            rows(self.octets[same..].get(..16).unwrap_or(&self.octets[same..])),
            rows(message[same..].get(..16).unwrap_or(&message[same..])),
        );
    }
}
