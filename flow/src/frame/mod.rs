//! Frames and their dissection: link layers, the IP header, ports and TCP control bits.
//!
//! An observer goes as far as it can: a packet cut by the capture, or one whose transport header
//! makes no sense, is still a packet of its flow. Only what has no readable IP header is ignored,
//! each for a counted reason. Nothing here panics, allocates, or looks at payload.

mod field;
mod link;
mod network;
mod segments;

use link::PlainEthernet;

use crate::key::{Address, IpVersion, Ports};
use crate::number::ethertype;
use crate::time::Timestamp;

pub use segments::{Offload, Segmented, each_segment};

/// A frame lent by a capture source for the length of one call.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The captured octets, from the link layer's first.
    pub data: &'a [u8],
    /// Length of the frame on the wire, in octets; more than `data` where the capture cut it.
    pub wire_length: u32,
    /// When it was captured.
    pub time: Timestamp,
    /// Number of the interface that it came in on.
    pub ingress_interface: u32,
    /// What the first octets are.
    pub link_type: LinkType,
}

/// The link layers that can be walked through (`LINKTYPE_` values of the pcap format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// Ethernet (1).
    Ethernet,
    /// BSD loopback, an address family in the byte order of the capturing host (0).
    Null,
    /// OpenBSD loopback, an address family in network order (108).
    Loop,
    /// PPP, with or without address and control octets, or Cisco's HDLC (9, 50).
    Ppp,
    /// An IP header of either version (12, 14, 101).
    RawIp,
    /// An IPv4 header (228).
    Ipv4,
    /// An IPv6 header (229).
    Ipv6,
    /// Linux "any" device, version 1 (113).
    LinuxCooked,
    /// Linux "any" device, version 2 (276).
    LinuxCooked2,
    /// Any other: frames of it are ignored.
    Unsupported,
    /// Of an interface that the capture file does not describe: frames of it are ignored.
    Undescribed,
}

impl LinkType {
    /// The link type with this number in a capture file.
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 => Self::RawIp,
            108 => Self::Loop,
            113 => Self::LinuxCooked,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxCooked2,
            _ => Self::Unsupported,
        }
    }
}

/// Why a frame was not metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ignored {
    /// Nothing of IP in it: ARP, STP, LLDP and the like.
    NotIp,
    /// The capture ends before the IP header does.
    CutShort,
    /// An IP header that contradicts itself: version, header length or total length.
    Malformed,
    /// More than 8 VLAN tags, MPLS labels or PPPoE headers.
    TooDeep,
    /// A link layer that is not supported.
    LinkType,
    /// A capture file's packet of an interface that the file does not describe.
    UnknownInterface,
    /// Left out by `--sample`.
    NotSampled,
    /// Left out on purpose: the exporter's own messages.
    Filtered,
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::NotIp,
        Self::CutShort,
        Self::Malformed,
        Self::TooDeep,
        Self::LinkType,
        Self::UnknownInterface,
        Self::NotSampled,
        Self::Filtered,
    ];

    /// For statistics.
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
        }
    }
}

/// What a frame says about its IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Version of the outermost IP header.
    pub ip_version: IpVersion,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// 0 where the protocol has no ports or they are not there; for ICMP and ICMPv6 type and code.
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
    /// Octets of the IP packet by its own header.
    pub octets: u32,
    /// Whether the header claims more octets than the frame had on the wire.
    pub exceeds_wire: bool,
    /// Its part in a fragmented datagram.
    pub fragment: Fragment,
}

/// A packet's part in a fragmented datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not fragmented.
    Whole,
    /// The first fragment of the datagram with this identification: it has the ports.
    First(u32),
    /// A later one, which has none.
    Later(u32),
}

/// Finds the outermost IP packet in a frame.
///
/// # Errors
///
/// The reason to ignore the frame: there is no readable IP header.
pub fn dissect(frame: &Frame<'_>) -> Result<Packet, Ignored> {
    let network = link::walk(frame.link_type, frame.data)?;
    let wire_octets = wire_octets(frame, network.data);
    let packet = network::general(network.ip_version, network.data, wire_octets)?;
    Ok(Packet { vlan_id: network.vlan_id, ..packet })
}

/// As [`dissect`], faster, for the frames that are nearly all: `None` says nothing.
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

/// How many octets the wire had from the IP header on.
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
