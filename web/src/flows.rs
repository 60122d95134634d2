//! The flow records that were exported last, and the search in them.

use std::collections::VecDeque;
use std::sync::Arc;

use flow::number::protocol;
use flow::{Details, Facts, FlowRecord, NameProtocol, Place, Tag, Tunnel};
use serde_json::{Value, json};

use crate::memory::Memory;
use crate::search::Search;

/// What an allocation takes besides its content, in octets.
const ALLOCATION: usize = 16;

/// The latest flow records.
#[derive(Debug)]
pub(crate) struct LatestFlows {
    /// The room for them is made at the start.
    flows: VecDeque<Flow>,
    records_max: usize,
    /// Octets of names and tunnels.
    apart: usize,
    apart_max: usize,
    /// The latest end of a record that had to go, in milliseconds.
    forgotten: Option<u64>,
}

/// Where an address is: the letters of its country and the number of its Autonomous System; 0 if
/// they are not known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Where {
    pub(crate) country: [u8; 2],
    pub(crate) as_number: u32,
}

impl Where {
    fn of(place: Option<&Arc<Place>>) -> Self {
        let code = place.and_then(|place| place.country_code.as_deref()).unwrap_or_default();
        Self {
            // A code of another length is none of ISO 3166-1.
            country: code.as_bytes().try_into().unwrap_or_default(),
            as_number: place.and_then(|place| place.as_number).unwrap_or_default(),
        }
    }

    fn country_code(&self) -> Option<&str> {
        str::from_utf8(&self.country).ok().filter(|code| !code.starts_with('\0'))
    }
}

/// A flow record, where its addresses are, and the tunnel that it came through.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) record: FlowRecord,
    pub(crate) source: Where,
    pub(crate) destination: Where,
    pub(crate) tunnel: Option<Box<Tunnel>>,
    /// The first name that was found in the payload, and the protocol of the names.
    pub(crate) name: Option<Box<str>>,
    pub(crate) application: Option<NameProtocol>,
}

impl LatestFlows {
    pub(crate) fn new(memory: &Memory) -> Self {
        Self {
            flows: VecDeque::with_capacity(memory.records),
            records_max: memory.records,
            apart: 0,
            apart_max: memory.for_records.saturating_sub(Self::octets(memory.records)),
            forgotten: None,
        }
    }

    /// Octets of memory for so many records without names and tunnels.
    pub(crate) const fn octets(records: usize) -> usize {
        records * size_of::<Flow>()
    }

    /// Adds a record. The oldest go if there is no room.
    pub(crate) fn add(&mut self, record: &FlowRecord, details: Option<&Details>) {
        let flow = Flow::new(record, details);
        self.apart += flow.apart();
        while self.flows.len() == self.records_max || self.apart > self.apart_max {
            let Some(oldest) = self.flows.pop_front() else { break };
            self.apart -= oldest.apart();
            self.forgotten = self.forgotten.max(Some(end_of(&oldest.record)));
        }
        self.flows.push_back(flow);
    }

    /// The latest end, by [`end_of`], of a record that had to go, in milliseconds. All records that
    /// ended later are there.
    pub(crate) fn forgotten(&self) -> Option<u64> {
        self.forgotten
    }

    /// The flow records, the latest first.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Flow> {
        self.flows.iter().rev()
    }

    /// The flows that match a search, the latest first.
    pub(crate) fn find(&self, search: &Search) -> Value {
        let matching = self.iter().filter(|flow| search.matches(flow));
        let mut found = 0_u64;
        let mut shown = Vec::new();
        for flow in matching {
            found += 1;
            if shown.len() < search.size() {
                shown.push(value(flow));
            }
        }
        json!({ "flows": shown, "found": found, "searched": self.flows.len() })
    }
}

impl Flow {
    fn new(record: &FlowRecord, details: Option<&Details>) -> Self {
        let facts = details.and_then(|details| details.facts.as_deref());
        Self {
            record: *record,
            source: Where::of(details.and_then(|details| details.source.as_ref())),
            destination: Where::of(details.and_then(|details| details.destination.as_ref())),
            tunnel: details.and_then(|details| details.tunnel).map(Box::new),
            name: facts.and_then(|facts| facts.hosts().next()).map(Box::from),
            application: facts.and_then(Facts::protocol),
        }
    }

    /// Octets that it has elsewhere.
    fn apart(&self) -> usize {
        let tunnel = self.tunnel.as_ref().map(|_| size_of::<Tunnel>());
        let name = self.name.as_ref().map(|name| name.len());
        [tunnel, name].into_iter().flatten().map(|octets| octets + ALLOCATION).sum()
    }
}

fn value(flow: &Flow) -> Value {
    let (record, key) = (&flow.record, &flow.record.key);
    json!({
        "start": record.start.as_millis(),
        "end": record.end.as_millis(),
        "source": key.source_address(),
        "source_port": key.source_port,
        "destination": key.destination_address(),
        "destination_port": key.destination_port,
        "protocol": protocol_name(key.protocol),
        "interface": key.interface,
        "vlan": record.vlan_id,
        "type_of_service": key.type_of_service,
        "tcp_control_bits": record.tcp_control_bits,
        "packets": record.packets,
        "octets": record.octets,
        "end_reason": record.end_reason.name(),
        "tags": record.tags.iter().map(Tag::name).collect::<Vec<_>>(),
        "source_country": flow.source.country_code(),
        "destination_country": flow.destination.country_code(),
        "tunnel": flow.tunnel.as_deref().map(tunnel_value),
        "name": flow.name,
        "application": flow.application.map(NameProtocol::name),
    })
}

fn tunnel_value(tunnel: &Tunnel) -> Value {
    json!({
        "type": tunnel.kind.name(),
        "id": tunnel.id,
        "depth": tunnel.depth,
        "source": tunnel.source.ip(tunnel.ip_version),
        "destination": tunnel.destination.ip(tunnel.ip_version),
    })
}

/// The name of an IP protocol, or its number.
pub(crate) fn protocol_name(number: u8) -> String {
    let known = protocol::NAMES.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// When a record ended, in milliseconds, but not after it was exported or collected: the clock of
/// another exporter may be ahead.
pub(crate) fn end_of(record: &FlowRecord) -> u64 {
    record.end.min(record.exported).as_millis()
}

#[cfg(test)]
pub(crate) mod tests {
    use flow::{
        Address, DetailsIndex, FlowDirection, FlowEndReason, FlowKey, IpVersion, Tags, Timestamp,
        TlsFacts, TunnelKind,
    };

    use super::*;

    /// A record of TCP from 10.0.0.1:1025 to 10.0.0.2:80, with 100 octets per packet.
    pub(crate) fn record(start: u64, end: u64, packets: u64) -> FlowRecord {
        let address = |last: u8| {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&[10, 0, 0, last]);
            octets
        };
        FlowRecord {
            key: FlowKey {
                ip_version: IpVersion::V4,
                source: address(1),
                destination: address(2),
                source_port: 1025,
                destination_port: 80,
                protocol: protocol::TCP,
                type_of_service: 0,
                interface: 3,
            },
            octets: packets.saturating_mul(100),
            packets,
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(end),
            exported: Timestamp::from_millis(end),
            vlan_id: 7,
            direction: FlowDirection::Ingress,
            tcp_control_bits: 0x1b,
            minimum_ttl: 64,
            maximum_ttl: 64,
            end_reason: FlowEndReason::IdleTimeout,
            tags: Tags::NONE,
            details: DetailsIndex::NONE,
        }
    }

    fn found(words: &str) -> u64 {
        let mut flows = LatestFlows::new(&Memory::default());
        let mut tagged = record(0, 1, 1);
        tagged.tags = Tag::Worm445.into();
        let place = |code: &str, number| {
            let country_code = Some(code.into());
            Some(Arc::new(Place { country_code, as_number: Some(number), ..Place::default() }))
        };
        let details = Details {
            source: place("DE", 680),
            destination: place("FR", 1),
            tunnel: Some(Tunnel {
                kind: TunnelKind::GtpU,
                id: 9,
                ip_version: IpVersion::V4,
                protocol: protocol::UDP,
                source: Address::v4([192, 0, 2, 1]),
                destination: Address::v4([192, 0, 2, 2]),
                depth: 1,
            }),
            facts: Some(Arc::new(Facts {
                tls: Some(TlsFacts {
                    server_name: Some("www.example.com".into()),
                    ..TlsFacts::default()
                }),
                ..Facts::default()
            })),
            ..Details::default()
        };
        flows.add(&tagged, Some(&details));
        let search = Search::parse(Some(words), None).expect("a search");
        flows.find(&search)["found"].as_u64().expect("a number")
    }

    #[test]
    fn all_words_must_hold() {
        for words in [
            "",
            "10.0.0.1",
            "10.0.0.2",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "80",
            "port:1025",
            "tcp",
            "proto:6",
            "interface:3",
            "vlan:7",
            "10.0.0.0/30 TCP 80",
            "tag:worm-445",
            "country:fr country:DE",
            "as:680",
            "tunnel:gtpu",
            "tunnel:9 tunnel:GTPU",
            "name:example.com",
            "name:WWW.ex app:tls",
        ] {
            assert_eq!(found(words), 1, "{words}");
        }
        for words in [
            "10.0.0.3",
            "11.0.0.0/8",
            "::/0",
            "81",
            "udp",
            "vlan:8",
            "tcp 81",
            "tag:land",
            "country:US",
            "as:2",
            "tunnel:vxlan",
            "tunnel:8",
            "name:example.org",
            "app:dns",
        ] {
            assert_eq!(found(words), 0, "{words}");
        }
    }

    #[test]
    fn a_word_without_meaning_is_an_error() {
        for words in [
            "x",
            "10.0.0.1/33",
            "::/129",
            "port:65536",
            "proto:256",
            "1.2.3.4/",
            "vlan:",
            "tag:x",
            "country:DEU",
            "tunnel:",
            "tunnel:x",
            "name:",
            "app:ftp",
        ] {
            assert!(Search::parse(Some(words), None).is_err(), "{words}");
        }
        for size in ["0", "1001", "x", ""] {
            assert!(Search::parse(None, Some(size)).is_err(), "{size}");
        }
        let many = "tcp ".repeat(17);
        assert!(Search::parse(Some(&many), None).is_err());
    }

    #[test]
    fn the_latest_are_kept_and_come_first() {
        let memory = Memory::default();
        let mut flows = LatestFlows::new(&memory);
        for packets in 1..=memory.records as u64 + 5 {
            flows.add(&record(0, 1, packets), None);
        }
        let search = Search::parse(None, Some("2")).expect("a search");
        let found = flows.find(&search);
        assert_eq!(found["found"], memory.records);
        assert_eq!(found["flows"][0]["packets"], memory.records + 5);
        assert_eq!(found["flows"][1]["packets"], memory.records + 4);
    }

    #[test]
    fn names_take_room_from_other_records() {
        let memory = Memory::divide(Memory::LEAST).expect("enough");
        let mut flows = LatestFlows::new(&memory);
        let name = "x".repeat(200);
        let tls = TlsFacts { server_name: Some(name.as_str().into()), ..TlsFacts::default() };
        let facts = Facts { tls: Some(tls), ..Facts::default() };
        let named = Details { facts: Some(Arc::new(facts)), ..Details::default() };
        (0..memory.records).for_each(|_| flows.add(&record(0, 1, 1), None));
        assert_eq!(flows.flows.len(), memory.records);
        (0..memory.records).for_each(|_| flows.add(&record(0, 1, 2), Some(&named)));
        let octets = |flows: &LatestFlows| flows.flows.iter().map(Flow::apart).sum::<usize>();
        assert_eq!(flows.apart, octets(&flows));
        assert!(flows.apart + LatestFlows::octets(memory.records) <= memory.for_records);
        assert!(flows.flows.len() < memory.records);
        assert_eq!(flows.flows.capacity(), memory.records);
        (0..memory.records).for_each(|_| flows.add(&record(0, 1, 3), None));
        assert_eq!((flows.flows.len(), flows.apart), (memory.records, 0));
    }
}
