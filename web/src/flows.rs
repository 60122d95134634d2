//! The flow records that were exported last, and the search in them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use flow::number::protocol;
use flow::{Details, FlowRecord, Place, Tag, Tunnel, TunnelKind};
use ipnet::IpNet;
use serde_json::{Value, json};

/// Flow records that are kept, 120 octets each; 64 more for a tunnel.
pub(crate) const KEPT: usize = 100_000;

/// Flows of an answer: default and maximum.
const SIZE: usize = 100;
const SIZE_MAX: usize = 1000;

/// Maximum number of words of a search.
const WORDS_MAX: usize = 16;

const PROTOCOLS: [(&str, u8); 7] = [
    ("icmp", protocol::ICMP),
    ("tcp", protocol::TCP),
    ("udp", protocol::UDP),
    ("gre", protocol::GRE),
    ("esp", protocol::ESP),
    ("icmpv6", protocol::ICMPV6),
    ("sctp", protocol::SCTP),
];

/// The latest flow records.
#[derive(Debug)]
pub(crate) struct LatestFlows {
    flows: VecDeque<Flow>,
}

/// A flow record, where its addresses are, and the tunnel that it came through.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) record: FlowRecord,
    pub(crate) source: Option<Arc<Place>>,
    pub(crate) destination: Option<Arc<Place>>,
    pub(crate) tunnel: Option<Box<Tunnel>>,
}

impl LatestFlows {
    pub(crate) fn new() -> Self {
        Self { flows: VecDeque::with_capacity(KEPT) }
    }

    pub(crate) fn add(&mut self, record: &FlowRecord, details: Option<&Details>) {
        if self.flows.len() == KEPT {
            self.flows.pop_front();
        }
        self.flows.push_back(Flow {
            record: *record,
            source: details.and_then(|details| details.source.clone()),
            destination: details.and_then(|details| details.destination.clone()),
            tunnel: details.and_then(|details| details.tunnel).map(Box::new),
        });
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
            if shown.len() < search.size {
                shown.push(value(flow));
            }
        }
        json!({ "flows": shown, "found": found, "searched": self.flows.len() })
    }
}

fn value(flow: &Flow) -> Value {
    let (record, key) = (&flow.record, &flow.record.key);
    let country = |place: &Option<Arc<Place>>| place.as_ref()?.country_code.clone();
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
        "source_country": country(&flow.source),
        "destination_country": country(&flow.destination),
        "tunnel": flow.tunnel.as_deref().map(tunnel_value),
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
    let known = PROTOCOLS.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// A search for flows. All conditions must hold.
#[derive(Debug)]
pub(crate) struct Search {
    conditions: Vec<Condition>,
    size: usize,
}

#[derive(Debug)]
enum Condition {
    /// Either address is in this network.
    Network(IpNet),
    /// Either port has this number.
    Port(u16),
    Protocol(u8),
    Interface(u32),
    Vlan(u16),
    Tag(Tag),
    Tunnel(TunnelKind),
    /// The id of the tunnel.
    TunnelId(u32),
    /// Either address is in this country, by its two-letter code.
    Country(String),
    /// Either address is in this Autonomous System.
    System(u32),
}

impl Search {
    /// A search from words with spaces between them, for at most `size` flows.
    ///
    /// # Errors
    ///
    /// A word is unknown, or the size is out of range; in one sentence.
    pub(crate) fn parse(words: Option<&str>, size: Option<&str>) -> Result<Self, String> {
        let size = match size {
            None => SIZE,
            Some(text) => match text.parse() {
                Ok(size @ 1..=SIZE_MAX) => size,
                _ => return Err(format!("size is a number from 1 to {SIZE_MAX}")),
            },
        };
        let words: Vec<_> = words.unwrap_or_default().split_whitespace().collect();
        if words.len() > WORDS_MAX {
            return Err(format!("a search has at most {WORDS_MAX} words"));
        }
        let conditions = words.into_iter().map(condition).collect::<Result<_, _>>()?;
        Ok(Self { conditions, size })
    }

    fn matches(&self, flow: &Flow) -> bool {
        let (record, key) = (&flow.record, &flow.record.key);
        let places = || [&flow.source, &flow.destination].into_iter().flatten();
        self.conditions.iter().all(|condition| match *condition {
            Condition::Tag(tag) => record.tags.contains(tag),
            Condition::Country(ref code) => {
                places().any(|place| place.country_code.as_deref() == Some(code.as_str()))
            }
            Condition::System(number) => places().any(|place| place.as_number == Some(number)),
            Condition::Network(ref network) => [key.source_address(), key.destination_address()]
                .into_iter()
                .any(|address| network.contains(&address)),
            Condition::Port(port) => {
                !key.is_icmp() && (key.source_port == port || key.destination_port == port)
            }
            Condition::Protocol(number) => key.protocol == number,
            Condition::Interface(number) => key.interface == number,
            Condition::Vlan(id) => record.vlan_id == id,
            Condition::Tunnel(kind) => flow.tunnel.as_ref().is_some_and(|it| it.kind == kind),
            Condition::TunnelId(id) => flow.tunnel.as_ref().is_some_and(|it| it.id == id),
        })
    }
}

fn condition(word: &str) -> Result<Condition, String> {
    let unknown = || {
        format!(
            "{word} is none of: ADDRESS, ADDRESS/LENGTH, PORT, port:N, tcp, udp, icmp, proto:N, \
             interface:N, vlan:N, tunnel:TYPE, tunnel:N, tag:NAME, country:CODE, as:N"
        )
    };
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (word, None),
    };
    if let Ok(address) = address.parse::<IpAddr>() {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(longest), str::parse).map_err(|_not_a_number| unknown())?;
        return IpNet::new(address, length)
            .map(Condition::Network)
            .map_err(|_too_long| format!("{word}: the length is at most {longest}"));
    }
    let lower = word.to_ascii_lowercase();
    if let Some((_, number)) = PROTOCOLS.iter().find(|(name, _)| *name == lower) {
        return Ok(Condition::Protocol(*number));
    }
    let (name, number) = lower.split_once(':').unwrap_or(("port", &lower));
    match name {
        "port" => number.parse().ok().map(Condition::Port),
        "proto" => number.parse().ok().map(Condition::Protocol),
        "interface" => number.parse().ok().map(Condition::Interface),
        "vlan" => number.parse().ok().map(Condition::Vlan),
        "tunnel" => tunnel_condition(number),
        "as" => number.parse().ok().map(Condition::System),
        "country" if number.len() == 2 => Some(Condition::Country(number.to_ascii_uppercase())),
        "tag" => Tag::ALL.into_iter().find(|tag| tag.name() == number).map(Condition::Tag),
        _ => None,
    }
    .ok_or_else(unknown)
}

/// A kind of tunnel, or an id.
fn tunnel_condition(text: &str) -> Option<Condition> {
    let kind = TunnelKind::ALL.into_iter().find(|kind| kind.name() == text);
    kind.map(Condition::Tunnel).or_else(|| text.parse().ok().map(Condition::TunnelId))
}

#[cfg(test)]
pub(crate) mod tests {
    use flow::{
        Address, DetailsIndex, FlowDirection, FlowEndReason, FlowKey, IpVersion, Tags, Timestamp,
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
        let mut flows = LatestFlows::new();
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
        let mut flows = LatestFlows::new();
        for packets in 1..=KEPT as u64 + 5 {
            flows.add(&record(0, 1, packets), None);
        }
        let search = Search::parse(None, Some("2")).expect("a search");
        let found = flows.find(&search);
        assert_eq!(found["found"], KEPT);
        assert_eq!(found["flows"][0]["packets"], KEPT + 5);
        assert_eq!(found["flows"][1]["packets"], KEPT + 4);
    }
}
