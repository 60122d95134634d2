//! Round trips: random flows through an exporter and a decoder that is not ours come out as they
//! went in, field by field.

use std::collections::HashMap;
use std::net::IpAddr;

use exporter::Context;
use flow::{
    Batch, DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, IpVersion, Tags,
    Timestamp,
};
use netflow_parser::variable_versions::ipfix::{FlowSetBody as IpfixBody, IPFix};
use netflow_parser::variable_versions::v9::{FlowSetBody as V9Body, V9};
use netflow_parser::{FieldValue, IpfixField, NetflowPacket, NetflowParser, V9Field};

use crate::collector::{context, exported, open};
use crate::message::split_file;
use crate::record::T0;
use crate::support::{self, random};

const RECORDS: usize = 600;

#[test]
fn ipfix_records_come_back_whole() {
    for (seed, settings) in [(1, ""), (2, "mtu=576&template-packets=3"), (3, "mtu=9000")] {
        let records = Random::new(seed).records(u32::MAX);
        let (datagrams, counts) = exported("ipfix", settings, &context(), &records);
        assert!(datagrams.len() > 5, "several messages");
        assert_eq!(counts.sent.records, records.len() as u64);
        compare(&decode(&datagrams), &records);
    }
}

#[test]
fn ipfix_records_come_back_whole_from_a_file() {
    let records = Random::new(4).records(u32::MAX);
    let folder = support::scratch();
    let path = folder.path().join("flows.ipfix");
    let mut exporter = open(&format!("ipfix-file:{}", path.display()), &context());
    exporter.export(&Batch::from(&records[..])).unwrap();
    exporter.finish().unwrap();
    assert_eq!(exporter.counts().sent.records, records.len() as u64);
    let file = std::fs::read(path).unwrap();
    compare(&decode(&split_file(&file)), &records);
    // The file as it is: messages back to back.
    compare(&decode(&[file]), &records);
}

#[test]
fn netflow9_records_come_back_whole() {
    let live = Context { uptime_start: Some(Timestamp::from_millis(T0)), ..context() };
    let cases =
        [(5, context(), ""), (6, live, "mtu=576&template-packets=3"), (7, context(), "mtu=9000")];
    for (seed, context, settings) in cases {
        let records = Random::new(seed).records(u32::MAX);
        let (datagrams, counts) = exported("netflow9", settings, &context, &records);
        assert!(datagrams.len() > 5, "several packets");
        assert_eq!(counts.sent.records, records.len() as u64);
        compare(&decode(&datagrams), &records);
    }
}

#[test]
fn netflow5_records_come_back_as_far_as_it_can_say_them() {
    let live = Context { uptime_start: Some(Timestamp::from_millis(T0)), ..context() };
    for (seed, context, settings) in [(8, context(), ""), (9, live, "mtu=576")] {
        let records = Random::new(seed).records(u16::MAX.into());
        let (datagrams, counts) = exported("netflow5", settings, &context, &records);
        assert!(datagrams.len() > 5, "several datagrams");
        let can_be_said: Vec<_> = records
            .iter()
            .filter(|record| record.key.ip_version == IpVersion::V4)
            // What the format has no place for.
            .map(|record| FlowRecord {
                vlan_id: 0,
                minimum_ttl: 0,
                maximum_ttl: 0,
                end_reason: FlowEndReason::IdleTimeout,
                direction: if record.egress_interface() == 0 {
                    FlowDirection::Ingress
                } else {
                    FlowDirection::Egress
                },
                ..*record
            })
            .collect();
        assert_eq!(counts.sent.records, can_be_said.len() as u64);
        assert_eq!(counts.not_exportable.records, (records.len() - can_be_said.len()) as u64);
        compare(&joined(&decode(&datagrams), &can_be_said), &can_be_said);
    }
}

/// Adds the parts of each flow together, as many as its counters need.
fn joined(parts: &[FlowRecord], wanted: &[FlowRecord]) -> Vec<FlowRecord> {
    let mut parts = parts.iter();
    let mut joined = Vec::new();
    for record in wanted {
        let count = record.octets.max(record.packets).div_ceil(u32::MAX.into()).max(1);
        let mut whole = *parts.next().expect("a part of each flow");
        for _ in 1..count {
            let part = parts.next().expect("all parts of a flow");
            whole.packets += part.packets;
            whole.octets += part.octets;
            assert_eq!(*part, FlowRecord { packets: part.packets, octets: part.octets, ..whole });
        }
        joined.push(whole);
    }
    assert!(parts.next().is_none(), "no parts are left");
    joined
}

/// All but the time when the record left the table, which is not on the wire.
fn compare(decoded: &[FlowRecord], records: &[FlowRecord]) {
    assert_eq!(decoded.len(), records.len());
    for (decoded, record) in decoded.iter().zip(records) {
        assert_eq!(*decoded, FlowRecord { exported: Timestamp::default(), ..*record });
    }
}

/// Flows of a stream of messages.
fn decode(messages: &[Vec<u8>]) -> Vec<FlowRecord> {
    let mut parser = NetflowParser::default();
    let mut records = Vec::new();
    for message in messages {
        let result = parser.parse_bytes(message);
        assert!(result.error.is_none(), "{:?}", result.error);
        for packet in result.packets {
            match packet {
                NetflowPacket::V5(packet) => {
                    let now = u64::from(packet.header.unix_secs) * 1000
                        + u64::from(packet.header.unix_nsecs / 1_000_000);
                    let boot = now - u64::from(packet.header.sys_up_time);
                    records.extend(packet.flowsets.iter().map(|flow| from_v5(flow, boot)));
                }
                NetflowPacket::V9(packet) => records.extend(from_v9(&packet)),
                NetflowPacket::IPFix(message) => records.extend(from_ipfix(&message)),
                other => panic!("{other:?}"),
            }
        }
    }
    records
}

fn from_v5(flow: &netflow_parser::static_versions::v5::FlowSet, boot: u64) -> FlowRecord {
    FlowRecord {
        key: FlowKey {
            ip_version: IpVersion::V4,
            source: padded(&flow.src_addr.octets()),
            destination: padded(&flow.dst_addr.octets()),
            source_port: flow.src_port,
            destination_port: flow.dst_port,
            protocol: flow.protocol_number,
            type_of_service: flow.tos,
            interface: (flow.input | flow.output).into(),
        },
        octets: flow.d_octets.into(),
        packets: flow.d_pkts.into(),
        start: Timestamp::from_millis(boot + u64::from(flow.first)),
        end: Timestamp::from_millis(boot + u64::from(flow.last)),
        exported: Timestamp::default(),
        vlan_id: 0,
        direction: if flow.output == 0 { FlowDirection::Ingress } else { FlowDirection::Egress },
        tcp_control_bits: flow.tcp_flags,
        minimum_ttl: 0,
        maximum_ttl: 0,
        end_reason: FlowEndReason::IdleTimeout,
        tags: Tags::NONE,
        details: DetailsIndex::NONE,
    }
}

fn from_v9(packet: &V9) -> Vec<FlowRecord> {
    let header = &packet.header;
    let boot = u64::from(header.unix_secs) * 1000 - u64::from(header.sys_up_time);
    let mut records = Vec::new();
    for set in &packet.flowsets {
        match &set.body {
            V9Body::Data(data) => records.extend(data.fields.iter().map(|fields| {
                let fields = Fields::new(fields, V9Field::from);
                let [start, end] = [22, 21].map(|id| boot + fields.number(id));
                assert_eq!(fields.0.len(), 20);
                fields.record(start, end)
            })),
            V9Body::OptionsData(data) => assert_eq!(data.fields.len(), 1),
            V9Body::Template(_) | V9Body::OptionsTemplate(_) => {}
            other => panic!("{other:?}"),
        }
    }
    records
}

fn from_ipfix(message: &IPFix) -> Vec<FlowRecord> {
    let mut records = Vec::new();
    for set in &message.flowsets {
        match &set.body {
            IpfixBody::Data(data) => records.extend(data.fields.iter().map(|fields| {
                let fields = Fields::new(fields, |id| IpfixField::new(id, None));
                let [start, end] = [152, 153].map(|id| fields.number(id));
                assert_eq!(fields.number(161), end - start);
                assert_eq!(fields.0.len(), 21);
                fields.record(start, end)
            })),
            IpfixBody::OptionsData(data) => assert_eq!(data.fields.len(), 1),
            IpfixBody::Template(_)
            | IpfixBody::Templates(_)
            | IpfixBody::OptionsTemplate(_)
            | IpfixBody::OptionsTemplates(_) => {}
            other => panic!("{other:?}"),
        }
    }
    records
}

/// The octets of a record's fields, by element.
struct Fields(HashMap<u16, Vec<u8>>);

impl Fields {
    /// Finds out the numbers of the elements, all of which it must know, each once.
    fn new<F: PartialEq + std::fmt::Debug>(
        fields: &[(F, FieldValue)],
        element: impl Fn(u16) -> F,
    ) -> Self {
        let number =
            |field: &F| (1..=433).find(|&id| element(id) == *field).expect("an IANA element");
        let octets = |value: &FieldValue| {
            let mut octets = Vec::new();
            value.write_be_bytes(&mut octets).expect("a value has octets");
            octets
        };
        let by_element: HashMap<_, _> =
            fields.iter().map(|(field, value)| (number(field), octets(value))).collect();
        assert_eq!(by_element.len(), fields.len(), "each element is there once: {fields:?}");
        Self(by_element)
    }

    fn octets(&self, id: u16) -> &[u8] {
        self.0.get(&id).unwrap_or_else(|| panic!("no element {id}"))
    }

    fn number(&self, id: u16) -> u64 {
        let octets = self.octets(id);
        assert!(octets.len() <= 8);
        octets.iter().fold(0, |number, &octet| number << 8 | u64::from(octet))
    }

    fn small<N: TryFrom<u64>>(&self, id: u16) -> N {
        let number = self.number(id);
        N::try_from(number).unwrap_or_else(|_| panic!("element {id} is {number}"))
    }

    fn record(&self, start: u64, end: u64) -> FlowRecord {
        let (ip_version, source, destination, icmp_type_code, icmp) = match self.number(60) {
            4 => (IpVersion::V4, 8, 12, 32, 1),
            6 => (IpVersion::V6, 27, 28, 139, 58),
            other => panic!("IP version {other}"),
        };
        let (direction, interface, other) = match self.number(61) {
            0 => (FlowDirection::Ingress, 10, 14),
            1 => (FlowDirection::Egress, 14, 10),
            other => panic!("direction {other}"),
        };
        assert_eq!(self.number(other), 0, "the interface of the other direction");
        let key = FlowKey {
            ip_version,
            source: padded(self.octets(source)),
            destination: padded(self.octets(destination)),
            source_port: self.small(7),
            destination_port: self.small(11),
            protocol: self.small(4),
            type_of_service: self.small(5),
            interface: self.small(interface),
        };
        let expected_icmp = if key.protocol == icmp { key.destination_port } else { 0 };
        assert_eq!(self.number(icmp_type_code), u64::from(expected_icmp));
        let reason = self.number(136);
        FlowRecord {
            key,
            octets: self.number(1),
            packets: self.number(2),
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(end),
            exported: Timestamp::default(),
            vlan_id: self.small(58),
            direction,
            tcp_control_bits: self.small(6),
            minimum_ttl: self.small(52),
            maximum_ttl: self.small(53),
            end_reason: FlowEndReason::ALL
                .into_iter()
                .find(|known| u64::from(known.number()) == reason)
                .expect("a reason that IANA knows"),
            tags: Tags::NONE,
            details: DetailsIndex::NONE,
        }
    }
}

/// An address as keys have it.
fn padded(address: &[u8]) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..address.len()].copy_from_slice(address);
    octets
}

/// Choices: the same for the same seed.
struct Random(random::Random);

impl Random {
    fn new(seed: u64) -> Self {
        Self(random::Random::new(seed))
    }

    /// Any number up to a maximum, each length as likely as another.
    fn up_to<N: TryFrom<u64>>(&mut self, maximum: u64) -> N {
        let bits = self.0.below(65);
        let number = self.0.next().checked_shr(u32::try_from(bits).unwrap()).unwrap_or(0);
        N::try_from(number.min(maximum)).unwrap_or_else(|_| panic!("{maximum} is too large"))
    }

    fn octet(&mut self) -> u8 {
        self.up_to(255)
    }

    fn address(&mut self, version: IpVersion) -> [u8; 16] {
        let [high, low] = [self.0.next(), self.0.next()];
        let octets = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        match version {
            IpVersion::V4 => padded(&octets[..4]),
            IpVersion::V6 => padded(&octets),
        }
    }

    fn key(&mut self, interface_max: u32) -> FlowKey {
        let ip_version = if self.0.below(2) == 0 { IpVersion::V4 } else { IpVersion::V6 };
        let icmp = if ip_version == IpVersion::V4 { 1 } else { 58 };
        let other = self.octet();
        let choice = usize::try_from(self.0.below(6)).unwrap();
        let protocol = [6, 17, 132, icmp, 47, other][choice];
        let ports = match protocol {
            6 | 17 | 132 => (self.up_to(0xffff), self.up_to(0xffff)),
            _ if protocol == icmp => (0, self.up_to(0xffff)),
            _ => (0, 0),
        };
        FlowKey {
            ip_version,
            source: self.address(ip_version),
            destination: self.address(ip_version),
            source_port: ports.0,
            destination_port: ports.1,
            protocol,
            type_of_service: self.octet(),
            interface: self.up_to(interface_max.into()),
        }
    }

    /// Records of a trace that goes on for a while. Their sums fit 64 bits.
    fn records(mut self, interface_max: u32) -> Vec<FlowRecord> {
        // Beyond 32 bits NetFlow v5 splits, so that more would be many.
        let counter_max = if interface_max == u32::MAX { 1 << 54 } else { 1 << 36 };
        let mut now = T0;
        let mut records = Vec::new();
        for _ in 0..RECORDS {
            now = now + self.0.below(4000) - self.0.below(1000);
            let end = now - self.0.below(60_000);
            let start = end - self.up_to::<u64>(30 * 60_000);
            let ttl = [self.octet(), self.octet()];
            let directions = [FlowDirection::Ingress, FlowDirection::Egress];
            let direction = directions[usize::try_from(self.0.below(2)).unwrap()];
            records.push(FlowRecord {
                key: self.key(interface_max),
                octets: self.up_to(counter_max),
                packets: self.up_to::<u64>(counter_max).max(1),
                start: Timestamp::from_millis(start),
                end: Timestamp::from_millis(end),
                exported: Timestamp::from_millis(now),
                vlan_id: self.up_to(4095),
                direction,
                tcp_control_bits: self.octet(),
                minimum_ttl: ttl[0].min(ttl[1]),
                maximum_ttl: ttl[0].max(ttl[1]),
                end_reason: FlowEndReason::ALL[usize::try_from(self.0.below(5)).unwrap()],
                tags: Tags::NONE,
                details: DetailsIndex::NONE,
            });
        }
        records
    }
}

/// The random flows have what the decoder is asked for.
#[test]
fn random_records_are_of_every_kind() {
    let records = Random::new(1).records(u32::MAX);
    let count = |has: &dyn Fn(&FlowRecord) -> bool| records.iter().filter(|r| has(r)).count();
    for reason in FlowEndReason::ALL {
        assert!(count(&|record| record.end_reason == reason) > 50);
    }
    for (version, icmp) in [(IpVersion::V4, 1), (IpVersion::V6, 58)] {
        assert!(count(&|record| record.key.ip_version == version) > 200);
        assert!(
            count(&|record| record.key.ip_version == version && record.key.protocol == icmp) > 20
        );
    }
    assert!(count(&|record| record.octets > u32::MAX.into()) > 50);
    assert!(count(&|record| record.vlan_id != 0) > 50);
    assert!(count(&|record| record.egress_interface() != 0) > 50);
    let addresses: Vec<IpAddr> = records.iter().map(|record| record.key.source_address()).collect();
    assert!(addresses.iter().any(IpAddr::is_ipv4) && addresses.iter().any(IpAddr::is_ipv6));
}
