//! Tunnels: the headers between an IP packet and the packet in it.
//!
//! Each step opens one tunnel. A packet that is not a valid tunnel is refused with a cause, and
//! metered as the outer packet: a wrong guess loses nothing.

mod around;
mod gre;
mod headers;
mod kind;
mod known;
mod l2tp;
mod plain;
mod udp;

use super::link::{self, Layer, Stop, take};
use super::{Fragment, Frame, Ignored, Packet, Tpids, Unread, network, wire_octets};
use crate::key::{Address, IpVersion, KeyField, KeyFields, Ports};
use crate::number::{ethertype, protocol};
use crate::point::ObservationPoint;

use udp::UdpTunnel;

pub(super) use headers::{IpHeader, ip_headers};
pub use kind::{TunnelKind, TunnelKinds};
pub(crate) use known::{Again, KnownTunnels};
pub use l2tp::L2tpV3;
pub(crate) use plain::{Found, Screen, open_plain};

/// Settings of decapsulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecapSettings {
    /// The kinds of tunnels that are opened. Empty: all packets are metered without decapsulation.
    pub kinds: TunnelKinds,
    /// UDP ports of VXLAN.
    pub vxlan_ports: VxlanPorts,
    /// The form of L2TPv3 sessions, which is not in packets. `None`: these tunnels are not opened.
    pub l2tpv3: Option<L2tpV3>,
    /// The flow key includes ids and outer addresses of all tunnels.
    pub whole_key: bool,
}

/// UDP destination ports of VXLAN; 0 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VxlanPorts(pub [u16; Self::MAX]);

impl VxlanPorts {
    /// Maximum number of ports.
    pub const MAX: usize = 4;
}

impl Default for VxlanPorts {
    /// IANA's port, and the earlier port of Linux.
    fn default() -> Self {
        Self([4789, 8472, 0, 0])
    }
}

impl DecapSettings {
    /// True if any tunnel is opened.
    #[inline]
    pub const fn opens_any(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// The fields of the flow key that a table compares. With decapsulation, the network of an
    /// observation includes the VLAN.
    pub const fn table_key(&self, key: KeyFields) -> KeyFields {
        if self.opens_any() { key.without(KeyField::Vlan) } else { key }
    }

    /// True if a plain packet may be a tunnel.
    #[inline(always)]
    pub(crate) fn may_open(&self, packet: &Packet) -> bool {
        packet.protocol == protocol::UDP && UdpTunnel::of(packet.ports, self).is_some()
    }
}

/// A tunnel: attributes of the flows in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// Its kind.
    pub kind: TunnelKind,
    /// Number of the network or session; 0 if the kind has none.
    pub id: u32,
    /// IP version of the outer packet.
    pub ip_version: IpVersion,
    /// IP protocol of the outer packet: UDP, GRE and so on.
    pub protocol: u8,
    /// Source address of the outer packet.
    pub source: Address,
    /// Destination address of the outer packet.
    pub destination: Address,
    /// Number of nested tunnels, from the outermost packet on.
    pub depth: u8,
}

/// Reason why a packet that looks like a tunnel is metered as the outer packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The header is of another version.
    Version,
    /// Flags mean that there is no packet in it, or are unknown.
    Flags,
    /// Lengths are inconsistent, or the capture ends before the inner packet can be read.
    Length,
    /// The content is not a packet that can be read.
    Inner,
}

impl Refusal {
    /// All causes.
    pub const ALL: [Self; 4] = [Self::Version, Self::Flags, Self::Length, Self::Inner];

    /// Its name in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Flags => "flags",
            Self::Length => "length",
            Self::Inner => "inner",
        }
    }
}

impl From<Ignored> for Refusal {
    /// A header of the tunnel is incomplete.
    fn from(_: Ignored) -> Self {
        Self::Length
    }
}

/// The parsed header of a tunnel.
#[derive(Clone, Copy, Debug)]
struct Header<'a> {
    kind: TunnelKind,
    id: u32,
    /// VLAN id of the mirrored frame, if the header has it.
    vlan_id: u16,
    /// The first layer inside.
    layer: Layer,
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn new(kind: TunnelKind, id: u32, layer: Layer, data: &'a [u8]) -> Self {
        Self { kind, id, vlan_id: 0, layer, data }
    }
}

/// A packet that can be opened further.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) packet: Packet,
    /// Id of the second VLAN tag of its frame.
    pub(crate) inner_vlan_id: u16,
    /// Captured octets from the IP header on.
    pub(crate) ip: &'a [u8],
    /// Captured octets after the IP header.
    pub(crate) payload: &'a [u8],
    /// Octets of the packet on the wire that were not captured.
    missing: usize,
}

/// Carrier of a tunnel.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Udp(UdpTunnel),
    Gre,
    Ip(IpVersion),
    EtherIp,
    Mpls,
    L2tpV3(L2tpV3),
}

impl Carrier {
    /// The carrier, by protocol and ports.
    #[inline(always)]
    fn of(protocol: u8, ports: Ports, settings: &DecapSettings) -> Option<Self> {
        Some(match protocol {
            protocol::UDP => Self::Udp(UdpTunnel::of(ports, settings)?),
            protocol::GRE => Self::Gre,
            protocol::IPV4 => Self::Ip(IpVersion::V4),
            protocol::IPV6 => Self::Ip(IpVersion::V6),
            protocol::ETHERIP => Self::EtherIp,
            protocol::MPLS_IN_IP => Self::Mpls,
            protocol::L2TP => Self::L2tpV3(settings.l2tpv3?),
            _ => return None,
        })
    }

    /// Reads the header of the tunnel at the start of a payload. The wire had `missing` octets more
    /// than `data`.
    #[inline(always)]
    fn header(self, data: &[u8], missing: usize) -> Result<Header<'_>, (TunnelKind, Refusal)> {
        let of = |kind| move |cause| (kind, cause);
        match self {
            Self::Udp(tunnel) => udp::header(tunnel, data, missing).map_err(of(tunnel.kind())),
            Self::Gre => gre::header(data),
            Self::Ip(version) => Ok(Header::new(TunnelKind::IpInIp, 0, Layer::Ip(version), data)),
            Self::EtherIp => etherip(data).map_err(of(TunnelKind::EtherIp)),
            Self::Mpls => mpls(data).map_err(of(TunnelKind::Mpls)),
            Self::L2tpV3(form) => l2tp::version_3(data, form).map_err(of(TunnelKind::L2tpV3)),
        }
    }
}

/// Content of a packet.
pub(crate) enum Inside<'a> {
    /// No tunnel.
    Nothing,
    /// Not a valid tunnel.
    Refused(TunnelKind, Refusal),
    /// A packet in a tunnel.
    Packet(Tunnel, Opened<'a>),
    /// A frame in a tunnel that is ignored.
    Ignored(Stop),
}

/// Number of headers that may still be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    packets: u8,
    headers: usize,
}

impl Default for Budget {
    /// The budget for all packets in the outermost one.
    fn default() -> Self {
        Self { packets: IP_HEADERS_MAX - 1, headers: HEADERS_MAX }
    }
}

/// Maximum number of IP headers of a frame.
const IP_HEADERS_MAX: u8 = 8;
/// Maximum number of tunnel and link layer headers after the first IP header.
const HEADERS_MAX: usize = 16;
/// Maximum octets after a first fragment: it does not have the length of its datagram.
const REST_OF_DATAGRAM: usize = u16::MAX as usize;

/// Maximum octets of a packet without a Jumbo Payload option.
const OCTETS_MAX: u32 = 40 + u16::MAX as u32;

/// The outermost packet of a frame.
pub(crate) fn outermost<'a>(
    frame: &Frame<'a>,
    tpids: Tpids,
) -> Result<(Opened<'a>, ObservationPoint), Stop> {
    let network = link::walk(frame, tpids)?;
    let wire_octets = wire_octets(frame, network.data);
    let (packet, payload) = network::general(network.ip_version, network.data, wire_octets)?;
    let packet = Packet { vlan_id: network.vlan_id, ..packet };
    let opened = Opened::new(packet, payload, network.data);
    Ok((Opened { inner_vlan_id: network.inner_vlan_id, ..opened }, network.point))
}

impl<'a> Opened<'a> {
    fn new(packet: Packet, payload: &'a [u8], ip: &'a [u8]) -> Self {
        let missing = match packet.fragment {
            Fragment::First(_) => REST_OF_DATAGRAM,
            Fragment::Whole | Fragment::Later(_) => {
                usize::try_from(packet.octets).unwrap_or(usize::MAX).saturating_sub(ip.len())
            }
        };
        Self { packet, inner_vlan_id: 0, ip, payload, missing }
    }

    /// Opens the tunnel in the packet, if there is one.
    pub(crate) fn open(
        &self,
        settings: &DecapSettings,
        tpids: Tpids,
        budget: &mut Budget,
    ) -> Inside<'a> {
        let Some(carrier) = self.carrier(settings) else { return Inside::Nothing };
        let header = match carrier.header(self.payload, self.missing) {
            Ok(header) if settings.kinds.contains(header.kind) => header,
            Ok(_) => return Inside::Nothing,
            Err((kind, _)) if !settings.kinds.contains(kind) => return Inside::Nothing,
            Err((kind, cause)) => return Inside::Refused(kind, cause),
        };
        match self.read(&header, tpids, budget) {
            Ok(inner) => {
                let Packet { ip_version, protocol, source, destination, .. } = self.packet;
                let depth = IP_HEADERS_MAX - 1 - budget.packets;
                let Header { kind, id, .. } = header;
                let tunnel = Tunnel { kind, id, ip_version, protocol, source, destination, depth };
                Inside::Packet(tunnel, inner)
            }
            Err(stop) => match Refusal::of_frame(&stop) {
                Some(cause) => Inside::Refused(header.kind, cause),
                None => Inside::Ignored(stop),
            },
        }
    }

    /// The carrier, by protocol and ports.
    fn carrier(&self, settings: &DecapSettings) -> Option<Carrier> {
        if let Fragment::Later(_) = self.packet.fragment {
            return None;
        }
        Carrier::of(self.packet.protocol, self.packet.ports, settings)
    }

    /// Reads the packet after the header of a tunnel.
    fn read(&self, header: &Header<'a>, tpids: Tpids, budget: &mut Budget) -> Result<Self, Stop> {
        budget.headers = budget.headers.checked_sub(1).ok_or(Ignored::TooDeep)?;
        let Header { layer, data, .. } = *header;
        let network = link::walk_inside(layer, data, self.missing, tpids, &mut budget.headers)?;
        budget.packets = budget.packets.checked_sub(1).ok_or(Ignored::TooDeep)?;
        let wire_octets = network.data.len().saturating_add(self.missing);
        let wire_octets = u32::try_from(wire_octets).unwrap_or(u32::MAX);
        let (packet, payload) = network::general(network.ip_version, network.data, wire_octets)?;
        let (vlan_id, inner_vlan_id) = match (network.vlan_id, layer) {
            (0, Layer::Ethernet) => (header.vlan_id, network.inner_vlan_id),
            // No frame of its own: the VLANs are those of the frame around.
            (0, _) if header.vlan_id == 0 => (self.packet.vlan_id, self.inner_vlan_id),
            (0, _) => (header.vlan_id, 0),
            (own, _) => (own, network.inner_vlan_id),
        };
        let opened = Self::new(Packet { vlan_id, ..packet }, payload, network.data);
        let opened = Self { inner_vlan_id, ..opened };
        if !packet.exceeds_wire {
            return Ok(opened);
        }
        // A mirror may truncate packets, and a fragment is incomplete: only the header has the
        // length. No mirror carries jumbograms: a claim of gigabytes in a small frame is not
        // believed.
        let (claimed, _) = network::general(network.ip_version, network.data, u32::MAX)?;
        if claimed.octets > OCTETS_MAX {
            return Ok(opened);
        }
        Ok(Self { packet: Packet { octets: claimed.octets, ..opened.packet }, ..opened })
    }
}

impl Refusal {
    /// The cause to refuse the content of a tunnel. `None` for a complete frame of another known
    /// protocol than IP, or with too many headers.
    fn of_frame(stop: &Stop) -> Option<Self> {
        match (stop.reason, stop.unread) {
            (Ignored::TooDeep, _) => None,
            (Ignored::NotIp, Unread::Ethertype(ethertype)) if is_known(ethertype) => None,
            (Ignored::NotIp, Unread::Llc(_)) => None,
            (Ignored::CutShort, _) => Some(Self::Length),
            _ => Some(Self::Inner),
        }
    }
}

/// True if frames with this Ethertype are expected in a tunnel, although they are not IP.
fn is_known(number: u16) -> bool {
    matches!(
        number,
        ethertype::ARP
            | ethertype::REVERSE_ARP
            | ethertype::SLOW_PROTOCOLS
            | ethertype::PPPOE_DISCOVERY
            | ethertype::PORT_ACCESS
            | ethertype::LLDP
            | ethertype::MACSEC
            | ethertype::PTP
            | ethertype::FAULT_MANAGEMENT
            | ethertype::LOOPBACK
    )
}

/// EtherIP (RFC 3378 section 3): version 3 (4 bits), reserved (12), then the frame.
fn etherip(data: &[u8]) -> Result<Header<'_>, Refusal> {
    let (&[version, reserved], frame) = take::<2>(data)?;
    match (version, reserved) {
        (0x30, 0) => Ok(Header::new(TunnelKind::EtherIp, 0, Layer::Ethernet, frame)),
        _ => Err(Refusal::Version),
    }
}

/// An MPLS label stack. Its first label is the id.
fn mpls(data: &[u8]) -> Result<Header<'_>, Refusal> {
    let (&[high, middle, low, _], _) = take::<4>(data)?;
    let label = u32::from_be_bytes([0, high, middle, low]) >> 4;
    Ok(Header::new(TunnelKind::Mpls, label, Layer::Ethertype(ethertype::MPLS), data))
}

/// An id as a number.
fn id_of<const N: usize>(octets: [u8; N]) -> u32 {
    octets.into_iter().fold(0, |id, octet| id << 8 | u32::from(octet))
}

/// PPP, with or without address and control of HDLC.
fn ppp(data: &[u8]) -> (Layer, &[u8]) {
    (Layer::Ppp, data.strip_prefix(&[0xff, 0x03]).unwrap_or(data))
}
