//! MPLS: the label stack, and the payload after it.
//!
//! MPLS has no field for the type of its payload. IP begins with its version. A frame of a
//! pseudowire may begin with the same bits: with a MAC address (RFC 8469), or with a control word
//! that begins with 0 (RFC 4385). So IP is checked by its checksum, lengths and addresses, and an
//! Ethernet frame by the payload of its Ethertype.

use super::{Ignored, LENGTH_MAX, Layer, Step, Stop, TAGS_MAX, Walk, take};
use crate::frame::field::{ipv4, ipv6};
use crate::frame::{Unread, u16_at};
use crate::key::IpVersion;
use crate::number::ethertype::{
    ARP, IPV4, IPV6, MPLS, OLD_PROVIDER_VLAN, PPPOE_SESSION, PROVIDER_BACKBONE, PROVIDER_VLAN, VLAN,
};

/// Reads the label stack, and detects the payload.
pub(super) fn step<'a>(walk: &Walk, data: &'a [u8]) -> Step<'a> {
    let (label, data) = last_label(data)?;
    let version = *data.first().ok_or(Ignored::CutShort)? >> 4;
    let wire_octets = |data: &[u8]| data.len().saturating_add(walk.missing);
    match (version, label) {
        // The explicit null labels announce IP (RFC 3032 section 2.1).
        (4, IPV4_EXPLICIT_NULL) => return Ok((Layer::Ip(IpVersion::V4), data)),
        (6, IPV6_EXPLICIT_NULL) => return Ok((Layer::Ip(IpVersion::V6), data)),
        (4, _) if is_ipv4(data, wire_octets(data))? && ipv4_fits(data, wire_octets(data)) => {
            return Ok((Layer::Ip(IpVersion::V4), data));
        }
        (6, _) if is_ipv6(data, wire_octets(data))? && !is_frame(data, wire_octets(data))? => {
            return Ok((Layer::Ip(IpVersion::V6), data));
        }
        (0, _) => {
            let (_, behind_control_word) = take::<4>(data)?;
            if is_frame(behind_control_word, wire_octets(behind_control_word))? {
                return Ok((Layer::Ethernet, behind_control_word));
            }
        }
        _ => {}
    }
    if is_frame(data, wire_octets(data))? {
        return Ok((Layer::Ethernet, data));
    }
    Err(Stop::not_ip(Unread::Ethertype(MPLS)))
}

/// The last label of a stack, and the octets after the stack. An entry is a label (20 bits),
/// traffic class (3), bottom of stack (1) and TTL (8) (RFC 3032 section 2.1).
fn last_label(mut data: &[u8]) -> Result<(u32, &[u8]), Ignored> {
    for _ in 0..TAGS_MAX {
        let (&[high, middle, low, _], rest) = take::<4>(data)?;
        if low & 1 == 1 {
            return Ok((u32::from_be_bytes([0, high, middle, low]) >> 4, rest));
        }
        data = rest;
    }
    Err(Ignored::TooDeep)
}

const IPV4_EXPLICIT_NULL: u32 = 0;
const IPV6_EXPLICIT_NULL: u32 = 2;

/// True if version, header length and header checksum are valid for IPv4.
fn is_ipv4(data: &[u8], wire_octets: usize) -> Result<bool, Ignored> {
    let version_ihl = *data.first().ok_or(Ignored::CutShort)?;
    let length = ipv4::header_length(version_ihl);
    if version_ihl >> 4 != 4 || length < ipv4::OCTETS_MIN || length > wire_octets {
        return Ok(false);
    }
    let header = data.get(..length).ok_or(Ignored::CutShort)?;
    let (words, _) = header.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    // At most 30 words: one carry, and at most one more from its addition (RFC 1071).
    let folded = (sum >> 16) + (sum & 0xffff);
    Ok((folded >> 16) + (folded & 0xffff) == 0xffff)
}

/// True if the total length is between the header length and the octets on the wire, or is 0, as in
/// a packet that is too long for the field.
fn ipv4_fits(data: &[u8], wire_octets: usize) -> bool {
    data.first_chunk::<{ ipv4::OCTETS_MIN }>().is_some_and(|header| {
        let total_length = usize::from(u16_at(header, ipv4::TOTAL_LENGTH));
        let header_length = ipv4::header_length(header[ipv4::VERSION_IHL]);
        total_length == 0 || (header_length..=wire_octets).contains(&total_length)
    })
}

/// True if version and lengths are valid for IPv4. This is enough after an Ethertype of IPv4, also
/// with a wrong checksum.
fn has_ipv4_lengths(data: &[u8], wire_octets: usize) -> bool {
    data.first_chunk::<{ ipv4::OCTETS_MIN }>().is_some_and(|header| {
        let version_ihl = header[ipv4::VERSION_IHL];
        let header_length = ipv4::header_length(version_ihl);
        let total_length = usize::from(u16_at(header, ipv4::TOTAL_LENGTH));
        version_ihl >> 4 == 4
            && header_length >= ipv4::OCTETS_MIN
            && (header_length..=wire_octets).contains(&total_length)
    })
}

/// True if version, length and addresses are valid for IPv6, which has no checksum.
fn is_ipv6(data: &[u8], wire_octets: usize) -> Result<bool, Ignored> {
    let is_long_enough = wire_octets >= ipv6::OCTETS;
    if *data.first().ok_or(Ignored::CutShort)? >> 4 != 6 || !is_long_enough {
        return Ok(false);
    }
    let (header, _) = take::<{ ipv6::OCTETS }>(data)?;
    let (_, addresses) = header.split_at(ipv6::SOURCE);
    let (source, destination) = addresses.split_at(16);
    let payload_length = usize::from(u16_at(header, ipv6::PAYLOAD_LENGTH));
    Ok(ipv6::OCTETS + payload_length <= wire_octets
        && header[ipv6::HOP_LIMIT] != 0
        && is_unicast(source)
        && (destination.first() == Some(&0xff) || is_unicast(destination)))
}

/// True if an IPv6 address is of a block in use (IANA "IPv6 Address Space"): global and local
/// unicast, translated and mapped IPv4, segment identifiers, and addresses with leading zeros.
fn is_unicast(address: &[u8]) -> bool {
    match *address {
        [0x20..=0x3f | 0xfc | 0xfd, ..] | [0xfe, 0x80..=0xbf, ..] | [0x5f, 0, ..] => true,
        [0, 0x64, 0xff, 0x9b, ..] => true,
        _ => address.starts_with(&[0; 8]),
    }
}

/// True if the octets begin with Ethernet addresses and a known payload.
fn is_frame(data: &[u8], wire_octets: usize) -> Result<bool, Ignored> {
    const ADDRESSES: usize = 12;
    const TAG: usize = 4;
    let rest = data.get(ADDRESSES..).ok_or(Ignored::CutShort)?;
    let mut wire_octets = wire_octets.saturating_sub(ADDRESSES);
    let mut rest = rest;
    for _ in 0..TAGS_MAX {
        let (&ethertype, payload) = take::<2>(rest)?;
        wire_octets = wire_octets.saturating_sub(2);
        match u16::from_be_bytes(ethertype) {
            IPV4 => {
                let is_valid = is_ipv4(payload, wire_octets)?;
                return Ok(is_valid || has_ipv4_lengths(payload, wire_octets));
            }
            IPV6 => return is_ipv6(payload, wire_octets),
            VLAN | PROVIDER_VLAN | OLD_PROVIDER_VLAN => {
                (_, rest) = take::<{ TAG - 2 }>(payload)?;
                wire_octets = wire_octets.saturating_sub(TAG - 2);
            }
            // Hardware type Ethernet, protocol type IPv4 (RFC 826).
            ARP => return Ok(take::<4>(payload)?.0 == &[0, 1, 8, 0]),
            MPLS | PPPOE_SESSION | PROVIDER_BACKBONE => return Ok(true),
            length @ 0..=LENGTH_MAX if usize::from(length) <= wire_octets => {
                let (llc, _) = take::<3>(payload)?;
                return Ok(matches!(llc, [0xaa, 0xaa, 0x03] | [0x42, 0x42, 0x03] | [6, 6, 3]));
            }
            _ => return Ok(false),
        }
    }
    Ok(false)
}
