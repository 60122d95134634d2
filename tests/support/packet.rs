//! Packets for tests, built with pnet.

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet_packet::icmp::{IcmpCode, IcmpType, MutableIcmpPacket};
use pnet_packet::ip::IpNextHeaderProtocol;
use pnet_packet::ipv4::{self, MutableIpv4Packet};
use pnet_packet::ipv6::MutableIpv6Packet;
use pnet_packet::tcp::MutableTcpPacket;
use pnet_packet::udp::MutableUdpPacket;

/// A TCP segment.
pub fn tcp(source: u16, destination: u16, flags: u8, payload: usize) -> Vec<u8> {
    let mut octets = vec![0; 20 + payload];
    let mut segment = MutableTcpPacket::new(&mut octets).unwrap();
    segment.set_source(source);
    segment.set_destination(destination);
    segment.set_data_offset(5);
    segment.set_flags(flags);
    octets
}

/// A UDP datagram.
pub fn udp(source: u16, destination: u16, payload: usize) -> Vec<u8> {
    let mut octets = vec![0; 8 + payload];
    let mut datagram = MutableUdpPacket::new(&mut octets).unwrap();
    datagram.set_source(source);
    datagram.set_destination(destination);
    datagram.set_length(u16::try_from(8 + payload).unwrap());
    octets
}

/// An ICMP or ICMPv6 message.
pub fn icmp(kind: u8, code: u8, payload: usize) -> Vec<u8> {
    let mut octets = vec![0; 8 + payload];
    let mut message = MutableIcmpPacket::new(&mut octets).unwrap();
    message.set_icmp_type(IcmpType::new(kind));
    message.set_icmp_code(IcmpCode::new(code));
    octets
}

/// An IPv4 packet without options.
pub fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 20 + payload.len()];
    let mut packet = MutableIpv4Packet::new(&mut octets).unwrap();
    packet.set_version(4);
    packet.set_header_length(5);
    packet.set_total_length(u16::try_from(20 + payload.len()).unwrap());
    packet.set_ttl(64);
    packet.set_next_level_protocol(IpNextHeaderProtocol::new(protocol));
    packet.set_source(Ipv4Addr::from(source));
    packet.set_destination(Ipv4Addr::from(destination));
    packet.set_payload(payload);
    let checksum = ipv4::checksum(&packet.to_immutable());
    packet.set_checksum(checksum);
    octets
}

/// An IPv6 packet without extension headers.
pub fn ipv6(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 40 + payload.len()];
    let mut packet = MutableIpv6Packet::new(&mut octets).unwrap();
    packet.set_version(6);
    packet.set_payload_length(u16::try_from(payload.len()).unwrap());
    packet.set_next_header(IpNextHeaderProtocol::new(protocol));
    packet.set_hop_limit(64);
    packet.set_source(source.parse::<Ipv6Addr>().unwrap());
    packet.set_destination(destination.parse::<Ipv6Addr>().unwrap());
    packet.set_payload(payload);
    octets
}

/// An Ethernet frame, padded to 60 octets as on the wire.
pub fn ethernet(ip: &[u8]) -> Vec<u8> {
    let mut frame = unpadded(ip);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// An Ethernet frame without padding.
pub fn unpadded(ip: &[u8]) -> Vec<u8> {
    let ethertype: u16 = if ip[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(ip);
    frame
}

/// The frame with another VLAN tag (0x8100, or another tag protocol) as the outermost one.
pub fn tagged(frame: &[u8], protocol: u16, vlan_id: u16) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend(protocol.to_be_bytes());
    tagged.extend(vlan_id.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}
