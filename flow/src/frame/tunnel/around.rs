//! The IP header around a plain tunnel.

use super::super::field::{ipv4, ipv6};
use super::super::network::four_at;
use super::super::u16_at;
use crate::key::{Address, IpVersion};

/// A plain IP header before any protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainHeader<'a> {
    pub(super) ip_version: IpVersion,
    pub(super) protocol: u8,
    pub(super) source: Address,
    pub(super) destination: Address,
    /// Octets of the packet.
    pub(super) octets: u32,
    /// Captured octets of the packet after the header.
    pub(super) payload: &'a [u8],
    /// Octets of the packet that were not captured.
    pub(super) missing: u32,
}

impl<'a> PlainHeader<'a> {
    /// Reads the same headers as `network::plain_ipv4`.
    #[inline(always)]
    pub(super) fn ipv4(data: &'a [u8], wire_octets: u32) -> Option<Self> {
        let (header, payload) = data.split_first_chunk::<20>()?;
        let octets = u32::from(u16_at(header, ipv4::TOTAL_LENGTH));
        let fragmented = u16_at(header, ipv4::FRAGMENT) & ipv4::IS_FRAGMENT != 0;
        if header[ipv4::VERSION_IHL] != 0x45 || fragmented || octets > wire_octets {
            return None;
        }
        let (payload, missing) = cut(payload, octets.checked_sub(20)?)?;
        Some(Self {
            ip_version: IpVersion::V4,
            protocol: header[ipv4::PROTOCOL],
            source: Address::v4(four_at(header, ipv4::SOURCE)),
            destination: Address::v4(four_at(header, ipv4::DESTINATION)),
            octets,
            payload,
            missing,
        })
    }

    /// Reads the same headers as `network::plain_ipv6`, and those before extension headers.
    #[inline(always)]
    pub(super) fn ipv6(data: &'a [u8], wire_octets: u32) -> Option<Self> {
        let (header, payload) = data.split_first_chunk::<40>()?;
        let (fixed, addresses) = header.split_first_chunk::<8>()?;
        let (source, destination) = addresses.split_first_chunk::<16>()?;
        let payload_octets = u32::from(u16_at(fixed, ipv6::PAYLOAD_LENGTH));
        let octets = payload_octets + 40;
        if fixed[0] >> 4 != 6 || payload_octets == 0 || octets > wire_octets {
            return None;
        }
        let (payload, missing) = cut(payload, payload_octets)?;
        Some(Self {
            ip_version: IpVersion::V6,
            protocol: fixed[ipv6::NEXT_HEADER],
            source: Address::v6(*source),
            destination: Address::v6(*destination.first_chunk()?),
            octets,
            payload,
            missing,
        })
    }
}

/// The first `octets` of the payload without what follows the packet, and how many of them were
/// not captured.
#[inline(always)]
fn cut(payload: &[u8], octets: u32) -> Option<(&[u8], u32)> {
    let captured = u32::try_from(payload.len()).ok()?;
    match payload.get(..octets as usize) {
        Some(payload) => Some((payload, 0)),
        None => Some((payload, octets - captured)),
    }
}
