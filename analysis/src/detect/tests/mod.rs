//! Each rule just below and just above its threshold, and beside traffic that looks like it.

use std::net::IpAddr;

use flow::number::protocol;
use flow::{
    Batch, DetailsIndex, Event, FlowDirection, FlowEndReason, FlowKey, FlowRecord, HashSeed,
    IpVersion, Stage, Tags, Timestamp, Value,
};

use super::*;
use crate::site::SiteSettings;

mod abuse;
mod dns;
mod engine;
mod floods;
mod scans;

/// A full hour, so that windows of all lengths begin here.
pub(super) const T0: u64 = 1_800_000_000_000;

pub(super) const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A record of one packet of 40 octets from one endpoint to another, at so many milliseconds.
pub(super) fn record(
    at: u64,
    protocol: u8,
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
) -> FlowRecord {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            (IpVersion::V4, octets)
        }
        IpAddr::V6(address) => (IpVersion::V6, address.octets()),
    };
    let (ip_version, source_octets) = octets(source.0);
    let time = Timestamp::from_millis(T0 + at);
    FlowRecord {
        key: FlowKey {
            ip_version,
            source: source_octets,
            destination: octets(destination.0).1,
            source_port: source.1,
            destination_port: destination.1,
            protocol,
            type_of_service: 0,
            interface: 1,
        },
        octets: 40,
        packets: 1,
        start: time,
        end: time,
        exported: time,
        vlan_id: 0,
        direction: FlowDirection::Ingress,
        tcp_control_bits: 0,
        minimum_ttl: 64,
        maximum_ttl: 64,
        end_reason: FlowEndReason::IdleTimeout,
        tags: Tags::NONE,
        details: DetailsIndex::NONE,
    }
}

pub(super) fn tcp(
    at: u64,
    bits: u8,
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
) -> FlowRecord {
    FlowRecord { tcp_control_bits: bits, ..record(at, protocol::TCP, source, destination) }
}

pub(super) fn udp(at: u64, source: (IpAddr, u16), destination: (IpAddr, u16)) -> FlowRecord {
    record(at, protocol::UDP, source, destination)
}

fn icmp(at: u64, kind: u8, code: u8, source: IpAddr, destination: IpAddr) -> FlowRecord {
    let message = u16::from_be_bytes([kind, code]);
    record(at, protocol::ICMP, (source, 0), (destination, message))
}

fn sized(record: FlowRecord, packets: u64, octets: u64) -> FlowRecord {
    FlowRecord { packets, octets, ..record }
}

/// 203.0.113.NUMBER and on.
pub(super) fn outside(number: u32) -> IpAddr {
    std::net::Ipv4Addr::from(0xcb00_7100 + number).into()
}

/// 10.0.0.NUMBER and on: of the own networks by default.
pub(super) fn inside(number: u32) -> IpAddr {
    std::net::Ipv4Addr::from(0x0a00_0000 + number).into()
}

fn rule(id: &str) -> RuleSettings {
    RuleSettings { id: id.to_owned(), ..RuleSettings::default() }
}

fn detectors_with(rules: Vec<RuleSettings>, site: &SiteSettings) -> Detectors {
    new_detectors(rules, site, Part::All)
}

fn new_detectors(rules: Vec<RuleSettings>, site: &SiteSettings, part: Part) -> Detectors {
    let settings = DetectSettings {
        seed: HashSeed::new(1),
        rules,
        memory: 64 << 20,
        observer: "probe".to_owned(),
        version: "1".to_owned(),
    };
    Detectors::new(&settings, Site::new(site).unwrap(), part).unwrap()
}

fn detectors_of(part: Part) -> Detectors {
    new_detectors(Vec::new(), &SiteSettings::default(), part)
}

fn detectors() -> Detectors {
    detectors_with(Vec::new(), &SiteSettings::default())
}

/// All events of records. Windows close a minute behind.
fn events_of(mut detectors: Detectors, records: &[FlowRecord]) -> Vec<Event> {
    let mut events = Vec::new();
    for some in records.chunks(256) {
        detectors.batch(&mut Batch::from(some));
        let latest = some.iter().map(|record| record.end).min().unwrap();
        detectors.settle(latest.minus_millis(60_000), &mut events);
    }
    detectors.settle(Timestamp::MAX, &mut events);
    events
}

fn field<'a>(event: &'a Event, name: &str) -> Option<&'a Value> {
    event.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
}

fn text(event: &Event, name: &str) -> String {
    match field(event, name) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Address(address)) => address.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        other => panic!("{name} is {other:?} in {event:?}"),
    }
}

fn number(event: &Event, name: &str) -> u64 {
    match field(event, name) {
        Some(Value::Number(number)) => *number,
        other => panic!("{name} is {other:?} in {event:?}"),
    }
}

/// What was opened: rule ids, in order.
fn opened(events: &[Event]) -> Vec<String> {
    let actions = events.iter().map(|event| text(event, "event.action"));
    actions.filter_map(|action| Some(action.strip_suffix("-opened")?.to_owned())).collect()
}

/// The rules that open an incident in these records.
fn found(records: &[FlowRecord]) -> Vec<String> {
    opened(&events_of(detectors(), records))
}

#[track_caller]
fn assert_flips(rule: &str, below: &[FlowRecord], above: &[FlowRecord]) {
    assert_eq!(found(below), [""; 0], "below the threshold");
    assert_eq!(found(above), [rule], "above the threshold");
}
