//! From the first octet of a frame to its IP header.

use super::{Frame, Ignored, LinkType};
use crate::key::IpVersion;
use crate::number::ethertype::{
    IPV4, IPV6, MPLS, MPLS_MULTICAST, OLD_PROVIDER_VLAN, PPPOE_SESSION, PROVIDER_VLAN, VLAN,
};

/// What follows the link layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network<'a> {
    pub(super) ip_version: IpVersion,
    /// From the first octet of the IP header.
    pub(super) data: &'a [u8],
    pub(super) vlan_id: u16,
}

/// So many VLAN tags and MPLS labels are walked through. (PPPoE does not nest.)
const DEPTH_MAX: usize = 8;

/// Ethernet with at most one VLAN tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainEthernet<'a> {
    pub(super) ethertype: u16,
    pub(super) vlan_id: u16,
    /// What follows.
    pub(super) data: &'a [u8],
    /// How many octets of it the wire had.
    pub(super) wire_octets: u32,
}

impl<'a> PlainEthernet<'a> {
    #[inline(always)]
    pub(super) fn read(frame: &Frame<'a>) -> Option<Self> {
        if frame.link_type != LinkType::Ethernet {
            return None;
        }
        let (header, data) = frame.data.split_first_chunk::<14>()?;
        let [.., high, low] = *header;
        let plain = Self {
            ethertype: u16::from_be_bytes([high, low]),
            vlan_id: 0,
            data,
            wire_octets: frame.wire_length.checked_sub(14)?,
        };
        if plain.ethertype == VLAN { plain.behind_tag() } else { Some(plain) }
    }

    #[inline]
    fn behind_tag(self) -> Option<Self> {
        let (&[tci_high, tci_low, high, low], data) = self.data.split_first_chunk::<4>()?;
        Some(Self {
            ethertype: u16::from_be_bytes([high, low]),
            vlan_id: u16::from_be_bytes([tci_high, tci_low]) & VLAN_ID,
            data,
            wire_octets: self.wire_octets.checked_sub(4)?,
        })
    }
}

/// Any link layer.
pub(super) fn walk(link_type: LinkType, data: &[u8]) -> Result<Network<'_>, Ignored> {
    match link_type {
        LinkType::Ethernet => {
            let (header, rest) = take::<14>(data)?;
            let [.., high, low] = *header;
            walk_ethertype(u16::from_be_bytes([high, low]), rest)
        }
        LinkType::RawIp => by_version(data),
        LinkType::Ipv4 => Ok(Network { ip_version: IpVersion::V4, data, vlan_id: 0 }),
        LinkType::Ipv6 => Ok(Network { ip_version: IpVersion::V6, data, vlan_id: 0 }),
        LinkType::Null => {
            let (family, rest) = take::<4>(data)?;
            let (native, swapped) = (u32::from_le_bytes(*family), u32::from_be_bytes(*family));
            by_address_family(native.min(swapped), rest)
        }
        LinkType::Loop => {
            let (family, rest) = take::<4>(data)?;
            by_address_family(u32::from_be_bytes(*family), rest)
        }
        // Address and control of HDLC may stand before it (RFC 1662 section 3.1), and with another
        // address, of one station or of all, it is Cisco's HDLC: an Ethertype (RFC 1547, 4.3.1).
        LinkType::Ppp => match data {
            [0xff] => Err(Ignored::CutShort),
            [0x0f | 0x8f, rest @ ..] => {
                let (&[_, high, low], rest) = take::<3>(rest)?;
                walk_ethertype(u16::from_be_bytes([high, low]), rest)
            }
            [0xff, 0x03, rest @ ..] => by_ppp_protocol(rest),
            _ => by_ppp_protocol(data),
        },
        LinkType::LinuxCooked => {
            let (header, rest) = take::<16>(data)?;
            let [.., high, low] = *header;
            walk_ethertype(u16::from_be_bytes([high, low]), rest)
        }
        LinkType::LinuxCooked2 => {
            let (header, rest) = take::<20>(data)?;
            let [high, low, ..] = *header;
            walk_ethertype(u16::from_be_bytes([high, low]), rest)
        }
        LinkType::Unsupported => Err(Ignored::LinkType),
        LinkType::Undescribed => Err(Ignored::UnknownInterface),
    }
}

/// Walks through VLAN tags, MPLS labels, PPPoE and SNAP, from the octet after an Ethertype on.
fn walk_ethertype(ethertype: u16, data: &[u8]) -> Result<Network<'_>, Ignored> {
    let (mut ethertype, mut data) = (ethertype, data);
    let mut outer_vlan = 0;
    let mut tags = 0;
    loop {
        let network = match ethertype {
            IPV4 => Ok(Network { ip_version: IpVersion::V4, data, vlan_id: 0 }),
            IPV6 => Ok(Network { ip_version: IpVersion::V6, data, vlan_id: 0 }),
            VLAN | PROVIDER_VLAN | OLD_PROVIDER_VLAN => {
                if tags == DEPTH_MAX {
                    return Err(Ignored::TooDeep);
                }
                //  0                   1                   2                   3
                // |PCP|D|        VLAN id        |           Ethertype           |
                let (&[tci_high, tci_low, high, low], rest) = take::<4>(data)?;
                if tags == 0 {
                    outer_vlan = u16::from_be_bytes([tci_high, tci_low]) & VLAN_ID;
                }
                tags += 1;
                (ethertype, data) = (u16::from_be_bytes([high, low]), rest);
                continue;
            }
            MPLS | MPLS_MULTICAST => by_version(skip_labels(data)?),
            PPPOE_SESSION => {
                // Version and type (0x11), code (0: session data), session id, length (RFC 2516).
                let (&[version_type, code, ..], rest) = take::<6>(data)?;
                if version_type != 0x11 || code != 0 {
                    return Err(Ignored::NotIp);
                }
                by_ppp_protocol(rest)
            }
            0..=LENGTH_MAX => {
                // IEEE 802.3 length: LLC follows, and with SNAP an Ethertype.
                let (llc, rest) = take::<3>(data)?;
                if *llc != SNAP {
                    return Err(Ignored::NotIp);
                }
                let (&[oui @ .., high, low], rest) = take::<5>(rest)?;
                let snap_type = u16::from_be_bytes([high, low]);
                if oui != [0, 0, 0] || snap_type <= LENGTH_MAX {
                    return Err(Ignored::NotIp);
                }
                (ethertype, data) = (snap_type, rest);
                continue;
            }
            _ => Err(Ignored::NotIp),
        };
        return network.map(|network| Network { vlan_id: outer_vlan, ..network });
    }
}

/// Skips an MPLS label stack: label, traffic class, bottom of stack, TTL (RFC 3032).
fn skip_labels(mut data: &[u8]) -> Result<&[u8], Ignored> {
    for _ in 0..DEPTH_MAX {
        let (&[_, _, bottom, _], rest) = take::<4>(data)?;
        if bottom & 1 == 1 {
            return Ok(rest);
        }
        data = rest;
    }
    Err(Ignored::TooDeep)
}

/// The IP version is all that tells what it is.
fn by_version(data: &[u8]) -> Result<Network<'_>, Ignored> {
    match data.first().ok_or(Ignored::CutShort)? >> 4 {
        4 => Ok(Network { ip_version: IpVersion::V4, data, vlan_id: 0 }),
        6 => Ok(Network { ip_version: IpVersion::V6, data, vlan_id: 0 }),
        _ => Err(Ignored::NotIp),
    }
}

/// `AF_INET` is 2 everywhere; `AF_INET6` is 10 on Linux, 24, 28 or 30 on the BSDs and macOS.
fn by_address_family(family: u32, data: &[u8]) -> Result<Network<'_>, Ignored> {
    match family {
        2 => Ok(Network { ip_version: IpVersion::V4, data, vlan_id: 0 }),
        10 | 24 | 28 | 30 => Ok(Network { ip_version: IpVersion::V6, data, vlan_id: 0 }),
        _ => Err(Ignored::NotIp),
    }
}

/// The protocol field is one octet where the peers agreed to compress it (RFC 1661 section 6.5).
fn by_ppp_protocol(data: &[u8]) -> Result<Network<'_>, Ignored> {
    let (&[first], rest) = take::<1>(data)?;
    let (protocol, data) = if first & 1 == 1 {
        (u16::from(first), rest)
    } else {
        let (&[second], rest) = take::<1>(rest)?;
        (u16::from_be_bytes([first, second]), rest)
    };
    match protocol {
        0x0021 => Ok(Network { ip_version: IpVersion::V4, data, vlan_id: 0 }),
        0x0057 => Ok(Network { ip_version: IpVersion::V6, data, vlan_id: 0 }),
        0x0281 | 0x0283 => by_version(skip_labels(data)?),
        _ => Err(Ignored::NotIp),
    }
}

#[inline]
fn take<const N: usize>(data: &[u8]) -> Result<(&[u8; N], &[u8]), Ignored> {
    data.split_first_chunk().ok_or(Ignored::CutShort)
}

/// Of a tag's control information, what is the id.
const VLAN_ID: u16 = 0x0fff;
const LENGTH_MAX: u16 = 1500;
const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
