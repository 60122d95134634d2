//! A capture of one of each: the attacks that panels are for, with numbers that are known.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use crate::support::capture::{Captured, Order, enhanced, interface, section};
use crate::support::packet::{ethernet, icmp, ipv4, tagged, tcp, udp};
use crate::support::{self, mmdb};

pub const FLOODED: &str = "192.0.2.80";
pub const FLOODERS: u16 = 1200;
pub const PORT_SCANNER: &str = "203.0.113.9";
pub const SCANNED_PORTS: u16 = 300;
pub const HOST_SCANNER: &str = "203.0.113.10";
pub const SCANNED_HOSTS: u8 = 120;
pub const REFLECTED: &str = "192.0.2.53";
pub const REFLECTORS: u8 = 50;
pub const REFLECTED_PACKETS: u16 = 150;
pub const RESOLVER: &str = "198.51.103.53";
pub const WORM: &str = "10.0.0.66";
pub const WORM_TARGETS: u8 = 150;
pub const SPOOFED: &str = "192.168.77.7";
pub const SPOOFED_PACKETS: u16 = 9;
pub const ROUTER: &str = "10.0.0.1";
/// Packets of ICMP by type and code: network, host and port unreachable, echo.
pub const ICMP: [(u8, u8, u16); 4] = [(3, 0, 5), (3, 1, 7), (3, 3, 11), (8, 0, 13)];
pub const CODE_RED: &str = "10.0.0.80";
pub const CODE_RED_TARGETS: u8 = 30;
pub const MAILER: &str = "10.0.0.25";
pub const MAIL_SERVERS: u8 = 40;
pub const PEER: &str = "10.0.0.46";
pub const PEERS: u8 = 60;
pub const HEAVY: [&str; 2] = ["10.0.0.99", "198.51.103.99"];
pub const HEAVY_PACKETS: u16 = 1000;
pub const HEAVY_OCTETS: u16 = 1428;

/// The interface of what comes from inside, and that of the rest.
pub const INSIDE: u32 = 1;
pub const OUTSIDE: u32 = 2;

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Packets, a tenth of a millisecond apart.
#[derive(Default)]
struct Trace {
    packets: Vec<Captured>,
}

impl Trace {
    fn send(&mut self, interface: u32, from: &str, to: &str, protocol: u8, payload: &[u8]) {
        let [from, to] = [from, to].map(|host| host.parse::<std::net::Ipv4Addr>().unwrap());
        let frame = ethernet(&ipv4(from.octets(), to.octets(), protocol, payload));
        let frame = if interface == INSIDE { tagged(&frame, 0x8100, 7) } else { frame };
        let mut packet = Captured::at(1_800_000_000_000, frame).cut(96).on(interface - 1);
        packet.nanos += 100_000 * self.packets.len() as u64;
        self.packets.push(packet);
    }

    fn tcp(
        &mut self,
        interface: u32,
        hosts: [&str; 2],
        ports: [u16; 2],
        flags: u8,
        payload: usize,
    ) {
        let segment = tcp(ports[0], ports[1], flags, payload);
        self.send(interface, hosts[0], hosts[1], 6, &segment);
    }

    fn udp(&mut self, interface: u32, hosts: [&str; 2], ports: [u16; 2], payload: usize) {
        self.send(interface, hosts[0], hosts[1], 17, &udp(ports[0], ports[1], payload));
    }

    fn send_outside(&mut self) {
        for source in 0..FLOODERS {
            let from = format!("100.64.{}.{}", source / 250, source % 250 + 1);
            self.tcp(OUTSIDE, [&from, FLOODED], [1024 + source, 443], SYN, 0);
        }
        for port in 1..=SCANNED_PORTS {
            self.tcp(OUTSIDE, [PORT_SCANNER, "192.0.2.22"], [40_000, port], SYN, 0);
        }
        for to in hosts("10.0.1", 1..=SCANNED_HOSTS) {
            self.tcp(OUTSIDE, [HOST_SCANNER, &to], [40_000, 22], SYN, 0);
        }
        for _ in 0..SPOOFED_PACKETS {
            self.udp(OUTSIDE, [SPOOFED, "198.51.103.7"], [9, 9], 10);
        }
        for from in hosts("203.0.114", 1..=REFLECTORS) {
            for _ in 0..REFLECTED_PACKETS {
                self.udp(OUTSIDE, [&from, REFLECTED], [53, 33_000], 1400);
            }
        }
    }

    fn send_inside(&mut self) {
        for from in hosts("10.0.2", 1..=5) {
            for _ in 0..40 {
                self.udp(INSIDE, [&from, RESOLVER], [5353, 53], 40);
            }
        }
        for to in hosts("198.18.0", 1..=WORM_TARGETS) {
            self.tcp(INSIDE, [WORM, &to], [2000, 445], SYN, 0);
        }
        for (kind, code, packets) in ICMP {
            (0..packets)
                .for_each(|_| self.send(INSIDE, ROUTER, "10.0.0.2", 1, &icmp(kind, code, 28)));
        }
        for to in hosts("198.18.1", 1..=CODE_RED_TARGETS) {
            // 48 octets with the IP header.
            (0..3).for_each(|_| self.tcp(INSIDE, [CODE_RED, &to], [3000, 80], SYN, 8));
        }
        for to in hosts("198.51.101", 1..=MAIL_SERVERS) {
            self.tcp(INSIDE, [MAILER, &to], [4000, 25], SYN, 0);
            self.tcp(OUTSIDE, [&to, MAILER], [25, 4000], SYN | ACK, 0);
            self.tcp(INSIDE, [MAILER, &to], [4000, 25], ACK, 500);
        }
        for (number, to) in (0..).zip(hosts("198.51.102", 1..=PEERS)) {
            if number % 2 == 0 {
                self.tcp(INSIDE, [PEER, &to], [5000, 4662], SYN | ACK, 100);
            } else {
                self.udp(INSIDE, [PEER, &to], [5000, 4672], 100);
            }
        }
        for _ in 0..HEAVY_PACKETS {
            self.udp(INSIDE, HEAVY, [6000, 6001], usize::from(HEAVY_OCTETS) - 28);
        }
    }
}

fn hosts(network: &str, last: RangeInclusive<u8>) -> impl Iterator<Item = String> {
    let network = network.to_owned();
    last.map(move |last| format!("{network}.{last}"))
}

/// The capture, pcapng with two interfaces.
pub fn capture(folder: &TempDir) -> PathBuf {
    let mut trace = Trace::default();
    trace.send_inside();
    trace.send_outside();
    let order = Order::Little;
    let mut file = section(order);
    for name in ["lan0", "wan0"] {
        file.extend(interface(order, 1, 0, &[(2, name.as_bytes())]));
    }
    trace.packets.iter().for_each(|packet| file.extend(enhanced(order, packet)));
    support::write(folder, "seeded.pcapng", &file)
}

/// A database of places for two of its networks.
pub fn database(folder: &TempDir) -> PathBuf {
    let place = |country: &str, name: &str, [latitude, longitude]: [f64; 2], number: u32| {
        json!({
            "country": {"iso_code": country, "names": {"en": name}},
            "location": {"latitude": latitude, "longitude": longitude},
            "autonomous_system_number": number,
            "autonomous_system_organization": format!("{name} Net"),
        })
    };
    let networks = [
        ("203.0.114.0/24".to_owned(), place("NZ", "New Zealand", [-41.25, 174.75], 64_500)),
        ("198.51.103.0/24".to_owned(), place("IS", "Iceland", [64.125, -21.75], 64_501)),
    ];
    let database = mmdb::database("GeoIP2-Enterprise", 24, &networks);
    support::write(folder, "places.mmdb", &database)
}
