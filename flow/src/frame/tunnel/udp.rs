//! Tunnels in UDP: VXLAN, GENEVE, GTP-U, MPLS, L2TP, Teredo.

use super::super::field::{ipv6, udp};
use super::super::link::{Layer, skip, take};
use super::super::transport::behind_udp;
use super::super::{network, u16_at};
use super::{DecapSettings, Header, Refusal, TunnelKind, VxlanPorts, id_of, l2tp, mpls};
use crate::key::{IpVersion, Ports};
use crate::number::ethertype::{BRIDGED_ETHERNET, IPV4, IPV6, NSH};
use crate::number::protocol::NO_NEXT_HEADER;

/// Ports of IANA's "Service Name and Transport Protocol Port Number Registry".
mod port {
    pub(super) const L2TP: u16 = 1701;
    pub(super) const GTP_U: u16 = 2152;
    pub(super) const TEREDO: u16 = 3544;
    pub(super) const VXLAN_GPE: u16 = 4790;
    pub(super) const GENEVE: u16 = 6081;
    pub(super) const MPLS: u16 = 6635;
}

/// A tunnel in UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UdpTunnel {
    Vxlan,
    VxlanGpe,
    Geneve,
    GtpU,
    Mpls,
    L2tp,
    Teredo,
}

impl UdpTunnel {
    /// The kind of tunnel, by the ports, if this kind is opened.
    #[inline(always)]
    pub(super) fn of(ports: Ports, settings: &DecapSettings) -> Option<Self> {
        let tunnel = Self::by_ports(ports, &settings.vxlan_ports)?;
        settings.kinds.contains(tunnel.kind()).then_some(tunnel)
    }

    /// By the ports.
    #[inline(always)]
    pub(super) fn by_ports(ports: Ports, vxlan_ports: &VxlanPorts) -> Option<Self> {
        let (source, destination) = (ports.source(), ports.destination());
        Some(match (destination, source) {
            (port::VXLAN_GPE, _) => Self::VxlanGpe,
            (port::GENEVE, _) => Self::Geneve,
            (port::MPLS, _) => Self::Mpls,
            (number, _) if number != 0 && vxlan_ports.0.contains(&number) => Self::Vxlan,
            (port::GTP_U, _) | (_, port::GTP_U) => Self::GtpU,
            (port::L2TP, _) | (_, port::L2TP) => Self::L2tp,
            (port::TEREDO, _) | (_, port::TEREDO) => Self::Teredo,
            _ => return None,
        })
    }

    pub(super) const fn kind(self) -> TunnelKind {
        match self {
            Self::Vxlan => TunnelKind::Vxlan,
            Self::VxlanGpe => TunnelKind::VxlanGpe,
            Self::Geneve => TunnelKind::Geneve,
            Self::GtpU => TunnelKind::GtpU,
            Self::Mpls => TunnelKind::Mpls,
            Self::L2tp => TunnelKind::L2tp,
            Self::Teredo => TunnelKind::Teredo,
        }
    }
}

/// Reads the header of a tunnel behind its UDP header. The wire had `missing` octets more than
/// `data`.
#[inline(always)]
pub(super) fn header(
    tunnel: UdpTunnel,
    data: &[u8],
    missing: usize,
) -> Result<Header<'_>, Refusal> {
    let (length, data) = behind_udp(data).ok_or(Refusal::Length)?;
    let on_wire = data.len().saturating_add(missing);
    // The length is 0 in a super-packet.
    let octets = length.checked_sub(udp::OCTETS).filter(|&octets| octets <= on_wire);
    let octets = octets.unwrap_or(on_wire);
    let data = &data[..data.len().min(octets)];
    match tunnel {
        UdpTunnel::Vxlan => vxlan(data),
        UdpTunnel::VxlanGpe => vxlan_gpe(data),
        UdpTunnel::Geneve => geneve(data),
        UdpTunnel::GtpU => gtp(data, octets),
        UdpTunnel::Mpls => mpls(data),
        UdpTunnel::L2tp => l2tp::version_2(data),
        UdpTunnel::Teredo => teredo(data, octets),
    }
}

/// VXLAN (RFC 7348 section 5): flags (8 bits), reserved (24), VNI (24), reserved (8). Flags other
/// than I are for extensions.
#[inline(always)]
fn vxlan(data: &[u8]) -> Result<Header<'_>, Refusal> {
    const HAS_VNI: u8 = 0x08;
    let (&[flags, _, _, _, v0, v1, v2, _], frame) = take::<8>(data)?;
    if flags & HAS_VNI == 0 {
        return Err(Refusal::Flags);
    }
    Ok(Header::new(TunnelKind::Vxlan, id_of([v0, v1, v2]), Layer::Ethernet, frame))
}

/// VXLAN-GPE: flags (8 bits: version, I, P, B, O), reserved (16), next protocol (8), then as VXLAN.
fn vxlan_gpe(data: &[u8]) -> Result<Header<'_>, Refusal> {
    const VERSION: u8 = 0x30;
    const HAS_PROTOCOL: u8 = 0x04;
    const OPERATION: u8 = 0x01;
    let (&[flags, _, _, protocol, v0, v1, v2, _], rest) = take::<8>(data)?;
    if flags & VERSION != 0 {
        return Err(Refusal::Version);
    }
    if flags & (HAS_PROTOCOL | OPERATION) != HAS_PROTOCOL {
        return Err(Refusal::Flags);
    }
    let layer = match protocol {
        1 => Layer::Ip(IpVersion::V4),
        2 => Layer::Ip(IpVersion::V6),
        3 => Layer::Ethernet,
        4 => Layer::Ethertype(NSH),
        _ => return Err(Refusal::Inner),
    };
    Ok(Header::new(TunnelKind::VxlanGpe, id_of([v0, v1, v2]), layer, rest))
}

/// GENEVE (RFC 8926 section 3.4): version (2 bits), words of options (6), O, C, reserved (6),
/// protocol type (16), VNI (24), reserved (8), options.
#[inline]
fn geneve(data: &[u8]) -> Result<Header<'_>, Refusal> {
    const CONTROL: u8 = 0x80;
    let (&[first, flags, p0, p1, v0, v1, v2, _], rest) = take::<8>(data)?;
    if first >> 6 != 0 {
        return Err(Refusal::Version);
    }
    if flags & CONTROL != 0 {
        return Err(Refusal::Flags);
    }
    let octets = usize::from(first & 0x3f) * 4;
    let (options, rest) = rest.split_at_checked(octets).ok_or(Refusal::Length)?;
    check_options(options)?;
    let layer = match u16::from_be_bytes([p0, p1]) {
        BRIDGED_ETHERNET => Layer::Ethernet,
        ip @ (IPV4 | IPV6) => Layer::Ethertype(ip),
        _ => return Err(Refusal::Inner),
    };
    Ok(Header::new(TunnelKind::Geneve, id_of([v0, v1, v2]), layer, rest))
}

/// An option (RFC 8926 section 3.5): class (16 bits), type (8), reserved (3), words of data (5).
fn check_options(mut options: &[u8]) -> Result<(), Refusal> {
    while !options.is_empty() {
        let (&[_, _, _, words], rest) = take::<4>(options)?;
        options = skip(rest, usize::from(words & 0x1f) * 4)?;
    }
    Ok(())
}

/// GTP-U (3GPP TS 29.281 section 5.1): version (3 bits), protocol type, reserved, E, S, PN; message
/// type (8), length (16), TEID (32); if any of the last three flags is set: sequence number (16),
/// N-PDU number (8) and the type of the next extension header (8).
fn gtp(data: &[u8], octets: usize) -> Result<Header<'_>, Refusal> {
    const VERSION: u8 = 0xe0;
    const VERSION_1: u8 = 0x20;
    const IS_GTP: u8 = 0x10;
    const HAS_EXTENSION: u8 = 0x04;
    const HAS_FIELDS: u8 = 0x07;
    const PACKET: u8 = 255;
    let missing = octets - data.len();
    let (&[flags, message, _, _, t0, t1, t2, t3], mut rest) = take::<8>(data)?;
    if flags & VERSION != VERSION_1 {
        return Err(Refusal::Version);
    }
    if flags & IS_GTP == 0 || message != PACKET {
        return Err(Refusal::Flags);
    }
    if flags & HAS_FIELDS != 0 {
        let (&[_, _, _, next], behind) = take::<4>(rest)?;
        let next = if flags & HAS_EXTENSION == 0 { 0 } else { next };
        rest = behind_extensions(next, behind)?;
    }
    let version = match rest.first().ok_or(Refusal::Length)? >> 4 {
        4 => IpVersion::V4,
        6 => IpVersion::V6,
        _ => return Err(Refusal::Inner),
    };
    let on_wire = u32::try_from(rest.len().saturating_add(missing)).unwrap_or(u32::MAX);
    if network::general(version, rest, on_wire).is_ok_and(|(packet, _)| packet.exceeds_wire) {
        return Err(Refusal::Length);
    }
    Ok(Header::new(TunnelKind::GtpU, id_of([t0, t1, t2, t3]), Layer::Ip(version), rest))
}

/// Skips extension headers. Each has its length in words, data, and the type of the next one.
fn behind_extensions(mut next: u8, mut data: &[u8]) -> Result<&[u8], Refusal> {
    const EXTENSIONS_MAX: usize = 8;
    for _ in 0..EXTENSIONS_MAX {
        if next == 0 {
            return Ok(data);
        }
        let octets = usize::from(*data.first().ok_or(Refusal::Length)?) * 4;
        let (extension, rest) = data.split_at_checked(octets).ok_or(Refusal::Length)?;
        next = *extension.last().ok_or(Refusal::Length)?;
        data = rest;
    }
    if next == 0 { Ok(data) } else { Err(Refusal::Length) }
}

/// Teredo (RFC 4380 section 5.1.1): optional authentication (0x0001, lengths of id and value, both,
/// nonce, confirmation), optional origin (0x0000, port, address), then IPv6 to the end.
fn teredo(data: &[u8], octets: usize) -> Result<Header<'_>, Refusal> {
    let missing = octets - data.len();
    let mut rest = data;
    if let [0, 1, id, value, behind @ ..] = rest {
        rest = skip(behind, usize::from(*id) + usize::from(*value) + 9)?;
    }
    if let [0, 0, ..] = rest {
        rest = skip(rest, 8)?;
    }
    let (header, _) = take::<{ ipv6::OCTETS }>(rest)?;
    if header[0] >> 4 != 6 {
        return Err(Refusal::Version);
    }
    let payload_octets = usize::from(u16_at(header, ipv6::PAYLOAD_LENGTH));
    if ipv6::OCTETS + payload_octets != rest.len() + missing {
        return Err(Refusal::Length);
    }
    let (_, addresses) = header.split_at(ipv6::SOURCE);
    let (source, destination) = addresses.split_at(16);
    let is_bubble = payload_octets == 0 && header[ipv6::NEXT_HEADER] == NO_NEXT_HEADER;
    let fits = is_teredo(source) || is_teredo(destination);
    if is_bubble || !fits || header[ipv6::HOP_LIMIT] == 0 {
        return Err(Refusal::Inner);
    }
    Ok(Header::new(TunnelKind::Teredo, 0, Layer::Ip(IpVersion::V6), rest))
}

/// True if an address is of Teredo's prefix or link-local.
fn is_teredo(address: &[u8]) -> bool {
    matches!(address, [0x20, 0x01, 0, 0, ..] | [0xfe, 0x80..=0xbf, ..])
}
