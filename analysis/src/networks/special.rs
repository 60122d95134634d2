//! Special-purpose addresses (RFC 6890 and its IANA registries).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Places from which packets with a source address may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Any place.
    Global,
    /// Within a site, a lab or a document: private, link-local, shared, benchmarking, documentation
    /// and unassigned addresses.
    Limited,
    /// No network: addresses of the own host, of multicast, or unspecified, reserved and broadcast
    /// ones.
    Never,
}

/// The purpose of an address. An IPv6 address with an embedded IPv4 address (NAT64, 6to4, Teredo)
/// has the purpose of the IPv4 address.
pub fn purpose(address: IpAddr) -> Purpose {
    match address {
        IpAddr::V4(v4) => purpose_v4(v4),
        IpAddr::V6(v6) => purpose_v6(v6),
    }
}

fn purpose_v4(address: Ipv4Addr) -> Purpose {
    match address.octets() {
        // This network, the own host, multicast, reserved and broadcast.
        [0 | 127 | 224..=255, ..] => Purpose::Never,
        // Private.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Purpose::Limited,
        // Shared by customers of a carrier.
        [100, 64..=127, ..] => Purpose::Limited,
        // Link-local.
        [169, 254, ..] => Purpose::Limited,
        // IETF protocols; the anycast addresses of PCP and TURN are global.
        [192, 0, 0, 9 | 10] => Purpose::Global,
        [192, 0, 0, _] => Purpose::Limited,
        // Documentation.
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Purpose::Limited,
        // Relays of 6to4, no longer in use.
        [192, 88, 99, _] => Purpose::Limited,
        // Benchmarking.
        [198, 18 | 19, ..] => Purpose::Limited,
        _ => Purpose::Global,
    }
}

fn purpose_v6(address: Ipv6Addr) -> Purpose {
    if let Some(embedded) = embedded_ipv4(address) {
        return purpose_v4(embedded);
    }
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return Purpose::Never;
    }
    match address.segments() {
        // Benchmarking.
        [0x2001, 0x0002, 0, ..] => Purpose::Limited,
        // Documentation.
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Purpose::Limited,
        // All global unicast addresses (2000::/3).
        [0x2000..=0x3fff, ..] => Purpose::Global,
        // Unique local, link-local and site-local, IPv4-mapped, local NAT64, discard-only, dummy,
        // segment identifiers, and unassigned addresses.
        _ => Purpose::Limited,
    }
}

/// The IPv4 address in an IPv6 address of NAT64 (RFC 6052), 6to4 (RFC 3056) or Teredo (RFC 4380:
/// the client's, whose bits are inverted).
#[inline]
pub(crate) fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let words = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(words(high, low)),
        [0x2002, high, low, ..] => Some(words(high, low)),
        [0x2001, 0, .., high, low] => Some(words(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Purpose {
        purpose(text.parse().unwrap())
    }

    /// The first and the last address of each block, and those next to them.
    #[test]
    fn blocks_have_edges() {
        let blocks = [
            ("0.0.0.0", "0.255.255.255", Purpose::Never),
            ("10.0.0.0", "10.255.255.255", Purpose::Limited),
            ("100.64.0.0", "100.127.255.255", Purpose::Limited),
            ("127.0.0.0", "127.255.255.255", Purpose::Never),
            ("169.254.0.0", "169.254.255.255", Purpose::Limited),
            ("172.16.0.0", "172.31.255.255", Purpose::Limited),
            ("192.0.0.0", "192.0.0.8", Purpose::Limited),
            ("192.0.0.11", "192.0.0.255", Purpose::Limited),
            ("192.0.2.0", "192.0.2.255", Purpose::Limited),
            ("192.88.99.0", "192.88.99.255", Purpose::Limited),
            ("192.168.0.0", "192.168.255.255", Purpose::Limited),
            ("198.18.0.0", "198.19.255.255", Purpose::Limited),
            ("198.51.100.0", "198.51.100.255", Purpose::Limited),
            ("203.0.113.0", "203.0.113.255", Purpose::Limited),
            ("224.0.0.0", "255.255.255.255", Purpose::Never),
        ];
        for (first, last, purpose) in blocks {
            let ends: [Ipv4Addr; 2] = [first, last].map(|text| text.parse().unwrap());
            assert_eq!(ends.map(purpose_v4), [purpose; 2], "{first} to {last}");
            let before = ends[0].to_bits().checked_sub(1).map(Ipv4Addr::from_bits);
            let after = ends[1].to_bits().checked_add(1).map(Ipv4Addr::from_bits);
            for outside in before.into_iter().chain(after) {
                assert_eq!(purpose_v4(outside), Purpose::Global, "{outside}");
            }
        }
    }

    #[test]
    fn addresses_of_ipv6_have_purposes() {
        for (text, purpose) in [
            ("::", Purpose::Never),
            ("::1", Purpose::Never),
            ("::2", Purpose::Limited),
            ("::ffff:8.8.8.8", Purpose::Limited),
            ("64:ff9b:1::8.8.8.8", Purpose::Limited),
            ("100::1", Purpose::Limited),
            ("100:0:0:1::1", Purpose::Limited),
            ("1fff:ffff::", Purpose::Limited),
            ("2000::", Purpose::Global),
            ("2001:1::1", Purpose::Global),
            ("2001:2::1", Purpose::Limited),
            ("2001:2:1::1", Purpose::Global),
            ("2001:db7:ffff::", Purpose::Global),
            ("2001:db8::1", Purpose::Limited),
            ("2001:db9::", Purpose::Global),
            ("2a00:1450::1", Purpose::Global),
            ("3ffe:ffff::", Purpose::Global),
            ("3fff::1", Purpose::Limited),
            ("3fff:fff::1", Purpose::Limited),
            ("3fff:1000::1", Purpose::Global),
            ("4000::", Purpose::Limited),
            ("5f00::1", Purpose::Limited),
            ("fbff::1", Purpose::Limited),
            ("fc00::1", Purpose::Limited),
            ("fd12::1", Purpose::Limited),
            ("fe80::1", Purpose::Limited),
            ("fec0::1", Purpose::Limited),
            ("ff02::1", Purpose::Never),
        ] {
            assert_eq!(of(text), purpose, "{text}");
        }
    }

    #[test]
    fn an_embedded_address_decides() {
        for (text, embedded, purpose) in [
            ("64:ff9b::8.8.8.8", "8.8.8.8", Purpose::Global),
            ("64:ff9b::10.1.2.3", "10.1.2.3", Purpose::Limited),
            ("64:ff9b::127.0.0.1", "127.0.0.1", Purpose::Never),
            ("2002:808:808::1", "8.8.8.8", Purpose::Global),
            ("2002:c0a8:101::", "192.168.1.1", Purpose::Limited),
            ("2002:e000:1::", "224.0.0.1", Purpose::Never),
            // 0xf7f7f7f7 is 8.8.8.8 inverted; the server in the middle does not count.
            ("2001:0:7f00:1:8000:ffff:f7f7:f7f7", "8.8.8.8", Purpose::Global),
            ("2001:0:808:808::f5ff:fffe", "10.0.0.1", Purpose::Limited),
        ] {
            let address: Ipv6Addr = text.parse().unwrap();
            assert_eq!(embedded_ipv4(address), Some(embedded.parse().unwrap()), "{text}");
            assert_eq!(of(text), purpose, "{text}");
        }
        for text in ["64:ff9b:0:0:1::1", "2001:1::1", "2003::1", "::ffff:8.8.8.8"] {
            assert_eq!(embedded_ipv4(text.parse().unwrap()), None, "{text}");
        }
    }
}
