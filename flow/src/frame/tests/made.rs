//! Packets for the tests, octet by octet, and what dissection has to say of them.

use alloc::vec::Vec;

use super::Known;
use crate::frame::{Fragment, Packet};
use crate::key::{Address, IpVersion, Ports};

pub(super) const TYPE_OF_SERVICE: u8 = 0xb9;
pub(super) const TTL: u8 = 61;
pub(super) const SOURCE_PORT: u16 = 40_001;
pub(super) const DESTINATION_PORT: u16 = 443;
/// CWR, ACK and SYN.
pub(super) const CONTROL_BITS: u8 = 0x92;

const SOURCE_V4: [u8; 4] = [192, 0, 2, 1];
const DESTINATION_V4: [u8; 4] = [198, 51, 100, 2];
const SOURCE_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const DESTINATION_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7];

/// Source and destination port.
pub(super) fn ports() -> [u8; 4] {
    let ([a, b], [c, d]) = (SOURCE_PORT.to_be_bytes(), DESTINATION_PORT.to_be_bytes());
    [a, b, c, d]
}

/// A TCP header without options (RFC 9293 section 3.1).
pub(super) fn tcp() -> Vec<u8> {
    let mut header = Vec::from(ports());
    header.extend([0, 0, 0, 7, 0, 0, 0, 9]); // sequence, acknowledgement
    header.extend([0x50, CONTROL_BITS, 0xff, 0xff, 0, 0, 0, 0]); // offset, bits, window, ...
    header
}

/// A UDP header with 4 octets of data (RFC 768).
pub(super) fn udp() -> Vec<u8> {
    datagram([SOURCE_PORT, DESTINATION_PORT], &[0xde, 0xad, 0xbe, 0xef])
}

/// A UDP datagram between these ports, without a checksum (RFC 768).
pub(super) fn datagram(ports: [u16; 2], data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    let header = [ports[0], ports[1], length, 0].into_iter().flat_map(u16::to_be_bytes);
    header.chain(data.iter().copied()).collect()
}

/// An IPv4 packet (RFC 791 section 3.1) without options; identification 0x1234, no fragment.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = Vec::from([0x45, TYPE_OF_SERVICE, high, low, 0x12, 0x34, 0, 0]);
    packet.extend([TTL, protocol, 0, 0]);
    packet.extend(SOURCE_V4);
    packet.extend(DESTINATION_V4);
    set_checksum(&mut packet);
    packet.extend(payload);
    packet
}

/// Sets the checksum of an IPv4 header.
pub(super) fn set_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum: u32 = header.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = u16::try_from((sum >> 16) + (sum & 0xffff)).unwrap();
    header[10..12].copy_from_slice(&(!sum).to_be_bytes());
}

/// An IPv6 packet (RFC 8200 section 3); the flow label is not 0.
pub(super) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let class = TYPE_OF_SERVICE;
    let mut packet = Vec::from([0x60 | class >> 4, class << 4 | 0x0a, 0xbc, 0xde]);
    packet.extend([high, low, next_header, TTL]);
    packet.extend(SOURCE_V6);
    packet.extend(DESTINATION_V6);
    packet.extend(payload);
    packet
}

/// Packets as nearly all are: TCP, UDP and ICMP behind plain headers of both versions.
pub(super) fn plain() -> [Vec<u8>; 6] {
    let echo = [8, 0, 0, 0, 0, 1, 0, 1];
    [
        ipv4(6, &tcp()),
        ipv4(17, &udp()),
        ipv4(1, &echo),
        ipv6(6, &tcp()),
        ipv6(17, &udp()),
        ipv6(58, &echo),
    ]
}

/// An Ethernet frame of an IP packet, not padded, with VLAN tags, the outermost first.
pub(super) fn ethernet(tags: &[(u16, u16)], packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    for (protocol, tag) in tags {
        frame.extend(protocol.to_be_bytes());
        frame.extend(tag.to_be_bytes());
    }
    let ethertype: u16 = if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// What an IPv4 header says; no ports.
pub(super) fn bare_v4(protocol: u8, octets: usize) -> Packet {
    Packet {
        ip_version: IpVersion::V4,
        source: Address::v4(SOURCE_V4),
        destination: Address::v4(DESTINATION_V4),
        ports: Ports::default(),
        protocol,
        type_of_service: TYPE_OF_SERVICE,
        ttl: TTL,
        tcp_control_bits: 0,
        vlan_id: 0,
        octets: u32::try_from(octets).unwrap(),
        exceeds_wire: false,
        fragment: Fragment::Whole,
    }
}

/// What an IPv6 header says; no ports.
pub(super) fn bare_v6(protocol: u8, octets: usize) -> Packet {
    Packet {
        ip_version: IpVersion::V6,
        source: Address::v6(SOURCE_V6),
        destination: Address::v6(DESTINATION_V6),
        ..bare_v4(protocol, octets)
    }
}

pub(super) fn with_ports(bare: Packet) -> Packet {
    Packet { ports: Ports::new(SOURCE_PORT, DESTINATION_PORT), ..bare }
}

/// What is known of a packet whose IP header is read after `header` octets, and whose ports begin
/// at `transport`.
pub(super) fn known_ports(bare: Packet, header: usize, transport: usize) -> Known {
    Vec::from([(header, Ok(bare)), (transport + 4, Ok(with_ports(bare)))])
}
