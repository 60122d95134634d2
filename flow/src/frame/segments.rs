//! Super-packets taken apart into the packets that are or were on the wire.
//!
//! With segmentation offload the kernel hands a network card one packet as large as 64 KiB and more
//! that the card cuts up; with receive offload (GRO, LRO) it puts the segments that came in
//! together again. A capture on the host sees the whole. The flow must count the segments: each
//! has the headers again, and of the TCP control bits only the last has FIN and PSH, only the
//! first CWR.

use super::field::{ipv4, ipv6, jumbo, tcp};
use super::{Frame, Tpids, link};
use crate::key::IpVersion;
use crate::number::protocol::{DESTINATION_OPTIONS, HOP_BY_HOP, ROUTING, TCP, UDP};
use crate::number::tcp_control::{CWR, FIN, PSH};

/// What the kernel says of a super-packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// What is segmented.
    pub protocol: Segmented,
    /// Octets of payload in each segment; the last one may have fewer.
    pub segment_octets: u16,
    /// Where the header of that protocol begins, in octets from the frame's first, if that is
    /// known. In a tunnel it is the inner one. Without it, it is looked for behind the outer IP.
    pub header_offset: Option<usize>,
}

/// A protocol whose packets are put together and cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmented {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// UDP over IPv4 or IPv6, datagram for datagram.
    Udp,
}

/// Lends a super-packet's segments, each as a frame with its headers only. Says how many there
/// were: one, the frame itself, if it cannot be taken apart.
pub fn each_segment(frame: &Frame<'_>, offload: &Offload, mut take: impl FnMut(&Frame<'_>)) -> u32 {
    let Some(mut headers) = Headers::find(frame, offload) else {
        take(frame);
        return 1;
    };
    let segment_octets = u32::from(offload.segment_octets);
    let (mut left, mut count) = (headers.payload, 0);
    while left > 0 {
        let payload = left.min(segment_octets);
        left -= payload;
        headers.set_lengths(payload);
        headers.set_control_bits(Place { is_first: count == 0, is_last: left == 0 });
        let wire_length = headers.length_u32() + payload;
        take(&Frame { data: headers.octets(), wire_length, ..*frame });
        count += 1;
    }
    count
}

/// A super-packet's headers, to be changed for each segment.
struct Headers {
    octets: [u8; HEADERS_MAX],
    length: usize,
    ip_version: IpVersion,
    ip_offset: usize,
    /// Offset of the octet with TCP's control bits, and its value in the super-packet.
    control: Option<(usize, u8)>,
    /// Octets behind the headers, on the wire.
    payload: u32,
}

impl Headers {
    /// `None` if they are not all there or make no sense together.
    fn find(frame: &Frame<'_>, offload: &Offload) -> Option<Self> {
        let network = link::walk(frame, Tpids::default()).ok()?;
        let ip_offset = frame.data.len() - network.data.len();
        let offset = match offload.header_offset {
            Some(offset) => offset,
            None => ip_offset + transport_offset(network.ip_version, network.data, offload)?,
        };
        let ip_header_octets = match network.ip_version {
            IpVersion::V4 => ipv4::OCTETS_MIN,
            IpVersion::V6 => ipv6::OCTETS,
        };
        if offset < ip_offset + ip_header_octets {
            return None;
        }
        let (length, control) = match offload.protocol {
            Segmented::Udp => (offset.checked_add(8)?, None),
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
        let ip_version = network.ip_version;
        let mut headers = Self { octets, length, ip_version, ip_offset, control, payload };
        headers.remove_jumbo_payload();
        let fixed = headers.fixed_octets()?;
        (fixed + u32::from(offload.segment_octets) <= u16::MAX.into()).then_some(headers)
    }

    fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn length_u32(&self) -> u32 {
        u32::try_from(self.length).unwrap_or(u32::MAX)
    }

    /// What the IP header's length field counts, besides the payload.
    fn fixed_octets(&self) -> Option<u32> {
        let header_octets = match self.ip_version {
            IpVersion::V4 => 0,
            IpVersion::V6 => ipv6::OCTETS,
        };
        u32::try_from(self.length.checked_sub(self.ip_offset + header_octets)?).ok()
    }

    /// The kernel gives an IPv6 super-packet of more than 64 KiB a Hop-by-Hop Options header with
    /// a Jumbo Payload option (RFC 2675), which its segments do not have.
    fn remove_jumbo_payload(&mut self) {
        let Some(ip) = self.octets.get(self.ip_offset..self.length) else { return };
        let is_jumbo = self.ip_version == IpVersion::V6
            && ip.get(4..7) == Some(&[0, 0, HOP_BY_HOP])
            && ip.get(41..44) == Some(&[0, jumbo::TYPE, jumbo::LENGTH])
            && ip.len() >= 40 + 8 + 8;
        if !is_jumbo {
            return;
        }
        let begin = self.ip_offset + ipv6::OCTETS;
        self.octets[self.ip_offset + ipv6::NEXT_HEADER] = self.octets[begin];
        self.octets.copy_within(begin + 8..self.length, begin);
        self.length -= 8;
        self.control = self.control.map(|(offset, bits)| (offset - 8, bits));
    }

    /// Total Length (IPv4) or Payload Length (IPv6).
    fn set_lengths(&mut self, payload: u32) {
        let offset = match self.ip_version {
            IpVersion::V4 => self.ip_offset + ipv4::TOTAL_LENGTH,
            IpVersion::V6 => self.ip_offset + ipv6::PAYLOAD_LENGTH,
        };
        let length = self.fixed_octets().map_or(payload, |fixed| fixed + payload);
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(field) = self.octets.get_mut(offset..offset + 2) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn set_control_bits(&mut self, place: Place) {
        let Some((offset, mut bits)) = self.control else { return };
        if !place.is_first {
            bits &= !CWR;
        }
        if !place.is_last {
            bits &= !(FIN | PSH);
        }
        if let Some(octet) = self.octets.get_mut(offset) {
            *octet = bits;
        }
    }
}

/// A segment's place in its super-packet.
#[derive(Clone, Copy, Debug)]
struct Place {
    is_first: bool,
    is_last: bool,
}

/// Where the segmented protocol's header begins, from the IP header's first octet on.
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

/// More than the kernel puts packets together with.
const HEADERS_MAX: usize = 512;
const EXTENSIONS_MAX: usize = 8;
