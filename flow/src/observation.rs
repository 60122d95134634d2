//! Observations: the attributes of a packet for the flow table. Each fits one cache line.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::clock::TraceTime;
use crate::frame::Packet;
use crate::hash::HashSeed;
use crate::key::{Address, FlowKey, IpVersion, KeyField, KeyFields, Ports};
use crate::point::{FlowDirection, ObservationPoint};
use crate::prefetch::words_equal;
use crate::shard::{Parties, shard};
use crate::time::Timestamp;

/// One packet for the flow table.
///
/// Key and attributes are packed in six words. A slot of the table has the same layout, so two keys
/// are compared as words under a `KeyMask`:
///
/// ```text
/// word 0, 1   source address, IPv4 in the first four octets
/// word 2, 3   destination address
/// word 4      source port 0-15, destination port 16-31, as in the packet | interface 32-63
/// word 5      VLAN 0-15 | protocol 16-23 | type of service 24-31 | IP version 32-35 | clock 36-38
///             | egress 39 | TCP control bits 40-47 | lowest TTL 48-55 | highest TTL 56-63
///             (of a packet: both)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Observation {
    pub(crate) words: Words,
    pub(crate) octets: u32,
    /// Milliseconds behind now; [`NO_CLOCK`](crate::NO_CLOCK) if it has no clock.
    pub(crate) late_ms: u32,
    pub(crate) time: Timestamp,
}

const _: () = assert!(size_of::<Observation>() == 64);

impl Observation {
    /// An observation of a dissected packet.
    #[inline(always)]
    pub fn new(packet: &Packet, point: ObservationPoint, at: TraceTime) -> Self {
        let TraceTime { time, late_ms, clock } = at;
        let words = Words::pack(packet, point, clock);
        Self { words, octets: packet.octets, late_ms, time }
    }

    /// Clears the key fields that are not in `fields`. VLAN and direction stay: they are attributes
    /// too. The interface uses `interface_bits` of its word.
    pub fn keep(&mut self, fields: KeyFields, interface_bits: u32) {
        let words = &mut self.words.0;
        if !fields.contains(KeyField::Source) {
            (words[0], words[1]) = (0, 0);
        }
        if !fields.contains(KeyField::Destination) {
            (words[2], words[3]) = (0, 0);
        }
        let cleared = [
            (KeyField::SourcePort, 4, 0xffff),
            (KeyField::DestinationPort, 4, 0xffff_0000),
            (KeyField::Interface, 4, u64::from(interface_bits) << 32),
            (KeyField::Protocol, 5, 0xff << 16),
            (KeyField::TypeOfService, 5, 0xff << 24),
        ];
        for (field, word, mask) in cleared {
            if !fields.contains(field) {
                words[word] &= !mask;
            }
        }
    }

    /// The flow key of the packet.
    pub fn key(&self) -> FlowKey {
        self.words.key()
    }

    /// The number of the worker that has the flow, from 0. It is equal for all packets of a flow.
    #[inline]
    pub fn shard(&self, seed: &HashSeed, fields: KeyFields, workers: usize) -> usize {
        shard(seed.hash(KeyMask::new(fields).identity(&self.words)), workers)
    }

    /// The number of the worker that has the conversation, from 0, as of its
    /// [`ConversationKey`](crate::ConversationKey).
    #[inline]
    pub fn shard_of_conversation(&self, seed: &HashSeed, workers: usize) -> usize {
        let [s0, s1, d0, d1, ports, rest] = self.words.0;
        let addresses = [Address { first: s0, second: s1 }, Address { first: d0, second: d1 }];
        let parties = Parties {
            addresses,
            ports: Ports(low32(ports).to_le_bytes()),
            protocol: octet(rest, PROTOCOL),
            version: self.words.ip_version(),
        };
        shard(parties.hash(seed), workers)
    }

    /// Octets of the IP packet.
    #[inline]
    pub fn octets(&self) -> u32 {
        self.octets
    }

    /// Time of the packet, in trace time.
    #[inline]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Now at this packet, in trace time. Not valid for a packet without a clock.
    #[inline]
    pub fn now(&self) -> Timestamp {
        Timestamp::of_trace(self.time.as_millis() + u64::from(self.late_ms))
    }
}

/// Key and attributes of a packet or a flow; see [`Observation`] for the layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub(crate) struct Words(pub(crate) [u64; 6]);

impl Words {
    #[inline(always)]
    fn pack(packet: &Packet, point: ObservationPoint, clock: u8) -> Self {
        let (source, destination) = (packet.source, packet.destination);
        let ports =
            u64::from(u32::from_le_bytes(packet.ports.0)) | u64::from(point.interface) << 32;
        let rest = u64::from(packet.vlan_id)
            | u64::from(packet.protocol) << 16
            | u64::from(packet.type_of_service) << 24
            | u64::from(packet.ip_version.number()) << 32
            | u64::from(clock) << CLOCK
            | u64::from(point.direction.number()) << EGRESS
            | u64::from(packet.tcp_control_bits) << CONTROL_BITS
            | (u64::from(packet.ttl) * (1 << LOWEST_TTL | 1 << HIGHEST_TTL));
        Self([source.first, source.second, destination.first, destination.second, ports, rest])
    }

    pub(crate) fn key(&self) -> FlowKey {
        let [s0, s1, d0, d1, ports, rest] = self.0;
        let source = Address { first: s0, second: s1 };
        let destination = Address { first: d0, second: d1 };
        let both = Ports(low32(ports).to_le_bytes());
        FlowKey {
            ip_version: self.ip_version(),
            source: source.octets(),
            destination: destination.octets(),
            source_port: both.source(),
            destination_port: both.destination(),
            protocol: octet(rest, 16),
            type_of_service: octet(rest, 24),
            interface: low32(ports >> 32),
        }
    }

    #[inline]
    fn ip_version(&self) -> IpVersion {
        if octet(self.0[5], 32) & 0xf == 6 { IpVersion::V6 } else { IpVersion::V4 }
    }

    /// Number of the flow's clock.
    #[inline]
    pub(crate) fn clock(&self) -> u8 {
        octet(self.0[5], CLOCK) & 7
    }

    /// Direction of the packet; of a flow, that of its first packet.
    #[inline]
    pub(crate) fn direction(&self) -> FlowDirection {
        if self.0[5] >> EGRESS & 1 == 0 { FlowDirection::Ingress } else { FlowDirection::Egress }
    }

    #[inline]
    pub(crate) fn vlan_id(&self) -> u16 {
        low16(self.0[5])
    }

    /// IP protocol; of a flow, that of its first packet.
    #[inline]
    pub(crate) fn protocol(&self) -> u8 {
        octet(self.0[5], PROTOCOL)
    }

    #[inline]
    pub(crate) fn tcp_control_bits(&self) -> u8 {
        octet(self.0[5], CONTROL_BITS)
    }

    #[inline]
    pub(crate) fn lowest_ttl(&self) -> u8 {
        octet(self.0[5], LOWEST_TTL)
    }

    #[inline]
    pub(crate) fn highest_ttl(&self) -> u8 {
        octet(self.0[5], HIGHEST_TTL)
    }

    /// Clears the IP version, so that the words match no packet.
    #[inline]
    pub(crate) fn forget(&mut self) {
        self.0[5] = 0;
    }

    /// Merges a packet's attributes into those of its flow: control bits (OR) and the range of
    /// TTLs.
    #[inline]
    pub(crate) fn merge(&mut self, packet: &Self) {
        if (self.0[5] ^ packet.0[5]) >> LOWEST_TTL != 0 {
            self.widen_ttls(packet.lowest_ttl());
        }
        self.0[5] |= packet.0[5] & (0xff << CONTROL_BITS);
    }

    fn widen_ttls(&mut self, ttl: u8) {
        let lowest = u64::from(self.lowest_ttl().min(ttl)) << LOWEST_TTL;
        let highest = u64::from(self.highest_ttl().max(ttl)) << HIGHEST_TTL;
        let rest = self.0[5] & ((1 << LOWEST_TTL) - 1);
        self.0[5] = rest | lowest | highest;
    }
}

const PROTOCOL: u32 = 16;
const CLOCK: u32 = 36;
const EGRESS: u32 = 39;
const CONTROL_BITS: u32 = 40;
const LOWEST_TTL: u32 = 48;
const HIGHEST_TTL: u32 = 56;

/// Mask of the key bits in the last word. All bits of the first five words are in the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyMask(u64);

impl KeyMask {
    pub(crate) fn new(fields: KeyFields) -> Self {
        let vlan = if fields.contains(KeyField::Vlan) { 0xffff } else { 0 };
        let direction = u64::from(fields.contains(KeyField::Direction)) << EGRESS;
        Self(0x7f_ffff << 16 | vlan | direction)
    }

    /// The words that identify the flow.
    #[inline]
    pub(crate) fn identity(self, words: &Words) -> [u64; 6] {
        let [a, b, c, d, e, f] = words.0;
        [a, b, c, d, e, f & self.0]
    }

    /// True if both belong to the same flow.
    #[inline]
    pub(crate) fn same_flow(self, one: &Words, other: &Words) -> bool {
        words_equal(&one.0, &other.0, self.0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is meant")]
#[inline]
pub(crate) fn low32(value: u64) -> u32 {
    value as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is meant")]
#[inline]
fn low16(value: u64) -> u16 {
    value as u16
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is meant")]
#[inline]
fn octet(value: u64, shift: u32) -> u8 {
    (value >> shift) as u8
}
