//! Generic Routing Encapsulation, and protocols based on it: NVGRE, PPTP, ERSPAN, WCCP.

use super::super::link::{Layer, take};
use super::{Header, Refusal, TunnelKind, id_of, ppp};
use crate::key::IpVersion;
use crate::number::ethertype::{
    BRIDGED_ETHERNET, ERSPAN, ERSPAN_III, IPV4, IPV6, MPLS, MPLS_MULTICAST, NSH, PPP,
    PROVIDER_VLAN, VLAN, WCCP,
};

/// Flags of present fields (RFC 2784, RFC 2890).
mod flag {
    pub(super) const CHECKSUM: u16 = 0x8000;
    /// Routing, which RFC 2784 removed.
    pub(super) const ROUTING: u16 = 0x4000;
    pub(super) const KEY: u16 = 0x2000;
    pub(super) const SEQUENCE: u16 = 0x1000;
    /// Acknowledgment number, in version 1 (RFC 2637 section 4.1).
    pub(super) const ACKNOWLEDGMENT: u16 = 0x0080;
    pub(super) const VERSION: u16 = 0x0007;
}

type Read<'a> = Result<Header<'a>, (TunnelKind, Refusal)>;

/// Flags and version (16 bits), protocol type (16); then, by the flags: checksum and reserved (32),
/// key (32), sequence number (32).
pub(super) fn header(data: &[u8]) -> Read<'_> {
    let (&[f0, f1, p0, p1], rest) =
        take::<4>(data).map_err(|cut| of(TunnelKind::Gre)(cut.into()))?;
    let (flags, protocol) = (u16::from_be_bytes([f0, f1]), u16::from_be_bytes([p0, p1]));
    match (flags & flag::VERSION, protocol) {
        (0, ERSPAN | ERSPAN_III) => erspan(flags, protocol, rest).map_err(of(TunnelKind::Erspan)),
        (0, _) => version_0(flags, protocol, rest).map_err(of(TunnelKind::Gre)),
        (1, PPP) => pptp(flags, rest).map_err(of(TunnelKind::Pptp)),
        _ => Err((TunnelKind::Gre, Refusal::Version)),
    }
}

fn of(kind: TunnelKind) -> impl Fn(Refusal) -> (TunnelKind, Refusal) {
    move |cause| (kind, cause)
}

/// The key, or 0 without a key, and the octets after the fields of version 0.
fn fields(flags: u16, mut data: &[u8]) -> Result<(u32, &[u8]), Refusal> {
    if flags & flag::ROUTING != 0 {
        return Err(Refusal::Flags);
    }
    let mut key = 0;
    for present in [flag::CHECKSUM, flag::KEY, flag::SEQUENCE] {
        if flags & present != 0 {
            let (field, rest) = take::<4>(data)?;
            if present == flag::KEY {
                key = u32::from_be_bytes(*field);
            }
            data = rest;
        }
    }
    Ok((key, data))
}

fn version_0(flags: u16, protocol: u16, data: &[u8]) -> Result<Header<'_>, Refusal> {
    let (key, data) = fields(flags, data)?;
    let header = |layer, data| Ok(Header::new(TunnelKind::Gre, key, layer, data));
    match protocol {
        BRIDGED_ETHERNET if flags & (flag::CHECKSUM | flag::KEY | flag::SEQUENCE) == flag::KEY => {
            Ok(Header::new(TunnelKind::Nvgre, key >> 8, Layer::Ethernet, data))
        }
        BRIDGED_ETHERNET => header(Layer::Ethernet, data),
        IPV4 | IPV6 | MPLS | MPLS_MULTICAST | VLAN | PROVIDER_VLAN | NSH => {
            header(Layer::Ethertype(protocol), data)
        }
        WCCP => header(Layer::Ip(IpVersion::V4), behind_redirect_header(data)?),
        _ => Err(Refusal::Inner),
    }
}

/// Version 2 of WCCP has a header of 4 octets before the packet; version 1 has none.
fn behind_redirect_header(data: &[u8]) -> Result<&[u8], Refusal> {
    match data.first() {
        Some(first) if first >> 4 == 4 => Ok(data),
        _ => Ok(take::<4>(data)?.1),
    }
}

/// Version 1 (RFC 2637 section 4.1): the key is payload length and call id, 16 bits each; then, by
/// the flags: sequence and acknowledgment number, 32 bits each.
fn pptp(flags: u16, data: &[u8]) -> Result<Header<'_>, Refusal> {
    if flags & (flag::CHECKSUM | flag::ROUTING) != 0 || flags & flag::KEY == 0 {
        return Err(Refusal::Flags);
    }
    let (&[l0, l1, c0, c1], mut rest) = take::<4>(data)?;
    for present in [flag::SEQUENCE, flag::ACKNOWLEDGMENT] {
        if flags & present != 0 {
            (_, rest) = take::<4>(rest)?;
        }
    }
    if [l0, l1] == [0, 0] {
        // An acknowledgment without payload.
        return Err(Refusal::Length);
    }
    let (layer, data) = ppp(rest);
    Ok(Header::new(TunnelKind::Pptp, id_of([c0, c1]), layer, data))
}

/// ERSPAN. Type I has no header and no sequence number. Types II and III:
///
/// ```text
///  0       4                      16   19  21 22                  32
/// |Version|        VLAN           | COS |EN |T|     Session id     |
/// |     Type II: reserved, index; type III: timestamp              |
/// |  Type III: security group     |P|frame t. |   hw    |D|gra|O|
/// ```
fn erspan(flags: u16, protocol: u16, data: &[u8]) -> Result<Header<'_>, Refusal> {
    let (_, data) = fields(flags, data)?;
    if protocol == ERSPAN && flags & flag::SEQUENCE == 0 {
        return Ok(Header::new(TunnelKind::Erspan, 0, Layer::Ethernet, data));
    }
    let (&[first, second, third, fourth, ..], rest) = take::<8>(data)?;
    let vlan_id = u16::from_be_bytes([first & 0x0f, second]);
    let session = id_of([third & 0x03, fourth]);
    let (layer, data) = match (protocol, first >> 4) {
        (ERSPAN, 1) => (Layer::Ethernet, rest),
        (ERSPAN_III, 2) => type_3(rest)?,
        _ => return Err(Refusal::Version),
    };
    Ok(Header { vlan_id, ..Header::new(TunnelKind::Erspan, session, layer, data) })
}

/// Reads type III, from the security group on.
fn type_3(data: &[u8]) -> Result<(Layer, &[u8]), Refusal> {
    let (&[_, _, high, low], mut rest) = take::<4>(data)?;
    if low & 1 == 1 {
        // A platform-specific subheader.
        (_, rest) = take::<8>(rest)?;
    }
    match high >> 2 & 0x1f {
        0 => Ok((Layer::Ethernet, rest)),
        2 => Ok((Layer::IpOfAnyVersion, rest)),
        _ => Err(Refusal::Inner),
    }
}
