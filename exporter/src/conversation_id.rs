//! Ids that are equal for both directions of a conversation: `flow.id` and `network.community_id`
//! of documents, and a hash.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flow::number::protocol;
use flow::{FlowKey, IpVersion, KeyField, KeyFields, Tunnel};
use sha1::{Digest, Sha1};
use twox_hash::XxHash64;

/// One side of a flow.
#[derive(Clone, Copy)]
struct Side<'a> {
    address: &'a [u8],
    port: u16,
}

fn sides(key: &FlowKey) -> (Side<'_>, Side<'_>) {
    let octets = match key.ip_version {
        IpVersion::V4 => 4,
        IpVersion::V6 => 16,
    };
    (
        Side { address: &key.source[..octets], port: key.source_port },
        Side { address: &key.destination[..octets], port: key.destination_port },
    )
}

/// Appends the flow id that both directions share in Filebeat's documents: xxHash64 of addresses,
/// ports and protocol, the side with the larger port first, in URL-safe Base64. An address that is
/// not in the key counts as 0.0.0.0, for both IP versions.
///
/// The kind and the id of the tunnel distinguish networks with the same addresses.
pub(crate) fn put_flow_id(
    key: &FlowKey,
    fields: KeyFields,
    tunnel: Option<&Tunnel>,
    out: &mut Vec<u8>,
) {
    let (mut source, mut destination) = sides(key);
    if !fields.contains(KeyField::Source) {
        source.address = &[0; 4];
    }
    if !fields.contains(KeyField::Destination) {
        destination.address = &[0; 4];
    }
    let (first, second) =
        if destination.port > source.port { (destination, source) } else { (source, destination) };
    let mut octets = Gathered::new();
    for side in [first, second] {
        octets.put(side.address);
        octets.put(&side.port.to_be_bytes());
    }
    octets.put(&[key.protocol]);
    if let Some(tunnel) = tunnel.filter(|tunnel| tunnel.kind.id_is_network()) {
        octets.put(&[tunnel.kind as u8]);
        octets.put(&tunnel.id.to_be_bytes());
    }
    let hash = XxHash64::oneshot(0, octets.as_slice()).to_be_bytes();
    let mut text = [0; 11];
    let length = URL_SAFE_NO_PAD.encode_slice(hash, &mut text).expect("8 octets are 11 letters");
    out.extend_from_slice(&text[..length]);
}

/// Appends the Community ID, version 1 with seed 0: SHA-1 of addresses, protocol and ports in an
/// order that is the same for both directions.
pub(crate) fn put_community_id(key: &FlowKey, out: &mut Vec<u8>) {
    let (mut source, mut destination) = sides(key);
    let ports = match key.protocol {
        _ if key.is_icmp() => {
            let [kind, code] = key.destination_port.to_be_bytes();
            source.port = kind.into();
            match counterpart(key.ip_version, kind) {
                Some(counterpart) => {
                    destination.port = counterpart.into();
                    Ports::OfBothDirections
                }
                None => {
                    destination.port = code.into();
                    Ports::OfOneDirection
                }
            }
        }
        protocol::TCP | protocol::UDP | protocol::SCTP => Ports::OfBothDirections,
        _ => Ports::None,
    };
    let in_order = (source.address, source.port) < (destination.address, destination.port);
    let (first, second) = match ports {
        Ports::OfOneDirection => (source, destination),
        Ports::None if source.address <= destination.address => (source, destination),
        Ports::OfBothDirections if in_order => (source, destination),
        Ports::None | Ports::OfBothDirections => (destination, source),
    };
    let mut octets = Gathered::new();
    octets.put(&[0, 0]);
    octets.put(first.address);
    octets.put(second.address);
    octets.put(&[key.protocol, 0]);
    if ports != Ports::None {
        octets.put(&first.port.to_be_bytes());
        octets.put(&second.port.to_be_bytes());
    }
    out.extend_from_slice(b"1:");
    let mut text = [0; 28];
    let hash = Sha1::digest(octets.as_slice());
    let length = STANDARD.encode_slice(hash, &mut text).expect("20 octets are 28 letters");
    out.extend_from_slice(&text[..length]);
}

/// A hash of addresses, ports and protocol that is equal for both directions. Types of ICMP are
/// not in it: those of a question and of its answer differ.
pub(crate) fn conversation_hash(key: &FlowKey) -> u64 {
    let (mut source, mut destination) = sides(key);
    if key.is_icmp() {
        (source.port, destination.port) = (0, 0);
    }
    let in_order = (source.address, source.port) <= (destination.address, destination.port);
    let sides = if in_order { [source, destination] } else { [destination, source] };
    let mut octets = Gathered::new();
    for side in sides {
        octets.put(side.address);
        octets.put(&side.port.to_be_bytes());
    }
    octets.put(&[key.protocol]);
    XxHash64::oneshot(0, octets.as_slice())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    None,
    OfBothDirections,
    /// An ICMP message without an answer: type and code, in the order of the flow.
    OfOneDirection,
}

/// The type of the ICMP message that answers this one.
fn counterpart(version: IpVersion, kind: u8) -> Option<u8> {
    const V4: [(u8, u8); 5] = [(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)];
    const V6: [(u8, u8); 6] =
        [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];
    let pairs = match version {
        IpVersion::V4 => &V4[..],
        IpVersion::V6 => &V6,
    };
    pairs.iter().find_map(|&(one, other)| match kind {
        kind if kind == one => Some(other),
        kind if kind == other => Some(one),
        _ => None,
    })
}

/// A short buffer of octets.
struct Gathered {
    octets: [u8; 42],
    length: usize,
}

impl Gathered {
    fn new() -> Self {
        Self { octets: [0; 42], length: 0 }
    }

    fn put(&mut self, octets: &[u8]) {
        let end = self.length + octets.len();
        self.octets[self.length..end].copy_from_slice(octets);
        self.length = end;
    }

    fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn key(source: &str, sport: u16, destination: &str, dport: u16, protocol: u8) -> FlowKey {
        let octets = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(address) => {
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&address.octets());
                (IpVersion::V4, octets)
            }
            IpAddr::V6(address) => (IpVersion::V6, address.octets()),
        };
        let (ip_version, source) = octets(source);
        FlowKey {
            ip_version,
            source,
            destination: octets(destination).1,
            source_port: sport,
            destination_port: dport,
            protocol,
            type_of_service: 0,
            interface: 0,
        }
    }

    fn text(put: impl Fn(&FlowKey, &mut Vec<u8>), key: &FlowKey) -> String {
        let mut out = Vec::new();
        put(key, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn flow_id_is_that_of_filebeat_in_both_directions() {
        let there = key("192.168.0.17", 64_020, "192.168.0.1", 80, 6);
        let back = key("192.168.0.1", 80, "192.168.0.17", 64_020, 6);
        let put = |key: &FlowKey, out: &mut Vec<u8>| put_flow_id(key, KeyFields::SEVEN, None, out);
        assert_eq!(text(put, &there), "_dzJqQAoWYk");
        assert_eq!(text(put, &back), "_dzJqQAoWYk");
    }

    #[test]
    fn hash_is_that_of_both_directions() {
        let there = key("10.0.0.1", 5000, "10.0.0.2", 80, 6);
        let back = key("10.0.0.2", 80, "10.0.0.1", 5000, 6);
        assert_eq!(conversation_hash(&there), conversation_hash(&back));
        for other in [
            key("10.0.0.1", 5000, "10.0.0.2", 80, 17),
            key("10.0.0.1", 5001, "10.0.0.2", 80, 6),
            key("10.0.0.1", 80, "10.0.0.2", 5000, 6),
            key("10.0.0.1", 5000, "10.0.0.3", 80, 6),
        ] {
            assert_ne!(conversation_hash(&there), conversation_hash(&other), "{other}");
        }
        let echo = key("fe80::1", 0, "fe80::2", 128 << 8, 58);
        let reply = key("fe80::2", 0, "fe80::1", 129 << 8, 58);
        assert_eq!(conversation_hash(&echo), conversation_hash(&reply));
    }

    #[test]
    fn community_ids_are_those_of_the_baseline() {
        let cases = [
            (key("192.168.1.52", 54_585, "8.8.8.8", 53, 17), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (key("8.8.8.8", 53, "192.168.1.52", 54_585, 17), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (key("192.168.0.89", 0, "192.168.0.1", 8 << 8, 1), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (key("192.168.0.1", 0, "192.168.0.89", 0, 1), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (key("10.0.0.1", 0, "10.0.0.2", 11 << 8, 1), "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
            (key("192.168.170.8", 7, "192.168.170.56", 7, 132), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (key("10.1.12.1", 0, "10.1.12.2", 0, 46), "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
            (
                key("fe80::200:86ff:fe05:80da", 0, "fe80::260:97ff:fe07:69ea", 135 << 8, 58),
                "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
            ),
        ];
        for (key, expected) in cases {
            assert_eq!(text(put_community_id, &key), expected, "{key}");
        }
    }
}
