//! The kinds of tunnels, and sets of kinds.

use super::VxlanPorts;
use super::udp::UdpTunnel;
use crate::key::{FlowKey, Ports};
use crate::number::protocol;

/// A kind of tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// RFC 7348.
    Vxlan,
    /// Generic Protocol Extension for VXLAN (draft-ietf-nvo3-vxlan-gpe).
    VxlanGpe,
    /// RFC 8926.
    Geneve,
    /// Generic Routing Encapsulation (RFC 2784, RFC 2890).
    Gre,
    /// Ethernet in GRE with only a key (RFC 7637).
    Nvgre,
    /// PPP in GRE version 1 (RFC 2637).
    Pptp,
    /// A remote mirror port, types I, II and III (draft-foschiano-erspan).
    Erspan,
    /// User plane of the GPRS Tunnelling Protocol (3GPP TS 29.281).
    GtpU,
    /// IPv4 and IPv6 in IPv4 and IPv6 (RFC 2003, RFC 2473, RFC 4213).
    IpInIp,
    /// Ethernet in IP (RFC 3378).
    EtherIp,
    /// MPLS in UDP (RFC 7510) and in IP (RFC 4023).
    Mpls,
    /// Layer Two Tunneling Protocol, version 2 (RFC 2661).
    L2tp,
    /// Version 3 of L2TP in IP, with Ethernet (RFC 3931, RFC 4719).
    L2tpV3,
    /// IPv6 in UDP through network address translation (RFC 4380).
    Teredo,
}

impl TunnelKind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::Vxlan,
        Self::VxlanGpe,
        Self::Geneve,
        Self::Gre,
        Self::Nvgre,
        Self::Pptp,
        Self::Erspan,
        Self::GtpU,
        Self::IpInIp,
        Self::EtherIp,
        Self::Mpls,
        Self::L2tp,
        Self::L2tpV3,
        Self::Teredo,
    ];

    /// Its name in documents and statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::VxlanGpe => "vxlan_gpe",
            Self::Geneve => "geneve",
            Self::Gre => "gre",
            Self::Nvgre => "nvgre",
            Self::Pptp => "pptp",
            Self::Erspan => "erspan",
            Self::GtpU => "gtpu",
            Self::IpInIp => "ipip",
            Self::EtherIp => "etherip",
            Self::Mpls => "mpls",
            Self::L2tp => "l2tp",
            Self::L2tpV3 => "l2tpv3",
            Self::Teredo => "teredo",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Vxlan => "VXLAN",
            Self::VxlanGpe => "VXLAN-GPE",
            Self::Geneve => "GENEVE",
            Self::Gre => "GRE",
            Self::Nvgre => "NVGRE",
            Self::Pptp => "PPTP",
            Self::Erspan => "ERSPAN",
            Self::GtpU => "GTP-U",
            Self::IpInIp => "IP in IP",
            Self::EtherIp => "EtherIP",
            Self::Mpls => "MPLS in UDP or IP",
            Self::L2tp => "L2TP",
            Self::L2tpV3 => "L2TPv3",
            Self::Teredo => "Teredo",
        }
    }

    /// The word of `--decap` for it.
    pub const fn option(self) -> &'static str {
        match self {
            Self::VxlanGpe => "vxlangpe",
            Self::Nvgre | Self::Pptp => Self::Gre.name(),
            Self::L2tpV3 => Self::L2tp.name(),
            Self::Mpls => "mplsudp",
            Self::Vxlan
            | Self::Geneve
            | Self::Gre
            | Self::Erspan
            | Self::GtpU
            | Self::IpInIp
            | Self::EtherIp
            | Self::L2tp
            | Self::Teredo => self.name(),
        }
    }

    /// The kind of tunnel that a flow looks like by its protocol and ports: those of its ends.
    #[inline]
    pub fn of_ends(key: &FlowKey) -> Option<Self> {
        match key.protocol {
            protocol::TCP => None,
            protocol::UDP => {
                let ports = Ports::new(key.source_port, key.destination_port);
                UdpTunnel::by_ports(ports, &VxlanPorts::default()).map(UdpTunnel::kind)
            }
            protocol::GRE => Some(Self::Gre),
            protocol::IPV4 | protocol::IPV6 => Some(Self::IpInIp),
            protocol::ETHERIP => Some(Self::EtherIp),
            protocol::MPLS_IN_IP => Some(Self::Mpls),
            protocol::L2TP => Some(Self::L2tpV3),
            _ => None,
        }
    }

    /// Whether senders spread it over source ports of UDP, by which network cards spread packets
    /// over queues.
    pub const fn is_spread(self) -> bool {
        matches!(self, Self::Vxlan | Self::VxlanGpe | Self::Geneve | Self::Mpls)
    }

    /// Whether the destination port alone tells it, and its header always has eight octets.
    pub(crate) const fn may_be_known(self) -> bool {
        matches!(self, Self::Vxlan | Self::VxlanGpe)
    }

    /// Whether its id says which network the packet is of: the same in both directions, and
    /// addresses of two such networks may be the same.
    pub const fn id_is_network(self) -> bool {
        matches!(self, Self::Vxlan | Self::VxlanGpe | Self::Geneve | Self::Nvgre)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelKinds(u16);

impl TunnelKinds {
    /// All kinds.
    pub const ALL: Self = Self((1 << TunnelKind::ALL.len()) - 1);

    /// The kinds of a word of `--decap`; empty for an unknown word.
    pub fn of_option(option: &str) -> Self {
        let named = TunnelKind::ALL.into_iter().filter(|kind| kind.option() == option);
        Self(named.fold(0, |bits, kind| bits | 1 << kind as u16))
    }

    /// The kinds of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if a kind is in the set.
    #[inline]
    pub const fn contains(self, kind: TunnelKind) -> bool {
        self.0 >> kind as u16 & 1 == 1
    }

    /// True if the set is empty.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
