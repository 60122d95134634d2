//! Which address a database is asked for: special-purpose ones are in none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Prefixes of IPv4 that are not globally reachable (RFC 6890 and the IANA registry "IPv4
/// Special-Purpose Address Registry"), and multicast.
const SPECIAL_V4: [([u8; 4], u8); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Prefixes of IPv6 within the global unicast addresses, 2000::/3, that are not globally reachable.
const SPECIAL_V6: [([u16; 3], u8); 3] = [
    // Benchmarking, and documentation twice.
    ([0x2001, 0x0002, 0], 48),
    ([0x2001, 0x0db8, 0], 32),
    ([0x3fff, 0, 0], 20),
];

/// The IPv4 address that an IPv6 address stands for: IPv4-mapped (RFC 4291 section 2.5.5.2), NAT64
/// (RFC 6052), 6to4 (RFC 3056), or the client of Teredo (RFC 4380 section 4), which is written
/// with all bits inverted.
pub(super) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |segments: [u16; 2]| {
        let [[a, b], [c, d]] = segments.map(u16::to_be_bytes);
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, one, two] | [0x64, 0xff9b, 0, 0, 0, 0, one, two] => {
            last([one, two])
        }
        [0x2002, one, two, ..] => last([one, two]),
        [0x2001, 0, .., one, two] => last([!one, !two]),
        _ => None,
    }
}

/// The address that a database may know, if there is one.
pub(super) fn routable(address: IpAddr) -> Option<IpAddr> {
    let plain = match address {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
    };
    let is_special = match plain {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => is_special_v6(v6),
    };
    (!is_special).then_some(plain)
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    // Anycast addresses of the Port Control Protocol and of TURN, which are global.
    if matches!(address.octets(), [192, 0, 0, 9 | 10]) {
        return false;
    }
    let bits = address.to_bits();
    SPECIAL_V4.into_iter().any(|(network, length)| {
        (bits ^ u32::from_be_bytes(network)) >> (32 - u32::from(length)) == 0
    })
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    let is_global_unicast = address.segments()[0] >> 13 == 1;
    let bits = address.to_bits() >> 80;
    !is_global_unicast
        || SPECIAL_V6.into_iter().any(|([one, two, three], length)| {
            let network = u128::from(one) << 32 | u128::from(two) << 16 | u128::from(three);
            (bits ^ network) >> (48 - length) == 0
        })
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
