//! Transport payload of frames, with the conversation that it belongs to.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use super::{Fragment, Frame, Packet, Tpids, link, network, wire_octets};
use crate::hash::{HashSeed, pick};
use crate::key::{Address, FlowKey, IpVersion};
use crate::number::protocol::{TCP, UDP};

/// The transport payload of a frame's outermost IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The conversation, without regard to direction.
    pub conversation: ConversationKey,
    /// True if the source is the lower end.
    pub is_forward: bool,
    /// Sequence number of the first octet; `None` for UDP.
    pub sequence: Option<u32>,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// The octets behind the transport header, up to the end of the IP packet.
    pub payload: &'a [u8],
    /// True if the capture has fewer octets than the packet.
    pub is_cut: bool,
}

/// Addresses, ports and protocol of a conversation: equal for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationKey {
    words: [u64; 6],
    hash: u64,
}

impl ConversationKey {
    /// The conversation of a flow. Also returns whether the source is the lower end.
    pub fn of_flow(key: &FlowKey, seed: &HashSeed) -> (Self, bool) {
        let address = |octets: [u8; 16]| {
            let word = u128::from_le_bytes(octets);
            let (low, high) = crate::hash::halves(word);
            Address { first: low, second: high }
        };
        let source = (address(key.source), key.source_port);
        let destination = (address(key.destination), key.destination_port);
        Self::of(source, destination, key.protocol, key.ip_version, seed)
    }

    /// Also returns whether the first end is the lower one.
    fn of(
        one: (Address, u16),
        other: (Address, u16),
        protocol: u8,
        version: IpVersion,
        seed: &HashSeed,
    ) -> (Self, bool) {
        let is_forward = one <= other;
        let (low, high) = if is_forward { (one, other) } else { (other, one) };
        let ports = u64::from(low.1) | u64::from(high.1) << 16;
        let rest = u64::from(protocol) | u64::from(version.number()) << 8;
        let words = [low.0.first, low.0.second, high.0.first, high.0.second, ports, rest];
        (Self { words, hash: seed.hash(words) }, is_forward)
    }

    /// Address and port of the lower and of the higher end.
    pub fn ends(&self) -> [(IpAddr, u16); 2] {
        let [low, low_rest, high, high_rest, ports, rest] = self.words;
        let version = if rest >> 8 == 4 { IpVersion::V4 } else { IpVersion::V6 };
        let end = |first, second, [a, b]: [u8; 2]| {
            (Address { first, second }.ip(version), u16::from_le_bytes([a, b]))
        };
        let [a, b, c, d, ..] = ports.to_le_bytes();
        [end(low, low_rest, [a, b]), end(high, high_rest, [c, d])]
    }

    /// The number of its transport protocol.
    pub fn protocol(&self) -> u8 {
        let [protocol, ..] = self.words[5].to_le_bytes();
        protocol
    }

    /// The number of the worker that has both directions, from 0.
    pub fn shard(&self, workers: usize) -> usize {
        let count = u32::try_from(workers).unwrap_or(u32::MAX);
        pick(self.hash << 32, count) as usize
    }
}

/// The keyed hash is part of the key.
impl Hash for ConversationKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The TCP or UDP payload of the outermost IP packet of a frame. `None` if there is none: for other
/// protocols, later fragments, and empty payload.
pub fn segment<'a>(frame: &Frame<'a>, tpids: Tpids, seed: &HashSeed) -> Option<Segment<'a>> {
    let network = link::walk(frame, tpids).ok()?;
    let octets = wire_octets(frame, network.data);
    let (packet, transport) = network::general(network.ip_version, network.data, octets).ok()?;
    if !matches!(packet.protocol, TCP | UDP) || matches!(packet.fragment, Fragment::Later(_)) {
        return None;
    }
    let (payload, sequence) = match packet.protocol {
        TCP => {
            let &[a, b, c, d] = transport.get(4..8)?.first_chunk()?;
            let header = usize::from(transport.get(12)? >> 4) * 4;
            if header < TCP_HEADER {
                return None;
            }
            (transport.get(header..)?, Some(u32::from_be_bytes([a, b, c, d])))
        }
        _ => (datagram_payload(transport)?, None),
    };
    if payload.is_empty() {
        return None;
    }
    let (conversation, is_forward) = conversation_of(&packet, seed);
    let ports = (packet.ports.source(), packet.ports.destination());
    // Behind the packet there may be padding, which is not missing.
    let is_cut = usize::try_from(packet.octets).is_ok_and(|octets| network.data.len() < octets)
        || packet.fragment != Fragment::Whole;
    Some(Segment { conversation, is_forward, sequence, ports, payload, is_cut })
}

const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// Up to the datagram's length, as far as it was captured.
fn datagram_payload(transport: &[u8]) -> Option<&[u8]> {
    let [high, low] = *transport.get(4..6)?.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low])).max(UDP_HEADER);
    transport.get(UDP_HEADER..length.min(transport.len()))
}

fn conversation_of(packet: &Packet, seed: &HashSeed) -> (ConversationKey, bool) {
    let source = (packet.source, packet.ports.source());
    let destination = (packet.destination, packet.ports.destination());
    ConversationKey::of(source, destination, packet.protocol, packet.ip_version, seed)
}
