//! A glance at a frame: whether it has transport payload, without more reading than that takes.

use super::field::{ipv4, ipv6, tcp};
use super::link::PlainEthernet;
use super::network::four_at;
use super::transport::{is_first, payload};
use super::{Frame, LinkType, u16_at};
use crate::key::{Address, IpVersion, Ports};
use crate::number::ethertype;
use crate::number::protocol::{TCP, UDP};
use crate::shard::Parties;

/// What the first headers of a frame say of its transport payload.
#[derive(Clone, Copy, Debug)]
pub enum Glance<'a> {
    /// There is none.
    Nothing,
    /// There is none: a TCP connection may begin.
    Begins,
    /// The payload of a plain packet.
    Plain(PlainPayload<'a>),
    /// Headers that only [`ConversationKeys::look`](crate::ConversationKeys::look) reads.
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
    pub(crate) parties: Parties,
}

/// Frames that need a closer look than a glance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloserLook {
    /// Those with a VLAN tag.
    pub(crate) tagged: bool,
    /// Those of UDP with payload, which may be a tunnel.
    pub(crate) udp: bool,
}

/// Looks for payload without reading more than that takes, for the most frequent kinds of frames.
#[inline(always)]
pub(crate) fn glance<'a>(frame: &Frame<'a>, closer: CloserLook) -> Glance<'a> {
    if let Some(bits) = bare_segment(frame) {
        return if is_first(bits) { Glance::Begins } else { Glance::Nothing };
    }
    let Some(link) = PlainEthernet::read(frame) else { return Glance::Other };
    if closer.tagged && link.vlan_id != 0 {
        return Glance::Other;
    }
    let glance = match link.ethertype {
        ethertype::IPV4 => glance_ipv4(link.data),
        ethertype::IPV6 => glance_ipv6(link.data),
        _ => Glance::Other,
    };
    if let Glance::Plain(it) = &glance
        && !it.is_tcp
        && closer.udp
    {
        return Glance::Other;
    }
    glance
}

/// The control bits of the most frequent kind of frame without payload: IPv4 without a tag, whose
/// 40 octets are headers of IP and TCP. Three comparisons say so.
#[inline(always)]
fn bare_segment(frame: &Frame<'_>) -> Option<u8> {
    const BITS: usize = 14 + ipv4::OCTETS_MIN + tcp::CONTROL_BITS;
    // Ethertype, version and length of the header, and the length of the packet.
    const MASK: u64 = 0xffff_ff00_ffff_0000;
    const LIKE: u64 = 0x0800_4500_0028_0000;
    let octets = frame.data.first_chunk::<{ BITS + 1 }>()?;
    let Some((_, [a, b, c, d, e, f, g, h, ..])) = octets.split_first_chunk::<12>() else {
        return None;
    };
    let is_bare = frame.link_type == LinkType::Ethernet
        && u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) & MASK == LIKE
        && octets[14 + ipv4::PROTOCOL] == TCP;
    is_bare.then_some(octets[BITS])
}

#[inline(always)]
fn glance_ipv4(data: &[u8]) -> Glance<'_> {
    let Some((header, rest)) = data.split_first_chunk::<20>() else { return Glance::Other };
    let total = usize::from(u16_at(header, ipv4::TOTAL_LENGTH));
    let protocol = header[ipv4::PROTOCOL];
    // Most packets without payload are acknowledgements.
    let has_headers_only = total <= ipv4::OCTETS_MIN + tcp::OCTETS_MIN;
    if has_headers_only && protocol == TCP && total >= ipv4::OCTETS_MIN {
        return without_payload(rest);
    }
    let is_plain = header[ipv4::VERSION_IHL] == 0x45
        && u16_at(header, ipv4::FRAGMENT) & ipv4::IS_FRAGMENT == 0
        && total >= ipv4::OCTETS_MIN;
    if !is_plain || !matches!(protocol, TCP | UDP) {
        return Glance::Other;
    }
    let transport = rest.get(..total - ipv4::OCTETS_MIN).unwrap_or(rest);
    let address = |at| Address::v4(four_at(header, at));
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
    let Some((octets, _)) = payload(protocol, transport) else {
        return if protocol == TCP { without_payload(transport) } else { Glance::Nothing };
    };
    let Some(ports) = transport.first_chunk() else { return Glance::Nothing };
    let ports = Ports(*ports);
    let parties = Parties { addresses, ports, protocol, version };
    let ports = (ports.source(), ports.destination());
    Glance::Plain(PlainPayload { is_tcp: protocol == TCP, ports, octets, parties })
}

/// Of a TCP segment without payload. Control bits that are none, as those behind IP options, do no
/// harm.
#[inline(always)]
fn without_payload(transport: &[u8]) -> Glance<'_> {
    let bits = transport.get(tcp::CONTROL_BITS).copied().unwrap_or(0);
    if is_first(bits) { Glance::Begins } else { Glance::Nothing }
}
