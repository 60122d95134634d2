//! Transport payload of frames, with the conversation that it belongs to.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use super::field::{ipv4, ipv6, tcp};
use super::link::PlainEthernet;
use super::{Fragment, Frame, Packet, Tpids, link, network, u16_at, wire_octets};
use crate::hash::{HashSeed, pick};
use crate::key::{Address, FlowKey, IpVersion, Ports};
use crate::number::ethertype;
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
        let hash = Parties {
            addresses: [low.0, high.0],
            ports: Ports::new(low.1, high.1),
            protocol,
            version,
        }
        .hash(seed);
        (Self { words, hash }, is_forward)
    }

    /// The hash in the key.
    pub fn hash(&self) -> u64 {
        self.hash
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
        shard(self.hash, workers)
    }
}

/// The worker of a conversation with this hash. Its upper half is for tables.
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
        state.write_u64(self.hash);
    }
}

/// What the first headers of a frame say of its transport payload.
#[derive(Clone, Copy, Debug)]
pub enum Glance<'a> {
    /// There is none.
    Nothing,
    /// The payload of a plain packet.
    Plain(PlainPayload<'a>),
    /// Headers that only [`segment`] reads.
    Other,
}

/// The transport payload of a plain packet. It is not empty.
#[derive(Clone, Copy, Debug)]
pub struct PlainPayload<'a> {
    /// True for TCP, false for UDP.
    pub is_tcp: bool,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// The octets behind the transport header, up to the end of the IP packet.
    pub octets: &'a [u8],
    parties: Parties,
}

impl PlainPayload<'_> {
    /// The hash of its conversation's key.
    #[inline]
    pub fn hash(&self, seed: &HashSeed) -> u64 {
        self.parties.hash(seed)
    }
}

/// Looks for payload without reading more than that takes, for the most frequent kinds of frames.
#[inline(always)]
pub fn glance<'a>(frame: &Frame<'a>) -> Glance<'a> {
    let Some(link) = PlainEthernet::read(frame) else { return Glance::Other };
    match link.ethertype {
        ethertype::IPV4 => glance_ipv4(link.data),
        ethertype::IPV6 => glance_ipv6(link.data),
        _ => Glance::Other,
    }
}

#[inline(always)]
fn glance_ipv4(data: &[u8]) -> Glance<'_> {
    let Some((header, rest)) = data.split_first_chunk::<20>() else { return Glance::Other };
    let total = usize::from(u16_at(header, ipv4::TOTAL_LENGTH));
    let protocol = header[ipv4::PROTOCOL];
    // Most packets without payload are acknowledgements.
    let has_headers_only = total <= ipv4::OCTETS_MIN + tcp::OCTETS_MIN;
    if has_headers_only && protocol == TCP && total >= ipv4::OCTETS_MIN {
        return Glance::Nothing;
    }
    let is_plain = header[ipv4::VERSION_IHL] == 0x45
        && u16_at(header, ipv4::FRAGMENT) & ipv4::IS_FRAGMENT == 0
        && total >= ipv4::OCTETS_MIN;
    if !is_plain || !matches!(protocol, TCP | UDP) {
        return Glance::Other;
    }
    let transport = rest.get(..total - ipv4::OCTETS_MIN).unwrap_or(rest);
    let address = |at| Address::v4(network::four_at(header, at));
    let addresses = [address(ipv4::SOURCE), address(ipv4::DESTINATION)];
    glance_transport(transport, addresses, protocol, IpVersion::V4)
}

#[inline(always)]
fn glance_ipv6(data: &[u8]) -> Glance<'_> {
    let Some((header, rest)) = data.split_first_chunk::<40>() else { return Glance::Other };
    let length = usize::from(u16_at(header, ipv6::PAYLOAD_LENGTH));
    let protocol = header[ipv6::NEXT_HEADER];
    if header[0] >> 4 != 6 || length == 0 || !matches!(protocol, TCP | UDP) {
        return Glance::Other;
    }
    let transport = rest.get(..length).unwrap_or(rest);
    let address = |at: usize| {
        let octets = header.get(at..).and_then(|rest| rest.first_chunk());
        Address::v6(*octets.unwrap_or(&[0; 16]))
    };
    let addresses = [address(ipv6::SOURCE), address(ipv6::SOURCE + 16)];
    glance_transport(transport, addresses, protocol, IpVersion::V6)
}

#[inline(always)]
fn glance_transport(
    transport: &[u8],
    addresses: [Address; 2],
    protocol: u8,
    version: IpVersion,
) -> Glance<'_> {
    let Some((octets, _)) = payload(protocol, transport) else { return Glance::Nothing };
    let Some(ports) = transport.first_chunk() else { return Glance::Nothing };
    let ports = Ports(*ports);
    let parties = Parties { addresses, ports, protocol, version };
    let ports = (ports.source(), ports.destination());
    Glance::Plain(PlainPayload { is_tcp: protocol == TCP, ports, octets, parties })
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
    let (payload, sequence) = payload(packet.protocol, transport)?;
    let (conversation, is_forward) = conversation_of(&packet, seed);
    let ports = (packet.ports.source(), packet.ports.destination());
    // Behind the packet there may be padding, which is not missing.
    let is_cut = usize::try_from(packet.octets).is_ok_and(|octets| network.data.len() < octets)
        || packet.fragment != Fragment::Whole;
    Some(Segment { conversation, is_forward, sequence, ports, payload, is_cut })
}

/// The octets behind a TCP or UDP header, and the sequence number of TCP. `None` if there are none.
#[inline(always)]
fn payload(protocol: u8, transport: &[u8]) -> Option<(&[u8], Option<u32>)> {
    let (payload, sequence) = if protocol == TCP {
        let header = transport.first_chunk::<{ tcp::OCTETS_MIN }>()?;
        let octets = usize::from(header[tcp::DATA_OFFSET] >> 4) * 4;
        if octets < tcp::OCTETS_MIN {
            return None;
        }
        (transport.get(octets..)?, Some(u32::from_be_bytes(network::four_at(header, 4))))
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

fn conversation_of(packet: &Packet, seed: &HashSeed) -> (ConversationKey, bool) {
    let source = (packet.source, packet.ports.source());
    let destination = (packet.destination, packet.ports.destination());
    ConversationKey::of(source, destination, packet.protocol, packet.ip_version, seed)
}
