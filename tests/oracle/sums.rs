//! What all records of a key say together, and all packets.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde_json::Value;

use crate::support::time;

/// What tells the sums apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub source_port: u16,
    pub destination_port: u16,
    pub type_of_service: u8,
}

/// Packets and octets of a key, and the rest that its records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    pub packets: u64,
    pub octets: u64,
    pub tcp_control_bits: u8,
    pub lowest_ttl: u8,
    pub highest_ttl: u8,
    /// Milliseconds since the epoch.
    pub first: u64,
    pub last: u64,
    /// Outer VLAN of the first packet.
    pub vlan: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<Key, Sum>);

impl Sums {
    /// Adds a packet or a record.
    pub fn add(&mut self, key: Key, one: Sum) {
        self.0.entry(key).and_modify(|sum| sum.merge(&one)).or_insert(one);
    }

    pub fn of_documents(documents: &[Value]) -> Self {
        let mut sums = Self::default();
        for document in documents {
            let (key, sum) = of_document(document);
            sums.add(key, sum);
        }
        sums
    }

    /// Keys whose sums differ: what they are here, then what they are there.
    pub fn differences(&self, theirs: &Self) -> Vec<String> {
        let mut keys: Vec<_> = self.0.keys().chain(theirs.0.keys()).collect();
        keys.sort();
        keys.dedup();
        let differing = keys.into_iter().filter(|key| self.0.get(key) != theirs.0.get(key));
        differing.map(|key| format!("{key}: {}, tshark {}", self.of(key), theirs.of(key))).collect()
    }

    fn of(&self, key: &Key) -> String {
        self.0.get(key).map_or_else(|| "nothing".to_owned(), Sum::to_string)
    }
}

impl Sum {
    fn merge(&mut self, other: &Self) {
        self.packets += other.packets;
        self.octets += other.octets;
        self.tcp_control_bits |= other.tcp_control_bits;
        self.lowest_ttl = self.lowest_ttl.min(other.lowest_ttl);
        self.highest_ttl = self.highest_ttl.max(other.highest_ttl);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

fn of_document(document: &Value) -> (Key, Sum) {
    let value = |pointer: &str| document.pointer(pointer).unwrap_or(&Value::Null);
    let text = |pointer: &str| value(pointer).as_str().unwrap_or_else(|| panic!("{document}"));
    let number = |pointer: &str| value(pointer).as_u64().unwrap_or_else(|| panic!("{document}"));
    let octet = |pointer: &str| u8::try_from(number(pointer)).unwrap();
    let port = |pointer: &str| u16::try_from(number(pointer)).unwrap();
    let vlan = value("/netflow/vlan_id").as_u64().unwrap_or(0);
    let key = Key {
        source: text("/source/ip").parse().unwrap(),
        destination: text("/destination/ip").parse().unwrap(),
        protocol: octet("/netflow/protocol_identifier"),
        source_port: port("/source/port"),
        destination_port: port("/destination/port"),
        type_of_service: octet("/netflow/ip_class_of_service"),
    };
    let sum = Sum {
        packets: number("/network/packets"),
        octets: number("/network/bytes"),
        tcp_control_bits: octet("/netflow/tcp_control_bits"),
        lowest_ttl: octet("/netflow/minimum_ttl"),
        highest_ttl: octet("/netflow/maximum_ttl"),
        first: time::millis(text("/event/start")),
        last: time::millis(text("/event/end")),
        vlan: vlan.try_into().unwrap(),
    };
    (key, sum)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, protocol, source_port, destination_port, type_of_service } =
            self;
        write!(f, "{source} {source_port} > {destination} {destination_port}")?;
        write!(f, " protocol {protocol} tos {type_of_service}")
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, octets, tcp_control_bits, .. } = self;
        write!(f, "{packets} packets {octets} octets flags {tcp_control_bits:#04x}")?;
        write!(f, " ttl {}-{}", self.lowest_ttl, self.highest_ttl)?;
        write!(f, " vlan {} at {}-{}", self.vlan, self.first, self.last)
    }
}
