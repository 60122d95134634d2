//! Assigned numbers: IP protocols, TCP control bits, Ethertypes, ports, types of ICMP.

/// IP protocol numbers and IPv6 extension header types (IANA "Assigned Internet Protocol Numbers").
pub mod protocol {
    #![expect(missing_docs, reason = "each name is the registry's keyword")]

    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT_HEADER: u8 = 59;
    pub(crate) const DESTINATION_OPTIONS: u8 = 60;
    pub const EIGRP: u8 = 88;
    pub const OSPF: u8 = 89;
    pub(crate) const ETHERIP: u8 = 97;
    pub const PIM: u8 = 103;
    pub const VRRP: u8 = 112;
    pub const L2TP: u8 = 115;
    pub const SCTP: u8 = 132;
    pub const UDP_LITE: u8 = 136;
    pub(crate) const MPLS_IN_IP: u8 = 137;

    /// The names of protocols that users write and read.
    pub const NAMES: [(&str, u8); 7] = [
        ("icmp", ICMP),
        ("tcp", TCP),
        ("udp", UDP),
        ("gre", GRE),
        ("esp", ESP),
        ("icmpv6", ICMPV6),
        ("sctp", SCTP),
    ];

    /// The number of the protocol with this name, in letters of either case.
    pub fn named(name: &str) -> Option<u8> {
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, number)| *number)
    }

    /// The name of a protocol in documents (`network.transport` of ECS), for the protocols that
    /// Filebeat names.
    pub const fn transport_name(protocol: u8) -> Option<&'static str> {
        match protocol {
            ICMP => Some("icmp"),
            TCP => Some("tcp"),
            UDP => Some("udp"),
            ICMPV6 => Some("ipv6-icmp"),
            _ => None,
        }
    }

    /// True if the first four octets after the IP header are source and destination port.
    #[inline(always)]
    pub const fn has_ports(protocol: u8) -> bool {
        matches!(protocol, TCP | UDP | SCTP | DCCP | UDP_LITE)
    }
}

/// TCP control bits (RFC 9293 section 3.1), in one octet.
pub mod tcp_control {
    #![expect(missing_docs, reason = "each name is the RFC's")]

    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
    pub(crate) const CWR: u8 = 0x80;
}

/// Ethertypes that dissection knows (IEEE registration, `0x89xx` and others by their vendors).
pub mod ethertype {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const ERSPAN_III: u16 = 0x22eb;
    pub(crate) const TRILL: u16 = 0x22f3;
    pub(crate) const BRIDGED_ETHERNET: u16 = 0x6558;
    pub(crate) const REVERSE_ARP: u16 = 0x8035;
    /// Customer VLAN tag (IEEE 802.1Q).
    pub const VLAN: u16 = 0x8100;
    pub(crate) const IPV6: u16 = 0x86dd;
    /// Redirected packets of a web cache (WCCP).
    pub(crate) const WCCP: u16 = 0x883e;
    pub(crate) const PPP: u16 = 0x880b;
    pub(crate) const SLOW_PROTOCOLS: u16 = 0x8809;
    pub(crate) const MPLS: u16 = 0x8847;
    pub(crate) const MPLS_MULTICAST: u16 = 0x8848;
    pub(crate) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(crate) const PPPOE_SESSION: u16 = 0x8864;
    pub(crate) const JUMBO_LLC: u16 = 0x8870;
    pub(crate) const PORT_ACCESS: u16 = 0x888e;
    pub(crate) const PROVIDER_VLAN: u16 = 0x88a8;
    pub(crate) const ERSPAN: u16 = 0x88be;
    pub(crate) const LLDP: u16 = 0x88cc;
    pub(crate) const MACSEC: u16 = 0x88e5;
    pub(crate) const PROVIDER_BACKBONE: u16 = 0x88e7;
    pub(crate) const PTP: u16 = 0x88f7;
    pub(crate) const FAULT_MANAGEMENT: u16 = 0x8902;
    pub(crate) const FABRIC_PATH: u16 = 0x8903;
    pub(crate) const CISCO_METADATA: u16 = 0x8909;
    pub(crate) const VN_TAG: u16 = 0x8926;
    pub(crate) const HSR: u16 = 0x892f;
    pub(crate) const E_TAG: u16 = 0x893f;
    pub(crate) const NSH: u16 = 0x894f;
    pub(crate) const CISCO_TTAG: u16 = 0x8988;
    pub(crate) const LOOPBACK: u16 = 0x9000;
    /// QinQ before IEEE 802.1ad.
    pub(crate) const OLD_PROVIDER_VLAN: u16 = 0x9100;
    pub(crate) const ARISTA: u16 = 0xd28b;
}

/// Ports of services that traffic is judged by (IANA "Service Name and Transport Protocol Port
/// Number Registry").
pub mod port {
    /// Mail between servers.
    pub const SMTP: u16 = 25;
    /// Names.
    pub const DNS: u16 = 53;
    /// The web.
    pub const HTTP: u16 = 80;
    /// Time.
    pub const NTP: u16 = 123;
    /// The web over TLS or QUIC.
    pub const HTTPS: u16 = 443;
    /// Files of Windows (`microsoft-ds`).
    pub const SMB: u16 = 445;
    /// Microsoft SQL Monitor (`ms-sql-m`).
    pub const SQL_MONITOR: u16 = 1434;
    /// Peers of eDonkey by TCP, not registered.
    pub const EDONKEY_TCP: u16 = 4662;
    /// Peers of eDonkey by UDP, not registered.
    pub const EDONKEY_UDP: u16 = 4672;
}

/// Types of ICMP messages (RFC 792).
pub mod icmp {
    #![expect(missing_docs, reason = "each name is the RFC's")]

    pub const ECHO_REPLY: u8 = 0;
    pub const UNREACHABLE: u8 = 3;
    pub const ECHO_REQUEST: u8 = 8;
}

/// Types of ICMPv6 messages (RFC 4443).
pub mod icmpv6 {
    #![expect(missing_docs, reason = "each name is the RFC's")]

    pub const UNREACHABLE: u8 = 1;
    pub const ECHO_REQUEST: u8 = 128;
    pub const ECHO_REPLY: u8 = 129;
}
