//! Frames and their dissection: link layers, the IP header, ports and TCP control bits.
//!
//! Dissection reads as much as it can: a packet that the capture truncates, or with an invalid
//! transport header, is still a packet of its flow. A frame is ignored only without a readable IP
//! header, and the reason is counted. This module does not panic, allocate, or read payload.

mod datagram;
mod field;
mod glance;
mod link;
mod link_type;
mod network;
mod segments;
pub(crate) mod transport;
pub(crate) mod tunnel;

pub(crate) use glance::{CloserLook, glance};
use link::PlainEthernet;
pub(crate) use link::Stop;
use tunnel::DecapSettings;

use crate::key::{Address, IpVersion, Ports};
use crate::number::ethertype;
use crate::point::ObservationPoint;
use crate::time::Timestamp;

pub use datagram::{Datagram, NoDatagram, datagram};
pub use glance::{Glance, PlainPayload};
pub use link_type::LinkType;
pub use segments::{Offload, Segmented, each_segment};

/// A frame that a capture source lends for one call.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The captured octets, from the link layer on.
    pub data: &'a [u8],
    /// Length of the frame on the wire, in octets; more than `data` if the capture truncated it.
    pub wire_length: u32,
    /// Time of the capture.
    pub time: Timestamp,
    /// Interface and direction. A link layer with these fields overrides them.
    pub point: ObservationPoint,
    /// Link type of the first header.
    pub link_type: LinkType,
}

/// Ethertypes of VLAN tags in addition to 0x8100, 0x88a8 and 0x9100; 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tpids(pub [u16; Self::MAX]);

impl Tpids {
    /// Maximum number.
    pub const MAX: usize = 4;

    fn contains(self, ethertype: u16) -> bool {
        ethertype != 0 && self.0.contains(&ethertype)
    }
}

/// Settings of dissection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dissection {
    /// Further tag protocols.
    pub tpids: Tpids,
    /// Tunnels that are opened.
    pub decap: DecapSettings,
}

/// Content of an ignored frame in place of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unread {
    /// Unknown content.
    #[default]
    Unknown,
    /// The payload of this Ethertype.
    Ethertype(u16),
    /// LLC with this Destination Service Access Point (IEEE 802.2).
    Llc(u8),
    /// A frame of this link type.
    LinkType(u16),
}

/// Reason why a frame was not metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ignored {
    /// No IP in it: ARP, STP, LLDP and others.
    NotIp,
    /// The capture ends within the headers up to IP.
    CutShort,
    /// An inconsistent IP header: version, header length or total length.
    Malformed,
    /// More than 8 VLAN tags or MPLS labels, or more than 24 headers before IP.
    TooDeep,
    /// A link layer that is not supported.
    LinkType,
    /// The capture file does not describe the interface of the packet.
    UnknownInterface,
    /// Skipped by `--sample`.
    NotSampled,
    /// Excluded: left out by a filter, or the exporter's own messages.
    Filtered,
    /// A later fragment of an opened tunnel packet: the first fragment was metered with all octets.
    TunnelFragment,
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::NotIp,
        Self::CutShort,
        Self::Malformed,
        Self::TooDeep,
        Self::LinkType,
        Self::UnknownInterface,
        Self::NotSampled,
        Self::Filtered,
        Self::TunnelFragment,
    ];

    /// Its name in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::CutShort => "cut_short",
            Self::Malformed => "malformed",
            Self::TooDeep => "too_deep",
            Self::LinkType => "link_type",
            Self::UnknownInterface => "unknown_interface",
            Self::NotSampled => "not_sampled",
            Self::Filtered => "filtered",
            Self::TunnelFragment => "tunnel_fragment",
        }
    }
}

/// The attributes of a frame's IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Version of the IP header.
    pub ip_version: IpVersion,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// 0 if the protocol has no ports or they are not captured; type and code for ICMP and ICMPv6.
    pub ports: Ports,
    /// IPv4: the header's field. IPv6: the next header after the extension headers.
    pub protocol: u8,
    /// Type of service or traffic class.
    pub type_of_service: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// All eight TCP control bits; 0 for other protocols.
    pub tcp_control_bits: u8,
    /// Outer VLAN id; 0 for an untagged frame.
    pub vlan_id: u16,
    /// Octets of the IP packet, from its header, at most the octets on the wire.
    pub octets: u32,
    /// True if the header claims more octets than the frame had on the wire.
    pub exceeds_wire: bool,
    /// Its position in a fragmented datagram.
    pub fragment: Fragment,
}

/// Position of a packet in a fragmented datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not fragmented.
    Whole,
    /// The first fragment of the datagram with this identification: it has the ports.
    First(u32),
    /// A later fragment, which has no ports.
    Later(u32),
}

/// Finds the outermost IP packet in a frame.
///
/// # Errors
///
/// The reason to ignore the frame: there is no readable IP header.
pub fn dissect(frame: &Frame<'_>) -> Result<Packet, Ignored> {
    dissect_tagged(frame, Tpids::default())
}

/// As [`dissect`], with further tag protocols.
///
/// # Errors
///
/// As [`dissect`].
pub fn dissect_tagged(frame: &Frame<'_>, tpids: Tpids) -> Result<Packet, Ignored> {
    dissect_with(frame, tpids).map(|(packet, _)| packet).map_err(|stop| stop.reason)
}

/// As [`dissect_tagged`]. Also returns interface and direction, or the content
/// of an ignored frame.
pub(crate) fn dissect_with(
    frame: &Frame<'_>,
    tpids: Tpids,
) -> Result<(Packet, ObservationPoint), Stop> {
    let network = link::walk(frame, tpids)?;
    let wire_octets = wire_octets(frame, network.data);
    let (packet, _) = network::general(network.ip_version, network.data, wire_octets)?;
    Ok((Packet { vlan_id: network.vlan_id, ..packet }, network.point))
}

/// As [`dissect`], but faster, for the most frequent kinds of frames. `None`: use [`dissect`].
pub fn dissect_plain(frame: &Frame<'_>) -> Option<Packet> {
    dissect_plain_ipv4(frame).or_else(|| dissect_plain_ipv6(frame))
}

/// As [`dissect_plain`], for IPv4 only.
#[inline(always)]
pub(crate) fn dissect_plain_ipv4(frame: &Frame<'_>) -> Option<Packet> {
    let link = PlainEthernet::read(frame)?;
    let data = if link.ethertype == ethertype::IPV4 { link.data } else { return None };
    network::plain_ipv4(data, link.wire_octets, link.vlan_id)
}

/// As [`dissect_plain`], for IPv6 only.
#[inline(always)]
pub(crate) fn dissect_plain_ipv6(frame: &Frame<'_>) -> Option<Packet> {
    let link = PlainEthernet::read(frame)?;
    let data = if link.ethertype == ethertype::IPV6 { link.data } else { return None };
    network::plain_ipv6(data, link.wire_octets, link.vlan_id)
}

/// Octets on the wire from the IP header on.
#[inline]
fn wire_octets(frame: &Frame<'_>, ip: &[u8]) -> u32 {
    let link_octets = frame.data.len() - ip.len();
    frame.wire_length.saturating_sub(u32::try_from(link_octets).unwrap_or(u32::MAX))
}

#[inline(always)]
fn u16_at<const N: usize>(header: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

#[cfg(test)]
mod tests;
