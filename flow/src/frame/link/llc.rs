//! Logical Link Control (IEEE 802.2) and the Subnetwork Access Protocol (IEEE 802, RFC 1042).

use super::{LENGTH_MAX, Layer, Step, Stop, take};
use crate::frame::Unread;
use crate::key::IpVersion;

/// Reads LLC, beginning with the Destination Service Access Point.
pub(super) fn step(data: &[u8]) -> Step<'_> {
    let (&[destination, source, control], rest) = take::<3>(data)?;
    match (destination, source, control) {
        (SNAP, SNAP, UNNUMBERED) => sub_network(rest),
        (INTERNET, INTERNET, UNNUMBERED) => Ok((Layer::Ip(IpVersion::V4), rest)),
        _ => Err(Stop::not_ip(Unread::Llc(destination))),
    }
}

/// SNAP: an organization (3 octets), and a protocol number of that organization (2).
pub(super) fn sub_network(data: &[u8]) -> Step<'_> {
    let (&[oui @ .., high, low], rest) = take::<5>(data)?;
    match (oui, u16::from_be_bytes([high, low])) {
        // Ethertypes (RFC 1042), also through bridges (IEEE 802.1H).
        ([0, 0, 0] | [0, 0, 0xf8], ethertype) if ethertype > LENGTH_MAX => {
            Ok((Layer::Ethertype(ethertype), rest))
        }
        // Bridged Ethernet with and without frame check sequence (RFC 2427 section 4.2).
        ([0, 0x80, 0xc2], 1 | 7) => Ok((Layer::Ethernet, rest)),
        _ => Err(Stop::not_ip(Unread::Llc(SNAP))),
    }
}

const SNAP: u8 = 0xaa;
/// IP directly in LLC, without SNAP.
const INTERNET: u8 = 0x06;
/// Unnumbered Information.
const UNNUMBERED: u8 = 0x03;
