//! A flow in the table: its slot, and the time at which it was last seen.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::observation::{Observation, Words, low32};
use crate::time::Timestamp;

/// A flow. Its last seen time is beside its tag.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Slot {
    pub(super) words: Words,
    pub(super) octets: u64,
    pub(super) packets: u32,
    /// Low bits of the time of its earliest packet.
    pub(super) first: u32,
}

const _: () = assert!(size_of::<Slot>() == 64);

impl Slot {
    #[inline(always)]
    pub(super) fn count(&mut self, packet: &Observation) {
        self.octets += u64::from(packet.octets);
        self.packets += 1;
        self.words.merge(&packet.words);
    }

    /// Milliseconds since the earliest packet.
    #[inline]
    pub(super) fn age_ms(&self, now: Timestamp) -> u32 {
        low32(now.as_millis()).wrapping_sub(self.first)
    }

    /// True if the packet counter is at its limit. The octet counter cannot overflow before: a
    /// packet adds less than 2^32.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.packets == u32::MAX
    }
}

/// Time at which a flow was last seen: the low 31 bits of milliseconds, then bit 0, which is 1
/// after a FIN or RST. As a number its unit is half a millisecond.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub(super) struct LastSeen(pub(super) u32);

impl LastSeen {
    #[inline]
    pub(super) fn new(time: Timestamp, closed: bool) -> Self {
        Self(low32(time.as_millis()) << 1 | u32::from(closed))
    }

    #[inline]
    pub(super) fn closed(self) -> bool {
        self.0 & 1 == 1
    }

    #[inline]
    pub(super) fn age_ms(self, now: Timestamp) -> u32 {
        (low32(now.as_millis()) << 1).wrapping_sub(self.0).wrapping_add(1) >> 1
    }
}
