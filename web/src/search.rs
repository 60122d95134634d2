//! The search for flows: words that all must hold.

use std::net::IpAddr;

use flow::number::protocol;
use flow::{NameProtocol, Tag, TunnelKind};
use ipnet::IpNet;

use crate::flows::Flow;

/// Flows of an answer: default and maximum.
const SIZE: usize = 100;
const SIZE_MAX: usize = 1000;

/// Maximum number of words of a search.
const WORDS_MAX: usize = 16;

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
    /// The name contains this text.
    Name(String),
    /// The protocol of the name.
    Application(NameProtocol),
    /// Either address is in this country, by its two-letter code.
    Country([u8; 2]),
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

    /// Most flows of the answer.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether a flow matches.
    pub(crate) fn matches(&self, flow: &Flow) -> bool {
        let (record, key) = (&flow.record, &flow.record.key);
        let places = [flow.source, flow.destination];
        self.conditions.iter().all(|condition| match *condition {
            Condition::Tag(tag) => record.tags.contains(tag),
            Condition::Country(code) => places.iter().any(|place| place.country == code),
            Condition::System(number) => places.iter().any(|place| place.as_number == number),
            Condition::Network(ref network) => [key.source_address(), key.destination_address()]
                .into_iter()
                .any(|address| network.contains(&address)),
            Condition::Port(port) => {
                !key.is_icmp() && (key.source_port == port || key.destination_port == port)
            }
            Condition::Protocol(number) => key.protocol == number,
            Condition::Interface(number) => key.interface == number,
            Condition::Vlan(id) => record.vlan_id == id,
            Condition::Name(ref text) => {
                flow.name.as_ref().is_some_and(|name| name.contains(text.as_str()))
            }
            Condition::Application(protocol) => flow.application == Some(protocol),
            Condition::Tunnel(kind) => flow.tunnel.as_ref().is_some_and(|it| it.kind == kind),
            Condition::TunnelId(id) => flow.tunnel.as_ref().is_some_and(|it| it.id == id),
        })
    }
}

fn condition(word: &str) -> Result<Condition, String> {
    let unknown = || {
        format!(
            "{word} is none of: ADDRESS, ADDRESS/LENGTH, PORT, port:N, tcp, udp, icmp, proto:N, \
             interface:N, vlan:N, tunnel:TYPE, tunnel:N, tag:NAME, country:CODE, as:N, name:TEXT, \
             app:NAME"
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
    if let Some(number) = protocol::named(&lower) {
        return Ok(Condition::Protocol(number));
    }
    let (name, number) = lower.split_once(':').unwrap_or(("port", &lower));
    match name {
        "port" => number.parse().ok().map(Condition::Port),
        "proto" => number.parse().ok().map(Condition::Protocol),
        "interface" => number.parse().ok().map(Condition::Interface),
        "vlan" => number.parse().ok().map(Condition::Vlan),
        "tunnel" => tunnel_condition(number),
        "as" => number.parse().ok().filter(|number| *number != 0).map(Condition::System),
        "country" => {
            let code = number.to_ascii_uppercase();
            code.as_bytes().try_into().ok().map(Condition::Country)
        }
        "name" if !number.is_empty() => Some(Condition::Name(number.to_owned())),
        "app" => {
            let known = NameProtocol::ALL.into_iter().find(|it| it.name() == number);
            known.map(Condition::Application)
        }
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
