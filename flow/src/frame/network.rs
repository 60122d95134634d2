//! The IP header, extension headers, ports and TCP control bits.
//!
//! Nearly all packets have a plain header of fixed size, followed by TCP, UDP or ICMP: the fast
//! path with constant offsets reads these. The general path reads options, fragments, extension
//! headers, other protocols, inconsistent lengths and truncated captures; etherparse reads its IP
//! headers. Both paths have the same result where both apply (tests/ beside this file). Extension
//! headers are read here: etherparse 0.21 reads beyond the end of a truncated chain, or of a chain
//! whose hop-by-hop options do not come first.

use etherparse::err::{ipv4::HeaderSliceError as Ipv4Error, ipv6::HeaderSliceError as Ipv6Error};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::field::{ipv4, ipv6, jumbo, tcp};
use super::{Fragment, Ignored, Packet, u16_at};
use crate::key::{Address, IpVersion, Ports};
use crate::number::protocol::{
    AUTHENTICATION, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, ROUTING, TCP, UDP,
    has_ports,
};

/// A packet, and the captured octets after its IP header and extension headers. A later fragment
/// has no transport header there.
pub(super) type WithPayload<'a> = (Packet, &'a [u8]);

/// Reads a packet of any form. `data` begins with its IP header, and the wire had `wire_octets`
/// from there on.
#[inline(always)]
pub(super) fn general(
    version: IpVersion,
    data: &[u8],
    wire_octets: u32,
) -> Result<WithPayload<'_>, Ignored> {
    match version {
        IpVersion::V4 => general_ipv4(data, wire_octets),
        IpVersion::V6 => general_ipv6(data, wire_octets),
    }
}

/// Reads IPv4 without options, not a fragment, with a valid total length, and with TCP, UDP or
/// ICMP.
///
/// ```text
///  0       8       16              31
/// | V |IHL|  ToS  |  Total Length   |   RFC 791 section 3.1
/// | Identification | F| Frag Offset |
/// |  TTL  | Proto | Header Checksum |
/// |         Source Address          |
/// |      Destination Address        |
/// ```
#[inline(always)]
pub(super) fn plain_ipv4(data: &[u8], wire_octets: u32, vlan_id: u16) -> Option<Packet> {
    let (header, transport) = data.split_first_chunk::<20>()?;
    let total_length = u16_at(header, ipv4::TOTAL_LENGTH);
    let fragmented = u16_at(header, ipv4::FRAGMENT) & ipv4::IS_FRAGMENT != 0;
    if header[ipv4::VERSION_IHL] != 0x45 || fragmented || u32::from(total_length) > wire_octets {
        return None;
    }
    let protocol = header[ipv4::PROTOCOL];
    let transport = Transport::plain(protocol, ICMP, transport, total_length.into(), 20)?;
    Some(Packet {
        ip_version: IpVersion::V4,
        source: Address::v4(four_at(header, ipv4::SOURCE)),
        destination: Address::v4(four_at(header, ipv4::DESTINATION)),
        ports: transport.ports,
        protocol,
        type_of_service: header[ipv4::TYPE_OF_SERVICE],
        ttl: header[ipv4::TTL],
        tcp_control_bits: transport.tcp_control_bits,
        vlan_id,
        octets: total_length.into(),
        exceeds_wire: false,
        fragment: Fragment::Whole,
    })
}

/// Reads IPv6 without extension headers, with a valid payload length, and with TCP, UDP or ICMPv6.
///
/// ```text
///  0       8       16              31
/// | V | Tr. class |   Flow Label    |   RFC 8200 section 3
/// | Payload Length | Next H. | Hops |
/// |      Source Address, 16 octets  |
/// | Destination Address, 16 octets  |
/// ```
#[inline(always)]
pub(super) fn plain_ipv6(data: &[u8], wire_octets: u32, vlan_id: u16) -> Option<Packet> {
    let (header, transport) = data.split_first_chunk::<40>()?;
    let (fixed, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let payload_length = u16_at(fixed, ipv6::PAYLOAD_LENGTH);
    let octets = u32::from(payload_length) + 40;
    if fixed[0] >> 4 != 6 || payload_length == 0 || octets > wire_octets {
        return None;
    }
    let protocol = fixed[ipv6::NEXT_HEADER];
    let transport = Transport::plain(protocol, ICMPV6, transport, octets, 40)?;
    Some(Packet {
        ip_version: IpVersion::V6,
        source: Address::v6(*source),
        destination: Address::v6(*destination.first_chunk()?),
        ports: transport.ports,
        protocol,
        type_of_service: fixed[0] << 4 | fixed[1] >> 4,
        ttl: fixed[ipv6::HOP_LIMIT],
        tcp_control_bits: transport.tcp_control_bits,
        vlan_id,
        octets,
        exceeds_wire: false,
        fragment: Fragment::Whole,
    })
}

#[inline(always)]
fn general_ipv4(data: &[u8], wire_octets: u32) -> Result<WithPayload<'_>, Ignored> {
    let fixed_part;
    let header = match Ipv4HeaderSlice::from_slice(data) {
        Ok(header) => header,
        Err(Ipv4Error::Content(_)) => return Err(Ignored::Malformed),
        Err(Ipv4Error::Len(_)) => {
            // The capture ends within the options. The fixed part is enough.
            let mut without_options = *data.first_chunk::<20>().ok_or(Ignored::CutShort)?;
            without_options[0] = 0x45;
            fixed_part = without_options;
            Ipv4HeaderSlice::from_slice(&fixed_part).or(Err(Ignored::CutShort))?
        }
    };
    let header_length = data.first().map_or(0, |octet| ipv4::header_length(*octet));
    let total_length = usize::from(header.total_len());
    let (octets, payload_end) = match header.total_len() {
        // TCP segmentation offload: the length did not fit, so the wire length is used.
        0 => (wire_octets, data.len()),
        _ if total_length < header_length => return Err(Ignored::Malformed),
        length => (length.into(), total_length.min(data.len())),
    };
    let identification = header.identification().into();
    let fragment = match (header.fragments_offset().value(), header.more_fragments()) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First(identification),
        _ => Fragment::Later(identification),
    };
    let protocol = header.protocol().0;
    let payload = data.get(header_length..payload_end).unwrap_or_default();
    let transport = match fragment {
        Fragment::Later(_) => Transport::default(),
        Fragment::Whole | Fragment::First(_) => Transport::read(protocol, ICMP, payload),
    };
    let packet = Packet {
        ip_version: IpVersion::V4,
        source: Address::v4(header.source()),
        destination: Address::v4(header.destination()),
        ports: transport.ports,
        protocol,
        type_of_service: header.dcp().value() << 2 | header.ecn().value(),
        ttl: header.ttl(),
        tcp_control_bits: transport.tcp_control_bits,
        vlan_id: 0,
        octets: octets.min(wire_octets),
        exceeds_wire: octets > wire_octets,
        fragment,
    };
    Ok((packet, payload))
}

#[inline(always)]
fn general_ipv6(data: &[u8], wire_octets: u32) -> Result<WithPayload<'_>, Ignored> {
    let header = Ipv6HeaderSlice::from_slice(data).map_err(|error| match error {
        Ipv6Error::Len(_) => Ignored::CutShort,
        Ipv6Error::Content(_) => Ignored::Malformed,
    })?;
    let rest = data.get(40..).unwrap_or_default();
    let (octets, payload_end) = match header.payload_length() {
        0 => match jumbo_payload_length(header.next_header().0, rest) {
            Some(length) => {
                (length.saturating_add(40), usize::try_from(length).unwrap_or(usize::MAX))
            }
            // As for IPv4: the wire length is used, unless only padding follows.
            None if wire_octets > 40 + PADDING_MAX => (wire_octets, usize::MAX),
            None => (40, 0),
        },
        length => (u32::from(length) + 40, length.into()),
    };
    let payload = rest.get(..payload_end.min(rest.len())).unwrap_or_default();
    let Chain { fragment, protocol, payload } = Chain::of(header.next_header().0, payload);
    let transport = match fragment {
        Fragment::Later(_) => Transport::default(),
        Fragment::Whole | Fragment::First(_) => Transport::read(protocol, ICMPV6, payload),
    };
    let packet = Packet {
        ip_version: IpVersion::V6,
        source: Address::v6(header.source()),
        destination: Address::v6(header.destination()),
        ports: transport.ports,
        protocol,
        type_of_service: header.traffic_class(),
        ttl: header.hop_limit(),
        tcp_control_bits: transport.tcp_control_bits,
        vlan_id: 0,
        octets: octets.min(wire_octets),
        exceeds_wire: octets > wire_octets,
        fragment,
    };
    Ok((packet, payload))
}

/// Result of a walk through the complete extension headers.
struct Chain<'a> {
    fragment: Fragment,
    /// Protocol after the extension headers, or the type of a truncated one.
    protocol: u8,
    payload: &'a [u8],
}

impl<'a> Chain<'a> {
    /// Walks through extension headers (RFC 8200 section 4) and Authentication Headers (RFC 4302
    /// section 2), in any order. Each takes 8 octets or more, so the payload bounds the walk.
    fn of(next_header: u8, payload: &'a [u8]) -> Self {
        let mut chain = Self { fragment: Fragment::Whole, protocol: next_header, payload };
        loop {
            let length = match (chain.protocol, chain.payload) {
                (HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS, &[_, units, ..]) => {
                    (usize::from(units) + 1) * 8
                }
                (FRAGMENT, _) => 8,
                // It is not valid if it is shorter than its fixed part.
                (AUTHENTICATION, &[_, words, ..]) if words > 0 => (usize::from(words) + 2) * 4,
                _ => return chain,
            };
            let Some((&[next, _, ref fields @ ..], rest)) = chain.payload.split_at_checked(length)
            else {
                return chain;
            };
            let kind = chain.protocol;
            (chain.protocol, chain.payload) = (next, rest);
            if kind == FRAGMENT && chain.fragment == Fragment::Whole {
                chain.fragment = fragment(fields);
                if let Fragment::Later(_) = chain.fragment {
                    // A later fragment has no headers after this.
                    return chain;
                }
            }
        }
    }
}

/// Reads a Fragment header after its first two octets: offset (13 bits), reserved (2), more
/// fragments (1), identification (32). With offset 0 and no more fragments the packet is whole.
fn fragment(fields: &[u8]) -> Fragment {
    let &[high, low, a, b, c, d, ..] = fields else { return Fragment::Whole };
    let identification = u32::from_be_bytes([a, b, c, d]);
    match u16::from_be_bytes([high, low]) {
        word if word >> 3 != 0 => Fragment::Later(identification),
        word if word & 1 != 0 => Fragment::First(identification),
        _ => Fragment::Whole,
    }
}

/// The length in a Jumbo Payload option of a leading Hop-by-Hop Options header (RFC 2675).
fn jumbo_payload_length(next_header: u8, data: &[u8]) -> Option<u32> {
    if next_header != HOP_BY_HOP {
        return None;
    }
    let (&[_, length], _) = data.split_first_chunk::<2>()?;
    let header_end = (usize::from(length) + 1) * 8;
    let mut options = data.get(2..header_end.min(data.len()))?;
    loop {
        match *options {
            [jumbo::PAD1, ..] => options = options.get(1..)?,
            [jumbo::TYPE, jumbo::LENGTH, a, b, c, d, ..] => {
                return Some(u32::from_be_bytes([a, b, c, d]));
            }
            [_, length, ..] => options = options.get(2 + usize::from(length)..)?,
            _ => return None,
        }
    }
}

/// Ports and TCP control bits, as far as they are captured.
#[derive(Clone, Copy, Debug, Default)]
struct Transport {
    ports: Ports,
    tcp_control_bits: u8,
}

impl Transport {
    /// For TCP, UDP and ICMP, if the fields are within the packet. The packet has `octets` octets,
    /// with an IP header of `header` octets.
    #[inline(always)]
    fn plain(protocol: u8, icmp: u8, data: &[u8], octets: u32, header: u32) -> Option<Self> {
        let header_of = |length| octets >= header + length;
        let first = data.first_chunk::<4>()?;
        match protocol {
            TCP if header_of(14) => {
                let tcp_control_bits = *data.get(tcp::CONTROL_BITS)?;
                Some(Self { ports: Ports(*first), tcp_control_bits })
            }
            UDP if header_of(4) => Some(Self { ports: Ports(*first), tcp_control_bits: 0 }),
            _ if protocol == icmp && header_of(4) => Some(Self::icmp(first[0], first[1])),
            _ => None,
        }
    }

    /// For any protocol and any amount of payload.
    fn read(protocol: u8, icmp: u8, payload: &[u8]) -> Self {
        match *payload {
            [s0, s1, d0, d1, ..] if has_ports(protocol) => Self {
                ports: Ports([s0, s1, d0, d1]),
                tcp_control_bits: match payload.get(tcp::CONTROL_BITS) {
                    Some(&bits) if protocol == TCP => bits,
                    _ => 0,
                },
            },
            [kind, code, ..] if protocol == icmp => Self::icmp(kind, code),
            _ => Self::default(),
        }
    }

    #[inline]
    fn icmp(kind: u8, code: u8) -> Self {
        Self { ports: Ports::icmp(kind, code), tcp_control_bits: 0 }
    }
}

#[inline(always)]
pub(super) fn four_at<const N: usize>(header: &[u8; N], at: usize) -> [u8; 4] {
    [header[at], header[at + 1], header[at + 2], header[at + 3]]
}

/// Maximum octets of link layer padding after an IPv6 header without payload.
const PADDING_MAX: u32 = 60;
