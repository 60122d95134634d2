//! Sets of networks.

use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

/// A set of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl NetworkSet {
    /// True if an address is in one of the networks.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.contain(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.contain(v6.to_bits()),
        }
    }

    /// True if there are no networks.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }
}

impl FromIterator<IpNet> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(it) => v4.push((it.network().to_bits(), it.broadcast().to_bits())),
                IpNet::V6(it) => v6.push((it.network().to_bits(), it.broadcast().to_bits())),
            }
        }
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }
}

/// The first and the last address of each network that is not within another one, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranges<A>(Vec<(A, A)>);

impl<A: Copy + Ord> Ranges<A> {
    /// Of two networks, one is within the other, or they are apart.
    fn new(mut networks: Vec<(A, A)>) -> Self {
        // A network comes before the networks within it.
        networks.sort_by(|a, b| (a.0, b.1).cmp(&(b.0, a.1)));
        networks.dedup_by(|inner, outer| inner.0 <= outer.1);
        Self(networks)
    }

    #[inline]
    fn contain(&self, address: A) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= address);
        behind.checked_sub(1).is_some_and(|index| address <= self.0[index].1)
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
    fn addresses_of_each_network_are_in_the_set() {
        let set: NetworkSet =
            ["10.0.0.0/8", "10.1.2.255/32", "11.0.0.0/8", "255.255.255.255/32", "2001:db8::/32"]
                .into_iter()
                .chain(["2001:db8:0:1::/64", "ffff::/16"])
                .map(network)
                .collect();
        for (text, expected) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.1.2.255", true),
            ("10.1.3.0", true),
            ("11.255.255.255", true),
            ("12.0.0.0", false),
            ("255.255.255.254", false),
            ("255.255.255.255", true),
            ("2001:db8::", true),
            ("2001:db8:0:2::", true),
            ("2001:db9::", false),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("::", false),
        ] {
            assert_eq!(set.contains(address(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_set_may_be_empty_or_everything() {
        assert!(NetworkSet::default().is_empty());
        assert!(!NetworkSet::default().contains(address("::1")));
        let all: NetworkSet = [network("0.0.0.0/0"), network("::/0")].into_iter().collect();
        for text in ["0.0.0.0", "255.255.255.255", "::", "ffff::", "8.8.8.8"] {
            assert!(all.contains(address(text)), "{text}");
        }
        let v4: NetworkSet = [network("0.0.0.0/0")].into_iter().collect();
        assert!(!v4.contains(address("::")) && !v4.is_empty());
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
            let networks: Vec<IpNet> = (0..random() % 20)
                .map(|_| {
                    let bits = random() & 0xc000_0003;
                    let length = u8::try_from(random() % 33).unwrap();
                    IpNet::new(IpAddr::V4(bits.into()), length).unwrap().trunc()
                })
                .collect();
            let set: NetworkSet = networks.iter().copied().collect();
            for _ in 0..64 {
                let address = IpAddr::V4((random() & 0xe000_0007).into());
                let expected = networks.iter().any(|network| network.contains(&address));
                assert_eq!(set.contains(address), expected, "{networks:?}");
            }
        }
    }
}
