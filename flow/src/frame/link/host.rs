//! The first header of each link type, and pseudo-headers that hosts write into captures
//! (<https://www.tcpdump.org/linktypes.html>).

use super::{Ignored, LENGTH_MAX, Layer, LinkType, Step, Stop, Walk, ppp, skip, take, wireless};
use crate::frame::Unread;
use crate::key::IpVersion;
use crate::point::FlowDirection;

/// Reads the first header of a frame.
pub(super) fn step<'a>(walk: &mut Walk, link_type: LinkType, data: &'a [u8]) -> Step<'a> {
    match link_type {
        LinkType::Ethernet => Ok((Layer::Ethernet, data)),
        LinkType::RawIp => Ok((Layer::IpOfAnyVersion, data)),
        LinkType::Ipv4 => Ok((Layer::Ip(IpVersion::V4), data)),
        LinkType::Ipv6 => Ok((Layer::Ip(IpVersion::V6), data)),
        LinkType::Null => null(data),
        LinkType::Loop => {
            let (family, rest) = take::<4>(data)?;
            by_address_family(u32::from_be_bytes(*family), rest)
        }
        LinkType::Ppp => ppp::line(data),
        LinkType::PppWithDirection => {
            let (&[direction], rest) = take::<1>(data)?;
            walk.point.direction = egress_if(direction != 0);
            ppp::line_behind_direction(rest)
        }
        LinkType::PppoeSession => ppp::session(data),
        LinkType::CiscoHdlc => ppp::cisco_hdlc(data),
        LinkType::FrameRelay => ppp::frame_relay(data),
        LinkType::Wireless => Ok((Layer::Wireless { padded: false }, data)),
        LinkType::Radiotap => wireless::radiotap(data),
        LinkType::TokenRing => token_ring(data),
        LinkType::Fddi => fddi(data),
        LinkType::Arcnet => arcnet(data),
        LinkType::LinuxCooked => linux_cooked(walk, data),
        LinkType::LinuxCooked2 => linux_cooked2(walk, data),
        // A Global Routing Header, an Ethertype, reserved.
        LinkType::Infiniband => ethertype_at(data, 40, 44),
        LinkType::Enc => {
            // Address family, security parameters index, flags.
            let (&[a, b, c, d, ..], rest) = take::<12>(data)?;
            by_address_family(in_host_order([a, b, c, d]), rest)
        }
        LinkType::Pflog => packet_filter_log(walk, data),
        LinkType::Ipnet => {
            let (&[_, family, ..], rest) = take::<24>(data)?;
            by_address_family(family.into(), rest)
        }
        LinkType::Nflog => netfilter_log(data),
        LinkType::Ppi => packet_information(data),
        LinkType::Pktap => packet_tap(walk, data),
        LinkType::Unsupported(number) => {
            Err(Stop { reason: Ignored::LinkType, unread: Unread::LinkType(number) })
        }
        LinkType::Undescribed => Err(Ignored::UnknownInterface.into()),
    }
}

fn egress_if(is_sent: bool) -> FlowDirection {
    if is_sent { FlowDirection::Egress } else { FlowDirection::Ingress }
}

/// Linux, version 1: packet type (16 bits), hardware type (16), address length (16), address (8
/// octets), Ethertype.
fn linux_cooked<'a>(walk: &mut Walk, data: &'a [u8]) -> Step<'a> {
    if let [high, low, ..] = *data {
        walk.point.direction = egress_if(u16::from_be_bytes([high, low]) == OUTGOING.into());
    }
    ethertype_at(data, 14, 16)
}

/// Linux, version 2: Ethertype, reserved (16 bits), interface index (32), hardware type (16),
/// packet type (8), address length (8), address (8 octets).
fn linux_cooked2<'a>(walk: &mut Walk, data: &'a [u8]) -> Step<'a> {
    if let [_, _, _, _, a, b, c, d, _, _, packet_type, ..] = *data {
        walk.point.direction = egress_if(packet_type == OUTGOING);
        let interface = u32::from_be_bytes([a, b, c, d]);
        if interface != 0 {
            walk.point.interface = interface;
        }
    }
    ethertype_at(data, 0, 20)
}

/// Packet filter of the BSDs: length, address family, action, reason (8 bits each), interface name
/// and ruleset (16 octets each), six numbers of rules, users and processes (32 bits each),
/// direction (8).
fn packet_filter_log<'a>(walk: &mut Walk, data: &'a [u8]) -> Step<'a> {
    const DIRECTION: usize = 60;
    const OUT: u8 = 2;
    let (&[length, family], _) = take::<2>(data)?;
    if usize::from(length) > DIRECTION {
        walk.point.direction = egress_if(data.get(DIRECTION) == Some(&OUT));
    }
    let rest = skip(data, usize::from(length).next_multiple_of(4))?;
    by_address_family(family.into(), rest)
}

/// A pseudo-header of `length` octets that contains an Ethertype.
fn ethertype_at(data: &[u8], at: usize, length: usize) -> Step<'_> {
    let rest = skip(data, length)?;
    let (ethertype, _) = take::<2>(skip(data, at)?)?;
    Ok((Layer::Ethertype(u16::from_be_bytes(*ethertype)), rest))
}

/// An address family or an Ethertype in the byte order of the capturing host, or PPP.
fn null(data: &[u8]) -> Step<'_> {
    let (&family, rest) = take::<4>(data)?;
    if let [0xff, 0x03, ..] = family {
        return ppp::line(data);
    }
    let family = in_host_order(family);
    match u16::try_from(family) {
        Ok(ethertype) if ethertype > LENGTH_MAX => Ok((Layer::Ethertype(ethertype), rest)),
        _ => by_address_family(family, rest),
    }
}

/// Reads a small number of unknown byte order.
fn in_host_order(octets: [u8; 4]) -> u32 {
    u32::from_le_bytes(octets).min(u32::from_be_bytes(octets))
}

/// `AF_INET` is 2 on all systems. `AF_INET6` is 10 on Linux, 24, 28 or 30 on the BSDs and macOS, 26
/// on Solaris.
fn by_address_family(family: u32, data: &[u8]) -> Step<'_> {
    match family {
        2 => Ok((Layer::Ip(IpVersion::V4), data)),
        10 | 24 | 26 | 28 | 30 => Ok((Layer::Ip(IpVersion::V6), data)),
        _ => Err(Ignored::NotIp.into()),
    }
}

/// Token Ring (IEEE 802.5): access control, frame control, addresses. If the highest bit of the
/// source address is set, a route follows. The lower five bits of its first octet are its length.
fn token_ring(data: &[u8]) -> Step<'_> {
    let (header, rest) = take::<14>(data)?;
    let (frame_control, source) = (header[1], header[8]);
    if frame_control & 0xc0 != 0x40 {
        return Err(Ignored::NotIp.into());
    }
    let route_octets = match rest.first() {
        _ if source & 0x80 == 0 => 0,
        Some(control) => usize::from(control & 0x1f),
        None => return Err(Ignored::CutShort.into()),
    };
    Ok((Layer::Llc, skip(rest, route_octets)?))
}

/// FDDI (ISO 9314): frame control (`?101xxxx` for LLC frames) and addresses.
fn fddi(data: &[u8]) -> Step<'_> {
    let (&[frame_control, ..], rest) = take::<13>(data)?;
    if frame_control & 0x70 == 0x50 { Ok((Layer::Llc, rest)) } else { Err(Ignored::NotIp.into()) }
}

/// ARCNET: source, destination, protocol. RFC 1201 adds a split flag and a sequence number; if the
/// flag is 0xff, that header is repeated after it. RFC 1051 has neither.
fn arcnet(data: &[u8]) -> Step<'_> {
    let (&[_, _, protocol], rest) = take::<3>(data)?;
    let version = match protocol {
        240 => return Ok((Layer::Ip(IpVersion::V4), rest)),
        212 => IpVersion::V4,
        // RFC 2497.
        196 => IpVersion::V6,
        _ => return Err(Ignored::NotIp.into()),
    };
    let rest = if *rest.first().ok_or(Ignored::CutShort)? == 0xff { skip(rest, 4)? } else { rest };
    let (&[split_flag, ..], rest) = take::<3>(rest)?;
    if split_flag == 0 { Ok((Layer::Ip(version), rest)) } else { Err(Ignored::NotIp.into()) }
}

/// Linux netfilter log: address family, version, resource (16 bits); then attributes, padded to 4
/// octets, one of which is the packet. An attribute has length and type (16 bits each, in the byte
/// order of the host; types are below 256).
fn netfilter_log(data: &[u8]) -> Step<'_> {
    const ATTRIBUTES_MAX: usize = 32;
    const PAYLOAD: u8 = 9;
    let (&[family, ..], mut rest) = take::<4>(data)?;
    for _ in 0..ATTRIBUTES_MAX {
        let (&[l0, l1, t0, t1], value) = take::<4>(rest)?;
        let (length, kind) = match (t0, t1) {
            (kind, 0) => (u16::from_le_bytes([l0, l1]), kind),
            (0, kind) => (u16::from_be_bytes([l0, l1]), kind),
            _ => return Err(Ignored::NotIp.into()),
        };
        if kind == PAYLOAD {
            return by_address_family(family.into(), value);
        }
        if length < 4 {
            return Err(Ignored::NotIp.into());
        }
        rest = skip(rest, usize::from(length).next_multiple_of(4))?;
    }
    Err(Ignored::TooDeep.into())
}

/// Per-Packet Information: version 0, flags, length (16 bits), link type (32), fields. All are
/// little-endian.
fn packet_information(data: &[u8]) -> Step<'_> {
    let (&[version, _, l0, l1, a, b, c, d], _) = take::<8>(data)?;
    if version != 0 {
        return Err(Ignored::NotIp.into());
    }
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    inner_link_type(u32::from_le_bytes([a, b, c, d]), skip(data, length.max(8))?)
}

/// Apple's packet tap: length (32 bits), type (1: a packet), link type, interface name (24 octets),
/// flags (32 bits), then fields that are not needed. All are little-endian.
fn packet_tap<'a>(walk: &mut Walk, data: &'a [u8]) -> Step<'a> {
    const FLAGS: usize = 36;
    const OUT: u8 = 2;
    let (&[l0, l1, l2, l3, k0, k1, k2, k3, a, b, c, d], _) = take::<12>(data)?;
    if u32::from_le_bytes([k0, k1, k2, k3]) != 1 {
        return Err(Ignored::NotIp.into());
    }
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if length > FLAGS {
        walk.point.direction = egress_if(data.get(FLAGS).is_some_and(|flags| flags & OUT != 0));
    }
    inner_link_type(u32::from_le_bytes([a, b, c, d]), skip(data, length.max(12))?)
}

fn inner_link_type(number: u32, data: &[u8]) -> Step<'_> {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    Ok((Layer::Link(LinkType::from_number(number)), data))
}

/// `PACKET_OUTGOING` of Linux: the host sent it.
const OUTGOING: u8 = 4;
