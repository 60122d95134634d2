//! The fast path of tunnels that come again: the headers around a packet are compared with those of
//! an earlier one, and are not read again.
//!
//! It is for a frame in UDP over IPv4, in a tunnel of eight octets that the destination port tells:
//! VXLAN and VXLAN-GPE. The result is that of the other paths
//! (../tests/opened.rs).

use alloc::boxed::Box;

use super::super::field::{ipv4, udp};
use super::super::link::{Layer, PlainEthernet};
use super::super::{Frame, Packet, network, u16_at};
use super::udp::{UdpTunnel, header};
use super::{DecapSettings, TunnelKind};
use crate::key::Ports;
use crate::number::ethertype;
use crate::numbering::{INTERFACES_NAMED, Numbers};

/// Octets of an IPv4 header, a UDP header, and the header of a tunnel.
type Headers = [u8; IP + 16];

const IP: usize = ipv4::OCTETS_MIN;

/// Offset of the last octet of the id of a network.
const ID_END: usize = IP + 14;

/// More octets than any packet has after these headers.
const MISSING: usize = u16::MAX as usize;

/// Tunnels that are known at a time. A tunnel has one place, by its addresses and its id.
const PLACES: usize = 128;

/// Bits that are equal in all packets of a tunnel. The others are lengths, or are not read.
const COMPARED: Headers = {
    let mut bits = [0xff; IP + 16];
    // Type of service, total length, identification, TTL, checksum; source port, length, checksum.
    let ignored = [1, 2, 3, 4, 5, 8, 10, 11, IP, IP + 1, IP + 4, IP + 5, IP + 6, IP + 7];
    let mut at = 0;
    while at < ignored.len() {
        bits[ignored[at]] = 0;
        at += 1;
    }
    [bits[ipv4::FRAGMENT], bits[ipv4::FRAGMENT + 1]] = ipv4::IS_FRAGMENT.to_be_bytes();
    bits
};

/// Headers of tunnels.
#[derive(Debug)]
pub(crate) struct KnownTunnels {
    places: Box<[Known; PLACES]>,
    /// True if the last tunnel is known: other kinds do not pay for a comparison.
    is_last: bool,
}

/// A tunnel with these headers.
#[derive(Clone, Copy, Debug)]
struct Known {
    headers: Headers,
    network: u16,
    /// 0 if there is no tunnel.
    passage: u16,
    /// The passage that was last seen at this place.
    seen: u16,
    /// A passage whose headers are of another form.
    unlike: u16,
    kind: TunnelKind,
}

/// A packet in a known tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    pub(crate) packet: Packet,
    pub(crate) kind: TunnelKind,
    pub(crate) numbers: Numbers,
    /// IP octets of the packet around.
    pub(crate) outer_octets: u32,
}

impl KnownTunnels {
    /// No tunnel is known.
    pub(crate) fn new() -> Self {
        let kind = TunnelKind::Vxlan;
        let none =
            Known { headers: [0; IP + 16], network: 0, passage: 0, seen: 0, unlike: 0, kind };
        Self { places: Box::new([none; PLACES]), is_last: false }
    }

    /// Opens the tunnel of a frame, if its headers are known and the packet in it is plain IPv4.
    #[inline(always)]
    pub(crate) fn open(&self, frame: &Frame<'_>, settings: &DecapSettings) -> Option<Again> {
        if !self.is_last {
            return None;
        }
        let link = PlainEthernet::read(frame)?;
        let (headers, inside) = link.data.split_first_chunk()?;
        let known = &self.places[place(headers)];
        let interface = u16::try_from(frame.point.interface).ok()?;
        if link.ethertype != ethertype::IPV4
            || !are_of_one_tunnel(headers, &known.headers)
            || known.passage == 0
            || interface >= INTERFACES_NAMED
        {
            return None;
        }
        let outer_octets = u32::from(u16_at(headers, ipv4::TOTAL_LENGTH));
        let udp_octets = u32::from(u16_at(headers, IP + udp::LENGTH));
        if outer_octets > link.wire_octets || outer_octets != udp_octets + 20 {
            return None;
        }
        let link = PlainEthernet::of(inside, udp_octets.checked_sub(16)?)?;
        if link.ethertype != ethertype::IPV4 || link.vlan_id != 0 {
            return None;
        }
        let packet = network::plain_ipv4(link.data, link.wire_octets, 0)?;
        if settings.may_open(&packet) {
            return None;
        }
        let Known { network, passage, kind, .. } = *known;
        let numbers = Numbers { interface, network, passage };
        Some(Again { packet, kind, numbers, outer_octets })
    }

    /// Sees a tunnel that was opened otherwise and cannot be known.
    #[inline(always)]
    pub(crate) fn see_other(&mut self) {
        self.is_last = false;
    }

    /// Sees a plain tunnel that was opened otherwise. The second packet in a row of those that have
    /// its place makes it known.
    #[inline(always)]
    pub(crate) fn see(&mut self, frame: &Frame<'_>, settings: &DecapSettings, numbers: Numbers) {
        let Some(link) = PlainEthernet::read(frame) else { return };
        let Some(headers) = link.data.first_chunk() else { return };
        let known = &mut self.places[place(headers)];
        let passage = numbers.passage;
        if known.seen == passage && known.passage != passage && known.unlike != passage {
            known.learn(headers, settings, numbers);
        }
        known.seen = passage;
        self.is_last = known.passage == passage;
    }
}

impl Known {
    #[inline(never)]
    fn learn(&mut self, headers: &Headers, settings: &DecapSettings, numbers: Numbers) {
        self.unlike = numbers.passage;
        let (&[version_ihl, ..], datagram) = headers.split_at(IP) else { return };
        let &[s0, s1, d0, d1, ..] = datagram else { return };
        let tunnel = UdpTunnel::of(Ports([s0, s1, d0, d1]), settings);
        let Some(Ok(header)) = tunnel.map(|tunnel| header(tunnel, datagram, MISSING)) else {
            return;
        };
        if version_ihl == 0x45 && header.layer == Layer::Ethernet && header.data.is_empty() {
            let Numbers { network, passage, .. } = numbers;
            let (headers, kind) = (*headers, header.kind);
            *self = Self { headers, kind, network, passage, seen: passage, unlike: 0 };
        }
    }
}

/// The place of a tunnel. Both directions between two addresses have different ones.
#[inline(always)]
fn place(headers: &Headers) -> usize {
    let last_of_source = usize::from(headers[ipv4::SOURCE + 3]);
    let last_of_destination = usize::from(headers[ipv4::DESTINATION + 3]);
    let last_of_id = usize::from(headers[ID_END]);
    (last_of_source + 3 * last_of_destination + 5 * last_of_id) % PLACES
}

/// Compares headers, without a branch for each field.
#[inline(always)]
fn are_of_one_tunnel(these: &Headers, others: &Headers) -> bool {
    let compared = COMPARED.as_chunks::<4>().0;
    let words = these.as_chunks::<4>().0.iter().zip(others.as_chunks::<4>().0).zip(compared);
    let different = words.map(|((one, other), compared)| {
        (u32::from_ne_bytes(*one) ^ u32::from_ne_bytes(*other)) & u32::from_ne_bytes(*compared)
    });
    different.fold(0, |all, word| all | word) == 0
}
