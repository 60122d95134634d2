//! The address that a database is asked for. Databases have no special-purpose addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::networks::{Purpose, embedded_ipv4, purpose};

/// The IPv4 address in an IPv6 address: embedded, or IPv4-mapped (RFC 4291 section 2.5.5.2).
pub(super) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    address.to_ipv4_mapped().or_else(|| embedded_ipv4(address))
}

/// The address that a database may have, if there is one.
pub(super) fn routable(address: IpAddr) -> Option<IpAddr> {
    let plain = match address {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
    };
    (purpose(plain) == Purpose::Global).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(address: &str) -> Option<String> {
        routable(address.parse().unwrap()).map(|address| address.to_string())
    }

    #[test]
    fn special_purpose_addresses_are_not_looked_up() {
        for address in [
            "0.0.0.0",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b:1::1",
            "64:ff9b::10.0.0.1",
            "100::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:0a00:0001::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert_eq!(asked(address), None, "{address}");
        }
    }

    #[test]
    fn their_neighbours_are() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.0.9",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::",
            "2001:2:1::",
            "2001:db7:ffff::",
            "2001:db9::",
            "3fff:1000::",
        ] {
            assert_eq!(asked(address).as_deref(), Some(address), "{address}");
        }
    }

    #[test]
    fn the_ipv4_address_in_an_ipv6_address_is_looked_up() {
        for address in [
            "::ffff:8.8.4.4",
            "64:ff9b::8.8.4.4",
            "2002:808:404:1::1",
            // 8.8.4.4 with inverted bits.
            "2001:0:4136:e378:8000:63bf:f7f7:fbfb",
        ] {
            assert_eq!(asked(address).as_deref(), Some("8.8.4.4"), "{address}");
        }
    }
}
