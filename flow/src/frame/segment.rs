//! Transport payload of frames, with the conversation that it belongs to.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use super::field::tcp;
use super::glance::is_first;
use super::network::four_at;
use super::tunnel::{Budget, DecapSettings, Inside, Opened, outermost};
use super::{Fragment, Frame, Tpids};
use crate::details::Details;
use crate::hash::{HashSeed, pick};
use crate::key::{Address, FlowKey, IpVersion, KeyField, Ports};
use crate::names::{NetworkKey, Passage};
use crate::number::protocol::{TCP, UDP};
use crate::observer::ObserverSettings;
use crate::record::FlowRecord;

/// What a packet means for its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// It has payload.
    Segment(Segment<'a>),
    /// It is the first segment of a connection. True if its source is the lower end.
    Begins(ConversationKey, bool),
}

/// The transport payload of a packet.
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

/// Addresses, ports and protocol of a conversation: equal for both directions. Conversations in
/// different networks differ, as their flows do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationKey {
    /// In the last one protocol 0-7 | IP version 8-15 | network 16-63.
    words: [u64; 6],
    /// Without the network.
    hash: u64,
}

impl ConversationKey {
    /// The conversation of a flow that is in no network. Also returns whether the source is the
    /// lower end.
    fn of_flow(key: &FlowKey, seed: &HashSeed) -> (Self, bool) {
        let address = |octets: [u8; 16]| {
            let word = u128::from_le_bytes(octets);
            let (low, high) = crate::hash::halves(word);
            Address { first: low, second: high }
        };
        let source = (address(key.source), key.source_port);
        let destination = (address(key.destination), key.destination_port);
        Self::of([source, destination], key.protocol, key.ip_version, seed)
    }

    /// Also returns whether the first end is the lower one.
    fn of(
        [one, other]: [(Address, u16); 2],
        protocol: u8,
        version: IpVersion,
        seed: &HashSeed,
    ) -> (Self, bool) {
        let is_forward = one <= other;
        let (low, high) = if is_forward { (one, other) } else { (other, one) };
        let ports = u64::from(low.1) | u64::from(high.1) << 16;
        let rest = u64::from(protocol) | u64::from(version.number()) << 8;
        let words = [low.0.first, low.0.second, high.0.first, high.0.second, ports, rest];
        let hash = Parties {
            addresses: [low.0, high.0],
            ports: Ports::new(low.1, high.1),
            protocol,
            version,
        }
        .hash(seed);
        (Self { words, hash }, is_forward)
    }

    /// The same in a network, of which this is a hash.
    fn within(mut self, network: u64) -> Self {
        self.words[5] |= network << NETWORK;
        self
    }

    /// The hash of the key.
    pub fn hash(&self) -> u64 {
        // Few are in networks, of which nobody can choose the hash.
        self.hash ^ (self.words[5] >> NETWORK).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Address and port of the lower and of the higher end.
    pub fn ends(&self) -> [(IpAddr, u16); 2] {
        let [low, low_rest, high, high_rest, ports, rest] = self.words;
        let version = if rest >> 8 & 0xff == 4 { IpVersion::V4 } else { IpVersion::V6 };
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
        shard(self.hash, workers)
    }
}

/// The first bit of the network.
const NETWORK: u32 = 16;

/// The worker of a flow or a conversation with this hash. The lower half of the hash is used,
/// because tables use the upper half.
#[inline]
pub(crate) fn shard(hash: u64, workers: usize) -> usize {
    let count = u32::try_from(workers).unwrap_or(u32::MAX);
    pick(hash << 32, count) as usize
}

/// Both ends of a conversation as a packet has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parties {
    pub(crate) addresses: [Address; 2],
    pub(crate) ports: Ports,
    pub(crate) protocol: u8,
    pub(crate) version: IpVersion,
}

impl Parties {
    /// The keyed hash of the conversation, without its order.
    #[inline(always)]
    pub(crate) fn hash(&self, seed: &HashSeed) -> u64 {
        let [one, other] = self.addresses;
        let [a, b, c, d] = self.ports.0;
        let (port, to_port) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let ports = u64::from(port.min(to_port)) | u64::from(port.max(to_port)) << 16;
        let rest = u64::from(self.protocol) | u64::from(self.version.number()) << 8;
        seed.hash_pair([one.first, one.second], [other.first, other.second], [ports, rest])
    }
}

/// The keyed hash is part of the key.
impl Hash for ConversationKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash());
    }
}

/// Gives packets and records the keys of their conversations, as a meter with the same settings
/// sees them: without decapsulation those of the outermost packet, with it those of the innermost
/// one.
#[derive(Clone, Copy, Debug)]
pub struct ConversationKeys {
    tpids: Tpids,
    decap: DecapSettings,
    key: NetworkKey,
    pub(super) seed: HashSeed,
}

impl ConversationKeys {
    /// The keys of an observer's packets.
    pub const fn new(settings: &ObserverSettings) -> Self {
        let ObserverSettings { tpids, decap, seed, .. } = *settings;
        let vlan = settings.key.contains(KeyField::Vlan);
        Self { tpids, decap, key: NetworkKey { whole_tunnel: decap.whole_key, vlan }, seed }
    }

    #[inline(always)]
    pub(super) fn has_vlan(&self) -> bool {
        self.key.vlan
    }

    #[inline(always)]
    pub(super) fn opens_any(&self) -> bool {
        self.decap.opens_any()
    }

    /// The conversation of a record. Also returns whether the source is the lower end.
    pub fn of_record(
        &self,
        record: &FlowRecord,
        details: Option<&Details>,
    ) -> (ConversationKey, bool) {
        let (conversation, is_forward) = ConversationKey::of_flow(&record.key, &self.seed);
        let (tunnel, inner_vlan_id) =
            details.map_or((None, 0), |details| (details.tunnel, details.inner_vlan_id));
        let passage = Passage { tunnel, vlan_id: record.vlan_id, inner_vlan_id };
        (conversation.within(passage.hash(self.key, &self.seed)), is_forward)
    }

    /// Reads the TCP or UDP packet of a frame. `None` if it has no payload and begins no
    /// connection, and for later fragments.
    pub fn look<'a>(&self, frame: &Frame<'a>) -> Option<Look<'a>> {
        let (mut opened, _) = outermost(frame, self.tpids).ok()?;
        let (mut tunnel, mut budget) = (None, Budget::default());
        while self.decap.opens_any() {
            match opened.open(&self.decap, self.tpids, &mut budget) {
                Inside::Nothing | Inside::Refused(..) => break,
                Inside::Packet(found, inner) => (tunnel, opened) = (Some(found), inner),
                Inside::Ignored(_) => return None,
            }
        }
        let Opened { packet, inner_vlan_id, .. } = opened;
        if !matches!(packet.protocol, TCP | UDP) || matches!(packet.fragment, Fragment::Later(_)) {
            return None;
        }
        let found = payload(packet.protocol, opened.payload);
        if found.is_none() && !(packet.protocol == TCP && is_first(packet.tcp_control_bits)) {
            return None;
        }
        let ports = (packet.ports.source(), packet.ports.destination());
        let ends = [(packet.source, ports.0), (packet.destination, ports.1)];
        let (conversation, is_forward) =
            ConversationKey::of(ends, packet.protocol, packet.ip_version, &self.seed);
        let passage = Passage { tunnel, vlan_id: packet.vlan_id, inner_vlan_id };
        let conversation = conversation.within(passage.hash(self.key, &self.seed));
        let Some((payload, sequence)) = found else {
            return Some(Look::Begins(conversation, is_forward));
        };
        // Behind the packet there may be padding, which is not missing.
        let is_cut = usize::try_from(packet.octets).is_ok_and(|octets| opened.ip.len() < octets)
            || packet.fragment != Fragment::Whole;
        let segment = Segment { conversation, is_forward, sequence, ports, payload, is_cut };
        Some(Look::Segment(segment))
    }
}

/// The octets behind a TCP or UDP header, and the sequence number of TCP. `None` if there are none.
#[inline(always)]
pub(super) fn payload(protocol: u8, transport: &[u8]) -> Option<(&[u8], Option<u32>)> {
    let (payload, sequence) = if protocol == TCP {
        let header = transport.first_chunk::<{ tcp::OCTETS_MIN }>()?;
        let octets = usize::from(header[tcp::DATA_OFFSET] >> 4) * 4;
        if octets < tcp::OCTETS_MIN {
            return None;
        }
        (transport.get(octets..)?, Some(u32::from_be_bytes(four_at(header, 4))))
    } else {
        (datagram_payload(transport)?, None)
    };
    (!payload.is_empty()).then_some((payload, sequence))
}

const UDP_HEADER: usize = 8;

/// Up to the datagram's length, as far as it was captured.
fn datagram_payload(transport: &[u8]) -> Option<&[u8]> {
    let [high, low] = *transport.get(4..6)?.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low])).max(UDP_HEADER);
    transport.get(UDP_HEADER..length.min(transport.len()))
}
