//! PPP and other protocols of serial lines: PPPoE, HDLC, Frame Relay.

use super::{Ignored, Layer, Step, Stop, Walk, llc, mpls, take};
use crate::frame::Unread;
use crate::key::IpVersion;
use crate::number::ethertype::PPPOE_SESSION;

/// Reads PPP from the protocol field on. The field has one octet if the peers agreed to compress it
/// (RFC 1661 section 6.5).
pub(super) fn step<'a>(walk: &Walk, data: &'a [u8]) -> Step<'a> {
    let (&[first], rest) = take::<1>(data)?;
    let (protocol, data) = if first & 1 == 1 {
        (u16::from(first), rest)
    } else {
        let (&[second], rest) = take::<1>(rest)?;
        (u16::from_be_bytes([first, second]), rest)
    };
    match protocol {
        0x0021 => Ok((Layer::Ip(IpVersion::V4), data)),
        0x0057 => Ok((Layer::Ip(IpVersion::V6), data)),
        0x0281 | 0x0283 => mpls::step(walk, data),
        _ => Err(Ignored::NotIp.into()),
    }
}

/// PPP on a serial line: address and control of HDLC may precede it (RFC 1662 section 3.1). With
/// the unicast or broadcast address of Cisco's HDLC it is that protocol (RFC 1547 section 4.3.1).
pub(super) fn line(data: &[u8]) -> Step<'_> {
    match data {
        [0xff] => Err(Ignored::CutShort.into()),
        [0x0f | 0x8f, ..] => cisco_hdlc(data),
        [0xff, 0x03, rest @ ..] => Ok((Layer::Ppp, rest)),
        _ => Ok((Layer::Ppp, data)),
    }
}

/// PPP after an octet with the direction. pppd writes that octet in place of the address; others
/// write it before the address.
pub(super) fn line_behind_direction(data: &[u8]) -> Step<'_> {
    match data {
        [0x03, rest @ ..] => Ok((Layer::Ppp, rest)),
        _ => line(data),
    }
}

/// Cisco's HDLC: address and control, then an Ethertype.
pub(super) fn cisco_hdlc(data: &[u8]) -> Step<'_> {
    let (&[_, _, high, low], rest) = take::<4>(data)?;
    Ok((Layer::Ethertype(u16::from_be_bytes([high, low])), rest))
}

/// PPPoE (RFC 2516 section 4): version and type (0x11), code (0: session data), session id, length.
pub(super) fn session(data: &[u8]) -> Step<'_> {
    let (&[version_type, code, ..], rest) = take::<6>(data)?;
    if version_type == 0x11 && code == 0 {
        Ok((Layer::Ppp, rest))
    } else {
        Err(Stop::not_ip(Unread::Ethertype(PPPOE_SESSION)))
    }
}

/// Frame Relay: an address of 2 to 4 octets, whose last has the lowest bit set (Q.922). Then
/// control, an optional zero octet, and a Network Layer Protocol Identifier (RFC 2427 section 3).
/// Cisco's variant has an Ethertype after the address.
pub(super) fn frame_relay(data: &[u8]) -> Step<'_> {
    let (&[first, second], mut rest) = take::<2>(data)?;
    let mut last = second;
    for _ in 0..2 {
        if last & 1 == 0 {
            (last, rest) = take::<1>(rest).map(|(&[octet], rest)| (octet, rest))?;
        }
    }
    if first & 1 == 1 || last & 1 == 0 {
        return Err(Ignored::NotIp.into());
    }
    let (&[control], behind_control) = take::<1>(rest)?;
    if control != 0x03 {
        let (ethertype, rest) = take::<2>(rest)?;
        return Ok((Layer::Ethertype(u16::from_be_bytes(*ethertype)), rest));
    }
    let (&[mut protocol], mut rest) = take::<1>(behind_control)?;
    if protocol == 0 {
        (protocol, rest) = take::<1>(rest).map(|(&[octet], rest)| (octet, rest))?;
    }
    match protocol {
        0x80 => llc::sub_network(rest),
        0x8e => Ok((Layer::Ip(IpVersion::V6), rest)),
        0xcc => Ok((Layer::Ip(IpVersion::V4), rest)),
        // RFC 1973.
        0xcf => Ok((Layer::Ppp, rest)),
        _ => Err(Ignored::NotIp.into()),
    }
}
