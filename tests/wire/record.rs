//! Flow records made by hand.

use std::net::IpAddr;

use flow::{FlowEndReason, FlowKey, FlowRecord, IpVersion, Timestamp};

use crate::support::record::datagram;

/// 2024-05-06T07:08:09Z, in milliseconds.
pub const T0: u64 = 1_714_979_289_000;

/// Milliseconds of a day.
pub const DAY: u64 = 24 * 60 * 60 * 1000;

/// A key without type of service, on interface 1.
pub fn key(source: &str, sport: u16, destination: &str, dport: u16, protocol: u8) -> FlowKey {
    let (ip_version, source) = address(source);
    let (other_version, destination) = address(destination);
    assert_eq!(ip_version, other_version);
    FlowKey {
        ip_version,
        source,
        destination,
        source_port: sport,
        destination_port: dport,
        protocol,
        type_of_service: 0,
        interface: 1,
    }
}

fn address(text: &str) -> (IpVersion, [u8; 16]) {
    match text.parse().expect("an address") {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            (IpVersion::V4, octets)
        }
        IpAddr::V6(address) => (IpVersion::V6, address.octets()),
    }
}

/// A record of ten packets and 5,000 octets that began, ended and left the table at these times.
pub fn record(key: FlowKey, start: u64, end: u64, exported: u64) -> FlowRecord {
    FlowRecord {
        key,
        octets: 5000,
        packets: 10,
        start: Timestamp::from_millis(start),
        end: Timestamp::from_millis(end),
        exported: Timestamp::from_millis(exported),
        ..datagram()
    }
}

/// A UDP flow over IPv4 of one second that ended 15 seconds before it left the table.
pub fn udp4(exported: u64) -> FlowRecord {
    let key = key("10.0.0.1", 1024, "10.0.0.2", 53, 17);
    record(key, exported - 16_000, exported - 15_000, exported)
}

/// The same over IPv6.
pub fn udp6(exported: u64) -> FlowRecord {
    let key = key("2001:db8::1", 1024, "2001:db8::2", 53, 17);
    record(key, exported - 16_000, exported - 15_000, exported)
}

/// The TCP flow that the golden messages have in numbers: its n-th host, port, size and time.
pub fn numbered(n: u8) -> FlowRecord {
    let at = T0 + u64::from(n);
    FlowRecord {
        octets: u64::from(n) * 100,
        packets: n.into(),
        tcp_control_bits: 0x1b,
        minimum_ttl: 60,
        maximum_ttl: 60,
        end_reason: FlowEndReason::EndOfFlow,
        ..record(
            key(&format!("10.2.0.{n}"), 1000 + u16::from(n), "198.51.100.7", 80, 6),
            at,
            at + 1,
            at + 2,
        )
    }
}
