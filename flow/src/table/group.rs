//! A group of slots: 13 cache lines. The first has the tags of the slots and their last seen times.
//! The slots follow.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::slot::Slot;
use crate::prefetch::{LANES, TIMES, lanes_equal, prefetch};

/// Slots of a group. The octet after their tags counts flows in later groups.
pub(super) const SLOTS: usize = TIMES;

/// The lanes of a group that are slots.
pub(super) const SLOT_LANES: u32 = (1 << SLOTS) - 1;

/// The tag of a free slot.
pub(super) const FREE: u8 = 0;

/// The position of a slot: its group, and its lane in the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) group: u32,
    pub(super) lane: u32,
}

/// Tags of the slots, then the number of flows that are in a later group because this one was full.
/// The number saturates at 255. The other octets are not used.
type Tags = [u8; LANES];

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Group {
    /// A `LastSeen` for each slot.
    pub(super) times: [u32; SLOTS],
    pub(super) tags: Tags,
    pub(super) slots: [Slot; SLOTS],
}

const _: () = assert!(size_of::<Group>() == (1 + SLOTS) * LINE);

/// Octets of a cache line.
pub(super) const LINE: usize = 64;

/// Index of the octet that counts flows in later groups.
pub(super) const PASSED: usize = SLOTS;

impl Group {
    /// The slots with a tag: slot n is bit n.
    #[inline]
    pub(super) fn lanes(&self, tag: u8) -> u32 {
        lanes_equal(&self.tags, tag) & SLOT_LANES
    }

    /// True if flows of this group are in later groups.
    #[inline]
    pub(super) fn has_passed(&self) -> bool {
        self.tags[PASSED] != 0
    }

    /// The lowest lane of `lanes`; its slot is prefetched. Lane 32 if `lanes` is empty.
    #[inline]
    pub(super) fn likely(&self, number: u32, lanes: u32) -> Position {
        let lane = lanes.trailing_zeros();
        self.prefetch_slot(lane);
        Position { group: number, lane }
    }

    /// As [`Group::likely`], for lanes whose tag matches. 3 % of tag matches are false, so the
    /// second candidate is prefetched too.
    #[inline]
    pub(super) fn candidate(&self, number: u32, lanes: u32) -> Position {
        let others = lanes & (lanes - 1);
        if others != 0 {
            self.prefetch_slot(others.trailing_zeros());
        }
        self.likely(number, lanes)
    }

    #[inline]
    fn prefetch_slot(&self, lane: u32) {
        prefetch(self.slots.as_ptr().wrapping_add(lane as usize));
    }
}

/// The lanes of a bit mask.
pub(super) fn lanes(mut mask: u32) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let lane = mask.trailing_zeros();
        (mask != 0).then(|| {
            mask &= mask - 1;
            lane
        })
    })
}

/// The tag of a hash: an octet that does not select the group, never [`FREE`].
#[inline]
pub(super) fn tag(hash: u64) -> u8 {
    hash.to_le_bytes()[0].max(FREE + 1)
}
