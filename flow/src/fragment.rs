//! Ports of fragmented datagrams: later fragments get the ports of the first one.
//!
//! A small set-associative cache. It never grows: a first fragment replaces the oldest entry of its
//! set. Datagrams are not reassembled.

use alloc::boxed::Box;
use alloc::vec;

use crate::frame::{Fragment, Packet};
use crate::hash::{HashSeed, pick};
use crate::key::{Address, IpVersion, Ports};
use crate::time::Timestamp;

/// Maximum time between the first fragment and a later one, in milliseconds: longer than a datagram
/// is in flight, shorter than the time until its identification is used again.
const LIFETIME_MS: u64 = 30_000;

const SETS: u32 = 1024;
const WAYS: usize = 8;

/// Identity of a datagram (RFC 791 section 3.2, RFC 8200 section 4.5). The interface is not part of
/// it, because fragments may arrive on several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Datagram {
    ip_version: IpVersion,
    source: Address,
    destination: Address,
    identification: u32,
    /// 0 for IPv6, where later fragments may not have it.
    protocol: u8,
    /// Number of the network with decapsulation, else 0.
    tunnel: u16,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    datagram: Datagram,
    protocol: u8,
    ports: Ports,
    time: Timestamp,
}

/// The memory of a cache.
const _: () = assert!(size_of::<[[Option<Entry>; WAYS]; SETS as usize]>() == 448 << 10);

#[derive(Debug)]
pub(crate) struct FragmentCache {
    seed: HashSeed,
    sets: Box<[[Option<Entry>; WAYS]]>,
    /// Later fragments without a known first one. They are metered with ports 0.
    unknown: u64,
}

impl FragmentCache {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self { seed, sets: vec![[None; WAYS]; SETS as usize].into_boxed_slice(), unknown: 0 }
    }

    pub(crate) fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Keeps the ports of a first fragment, or sets the ports of a later fragment.
    #[cold]
    pub(crate) fn resolve(&mut self, packet: &mut Packet, tunnel: u16, time: Timestamp) {
        match packet.fragment {
            Fragment::Whole => {}
            Fragment::First(identification) => self.remember(packet, tunnel, identification, time),
            Fragment::Later(identification) => {
                match self.first(&Datagram::of(packet, tunnel, identification), time) {
                    Some(first) => {
                        packet.protocol = first.protocol;
                        packet.ports = first.ports;
                    }
                    None => self.unknown += 1,
                }
            }
        }
    }

    /// True if a packet is a later fragment whose first one is known.
    pub(crate) fn knows(&self, packet: &Packet, time: Timestamp) -> bool {
        let Fragment::Later(identification) = packet.fragment else { return false };
        self.first(&Datagram::of(packet, 0, identification), time).is_some()
    }

    fn first(&self, datagram: &Datagram, time: Timestamp) -> Option<Entry> {
        let set = &self.sets[self.index(datagram)];
        let is_first = |entry: &&Entry| {
            entry.datagram == *datagram && entry.time.abs_diff(time) <= LIFETIME_MS
        };
        set.iter().flatten().find(is_first).copied()
    }

    /// Keeps a first fragment.
    pub(crate) fn remember(
        &mut self,
        packet: &Packet,
        tunnel: u16,
        identification: u32,
        time: Timestamp,
    ) {
        let datagram = Datagram::of(packet, tunnel, identification);
        let set = self.set(&datagram);
        let same = set.iter().position(|way| way.is_some_and(|entry| entry.datagram == datagram));
        let oldest = || {
            let age = |way: &Option<Entry>| way.map(|entry| entry.time);
            (0..WAYS).min_by_key(|&index| age(&set[index])).unwrap_or(0)
        };
        let place = same.unwrap_or_else(oldest);
        set[place] = Some(Entry { datagram, protocol: packet.protocol, ports: packet.ports, time });
    }

    fn set(&mut self, datagram: &Datagram) -> &mut [Option<Entry>; WAYS] {
        &mut self.sets[self.index(datagram)]
    }

    fn index(&self, datagram: &Datagram) -> usize {
        pick(self.seed.hash(datagram.words()), SETS) as usize
    }
}

impl Datagram {
    fn of(packet: &Packet, tunnel: u16, identification: u32) -> Self {
        Self {
            ip_version: packet.ip_version,
            source: packet.source,
            destination: packet.destination,
            identification,
            protocol: match packet.ip_version {
                IpVersion::V4 => packet.protocol,
                IpVersion::V6 => 0,
            },
            tunnel,
        }
    }

    fn words(&self) -> [u64; 6] {
        [
            self.source.first,
            self.source.second,
            self.destination.first,
            self.destination.second,
            self.identification.into(),
            u64::from(self.tunnel) << 16
                | u64::from(self.protocol) << 8
                | u64::from(self.ip_version.number()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(host: u8, fragment: Fragment, port: u16) -> Packet {
        Packet {
            ip_version: IpVersion::V4,
            source: Address::v6([host; 16]),
            destination: Address::v6([2; 16]),
            ports: Ports::new(port, port),
            protocol: 17,
            type_of_service: 0,
            ttl: 64,
            tcp_control_bits: 0,
            vlan_id: 0,
            octets: 1500,
            exceeds_wire: false,
            fragment,
        }
    }

    fn ports(cache: &mut FragmentCache, mut packet: Packet, time: u64) -> (u16, u16) {
        cache.resolve(&mut packet, 0, Timestamp::from_millis(time));
        (packet.ports.source(), packet.ports.destination())
    }

    #[test]
    fn later_fragments_get_the_ports_of_the_first() {
        let mut cache = FragmentCache::new(HashSeed::new(1));
        assert_eq!(ports(&mut cache, fragment(1, Fragment::Later(7), 0), 0), (0, 0));
        ports(&mut cache, fragment(1, Fragment::First(7), 53), 0);
        assert_eq!(ports(&mut cache, fragment(1, Fragment::Later(7), 0), 30_000), (53, 53));
        assert_eq!(ports(&mut cache, fragment(1, Fragment::Later(8), 0), 0), (0, 0));
        assert_eq!(ports(&mut cache, fragment(3, Fragment::Later(7), 0), 0), (0, 0));
        assert_eq!(cache.unknown(), 3);
    }

    #[test]
    fn first_fragment_is_forgotten_after_its_lifetime() {
        let mut cache = FragmentCache::new(HashSeed::new(1));
        ports(&mut cache, fragment(1, Fragment::First(7), 53), 0);
        assert_eq!(ports(&mut cache, fragment(1, Fragment::Later(7), 0), 30_001), (0, 0));
    }

    #[test]
    fn same_identification_again_replaces_the_first() {
        let mut cache = FragmentCache::new(HashSeed::new(1));
        ports(&mut cache, fragment(1, Fragment::First(7), 53), 0);
        ports(&mut cache, fragment(1, Fragment::First(7), 123), 1);
        assert_eq!(ports(&mut cache, fragment(1, Fragment::Later(7), 0), 2), (123, 123));
    }

    #[test]
    fn cache_keeps_the_newest_when_a_set_is_full() {
        let mut cache = FragmentCache::new(HashSeed::new(1));
        let datagrams = SETS * 32;
        for id in 0..datagrams {
            ports(&mut cache, fragment(1, Fragment::First(id), 53), id.into());
        }
        let newest = datagrams - SETS..datagrams;
        let known = newest
            .filter(|&id| {
                ports(&mut cache, fragment(1, Fragment::Later(id), 0), id.into()) == (53, 53)
            })
            .count();
        assert_eq!(known, SETS as usize);
    }
}
