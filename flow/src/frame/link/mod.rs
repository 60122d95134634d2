//! Link layers: from the first octet of a frame to its IP header.
//!
//! The walk goes from header to header: each one determines the next. It reads only headers, and
//! ends after a bounded number of them.

mod ethernet;
mod host;
mod llc;
mod mpls;
mod ppp;
mod wireless;

use super::{Frame, Ignored, LinkType, Tpids, Unread};
use crate::key::IpVersion;
use crate::number::ethertype::{IPV4, IPV6, VLAN};
use crate::point::ObservationPoint;

/// The network layer after the link layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network<'a> {
    pub(super) ip_version: IpVersion,
    /// Octets from the IP header on.
    pub(super) data: &'a [u8],
    /// Id of the outermost VLAN tag.
    pub(super) vlan_id: u16,
    /// Id of the tag behind it.
    pub(super) inner_vlan_id: u16,
    /// Interface and direction.
    pub(super) point: ObservationPoint,
}

/// Reason why a frame is ignored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) reason: Ignored,
    /// Content of the frame instead of IP.
    pub(crate) unread: Unread,
}

impl From<Ignored> for Stop {
    fn from(reason: Ignored) -> Self {
        Self { reason, unread: Unread::Unknown }
    }
}

impl Stop {
    fn not_ip(unread: Unread) -> Self {
        Self { reason: Ignored::NotIp, unread }
    }
}

/// The next header and the octets from its first on, or the reason why the frame is ignored.
type Step<'a> = Result<(Layer, &'a [u8]), Stop>;

/// A header of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// The first header of a frame with this link type.
    Link(LinkType),
    /// Addresses and an Ethertype or length.
    Ethernet,
    /// The payload of this Ethertype.
    Ethertype(u16),
    /// IEEE 802.2.
    Llc,
    /// A PPP protocol field.
    Ppp,
    /// IEEE 802.11. If `padded`, the header is padded to a multiple of 4 octets.
    Wireless {
        padded: bool,
    },
    /// IP of the version in its first octet.
    IpOfAnyVersion,
    Ip(IpVersion),
}

/// Maximum number of VLAN tags, and of MPLS labels in a stack.
const TAGS_MAX: usize = 8;
/// Maximum number of headers before IP.
const LAYERS_MAX: usize = 24;

/// Ethernet with at most one VLAN tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainEthernet<'a> {
    pub(super) ethertype: u16,
    pub(super) vlan_id: u16,
    /// Octets after the Ethertype.
    pub(super) data: &'a [u8],
    /// Octets on the wire after the Ethertype.
    pub(super) wire_octets: u32,
}

impl<'a> PlainEthernet<'a> {
    #[inline(always)]
    pub(super) fn read(frame: &Frame<'a>) -> Option<Self> {
        if frame.link_type != LinkType::Ethernet {
            return None;
        }
        Self::of(frame.data, frame.wire_length)
    }

    /// Reads octets from the addresses on. The wire had `wire_octets` from there on.
    #[inline(always)]
    pub(super) fn of(data: &'a [u8], wire_octets: u32) -> Option<Self> {
        let (header, data) = data.split_first_chunk::<14>()?;
        let [.., high, low] = *header;
        let plain = Self {
            ethertype: u16::from_be_bytes([high, low]),
            vlan_id: 0,
            data,
            wire_octets: wire_octets.checked_sub(14)?,
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

/// State of a walk.
struct Walk {
    tpids: Tpids,
    /// Octets at the end of the frame that were on the wire but not captured.
    missing: usize,
    vlan_id: u16,
    inner_vlan_id: u16,
    tags: usize,
    point: ObservationPoint,
}

/// Walks through all link layers.
pub(super) fn walk<'a>(frame: &Frame<'a>, tpids: Tpids) -> Result<Network<'a>, Stop> {
    let wire_length = usize::try_from(frame.wire_length).unwrap_or(usize::MAX);
    let missing = wire_length.saturating_sub(frame.data.len());
    let mut walk = Walk::new(tpids, missing, frame.point);
    let (mut layer, mut data) = (Layer::Link(frame.link_type), frame.data);
    for _ in 0..LAYERS_MAX {
        if let Layer::Ip(ip_version) = layer {
            return Ok(walk.arrived(ip_version, data));
        }
        (layer, data) = walk.step(layer, data)?;
    }
    Err(Ignored::TooDeep.into())
}

/// Walks through the link layers in a tunnel, beginning with `layer`. The wire had `missing` octets
/// more than `data`. Reads at most `left` headers.
pub(super) fn walk_inside<'a>(
    layer: Layer,
    data: &'a [u8],
    missing: usize,
    tpids: Tpids,
    left: &mut usize,
) -> Result<Network<'a>, Stop> {
    let mut walk = Walk::new(tpids, missing, ObservationPoint::default());
    let (mut layer, mut data) = (layer, data);
    loop {
        if let Layer::Ip(ip_version) = layer {
            return Ok(walk.arrived(ip_version, data));
        }
        if layer.is_header() {
            *left = left.checked_sub(1).ok_or(Ignored::TooDeep)?;
        }
        (layer, data) = walk.step(layer, data)?;
    }
}

impl Layer {
    /// True if the layer has octets of its own: an Ethertype of IP has none.
    fn is_header(self) -> bool {
        !matches!(self, Self::Ip(_) | Self::IpOfAnyVersion | Self::Ethertype(IPV4 | IPV6))
    }
}

impl Walk {
    fn new(tpids: Tpids, missing: usize, point: ObservationPoint) -> Self {
        Self { tpids, missing, vlan_id: 0, inner_vlan_id: 0, tags: 0, point }
    }

    fn arrived(self, ip_version: IpVersion, data: &[u8]) -> Network<'_> {
        let Self { vlan_id, inner_vlan_id, point, .. } = self;
        Network { ip_version, data, vlan_id, inner_vlan_id, point }
    }

    /// Inlined in both walks: a call for each header costs an eighth of a walk.
    #[inline(always)]
    fn step<'a>(&mut self, layer: Layer, data: &'a [u8]) -> Step<'a> {
        match layer {
            Layer::Link(link_type) => host::step(self, link_type, data),
            Layer::Ethernet => {
                let (&[.., high, low], rest) = take::<14>(data)?;
                Ok((Layer::Ethertype(u16::from_be_bytes([high, low])), rest))
            }
            Layer::Ethertype(ethertype) => ethernet::step(self, ethertype, data),
            Layer::Llc => llc::step(data),
            Layer::Ppp => ppp::step(self, data),
            Layer::Wireless { padded } => wireless::step(data, padded),
            Layer::IpOfAnyVersion => match data.first().ok_or(Ignored::CutShort)? >> 4 {
                4 => Ok((Layer::Ip(IpVersion::V4), data)),
                6 => Ok((Layer::Ip(IpVersion::V6), data)),
                _ => Err(Ignored::NotIp.into()),
            },
            Layer::Ip(_) => Ok((layer, data)),
        }
    }
}

#[inline]
pub(super) fn take<const N: usize>(data: &[u8]) -> Result<(&[u8; N], &[u8]), Ignored> {
    data.split_first_chunk().ok_or(Ignored::CutShort)
}

/// The octets after the first `octets`.
#[inline]
pub(super) fn skip(data: &[u8], octets: usize) -> Result<&[u8], Ignored> {
    data.get(octets..).ok_or(Ignored::CutShort)
}

/// Mask of the VLAN id in the tag control information.
const VLAN_ID: u16 = 0x0fff;
/// Maximum value of the length field of IEEE 802.3; an Ethertype is 1536 or more.
const LENGTH_MAX: u16 = 1500;
