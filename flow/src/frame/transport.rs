//! Transport headers: TCP and UDP, up to their payload.

use super::field::{tcp, udp};
use super::network::four_at;
use super::u16_at;
use crate::number::protocol::TCP;
use crate::number::tcp_control::{ACK, SYN};

/// True if a TCP segment with these control bits is the first of a connection.
#[inline(always)]
pub(crate) fn is_first(bits: u8) -> bool {
    bits & (SYN | ACK) == SYN
}

/// The octets behind a TCP or UDP header, as far as they were captured, and the sequence number of
/// TCP. `None` if there are none.
#[inline(always)]
pub(crate) fn payload(protocol: u8, transport: &[u8]) -> Option<(&[u8], Option<u32>)> {
    let (payload, sequence) = if protocol == TCP {
        let header = transport.first_chunk::<{ tcp::OCTETS_MIN }>()?;
        let octets = usize::from(header[tcp::DATA_OFFSET] >> 4) * 4;
        if octets < tcp::OCTETS_MIN {
            return None;
        }
        let sequence = u32::from_be_bytes(four_at(header, tcp::SEQUENCE));
        (transport.get(octets..)?, Some(sequence))
    } else {
        let (length, rest) = behind_udp(transport)?;
        (rest.get(..length.saturating_sub(udp::OCTETS)).unwrap_or(rest), None)
    };
    (!payload.is_empty()).then_some((payload, sequence))
}

/// Reads a UDP header. Returns its length field, which counts the header too, and the octets behind
/// the header. `None` if the header is incomplete.
///
/// ```text
/// | Source port       | Destination port  |   RFC 768
/// | Length            | Checksum          |
/// ```
#[inline(always)]
pub(super) fn behind_udp(transport: &[u8]) -> Option<(usize, &[u8])> {
    let (header, rest) = transport.split_first_chunk::<{ udp::OCTETS }>()?;
    Some((u16_at(header, udp::LENGTH).into(), rest))
}
