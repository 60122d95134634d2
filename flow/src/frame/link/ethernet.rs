//! Payloads of Ethertypes: IP, tags, and Ethernet frames in Ethernet frames.

use super::{
    Ignored, LENGTH_MAX, Layer, Step, Stop, TAGS_MAX, VLAN_ID, Walk, mpls, ppp, skip, take,
};
use crate::frame::Unread;
use crate::key::IpVersion;
use crate::number::ethertype::{
    ARISTA, CISCO_METADATA, CISCO_TTAG, E_TAG, FABRIC_PATH, HSR, IPV4, IPV6, JUMBO_LLC, MACSEC,
    MPLS, MPLS_MULTICAST, NSH, OLD_PROVIDER_VLAN, PPPOE_SESSION, PROVIDER_BACKBONE, PROVIDER_VLAN,
    TRILL, VLAN, VN_TAG,
};

/// Reads the octets after an Ethertype.
pub(super) fn step<'a>(walk: &mut Walk, ethertype: u16, data: &'a [u8]) -> Step<'a> {
    match ethertype {
        IPV4 => Ok((Layer::Ip(IpVersion::V4), data)),
        IPV6 => Ok((Layer::Ip(IpVersion::V6), data)),
        VLAN | PROVIDER_VLAN | OLD_PROVIDER_VLAN => vlan_tag(walk, data),
        MPLS | MPLS_MULTICAST => mpls::step(walk, data),
        PPPOE_SESSION => ppp::session(data),
        // VN-Tag: direction, virtual interfaces. HSR: path, length, sequence (IEC 62439-3).
        VN_TAG | HSR => tag::<4>(data),
        // E-TAG: priority, E-channel ids (IEEE 802.1BR). Cisco MetaData: version, length, option,
        // security group. Cisco TTag: a timestamp.
        E_TAG | CISCO_METADATA | CISCO_TTAG => tag::<6>(data),
        ARISTA => arista_timestamp(data),
        MACSEC => security_tag(data),
        // Flags and I-SID of an I-TAG (IEEE 802.1ah), then the customer's frame.
        PROVIDER_BACKBONE => Ok((Layer::Ethernet, skip(data, 4)?)),
        // Forwarding tag and TTL, then the frame.
        FABRIC_PATH => Ok((Layer::Ethernet, skip(data, 2)?)),
        TRILL => trill(data),
        NSH => service_header(data),
        0..=LENGTH_MAX | JUMBO_LLC => Ok((Layer::Llc, data)),
        other if walk.tpids.contains(other) => vlan_tag(walk, data),
        other => Err(Stop::not_ip(Unread::Ethertype(other))),
    }
}

/// IEEE 802.1Q:
///
/// ```text
///  0                   1                   2                   3
/// |PCP|D|        VLAN id        |           Ethertype           |
/// ```
fn vlan_tag<'a>(walk: &mut Walk, data: &'a [u8]) -> Step<'a> {
    if walk.tags == TAGS_MAX {
        return Err(Ignored::TooDeep.into());
    }
    let (&[tci_high, tci_low, high, low], rest) = take::<4>(data)?;
    let id = u16::from_be_bytes([tci_high, tci_low]) & VLAN_ID;
    match walk.tags {
        0 => walk.vlan_id = id,
        1 => walk.inner_vlan_id = id,
        _ => {}
    }
    walk.tags += 1;
    Ok((Layer::Ethertype(u16::from_be_bytes([high, low])), rest))
}

/// A tag of `N` octets, then an Ethertype.
fn tag<const N: usize>(data: &[u8]) -> Step<'_> {
    let (_, rest) = take::<N>(data)?;
    let (ethertype, rest) = take::<2>(rest)?;
    Ok((Layer::Ethertype(u16::from_be_bytes(*ethertype)), rest))
}

/// Arista's timestamp: subtype 1, a version with the form of the time, then the time.
fn arista_timestamp(data: &[u8]) -> Step<'_> {
    let (&[subtype_high, subtype_low, _, form], rest) = take::<4>(data)?;
    match ([subtype_high, subtype_low], form) {
        ([0, 1], 0x10) => tag::<8>(rest),
        ([0, 1], 0x20) => tag::<6>(rest),
        _ => Err(Stop::not_ip(Unread::Ethertype(ARISTA))),
    }
}

/// MACsec (IEEE 802.1AE clause 9): control bits and association number (1 octet), short length (1),
/// packet number (4), and with the SC bit a secure channel identifier (8).
fn security_tag(data: &[u8]) -> Step<'_> {
    const VERSION: u8 = 0x80;
    const HAS_CHANNEL: u8 = 0x20;
    const ENCRYPTED: u8 = 0x08;
    const CHANGED_TEXT: u8 = 0x04;
    let control = *data.first().ok_or(Ignored::CutShort)?;
    if control & (VERSION | ENCRYPTED | CHANGED_TEXT) != 0 {
        return Err(Stop::not_ip(Unread::Ethertype(MACSEC)));
    }
    if control & HAS_CHANNEL == 0 { tag::<6>(data) } else { tag::<14>(data) }
}

/// TRILL (RFC 6325 section 3): version (2 bits), reserved (2), multi-destination (1), words of
/// options (5), hop count (6), egress and ingress nickname (16 each), options, then the frame.
fn trill(data: &[u8]) -> Step<'_> {
    let (&[high, low, ..], rest) = take::<6>(data)?;
    let word = u16::from_be_bytes([high, low]);
    if word >> 14 != 0 {
        return Err(Stop::not_ip(Unread::Ethertype(TRILL)));
    }
    let option_words = usize::from(word >> 6 & 0x1f);
    Ok((Layer::Ethernet, skip(rest, option_words * 4)?))
}

/// Network Service Header (RFC 8300 section 2.2): version (2 bits), flags, TTL (6), length in words
/// (6), reserved (4), metadata type (4), next protocol (8), service path (32), metadata.
fn service_header(data: &[u8]) -> Step<'_> {
    let (&[first, second, _, protocol], _) = take::<4>(data)?;
    let words = usize::from(second & 0x3f);
    let next = match (first >> 6, protocol) {
        (0, _) if words < 2 => None,
        (0, 1) => Some(Layer::Ip(IpVersion::V4)),
        (0, 2) => Some(Layer::Ip(IpVersion::V6)),
        (0, 3) => Some(Layer::Ethernet),
        (0, 4) => Some(Layer::Ethertype(NSH)),
        (0, 5) => Some(Layer::Ethertype(MPLS)),
        _ => None,
    };
    let next = next.ok_or_else(|| Stop::not_ip(Unread::Ethertype(NSH)))?;
    Ok((next, skip(data, words * 4)?))
}
