//! Flow records: the exported data of a flow.

use derive_more::{Add, AddAssign, Sub};

use crate::details::DetailsIndex;
use crate::key::FlowKey;
use crate::point::FlowDirection;
use crate::tags::Tags;
use crate::time::Timestamp;

/// Reason of a flow's end (flowEndReason, IANA element 136).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FlowEndReason {
    /// Another exporter metered the flow, and did not send the reason.
    Unknown = 0,
    /// No packet for the idle timeout.
    IdleTimeout = 1,
    /// The active timeout passed, or a counter reached its limit. The flow may continue in another
    /// record.
    ActiveTimeout = 2,
    /// TCP FIN or RST, then no packet for the linger time, or a SYN.
    EndOfFlow = 3,
    /// The program ended, the input ended, or the packet fit no clock.
    ForcedEnd = 4,
    /// The table was full, and this flow was the longest idle of its group.
    LackOfResources = 5,
}

impl FlowEndReason {
    /// The reasons of this meter, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::IdleTimeout,
        Self::ActiveTimeout,
        Self::EndOfFlow,
        Self::ForcedEnd,
        Self::LackOfResources,
    ];

    /// The number on the wire.
    #[inline]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The reason with this number, or [`FlowEndReason::Unknown`].
    pub const fn of_number(number: u64) -> Self {
        match number {
            1 => Self::IdleTimeout,
            2 => Self::ActiveTimeout,
            3 => Self::EndOfFlow,
            4 => Self::ForcedEnd,
            5 => Self::LackOfResources,
            _ => Self::Unknown,
        }
    }

    /// Its name in statistics: `idle`, `active`, `end`, `forced`, `evicted`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::IdleTimeout => "idle",
            Self::ActiveTimeout => "active",
            Self::EndOfFlow => "end",
            Self::ForcedEnd => "forced",
            Self::LackOfResources => "evicted",
        }
    }
}

/// Measurements of a flow since its last record, or since its first packet. Counts are differences
/// (deltaCounter): the sum over the records of a flow is its total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// The flow key.
    pub key: FlowKey,
    /// Octets of the IP packets, headers included (octetDeltaCount). Never frame lengths.
    pub octets: u64,
    /// Packets; each fragment counts as one (packetDeltaCount). Never 0.
    pub packets: u64,
    /// Earliest time of a packet.
    pub start: Timestamp,
    /// Latest time of a packet; never before `start`.
    pub end: Timestamp,
    /// Time at which the record left the table, by the clock of its packets.
    pub exported: Timestamp,
    /// Outer VLAN id of the first packet; 0 for an untagged one.
    pub vlan_id: u16,
    /// Direction of the first packet at the interface.
    pub direction: FlowDirection,
    /// OR of the TCP control bits of all packets, CWR and ECE included.
    pub tcp_control_bits: u8,
    /// Lowest TTL or hop limit.
    pub minimum_ttl: u8,
    /// Highest TTL or hop limit.
    pub maximum_ttl: u8,
    /// Reason of its end.
    pub end_reason: FlowEndReason,
    /// Tags that stages set.
    pub tags: Tags,
    /// Index of its details in the batch, and the clock of its times.
    pub details: DetailsIndex,
}

const _: () = assert!(size_of::<FlowRecord>() <= 96);

impl FlowRecord {
    /// Number of the interface that received the packets (ingressInterface, IANA element 10); 0 for
    /// packets that the host sent.
    #[inline]
    pub const fn ingress_interface(&self) -> u32 {
        match self.direction {
            FlowDirection::Ingress => self.key.interface,
            FlowDirection::Egress => 0,
        }
    }

    /// Number of the interface that sent the packets (egressInterface, IANA element 14); 0 for
    /// packets that came in.
    #[inline]
    pub const fn egress_interface(&self) -> u32 {
        match self.direction {
            FlowDirection::Ingress => 0,
            FlowDirection::Egress => self.key.interface,
        }
    }
}

/// A number of packets, and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Add, AddAssign, Sub)]
pub struct Tally {
    /// Number of packets, or of frames.
    pub packets: u64,
    /// Number of octets.
    pub octets: u64,
}

impl Tally {
    /// Counts one packet.
    #[inline]
    pub fn count(&mut self, octets: u64) {
        self.packets += 1;
        self.octets += octets;
    }
}

/// A number of records, and the sum of their packets and octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Add, AddAssign, Sub)]
pub struct RecordTally {
    /// Number of records.
    pub records: u64,
    /// Packets in these records.
    pub packets: u64,
    /// Octets in these records.
    pub octets: u64,
}

impl RecordTally {
    /// Counts one record.
    #[inline]
    pub fn count(&mut self, record: &FlowRecord) {
        self.records += 1;
        self.packets += record.packets;
        self.octets += record.octets;
    }
}
