//! A pcapng file of a router's three interfaces: two of Ethernet, in nanoseconds, and a tunnel of
//! bare IP packets in microseconds.

use super::connection::{Connection, Route, Side};
use super::network::{Host, service, service6, staff, staff6, stranger};
use super::packet::{ICMP, ICMPV6, icmp};
use super::trace::{Captured, MILLI, SECOND, START, Trace};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const ETHERNET: u16 = 1;
const RAW_IP: u16 = 101;

/// Options of an interface: name, description, resolution of times as a power of ten.
const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const RESOLUTION: u16 = 9;

/// More than the longest frame.
const SNAP_LENGTH: usize = 2000;

/// The address that the router puts in place of those behind it.
const ROUTER: u8 = 1;

/// An interface and what comes by there.
struct Interface {
    name: &'static str,
    description: &'static str,
    link: u16,
    /// Ticks in a second.
    ticks: u64,
    traffic: fn(&mut Trace),
}

const INTERFACES: [Interface; 3] = [
    Interface {
        name: "lan0",
        description: "staff",
        link: ETHERNET,
        ticks: 1_000_000_000,
        traffic: inside,
    },
    Interface {
        name: "wan0",
        description: "to the provider",
        link: ETHERNET,
        ticks: 1_000_000_000,
        traffic: outside,
    },
    Interface {
        name: "tun0",
        description: "to the branch office",
        link: RAW_IP,
        ticks: 1_000_000,
        traffic: tunnel,
    },
];

/// The same page on both sides of the router, and somebody else's over IPv6.
fn inside(trace: &mut Trace) {
    page(trace, staff(20), 0);
    let route = Route::out(staff6(21), service6(2), 80);
    let mut connection = Connection::open(trace, 300 * MILLI, route);
    connection.say(Side::Client, b"GET / HTTP/1.1\r\nHost: v6.example.com\r\n\r\n", 41);
    connection.say(Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n", 8041);
    connection.close(Side::Client);
}

fn outside(trace: &mut Trace) {
    page(trace, stranger(ROUTER), 45);
}

/// Nearer to the server by so many microseconds.
fn page(trace: &mut Trace, client: Host, nearer: u64) {
    let mut route = Route::out(client, service(1), 80);
    route.delays[0] += 2 * nearer;
    route.delays[1] -= 2 * nearer;
    let mut connection = Connection::open(trace, 100 * MILLI + nearer, route);
    connection.say(Side::Client, b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n", 42);
    connection.say(Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n", 6041);
    connection.close(Side::Client);
}

/// Pings, of either version.
fn tunnel(trace: &mut Trace) {
    let data: Vec<u8> = (0..56).collect();
    for number in 0..5 {
        let time = u64::from(number) * SECOND;
        let rest = [0x12, 0x34, 0, number];
        let (from, to) = (stranger(2), stranger(3));
        trace.send(time, from, to, ICMP, icmp(8, 0, rest, &data));
        trace.send(time + 9 * MILLI, to, from, ICMP, icmp(0, 0, rest, &data));
        let (from, to) = (service6(3), service6(4));
        trace.send(time + 50, from, to, ICMPV6, icmp(128, 0, rest, &data));
        trace.send(time + 9 * MILLI + 50, to, from, ICMPV6, icmp(129, 0, rest, &data));
    }
}

/// The whole file.
pub(crate) fn capture() -> Vec<u8> {
    let mut file = section_header();
    let mut packets = Vec::new();
    for (number, interface) in (0_u32..).zip(&INTERFACES) {
        file.extend(description(interface));
        let mut trace = Trace::new(SNAP_LENGTH);
        trace.part("interfaces", interface.traffic);
        packets.extend(trace.into_captured().into_iter().map(|packet| (number, interface, packet)));
    }
    packets.sort_by_key(|(_, _, packet)| packet.time);
    for (number, interface, packet) in packets {
        file.extend(enhanced_packet(number, interface, packet));
    }
    file
}

fn section_header() -> Vec<u8> {
    let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    body.extend([1, 0, 0, 0]);
    body.extend([0xff; 8]);
    block(SECTION_HEADER, &body)
}

fn description(interface: &Interface) -> Vec<u8> {
    let mut body = u32::from(interface.link).to_le_bytes().to_vec();
    body.extend([0; 4]);
    option(&mut body, NAME, interface.name.as_bytes());
    option(&mut body, DESCRIPTION, interface.description.as_bytes());
    // Microseconds are what is meant without it.
    if interface.ticks == 1_000_000_000 {
        option(&mut body, RESOLUTION, &[9]);
    }
    option(&mut body, 0, &[]);
    block(INTERFACE_DESCRIPTION, &body)
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend(super::packet::length(value.len()).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn enhanced_packet(number: u32, interface: &Interface, mut packet: Captured) -> Vec<u8> {
    let mut ticks = (START + packet.time / SECOND) * interface.ticks;
    ticks += packet.time % SECOND * (interface.ticks / SECOND);
    if interface.ticks > SECOND {
        // Something for the digits that times have here and not elsewhere.
        ticks += packet.time * 7 % 1000;
    }
    if interface.link == RAW_IP {
        packet.frame.drain(..14);
        packet.length -= 14;
    }
    let halves = [ticks >> 32, ticks & 0xffff_ffff];
    let halves = halves.map(|half| u32::try_from(half).expect("32 bits"));
    let captured = u32::try_from(packet.frame.len()).expect("a frame is short");
    let words = [number, halves[0], halves[1], captured, packet.length];
    let mut body: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    body.extend(packet.frame);
    block(ENHANCED_PACKET, &body)
}

/// Type, length, body padded to 32 bits, length again.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = u32::try_from(12 + padded).expect("a block is short");
    let mut block = [kind.to_le_bytes(), length.to_le_bytes()].concat();
    block.extend(body);
    block.resize(8 + padded, 0);
    block.extend(length.to_le_bytes());
    block
}
