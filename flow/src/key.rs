//! The flow key: packets with equal keys belong to one flow (RFC 7011 section 2).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::number::protocol;

/// Version of the Internet Protocol; always part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// 4 or 6 (ipVersion, IANA element 60).
    #[inline]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// The protocol number of its ICMP.
    #[inline(always)]
    pub const fn icmp(self) -> u8 {
        match self {
            Self::V4 => protocol::ICMP,
            Self::V6 => protocol::ICMPV6,
        }
    }
}

/// The octets of an IP address, as two words. An IPv4 address is in the first four octets; the
/// others are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub(crate) first: u64,
    pub(crate) second: u64,
}

impl Address {
    /// The words of an IPv4 address.
    #[inline]
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self { first: u32::from_le_bytes(octets) as u64, second: 0 }
    }

    /// The words of an IPv6 address.
    #[inline]
    pub const fn v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self {
            first: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            second: u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        }
    }

    /// The 16 octets.
    #[inline]
    pub fn octets(self) -> [u8; 16] {
        (u128::from(self.first) | u128::from(self.second) << 64).to_le_bytes()
    }

    /// The address of this version.
    #[inline]
    pub fn ip(self, version: IpVersion) -> IpAddr {
        address(version, self.octets())
    }
}

/// Source and destination port in network order, as in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ports(pub(crate) [u8; 4]);

impl Ports {
    /// The ports with these numbers.
    #[inline]
    pub const fn new(source: u16, destination: u16) -> Self {
        let ([a, b], [c, d]) = (source.to_be_bytes(), destination.to_be_bytes());
        Self([a, b, c, d])
    }

    /// Type and code of an ICMP or ICMPv6 message, in place of the destination port, as in NetFlow.
    #[inline]
    pub const fn icmp(kind: u8, code: u8) -> Self {
        Self([0, 0, kind, code])
    }

    /// The source port.
    #[inline]
    pub const fn source(self) -> u16 {
        let [high, low, ..] = self.0;
        u16::from_be_bytes([high, low])
    }

    /// The destination port.
    #[inline]
    pub const fn destination(self) -> u16 {
        let [.., high, low] = self.0;
        u16::from_be_bytes([high, low])
    }
}

/// The identity of a flow. A field that the user dropped from the key is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// IP version of both addresses.
    pub ip_version: IpVersion,
    /// Source address. An IPv4 address is in the first 4 octets; the others are 0.
    pub source: [u8; 16],
    /// Destination address, in the same form.
    pub destination: [u8; 16],
    /// Source port; 0 for protocols without ports.
    pub source_port: u16,
    /// Destination port; type * 256 + code for ICMP and ICMPv6; 0 for other protocols without
    /// ports.
    pub destination_port: u16,
    /// IP protocol; for IPv6 the next header after the extension headers.
    pub protocol: u8,
    /// IPv4 type of service or IPv6 traffic class, the whole octet.
    pub type_of_service: u8,
    /// Number of the interface of the packets; see [`FlowRecord::direction`].
    ///
    /// [`FlowRecord::direction`]: crate::FlowRecord::direction
    pub interface: u32,
}

impl FlowKey {
    /// The source address as an address.
    #[inline]
    pub fn source_address(&self) -> IpAddr {
        address(self.ip_version, self.source)
    }

    /// The destination address as an address.
    #[inline]
    pub fn destination_address(&self) -> IpAddr {
        address(self.ip_version, self.destination)
    }

    /// True for ICMP over IPv4 and ICMPv6 over IPv6.
    #[inline]
    pub const fn is_icmp(&self) -> bool {
        self.protocol == self.ip_version.icmp()
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} -> {} {} proto {} tos {} interface {}",
            self.source_address(),
            self.source_port,
            self.destination_address(),
            self.destination_port,
            self.protocol,
            self.type_of_service,
            self.interface
        )
    }
}

#[inline]
fn address(version: IpVersion, octets: [u8; 16]) -> IpAddr {
    match version {
        IpVersion::V4 => {
            let [a, b, c, d, ..] = octets;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        IpVersion::V6 => IpAddr::V6(Ipv6Addr::from(octets)),
    }
}

/// A field of the flow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyField {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Source port.
    SourcePort,
    /// Destination port, or ICMP type and code.
    DestinationPort,
    /// IP protocol.
    Protocol,
    /// Type of service.
    TypeOfService,
    /// Interface.
    Interface,
    /// Outer VLAN id.
    Vlan,
    /// Direction at the interface.
    Direction,
}

impl KeyField {
    /// All fields, in the order of output.
    pub const ALL: [Self; 9] = [
        Self::Source,
        Self::Destination,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Protocol,
        Self::TypeOfService,
        Self::Interface,
        Self::Vlan,
        Self::Direction,
    ];

    /// Its name in settings (`--flow-key`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "src",
            Self::Destination => "dst",
            Self::SourcePort => "sport",
            Self::DestinationPort => "dport",
            Self::Protocol => "proto",
            Self::TypeOfService => "tos",
            Self::Interface => "iface",
            Self::Vlan => "vlan",
            Self::Direction => "direction",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// The set of fields that make up the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFields(u16);

impl KeyFields {
    /// The seven of classic NetFlow: all but VLAN and direction.
    pub const SEVEN: Self = Self(KeyField::Vlan.bit() - 1);

    /// The set of these fields.
    pub fn new(fields: impl IntoIterator<Item = KeyField>) -> Self {
        Self(fields.into_iter().fold(0, |bits, field| bits | field.bit()))
    }

    /// These fields and one more.
    #[must_use]
    pub const fn with(self, field: KeyField) -> Self {
        Self(self.0 | field.bit())
    }

    /// True if a field is in the key.
    #[inline]
    pub const fn contains(self, field: KeyField) -> bool {
        self.0 & field.bit() != 0
    }

    /// These fields but one.
    #[must_use]
    pub const fn without(self, field: KeyField) -> Self {
        Self(self.0 & !field.bit())
    }

    /// These fields and those of another set.
    #[must_use]
    pub const fn join(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if all of the classic seven are in the key.
    #[inline]
    pub(crate) const fn contain_the_seven(self) -> bool {
        self.0 & Self::SEVEN.0 == Self::SEVEN.0
    }

    /// True if addresses, ports and protocol are in the key: a flow is then one direction of a
    /// connection.
    pub const fn contains_five_tuple(self) -> bool {
        self.contains(KeyField::Source)
            && self.contains(KeyField::Destination)
            && self.contains(KeyField::SourcePort)
            && self.contains(KeyField::DestinationPort)
            && self.contains(KeyField::Protocol)
    }
}

impl Default for KeyFields {
    fn default() -> Self {
        Self::SEVEN
    }
}
