//! The keys of conversations, and what packets and records have to say of theirs.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use crate::details::Details;
use crate::frame::transport::{is_first, payload};
use crate::frame::tunnel::{Budget, DecapSettings, Inside, Opened, outermost};
use crate::frame::{CloserLook, Fragment, Frame, Glance, PlainPayload, Tpids, glance};
use crate::hash::{HashSeed, halves};
use crate::key::{Address, FlowKey, IpVersion, KeyField, Ports};
use crate::names::{NetworkKey, Passage};
use crate::number::protocol::{TCP, UDP};
use crate::observer::ObserverSettings;
use crate::record::FlowRecord;
use crate::shard::{Parties, shard};

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
            let (low, high) = halves(word);
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

impl PlainPayload<'_> {
    /// The hash of its conversation's key.
    #[inline]
    pub fn hash(&self, keys: &ConversationKeys) -> u64 {
        self.parties.hash(&keys.seed)
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
    seed: HashSeed,
}

impl ConversationKeys {
    /// The keys of an observer's packets.
    pub const fn new(settings: &ObserverSettings) -> Self {
        let ObserverSettings { tpids, decap, seed, .. } = *settings;
        let vlan = settings.key.contains(KeyField::Vlan);
        Self { tpids, decap, key: NetworkKey { whole_tunnel: decap.whole_key, vlan }, seed }
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

    /// Looks for payload without reading more than that takes, for the most frequent kinds of
    /// frames.
    #[inline(always)]
    pub fn glance<'a>(&self, frame: &Frame<'a>) -> Glance<'a> {
        glance(frame, CloserLook { tagged: self.key.vlan, udp: self.decap.opens_any() })
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
