//! The capture that every collector is to report: one of each that NetFlow has a field for.

use crate::support::capture::{Captured, pcapng};
use crate::support::packet::{icmp, ipv4, ipv6, tagged, tcp, udp, unpadded};

/// When it begins, in milliseconds since the epoch. Odd, so that every rounding shows.
pub const BEGIN: u64 = 1_700_000_000_123;

/// Packets of the flow of more than 4 GiB, of 65,535 octets each.
pub const LARGE_FLOW_PACKETS: u64 = 70_000;

const CLIENT: [u8; 4] = [10, 1, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 9];
const CLIENT6: &str = "2001:db8::c";
const SERVER6: &str = "2001:db8:1::5";

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;
const ESP: u8 = 50;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// A capture of two interfaces, in order of time.
pub fn capture() -> Vec<u8> {
    let mut packets = Vec::new();
    packets.extend(tcp_with_all_flags());
    packets.extend(ipv4_of_all_kinds());
    packets.extend(ipv6_of_all_kinds());
    packets.extend(tagged_frames());
    packets.extend(a_flow_that_goes_on());
    packets.extend(many_small_flows());
    packets.extend(large_flows());
    packets.sort_by_key(|packet| packet.nanos);
    pcapng(2, &packets)
}

fn at(offset: u64, ip: &[u8]) -> Captured {
    Captured::at(BEGIN + offset, unpadded(ip))
}

/// Sets the type of service or the traffic class, and the TTL or the hop limit.
fn with(mut ip: Vec<u8>, type_of_service: u8, ttl: u8) -> Vec<u8> {
    if ip[0] >> 4 == 4 {
        (ip[1], ip[8]) = (type_of_service, ttl);
    } else {
        (ip[0], ip[1]) = (0x60 | type_of_service >> 4, type_of_service << 4);
        ip[7] = ttl;
    }
    ip
}

/// Both directions of a connection that ends; all eight bits in one of them.
fn tcp_with_all_flags() -> Vec<Captured> {
    let forth = |flags, payload, ttl| {
        with(ipv4(CLIENT, SERVER, TCP, &tcp(40_000, 443, flags, payload)), 0, ttl)
    };
    let back = |flags, payload| ipv4(SERVER, CLIENT, TCP, &tcp(443, 40_000, flags, payload));
    vec![
        at(0, &forth(0xc2, 0, 64)),
        at(20, &back(0x52, 0)),
        at(41, &forth(0x10, 0, 64)),
        at(42, &forth(0x38, 700, 63)),
        at(1061, &back(0x18, 1200)),
        at(1999, &forth(0x11, 0, 255)),
        at(2002, &back(0x11, 0)),
        at(2004, &forth(0x04, 0, 1)),
    ]
}

fn ipv4_of_all_kinds() -> Vec<Captured> {
    let query = ipv4(CLIENT, SERVER, UDP, &udp(5353, 53, 40));
    let echo = |kind| ipv4(CLIENT, SERVER, ICMP, &icmp(kind, 0, 56));
    let mut unreachable = icmp(3, 3, 0);
    unreachable.extend(&query[..28]);
    let mut fragments =
        [ipv4(CLIENT, SERVER, UDP, &udp(2049, 2050, 1472)), ipv4(CLIENT, SERVER, UDP, &[0; 1000])];
    for (fragment, offset) in fragments.iter_mut().zip([0x2000_u16, 185]) {
        fragment[4..6].copy_from_slice(&[0x12, 0x34]);
        fragment[6..8].copy_from_slice(&offset.to_be_bytes());
    }
    vec![
        at(100, &query),
        // Another type of service is another flow.
        at(101, &with(query, 0xb8, 64)),
        at(200, &echo(8)),
        at(201, &ipv4(SERVER, CLIENT, ICMP, &icmp(0, 0, 56))),
        at(300, &ipv4(SERVER, CLIENT, ICMP, &unreachable)),
        at(400, &ipv4(CLIENT, SERVER, GRE, &[0; 64])),
        at(500, &ipv4(CLIENT, SERVER, ESP, &[0x55; 120])),
        at(600, &ipv4(CLIENT, SERVER, SCTP, &[0x1f, 0x40, 0x1f, 0x41, 0, 0, 0, 0, 0, 0, 0, 0])),
        at(700, &fragments[0]),
        at(701, &fragments[1]),
        // The same flow on another interface.
        at(800, &echo(8)).on(1),
    ]
}

fn ipv6_of_all_kinds() -> Vec<Captured> {
    let packet = |protocol, payload: &[u8]| ipv6(CLIENT6, SERVER6, protocol, payload);
    vec![
        at(1000, &packet(TCP, &tcp(50_000, 80, 0x02, 0))),
        at(1500, &with(packet(TCP, &tcp(50_000, 80, 0x19, 512)), 0, 3)),
        at(1600, &with(packet(UDP, &udp(4000, 123, 48)), 0xb8, 255)).on(1),
        at(1700, &packet(ICMPV6, &icmp(128, 0, 56))),
        at(1701, &packet(ICMPV6, &icmp(1, 4, 60))),
    ]
}

fn tagged_frames() -> Vec<Captured> {
    let v4 = unpadded(&ipv4([10, 2, 0, 1], SERVER, UDP, &udp(1000, 2000, 100)));
    let v6 = unpadded(&ipv6("2001:db8::d", SERVER6, UDP, &udp(1000, 2000, 100)));
    let double = tagged(&tagged(&v4, 0x8100, 7), 0x88a8, 300);
    vec![
        Captured::at(BEGIN + 2100, tagged(&v4, 0x8100, 100)),
        Captured::at(BEGIN + 2101, tagged(&v6, 0x8100, 4094)),
        // In another flow, by its interface.
        Captured::at(BEGIN + 2102, double).on(1),
    ]
}

/// Longer than the active timeout; then silence for longer than the idle timeout; then more.
fn a_flow_that_goes_on() -> Vec<Captured> {
    let ip = ipv4([10, 3, 0, 1], SERVER, UDP, &udp(3000, 3001, 333));
    let steady = (0..70).map(|second| 3000 + second * 1007);
    steady.chain([120_000, 120_001]).map(|offset| at(offset, &ip)).collect()
}

/// Enough for several messages of every protocol.
fn many_small_flows() -> Vec<Captured> {
    let flow = |number: u16| {
        let source = [10, 4, number.to_be_bytes()[0], number.to_be_bytes()[1]];
        let payload = udp(20_000 + number, 514, number.into());
        let first = at(4000 + u64::from(number) * 11, &ipv4(source, SERVER, UDP, &payload));
        let reply = ipv6(SERVER6, &format!("2001:db8:4::{number:x}"), UDP, &payload);
        [first, at(5000 + u64::from(number) * 13, &reply)]
    };
    (0..300).flat_map(flow).collect()
}

/// More octets than 32 bits can count: in packets that the capture has cut, and in jumbograms.
fn large_flows() -> Vec<Captured> {
    let mut ip = ipv4([10, 5, 0, 1], SERVER, TCP, &tcp(6000, 6001, 0x10, 0));
    ip[2..4].copy_from_slice(&[0xff, 0xff]);
    let cut = |number: u64| {
        let packet = at(10_000 + number * 50_000 / LARGE_FLOW_PACKETS, &ip);
        Captured { wire_length: 14 + 0xffff, ..packet }
    };
    let mut packets: Vec<Captured> = (0..LARGE_FLOW_PACKETS).map(cut).collect();

    // Hop-by-Hop Options with a Jumbo Payload option of 2 GiB (RFC 2675), then UDP.
    let mut payload = vec![UDP, 0, 0xc2, 4, 0x80, 0, 0, 0];
    payload.extend(udp(7000, 7001, 0));
    let mut jumbo = ipv6(CLIENT6, SERVER6, 0, &payload);
    jumbo[4..6].copy_from_slice(&[0, 0]);
    packets.extend(
        [11_000, 12_345, 13_456]
            .map(|offset| Captured { wire_length: 14 + 40 + (2 << 30), ..at(offset, &jumbo) }),
    );
    packets
}
