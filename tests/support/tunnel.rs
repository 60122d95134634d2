//! Tunnels, octet by octet.

use super::packet;

pub const OUTER: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];
pub const INNER: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];

pub fn inner() -> Vec<u8> {
    packet::ipv4(INNER[0], INNER[1], 6, &packet::tcp(1234, 80, 0x10, 20))
}

/// A UDP datagram to a port with these octets in it.
pub fn udp_to(port: u16, octets: &[u8]) -> Vec<u8> {
    let mut datagram = packet::udp(50_000, port, octets.len());
    datagram[8..].copy_from_slice(octets);
    datagram
}

pub fn around(protocol: u8, payload: &[u8]) -> Vec<u8> {
    packet::ipv4(OUTER[0], OUTER[1], protocol, payload)
}

pub fn vxlan(vni: u8, ip: &[u8]) -> Vec<u8> {
    let mut header = vec![8, 0, 0, 0, 0, 0, vni, 0];
    header.extend(packet::unpadded(ip));
    around(17, &udp_to(4789, &header))
}

pub fn with(header: &[u8], rest: &[u8]) -> Vec<u8> {
    [header, rest].concat()
}

/// Each kind of tunnel around the same packet: name, id, the packet around.
pub fn samples() -> Vec<(&'static str, u64, Vec<u8>)> {
    samples_of(&inner())
}

/// The same around this IPv4 packet.
pub fn samples_of(ip: &[u8]) -> Vec<(&'static str, u64, Vec<u8>)> {
    let frame = packet::unpadded(ip);
    let gre = |header: &[u8], rest: &[u8]| around(47, &with(header, rest));
    let v6 = packet::ipv6("2001:0:1::1", "2001:db8::2", 6, &packet::tcp(1, 2, 0x10, 0));
    vec![
        ("vxlan", 7, vxlan(7, ip)),
        ("vxlan_gpe", 5, around(17, &udp_to(4790, &with(&[0x0c, 0, 0, 1, 0, 0, 5, 0], ip)))),
        (
            "geneve",
            9,
            around(17, &udp_to(6081, &with(&[2, 0, 8, 0, 0, 0, 9, 0, 1, 2, 3, 1, 4, 5, 6, 7], ip))),
        ),
        ("gre", 0, gre(&[0, 0, 8, 0], ip)),
        ("gre", 66, gre(&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 66, 0, 0, 0, 1], ip)),
        ("nvgre", 3, gre(&[0x20, 0, 0x65, 0x58, 0, 0, 3, 1], &frame)),
        ("pptp", 4, gre(&[0x30, 1, 0x88, 0x0b, 0, 64, 0, 4, 0, 0, 0, 1, 0xff, 3, 0, 0x21], ip)),
        ("erspan", 0, gre(&[0, 0, 0x88, 0xbe], &frame)),
        ("erspan", 17, gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 17, 0, 0, 0, 0], &frame)),
        (
            "erspan",
            18,
            gre(
                &[
                    0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 18, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
                    0, 0, 0, 0, 0, 0,
                ],
                &frame,
            ),
        ),
        (
            "gtpu",
            21,
            around(
                17,
                &udp_to(
                    2152,
                    &with(&[0x34, 255, 0, 68, 0, 0, 0, 21, 0, 0, 0, 0x85, 1, 0, 0, 0], ip),
                ),
            ),
        ),
        ("ipip", 0, around(4, ip)),
        ("etherip", 0, around(97, &with(&[0x30, 0], &frame))),
        ("mpls", 19, around(17, &udp_to(6635, &with(&[0, 1, 0x31, 64], ip)))),
        ("mpls", 19, around(137, &with(&[0, 1, 0x31, 64], ip))),
        (
            "l2tp",
            0x0001_0002,
            around(17, &udp_to(1701, &with(&[0, 2, 0, 1, 0, 2, 0xff, 3, 0, 0x21], ip))),
        ),
        ("l2tpv3", 6, around(115, &with(&[0, 0, 0, 6, 9, 9, 9, 9], &frame))),
        ("teredo", 0, around(17, &udp_to(3544, &v6))),
    ]
}
