//! Values of elements for tunnels.

use flow::{Address, IpVersion, Tunnel, TunnelKind};

/// The number of a kind of tunnel (tunnelType of VMware); 0 if the kind has none.
pub(crate) const fn number(tunnel: &Tunnel) -> u8 {
    match tunnel.kind {
        TunnelKind::Vxlan | TunnelKind::VxlanGpe => 1,
        TunnelKind::Gre | TunnelKind::Nvgre => 2,
        TunnelKind::Geneve => 7,
        TunnelKind::Pptp
        | TunnelKind::Erspan
        | TunnelKind::GtpU
        | TunnelKind::IpInIp
        | TunnelKind::EtherIp
        | TunnelKind::Mpls
        | TunnelKind::L2tp
        | TunnelKind::L2tpV3
        | TunnelKind::Teredo => 0,
    }
}

/// The key of GRE. 0 for NVGRE: its key is not kept completely.
pub(crate) fn gre_key(tunnel: &Tunnel) -> u32 {
    if tunnel.kind == TunnelKind::Gre { tunnel.id } else { 0 }
}

/// Network overlay and its number (layer2SegmentId, IANA element 351). GENEVE has no number as an
/// overlay: its first octet is 0.
pub(crate) fn segment(tunnel: &Tunnel) -> u64 {
    let overlay = match number(tunnel) {
        1 => 1,
        2 => 2,
        _ => 0,
    };
    if tunnel.kind.id_is_network() { overlay << 56 | u64::from(tunnel.id) } else { 0 }
}

/// One end of a tunnel over IPv4, else 0.0.0.0.
pub(crate) fn ipv4(tunnel: Option<&Tunnel>, end: fn(&Tunnel) -> Address) -> [u8; 4] {
    match tunnel {
        Some(tunnel) if tunnel.ip_version == IpVersion::V4 => {
            let [a, b, c, d, ..] = end(tunnel).octets();
            [a, b, c, d]
        }
        _ => [0; 4],
    }
}
