//! First layer of the packets of an interface.

/// First layer of a packet's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Ethernet,
    Ip,
}

impl Layer {
    /// The link layer of an `ARPHRD_` number; `None` if it is not supported. Packets of interfaces
    /// without a link layer begin with the IP header, which has the version.
    pub(crate) fn of(hardware: u16) -> Option<Self> {
        match hardware {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Self::Ethernet),
            libc::ARPHRD_PPP
            | RAW_IP
            | libc::ARPHRD_TUNNEL
            | libc::ARPHRD_TUNNEL6
            | libc::ARPHRD_SIT
            | libc::ARPHRD_IPGRE
            | IP6_GRE
            | libc::ARPHRD_NONE => Some(Self::Ip),
            _ => None,
        }
    }
}

/// linux/if_arp.h.
const RAW_IP: u16 = 519;
const IP6_GRE: u16 = 823;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_interfaces_have_their_link_layer() {
        // Network cards, gretap and the loopback interface.
        for hardware in [1, 772] {
            assert_eq!(Layer::of(hardware), Some(Layer::Ethernet), "{hardware}");
        }
        // PPP, cellular modems, ipip, ip6tnl, sit, gre, ip6gre, and tun and WireGuard.
        for hardware in [512, 519, 768, 769, 776, 778, 823, 65_534] {
            assert_eq!(Layer::of(hardware), Some(Layer::Ip), "{hardware}");
        }
        // InfiniBand, CAN, 802.11, radiotap, netlink.
        for hardware in [32, 280, 801, 803, 824] {
            assert_eq!(Layer::of(hardware), None, "{hardware}");
        }
    }
}
