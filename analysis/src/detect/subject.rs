//! Subjects of rules, and their measures.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{FlowKey, HashSeed};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::distinct::{self, Distinct};

/// An IP address as in a flow key. All octets are 0 if there is none.
pub(super) type Octets = [u8; 16];

/// Subject of a rule: hosts, a network, a port. A part that the rule does not use is 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable,
)]
#[repr(C)]
pub(super) struct Subject {
    pub(super) source: Octets,
    pub(super) destination: Octets,
    /// A port, an interface, or another number of the rule.
    pub(super) number: u32,
    pub(super) protocol: u8,
    /// 4 or 6; 0 without addresses.
    pub(super) version: u8,
    unused: [u8; 2],
}

impl Subject {
    pub(super) fn source(key: &FlowKey) -> Self {
        Self { source: key.source, version: key.ip_version.number(), ..Self::default() }
    }

    pub(super) fn destination(key: &FlowKey) -> Self {
        Self { destination: key.destination, version: key.ip_version.number(), ..Self::default() }
    }

    /// The sender of a record as the destination of the opposite direction.
    pub(super) fn answering(key: &FlowKey) -> Self {
        Self { destination: key.source, version: key.ip_version.number(), ..Self::default() }
    }

    /// The receiver of a record as the source of the opposite direction.
    pub(super) fn asking(key: &FlowKey) -> Self {
        Self { source: key.destination, version: key.ip_version.number(), ..Self::default() }
    }

    pub(super) fn number(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    pub(super) fn with_source(self, source: Octets) -> Self {
        Self { source, ..self }
    }

    pub(super) fn with(self, number: impl Into<u32>, protocol: u8) -> Self {
        Self { number: number.into(), protocol, ..self }
    }

    pub(super) fn towards(self, destination: Octets) -> Self {
        Self { destination, ..self }
    }

    pub(super) fn source_address(&self) -> Option<IpAddr> {
        address(self.version, self.source)
    }

    pub(super) fn destination_address(&self) -> Option<IpAddr> {
        address(self.version, self.destination)
    }

    #[inline]
    pub(super) fn hash(&self, seed: &HashSeed, window: u64) -> u64 {
        let [a, b] = words(self.source);
        let [c, d] = words(self.destination);
        let kind = u64::from(self.protocol) << 8 | u64::from(self.version);
        seed.hash([a, b, c, d, u64::from(self.number) << 32 | kind, window])
    }
}

/// The hash of an address and a port, for the set of a subject.
#[inline]
pub(super) fn hash_of(seed: &HashSeed, address: Octets, port: u16) -> u64 {
    let [a, b] = words(address);
    seed.hash([a, b, u64::from(port), 0, 0, 1])
}

/// The hash of a host in a window, for one of its roles.
#[inline]
pub(super) fn hash_of_host(seed: &HashSeed, host: Octets, window: u64, role: u8) -> u64 {
    let [a, b] = words(host);
    seed.hash([a, b, window, role.into(), 0, 2])
}

#[inline]
fn words(octets: Octets) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = octets;
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(rest)]
}

/// An address of this IP version; `None` if it is not part of the subject.
pub(super) fn address(version: u8, octets: Octets) -> Option<IpAddr> {
    let [a, b, c, d, ..] = octets;
    match version {
        _ if octets == Octets::default() => None,
        4 => Some(Ipv4Addr::new(a, b, c, d).into()),
        6 => Some(Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// Samples of a subject's peers.
const SAMPLES: usize = 4;

/// Measures of a subject in a window: sums, maxima and set bits, so that the order of records does
/// not matter.
///
/// The parts that few records need are behind the others. A new measure is written without them.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Measured {
    sampled: u16,
    port_max: u16,
    /// The complement of the lowest port.
    port_before: u16,
    /// The sets that are in use: [`ALL`], [`SECOND`].
    used: u16,
    /// Milliseconds of the longest record.
    pub(super) longest: u64,
    pub(super) packets: u64,
    pub(super) octets: u64,
    /// Flows that ended: a flow cut by the active timeout counts with its last record.
    pub(super) flows: u64,
    /// A sum that the rule defines.
    pub(super) other: u64,
    /// Another sum that the rule defines.
    pub(super) more: u64,
    /// The part of the rule's measure from records of two windows or longer.
    pub(super) lasting: u64,
    /// The complement of the time of the first packet.
    before: u64,
    /// The time of the last packet.
    last: u64,
    /// Empty, whatever is here, while it is not in use.
    all: Distinct,
    /// The lowest addresses of the peers, in order.
    samples: [Octets; SAMPLES],
    /// As the first set.
    second: Distinct,
}

const ALL: u16 = 1;
const SECOND: u16 = 2;

impl Measured {
    /// Makes this a measure of nothing. It does not touch the parts that are not in use then.
    pub(super) fn clear(&mut self) {
        (self.sampled, self.port_max, self.port_before, self.used) = (0, 0, 0, 0);
        (self.packets, self.octets, self.flows, self.other, self.more) = (0, 0, 0, 0, 0);
        (self.lasting, self.longest, self.before, self.last) = (0, 0, 0, 0);
    }

    /// The subject's peers, or other things that the rule counts.
    pub(super) fn all(&self) -> Distinct {
        if self.used & ALL == 0 { Distinct::default() } else { self.all }
    }

    /// A second set that the rule defines.
    pub(super) fn second(&self) -> Distinct {
        if self.used & SECOND == 0 { Distinct::default() } else { self.second }
    }

    /// Adds the thing with this hash to the first set.
    pub(super) fn insert(&mut self, hash: u64) {
        if self.used & ALL == 0 {
            (self.all, self.used) = (Distinct::default(), self.used | ALL);
        }
        self.all.insert(hash);
    }

    /// Adds the thing with this hash to the second set.
    pub(super) fn insert_second(&mut self, hash: u64) {
        if self.used & SECOND == 0 {
            (self.second, self.used) = (Distinct::default(), self.used | SECOND);
        }
        self.second.insert(hash);
    }

    /// Counts packets, octets, the flow and its time, all in trace time.
    pub(super) fn count(&mut self, seen: &super::seen::Seen<'_>) {
        self.packets = self.packets.saturating_add(seen.record.packets);
        self.octets = self.octets.saturating_add(seen.record.octets);
        self.flows += seen.flows;
        self.longest = self.longest.max(seen.duration_ms);
        self.before = self.before.max(!seen.start_ms);
        self.last = self.last.max(seen.end_ms);
    }

    /// Adds a peer to the first set, and to the second one if its hash is sampled.
    pub(super) fn add(&mut self, hash: u64, sample: Octets) {
        self.add_alone(hash, sample);
        if distinct::is_sampled(hash) {
            self.insert_second(hash);
        }
    }

    /// Adds a peer to the first set only: the second one has another use.
    pub(super) fn add_alone(&mut self, hash: u64, sample: Octets) {
        self.insert(hash);
        self.sample(sample);
    }

    /// Keeps the lowest addresses, in any order of records.
    fn sample(&mut self, sample: Octets) {
        let count = usize::from(self.sampled);
        let place = self.samples[..count].partition_point(|kept| *kept < sample);
        if place == SAMPLES || self.samples[..count].get(place) == Some(&sample) {
            return;
        }
        let end = (count + 1).min(SAMPLES);
        self.samples.copy_within(place..end - 1, place + 1);
        self.samples[place] = sample;
        self.sampled = u16::try_from(end).unwrap_or_default();
    }

    /// True if no record was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.before == 0
    }

    /// Adds the sums, times and maxima of another measure.
    pub(super) fn add_counts(&mut self, other: &Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.octets = self.octets.saturating_add(other.octets);
        self.flows += other.flows;
        self.other = self.other.saturating_add(other.other);
        self.more = self.more.saturating_add(other.more);
        self.lasting = self.lasting.saturating_add(other.lasting);
        self.longest = self.longest.max(other.longest);
        self.before = self.before.max(other.before);
        self.last = self.last.max(other.last);
    }

    /// Adds the measure of a later window.
    pub(super) fn merge(&mut self, later: &Self) {
        self.add_counts(later);
        self.all = self.all().with(&later.all());
        self.second = self.second().with(&later.second());
        self.used = ALL | SECOND;
        self.port_max = self.port_max.max(later.port_max);
        self.port_before = self.port_before.max(later.port_before);
        later.samples().iter().for_each(|sample| self.sample(*sample));
    }

    pub(super) fn samples(&self) -> &[Octets] {
        &self.samples[..usize::from(self.sampled)]
    }

    pub(super) fn port(&mut self, port: u16) {
        self.port_max = self.port_max.max(port);
        self.port_before = self.port_before.max(!port);
    }

    /// The port, if all are the same.
    pub(super) fn only_port(&self) -> Option<u16> {
        (self.port_max != 0 && self.port_max == !self.port_before).then_some(self.port_max)
    }

    /// True if this port is within the range of the ports.
    pub(super) fn has_port(&self, port: u32) -> bool {
        (u32::from(!self.port_before)..=u32::from(self.port_max)).contains(&port)
    }

    /// Milliseconds of trace time of the first and the last packet.
    pub(super) fn period(&self) -> (u64, u64) {
        (!self.before, self.last)
    }
}
