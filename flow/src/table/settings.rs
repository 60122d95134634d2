//! The settings of a table, and the memory that it needs.

use super::groups::Groups;
use super::pending::BURST_MAX;
use crate::hash::HashSeed;
use crate::key::KeyFields;

/// The longest idle or active timeout, in milliseconds: one day.
pub const TIMEOUT_MS_MAX: u32 = 24 * 60 * 60 * 1000;

/// Settings of a [`FlowTable`](super::FlowTable).
#[derive(Clone, Copy, Debug)]
pub struct TableSettings {
    /// The most flows in the table; at least 1. A flow takes 93 octets of memory.
    pub flows_max: u32,
    /// Initial room for flows, 1 to `flows_max`. The other memory is reserved, and used when the
    /// table grows. A step of growth moves all flows, which takes as long as some hundred thousand
    /// packets.
    pub flows_start: u32,
    /// Milliseconds, 1 to [`TIMEOUT_MS_MAX`].
    pub idle_timeout_ms: u32,
    /// Milliseconds, 1 to [`TIMEOUT_MS_MAX`].
    pub active_timeout_ms: u32,
    /// Fields of the flow key.
    pub key: KeyFields,
    /// Seed of the keyed hash.
    pub seed: HashSeed,
    /// Packets whose memory is prefetched together, 1 to [`BURST_MAX`]. It does not change the
    /// records.
    pub burst: u16,
}

impl TableSettings {
    /// Octets of memory that a full table needs.
    pub fn octets(&self) -> u64 {
        Self::octets_for(self.flows_max)
    }

    /// Octets of memory that a table for this number of flows needs, 1 or more.
    pub fn octets_for(flows_max: u32) -> u64 {
        Groups::octets_for(flows_max)
    }

    /// # Panics
    ///
    /// If a setting is out of its range.
    pub(super) fn check(&self) {
        assert!((1..=self.flows_max).contains(&self.flows_start), "flows_start out of range");
        assert!((1..=BURST_MAX).contains(&self.burst), "burst out of range");
    }
}
