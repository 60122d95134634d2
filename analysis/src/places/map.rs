//! A map from networks to values.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks with values. An address has the value of its longest matching prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NetworkMap<T> {
    v4: Ranges<u32, T>,
    v6: Ranges<u128, T>,
}

impl<T: Copy + PartialEq> NetworkMap<T> {
    /// The value of the longest prefix that contains this address.
    #[inline]
    pub(super) fn get(&self, address: IpAddr) -> Option<T> {
        match address {
            IpAddr::V4(v4) => self.v4.get(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.get(v6.to_bits()),
        }
    }

    /// True if all addresses of a network have the same value, or all have none.
    pub(super) fn is_uniform(&self, network: IpNet) -> bool {
        match network {
            IpNet::V4(v4) => self.v4.is_uniform(v4.network().to_bits(), v4.broadcast().to_bits()),
            IpNet::V6(v6) => self.v6.is_uniform(v6.network().to_bits(), v6.broadcast().to_bits()),
        }
    }
}

impl<T: Copy + PartialEq> FromIterator<(IpNet, T)> for NetworkMap<T> {
    /// If a network has several values, the last one counts.
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, value) in networks {
            match network {
                IpNet::V4(network) => v4.push(Prefix {
                    first: network.network().to_bits(),
                    last: network.broadcast().to_bits(),
                    behind: network.broadcast().to_bits().checked_add(1),
                    value,
                }),
                IpNet::V6(network) => v6.push(Prefix {
                    first: network.network().to_bits(),
                    last: network.broadcast().to_bits(),
                    behind: network.broadcast().to_bits().checked_add(1),
                    value,
                }),
            }
        }
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }
}

impl<T> Default for NetworkMap<T> {
    fn default() -> Self {
        Self { v4: Ranges::EMPTY, v6: Ranges::EMPTY }
    }
}

/// A network as numbers.
struct Prefix<A, T> {
    first: A,
    last: A,
    /// The address after the last; `None` at the end of all addresses.
    behind: Option<A>,
    value: T,
}

/// The address space as ranges: each ends where the next one starts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges<A, T> {
    starts: Vec<A>,
    /// The value of each range.
    values: Vec<Option<T>>,
}

impl<A, T> Ranges<A, T> {
    const EMPTY: Self = Self { starts: Vec::new(), values: Vec::new() };
}

impl<A: Copy + Ord, T: Copy + PartialEq> Ranges<A, T> {
    fn new(mut prefixes: Vec<Prefix<A, T>>) -> Self {
        // A network comes before the networks within it.
        prefixes.sort_by(|a, b| (a.first, b.last).cmp(&(b.first, a.last)));
        let mut ranges = Self::EMPTY;
        let mut around: Vec<Prefix<A, T>> = Vec::new();
        for prefix in prefixes {
            while around.last().is_some_and(|outer| outer.last < prefix.first) {
                ranges.leave(&mut around);
            }
            ranges.begin(prefix.first, Some(prefix.value));
            around.push(prefix);
        }
        while !around.is_empty() {
            ranges.leave(&mut around);
        }
        ranges
    }

    /// Ends the innermost network: after it the value of the enclosing network continues.
    fn leave(&mut self, around: &mut Vec<Prefix<A, T>>) {
        let left = around.pop().and_then(|inner| inner.behind);
        if let Some(behind) = left {
            self.begin(behind, around.last().map(|outer| outer.value));
        }
    }

    fn begin(&mut self, start: A, value: Option<T>) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last().copied().flatten() != value {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    #[inline]
    fn get(&self, address: A) -> Option<T> {
        self.values[self.started(address).checked_sub(1)?]
    }

    /// Two neighbours have different values, so one value is one range.
    fn is_uniform(&self, first: A, last: A) -> bool {
        self.started(first) == self.started(last)
    }

    /// Number of ranges that start at or before this address.
    #[inline]
    fn started(&self, address: A) -> usize {
        self.starts.partition_point(|start| *start <= address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_prefix_decides() {
        let map: NetworkMap<u8> = [
            ("10.0.0.0/8", 1),
            ("10.1.0.0/16", 2),
            ("10.1.2.0/24", 3),
            ("10.1.2.255/32", 4),
            ("10.255.0.0/16", 5),
            ("11.0.0.0/8", 6),
            ("255.255.255.255/32", 7),
            ("2001:db8::/32", 8),
            ("2001:db8:0:1::/64", 9),
            ("ffff::/16", 10),
        ]
        .into_iter()
        .map(|(text, value)| (network(text), value))
        .collect();
        for (text, expected) in [
            ("9.255.255.255", None),
            ("10.0.0.0", Some(1)),
            ("10.0.255.255", Some(1)),
            ("10.1.0.0", Some(2)),
            ("10.1.2.0", Some(3)),
            ("10.1.2.254", Some(3)),
            ("10.1.2.255", Some(4)),
            ("10.1.3.0", Some(2)),
            ("10.2.0.0", Some(1)),
            ("10.255.255.255", Some(5)),
            ("11.0.0.0", Some(6)),
            ("12.0.0.0", None),
            ("255.255.255.254", None),
            ("255.255.255.255", Some(7)),
            ("2001:db8::", Some(8)),
            ("2001:db8:0:1:ffff::", Some(9)),
            ("2001:db8:0:2::", Some(8)),
            ("2001:db9::", None),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(10)),
            ("::", None),
        ] {
            assert_eq!(map.get(address(text)), expected, "{text}");
        }
    }

    #[test]
    fn of_two_values_the_later_one_counts() {
        let both = [(network("10.0.0.0/8"), 1), (network("10.0.0.0/8"), 2)];
        let map: NetworkMap<u8> = both.into_iter().collect();
        assert_eq!(map.get(address("10.9.9.9")), Some(2));
    }

    #[test]
    fn a_network_is_uniform_if_no_value_changes_in_it() {
        let map: NetworkMap<u8> =
            [(network("10.0.0.0/8"), 1), (network("10.1.2.128/25"), 2), (network("::/0"), 3)]
                .into_iter()
                .collect();
        for (text, expected) in [
            ("10.1.1.0/24", true),
            ("10.1.2.0/24", false),
            ("10.1.2.0/25", true),
            ("10.1.2.128/25", true),
            ("10.1.2.200/32", true),
            ("10.1.3.0/24", true),
            ("11.0.0.0/24", true),
            ("8.0.0.0/6", false),
            ("0.0.0.0/0", false),
            ("2001:db8::/48", true),
            ("::/0", true),
        ] {
            assert_eq!(map.is_uniform(network(text)), expected, "{text}");
        }
        assert!(NetworkMap::<u8>::default().is_uniform(network("0.0.0.0/0")));
    }

    /// The same as a search through all networks, for networks and addresses that meet often.
    #[test]
    fn any_networks_answer_as_a_search_through_all() {
        let mut state = 1_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(state >> 32).unwrap()
        };
        for _ in 0..300 {
            let networks: Vec<(IpNet, usize)> = (0..random() % 20)
                .map(|_| {
                    let bits = random() & 0xc000_0003;
                    let length = u8::try_from(random() % 33).unwrap();
                    IpNet::new(IpAddr::V4(bits.into()), length).unwrap().trunc()
                })
                .zip(0..)
                .collect();
            let map: NetworkMap<usize> = networks.iter().copied().collect();
            for _ in 0..64 {
                let address = IpAddr::V4((random() & 0xe000_0007).into());
                let inside = networks.iter().filter(|(network, _)| network.contains(&address));
                let longest =
                    inside.max_by_key(|(network, number)| (network.prefix_len(), *number));
                assert_eq!(map.get(address), longest.map(|(_, number)| *number), "{networks:?}");
            }
        }
    }
}
