//! The fast path of tunnels: plain Ethernet and IP around, one tunnel, and a plain packet in it.
//!
//! It reads the headers of tunnels with the functions of the general path, and has the same result
//! where both apply (../tests/opened.rs).

use super::super::link::{Layer, PlainEthernet};
use super::super::network;
use super::super::{Frame, Packet};
use super::around::PlainHeader;
use super::udp::UdpTunnel;
use super::{Carrier, DecapSettings, Header, Tunnel};
use crate::key::{IpVersion, Ports};
use crate::number::{ethertype, protocol};
use crate::numbering::INTERFACES_NAMED;
use crate::point::ObservationPoint;

/// A packet in a tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) packet: Packet,
    pub(crate) tunnel: Tunnel,
    /// IP octets of the packet around.
    pub(crate) outer_octets: u32,
}

/// Opens the tunnel of a frame. `None`: use the general path.
#[inline(always)]
pub(crate) fn open_plain(frame: &Frame<'_>, settings: &DecapSettings) -> Option<Found> {
    let link = PlainEthernet::read(frame)?;
    let around = match link.ethertype {
        ethertype::IPV4 => PlainHeader::ipv4(link.data, link.wire_octets)?,
        ethertype::IPV6 => PlainHeader::ipv6(link.data, link.wire_octets)?,
        _ => return None,
    };
    let PlainHeader { ip_version, protocol, source, destination, payload, .. } = around;
    let ports = if protocol == protocol::UDP { *payload.first_chunk()? } else { [0; 4] };
    let missing = usize::try_from(around.missing).ok()?;
    let header = Carrier::of(protocol, Ports(ports), settings)?.header(payload, missing).ok()?;
    if !settings.kinds.contains(header.kind) {
        return None;
    }
    let packet = inner(&header, around.missing, link.vlan_id)?;
    if settings.may_open(&packet) {
        return None;
    }
    let Header { kind, id, .. } = header;
    let tunnel = Tunnel { kind, id, ip_version, protocol, source, destination, depth: 1 };
    Some(Found { packet, tunnel, outer_octets: around.octets })
}

/// Reads the packet after the header of a tunnel.
#[inline(always)]
fn inner(header: &Header<'_>, missing: u32, outer_vlan_id: u16) -> Option<Packet> {
    let wire_octets = u32::try_from(header.data.len()).ok()?.checked_add(missing)?;
    let without_frame = |ethertype| {
        let vlan_id = if header.vlan_id == 0 { outer_vlan_id } else { header.vlan_id };
        PlainEthernet { ethertype, vlan_id, data: header.data, wire_octets }
    };
    let link = match header.layer {
        Layer::Ethernet => {
            let link = PlainEthernet::of(header.data, wire_octets)?;
            let vlan_id = if link.vlan_id == 0 { header.vlan_id } else { link.vlan_id };
            PlainEthernet { vlan_id, ..link }
        }
        Layer::Ethertype(ethertype) => without_frame(ethertype),
        Layer::Ip(IpVersion::V4) => without_frame(ethertype::IPV4),
        Layer::Ip(IpVersion::V6) => without_frame(ethertype::IPV6),
        Layer::Link(_)
        | Layer::Llc
        | Layer::Ppp
        | Layer::Wireless { .. }
        | Layer::IpOfAnyVersion => return None,
    };
    match link.ethertype {
        ethertype::IPV4 => network::plain_ipv4(link.data, link.wire_octets, link.vlan_id),
        ethertype::IPV6 => network::plain_ipv6(link.data, link.wire_octets, link.vlan_id),
        _ => None,
    }
}

/// A quick test for plain packets that the general path needs: tunnels, and those whose interface
/// or VLAN gets another number. It has false alarms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Destination ports of tunnels: a bit for each of 64 classes of ports.
    destinations: u64,
    /// Source ports of tunnels.
    sources: u64,
    /// The last interface whose number stays.
    interface_max: u32,
    /// Bits of VLAN ids that get another number.
    vlan_bits: u16,
}

impl Default for Screen {
    /// Without decapsulation no packet is suspected.
    fn default() -> Self {
        Self { destinations: 0, sources: 0, interface_max: u32::MAX, vlan_bits: 0 }
    }
}

impl Screen {
    /// For a flow key with or without VLAN ids.
    pub(crate) fn new(settings: &DecapSettings, vlan_in_key: bool) -> Self {
        if !settings.opens_any() {
            return Self::default();
        }
        let mut screen = Self {
            interface_max: u32::from(INTERFACES_NAMED) - 1,
            vlan_bits: if vlan_in_key { u16::MAX } else { 0 },
            ..Self::default()
        };
        for port in 0..=u16::MAX {
            let is_opened = |ports| UdpTunnel::of(ports, settings).is_some();
            screen.destinations |= u64::from(is_opened(Ports::new(0, port))) << class(port);
            screen.sources |= u64::from(is_opened(Ports::new(port, 0))) << class(port);
        }
        screen
    }

    /// False if the fast path is right.
    #[inline(always)]
    pub(crate) fn suspects(&self, packet: &Packet, point: ObservationPoint) -> bool {
        let is_tunnel = packet.protocol == protocol::UDP
            && (self.destinations & 1 << class(packet.ports.destination()) != 0
                || self.sources & 1 << class(packet.ports.source()) != 0);
        is_tunnel || point.interface > self.interface_max || packet.vlan_id & self.vlan_bits != 0
    }
}

/// Ports of tunnels have other classes than those of DNS, NTP, QUIC and IKE.
#[inline(always)]
fn class(port: u16) -> u16 {
    (port ^ port >> 6) % 64
}
