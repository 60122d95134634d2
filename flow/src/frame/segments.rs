//! Super-packets, split into the packets on the wire.
//!
//! With segmentation offload the kernel passes one packet, of up to 64 KiB or more, to a network
//! card, which splits it. With receive offload (GRO, LRO) the segments that arrived are merged. A
//! capture on the host gets the super-packet. The flow has to count the segments: each one has its
//! own headers. Of the TCP control bits, only the last segment has FIN and PSH, and only the first
//! has CWR.

use super::field::{ipv4, ipv6, jumbo, tcp, udp};
use super::tunnel::{IpHeader, ip_headers};
use super::{Dissection, Frame, u16_at};
use crate::key::IpVersion;
use crate::number::protocol::{DESTINATION_OPTIONS, HOP_BY_HOP, ROUTING, TCP, UDP};
use crate::number::tcp_control::{CWR, FIN, PSH};

/// Offload metadata of a super-packet from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// The segmented protocol.
    pub protocol: Segmented,
    /// Octets of payload in each segment; the last one may have fewer.
    pub segment_octets: u16,
    /// Offset of that protocol's header in the frame, in octets, if it is known. In a tunnel it is
    /// the inner header. If `None`, the header after the innermost IP header of the dissection is
    /// used.
    pub header_offset: Option<usize>,
}

/// A protocol that is segmented and merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmented {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// UDP over IPv4 or IPv6, datagram for datagram.
    Udp,
}

/// Passes the segments of a super-packet to `take`, each as a frame with its headers only. Returns
/// their number. A frame that cannot be split is passed unchanged, as one. All IP headers that the
/// dissection reads get the lengths of the segment.
pub fn each_segment(
    frame: &Frame<'_>,
    offload: &Offload,
    dissection: &Dissection,
    mut take: impl FnMut(&Frame<'_>),
) -> u32 {
    let Some(mut headers) = Headers::find(frame, offload, dissection) else {
        take(frame);
        return 1;
    };
    let segment_octets = u32::from(offload.segment_octets);
    let (mut left, mut count) = (headers.payload, 0);
    while left > 0 {
        let payload = left.min(segment_octets);
        left -= payload;
        headers.set_lengths(payload);
        let not_first = if count > 0 { CWR } else { 0 };
        let not_last = if left > 0 { FIN | PSH } else { 0 };
        headers.clear_control_bits(not_first | not_last);
        let wire_length = headers.length_u32() + payload;
        take(&Frame { data: headers.octets(), wire_length, ..*frame });
        count += 1;
    }
    count
}

/// The headers of a super-packet, which are changed for each segment.
struct Headers {
    octets: [u8; HEADERS_MAX],
    length: usize,
    /// IP headers, outermost first; at least one.
    ip: [Option<IpHeader>; IpHeader::MAX],
    /// Offset of the octet with TCP's control bits, and its value in the super-packet.
    control: Option<(usize, u8)>,
    /// Octets after the headers, on the wire.
    payload: u32,
}

impl Headers {
    /// `None` if they are incomplete or inconsistent.
    fn find(frame: &Frame<'_>, offload: &Offload, dissection: &Dissection) -> Option<Self> {
        let mut ip = ip_headers(frame, dissection)?;
        let offset = match offload.header_offset {
            Some(offset) => offset,
            None => {
                let innermost = ip.iter().flatten().last()?;
                let header = frame.data.get(innermost.offset..)?;
                innermost.offset + transport_offset(innermost.version, header, offload)?
            }
        };
        // Octets after the header are payload.
        for header in &mut ip {
            *header = header.filter(|header| header.end_min() <= offset);
        }
        let outermost = ip[0]?;
        let (length, control) = match offload.protocol {
            Segmented::Udp => (offset.checked_add(udp::OCTETS)?, None),
            Segmented::Tcp => {
                let header = frame.data.get(offset..)?.first_chunk::<{ tcp::OCTETS_MIN }>()?;
                let length = usize::from(header[tcp::DATA_OFFSET] >> 4) * 4;
                let bits = (offset + tcp::CONTROL_BITS, header[tcp::CONTROL_BITS]);
                (offset + length.max(tcp::OCTETS_MIN), Some(bits))
            }
        };
        let payload = frame.wire_length.checked_sub(u32::try_from(length).ok()?)?;
        if payload <= u32::from(offload.segment_octets) || offload.segment_octets == 0 {
            return None;
        }
        let mut octets = [0; HEADERS_MAX];
        octets.get_mut(..length)?.copy_from_slice(frame.data.get(..length)?);
        let mut headers = Self { octets, length, ip, control, payload };
        (0..IpHeader::MAX).rev().for_each(|index| headers.remove_jumbo_payload(index));
        let fixed = headers.fixed_octets(outermost)?;
        (fixed + u32::from(offload.segment_octets) <= u16::MAX.into()).then_some(headers)
    }

    fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn length_u32(&self) -> u32 {
        u32::try_from(self.length).unwrap_or(u32::MAX)
    }

    /// Octets that the length field of an IP header counts, without the payload.
    fn fixed_octets(&self, ip: IpHeader) -> Option<u32> {
        let not_counted = match ip.version {
            IpVersion::V4 => 0,
            IpVersion::V6 => ipv6::OCTETS,
        };
        u32::try_from(self.length.checked_sub(ip.offset + not_counted)?).ok()
    }

    /// Removes the Hop-by-Hop Options header with a Jumbo Payload option (RFC 2675), which the
    /// kernel adds to an IPv6 super-packet of more than 64 KiB. Its segments do not have it.
    fn remove_jumbo_payload(&mut self, index: usize) {
        let Some(IpHeader { version, offset }) = self.ip[index] else { return };
        let Some(header) = self.octets.get(offset..self.length) else { return };
        let is_jumbo = version == IpVersion::V6
            && header.get(4..7) == Some(&[0, 0, HOP_BY_HOP])
            && header.get(41..44) == Some(&[0, jumbo::TYPE, jumbo::LENGTH])
            && header.len() >= 40 + 8 + 8;
        if !is_jumbo {
            return;
        }
        let begin = offset + ipv6::OCTETS;
        self.octets[offset + ipv6::NEXT_HEADER] = self.octets[begin];
        self.octets.copy_within(begin + 8..self.length, begin);
        self.length -= 8;
        self.control = self.control.map(|(offset, bits)| (offset - 8, bits));
        self.ip[index + 1..].iter_mut().flatten().for_each(|inner| inner.offset -= 8);
    }

    /// Sets Total Length (IPv4) or Payload Length (IPv6) of all IP headers.
    fn set_lengths(&mut self, payload: u32) {
        for ip in self.ip.into_iter().flatten() {
            let length = self.fixed_octets(ip).map_or(payload, |fixed| fixed + payload);
            let length = u16::try_from(length).unwrap_or(u16::MAX);
            match ip.version {
                IpVersion::V4 => self.set_ipv4_length(ip.offset, length),
                IpVersion::V6 => {
                    let field = self.octets.get_mut(ip.offset + ipv6::PAYLOAD_LENGTH..);
                    if let Some(field) = field.and_then(<[u8]>::first_chunk_mut) {
                        *field = length.to_be_bytes();
                    }
                }
            }
        }
    }

    /// Sets the length, and updates the checksum (RFC 1624): detection after MPLS labels needs it.
    fn set_ipv4_length(&mut self, offset: usize, length: u16) {
        let header = self.octets.get_mut(offset..).and_then(<[u8]>::first_chunk_mut);
        let Some(header) = header else { return };
        let header: &mut [u8; ipv4::OCTETS_MIN] = header;
        let terms = [!u16_at(header, ipv4::CHECKSUM), !u16_at(header, ipv4::TOTAL_LENGTH), length];
        let sum: u32 = terms.into_iter().map(u32::from).sum();
        // Three words: one carry, and at most one more from its addition.
        let folded = (sum & 0xffff) + (sum >> 16);
        let [_, _, high, low] = (!((folded & 0xffff) + (folded >> 16))).to_be_bytes();
        header[ipv4::CHECKSUM..ipv4::CHECKSUM + 2].copy_from_slice(&[high, low]);
        header[ipv4::TOTAL_LENGTH..ipv4::TOTAL_LENGTH + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// Sets the control bits of TCP to those of the super-packet, without `cleared`.
    fn clear_control_bits(&mut self, cleared: u8) {
        let Some((offset, bits)) = self.control else { return };
        if let Some(octet) = self.octets.get_mut(offset) {
            *octet = bits & !cleared;
        }
    }
}

/// Offset of the segmented protocol's header from the IP header.
fn transport_offset(version: IpVersion, ip: &[u8], offload: &Offload) -> Option<usize> {
    let wanted = match offload.protocol {
        Segmented::Tcp => TCP,
        Segmented::Udp => UDP,
    };
    match version {
        IpVersion::V4 => {
            let header = ip.first_chunk::<{ ipv4::OCTETS_MIN }>()?;
            let length = ipv4::header_length(header[ipv4::VERSION_IHL]);
            (header[ipv4::PROTOCOL] == wanted).then_some(length)
        }
        IpVersion::V6 => {
            let (mut next, mut offset) = (*ip.get(ipv6::NEXT_HEADER)?, ipv6::OCTETS);
            for _ in 0..EXTENSIONS_MAX {
                if next == wanted {
                    return Some(offset);
                }
                if !matches!(next, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
                    return None;
                }
                let &[following, length] = ip.get(offset..)?.first_chunk()?;
                next = following;
                offset += (usize::from(length) + 1) * 8;
            }
            None
        }
    }
}

/// Maximum octets of headers; the kernel merges packets with less.
const HEADERS_MAX: usize = 512;
const EXTENSIONS_MAX: usize = 8;
