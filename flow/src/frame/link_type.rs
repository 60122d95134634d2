//! Link types: the first header of a frame.

/// The link layers of captures (`LINKTYPE_` values of the pcap format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// BSD loopback: an address family or an Ethertype in the byte order of the capturing host (0).
    Null,
    /// Ethernet (1).
    Ethernet,
    /// Token Ring, IEEE 802.5 (6).
    TokenRing,
    /// ARCNET with the headers of RFC 1201 and RFC 1051, as the BSDs capture it (7).
    Arcnet,
    /// PPP, with or without address and control octets, or Cisco's HDLC (9, 50).
    Ppp,
    /// FDDI (10).
    Fddi,
    /// An IP header of either version (12, 14, 101).
    RawIp,
    /// The session stage of PPP over Ethernet, RFC 2516 (51).
    PppoeSession,
    /// Cisco's HDLC (104).
    CiscoHdlc,
    /// IEEE 802.11 (105).
    Wireless,
    /// Frame Relay, RFC 2427 (107).
    FrameRelay,
    /// OpenBSD loopback: an address family in network order (108).
    Loop,
    /// OpenBSD's IPsec interface (109).
    Enc,
    /// Linux "any" device, version 1 (113).
    LinuxCooked,
    /// OpenBSD's packet filter log (117).
    Pflog,
    /// IEEE 802.11 after a radiotap header (127).
    Radiotap,
    /// PPP after an octet with the direction (166, 204).
    PppWithDirection,
    /// Per-Packet Information before a header of another link type (192).
    Ppi,
    /// Solaris' IP observability devices (226).
    Ipnet,
    /// An IPv4 header (228).
    Ipv4,
    /// An IPv6 header (229).
    Ipv6,
    /// Linux netfilter log (239).
    Nflog,
    /// IP over InfiniBand, RFC 4391, after a Global Routing Header (242).
    Infiniband,
    /// Apple's packet tap, before a header of another link type (258).
    Pktap,
    /// Linux "any" device, version 2 (276).
    LinuxCooked2,
    /// Any other link type, by its number: its frames are ignored.
    Unsupported(u16),
    /// Unknown, because the capture file does not describe the interface: its frames are ignored.
    Undescribed,
}

impl LinkType {
    /// The link type with this number in a capture file.
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            6 => Self::TokenRing,
            7 => Self::Arcnet,
            9 | 50 => Self::Ppp,
            10 => Self::Fddi,
            12 | 14 | 101 => Self::RawIp,
            51 => Self::PppoeSession,
            104 => Self::CiscoHdlc,
            105 => Self::Wireless,
            107 => Self::FrameRelay,
            108 => Self::Loop,
            109 => Self::Enc,
            113 => Self::LinuxCooked,
            117 => Self::Pflog,
            127 => Self::Radiotap,
            166 | 204 => Self::PppWithDirection,
            192 => Self::Ppi,
            226 => Self::Ipnet,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            239 => Self::Nflog,
            242 => Self::Infiniband,
            258 => Self::Pktap,
            276 => Self::LinuxCooked2,
            _ => Self::Unsupported(number),
        }
    }

    /// True if frames of it can be metered.
    pub const fn is_supported(self) -> bool {
        !matches!(self, Self::Unsupported(_))
    }
}
