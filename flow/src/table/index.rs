//! Where in the table a flow is: groups of tags, and when each flow was last seen.

use alloc::vec;
use alloc::vec::Vec;

use zerocopy::{IntoBytes, transmute_mut, transmute_ref};

use super::LastSeen;
use super::lines::Lines;
use crate::hash::pick;
use crate::prefetch::{LANES, lanes_equal, prefetch};

/// Slots of a group. The 16th octet of its tags counts flows that had to go further.
pub(super) const SLOTS: usize = LANES - 1;

/// The lanes of a group that are slots.
const SLOT_LANES: u32 = (1 << SLOTS) - 1;

/// A flow is in its first group or in one of the next, so many altogether: a search is bounded
/// also where every hash is the same. A table of 10 M flows needs about 12 when it is full.
const PROBES_MAX: u32 = 24;

/// Slots are filled to 3 in 4: 93 octets a flow, and 1 flow in 20 is not in its first group.
const LOAD: (u64, u64) = (3, 4);

/// The tag of a free slot.
const FREE: u8 = 0;

/// A slot, by its group and its lane in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: u32,
    pub(super) lane: u32,
}

impl Place {
    #[inline]
    pub(super) fn slot(self) -> usize {
        self.group as usize * SLOTS + self.lane as usize
    }
}

/// Tags of 15 slots, then the number of flows that passed by because all 15 were taken; 255
/// stands for that and more, for ever.
type Tags = [u8; LANES];

#[derive(Debug)]
pub(super) struct Index {
    groups: u32,
    probes_max: u32,
    tags: Vec<Tags>,
    /// A line of 16 [`LastSeen`] for each group; the last one is not used.
    times: Lines,
}

impl Index {
    pub(super) fn new(flows_max: u32) -> Self {
        let slots = (u64::from(flows_max) * LOAD.1).div_ceil(LOAD.0);
        let groups = u32::try_from(slots.div_ceil(SLOTS as u64)).expect("fewer groups than flows");
        Self {
            groups,
            probes_max: PROBES_MAX.min(groups),
            tags: vec![[FREE; LANES]; groups as usize],
            times: Lines::new(groups as usize),
        }
    }

    pub(super) fn memory(&self) -> [&[u8]; 2] {
        [self.tags.as_bytes(), self.times.as_bytes()]
    }

    pub(super) fn group_count(&self) -> u32 {
        self.groups
    }

    pub(super) fn slot_count(&self) -> usize {
        self.groups as usize * SLOTS
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        let group = pick(hash, self.groups) as usize;
        prefetch(&self.tags[group]);
        prefetch(self.times.get(group));
    }

    /// Where a flow with this hash is most likely, or will be: a guess for prefetching.
    #[inline]
    pub(super) fn likely_place(&self, hash: u64) -> Option<Place> {
        let group = pick(hash, self.groups);
        let tags = &self.tags[group as usize];
        let found = lanes_equal(tags, tag(hash)) & SLOT_LANES;
        let lanes = if found == 0 { lanes_equal(tags, FREE) & SLOT_LANES } else { found };
        (lanes != 0).then(|| Place { group, lane: lanes.trailing_zeros() })
    }

    /// The slot of the flow with this hash that `is_it` confirms.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(Place) -> bool) -> Option<Place> {
        let tag = tag(hash);
        let mut group = pick(hash, self.groups);
        for _ in 0..self.probes_max {
            let tags = &self.tags[group as usize];
            let mut lanes = lanes_equal(tags, tag) & SLOT_LANES;
            while lanes != 0 {
                let place = Place { group, lane: lanes.trailing_zeros() };
                if is_it(place) {
                    return Some(place);
                }
                lanes &= lanes - 1;
            }
            if tags[SLOTS] == 0 {
                return None;
            }
            group = self.next(group);
        }
        None
    }

    /// Takes the first free slot on the way of a hash; none when all groups on it are full.
    pub(super) fn claim(&mut self, hash: u64) -> Option<Place> {
        let first = pick(hash, self.groups);
        let mut group = first;
        for passed in 0..self.probes_max {
            let tags = &mut self.tags[group as usize];
            let free = lanes_equal(tags, FREE) & SLOT_LANES;
            if free != 0 {
                let lane = free.trailing_zeros();
                tags[lane as usize] = tag(hash);
                self.pass(first, passed);
                return Some(Place { group, lane });
            }
            group = self.next(group);
        }
        None
    }

    /// Frees the slot of a flow with this hash.
    pub(super) fn release(&mut self, hash: u64, place: Place) {
        self.tags[place.group as usize][place.lane as usize] = FREE;
        let mut group = pick(hash, self.groups);
        while group != place.group {
            let passed = &mut self.tags[group as usize][SLOTS];
            if *passed != u8::MAX {
                *passed -= 1;
            }
            group = self.next(group);
        }
    }

    /// The first group on the way of a hash that has flows, of all groups.
    pub(super) fn first_occupied_group(&self, hash: u64) -> Option<u32> {
        let mut group = pick(hash, self.groups);
        for _ in 0..self.groups {
            if self.occupied_lanes(group) != 0 {
                return Some(group);
            }
            group = self.next(group);
        }
        None
    }

    /// The slots of a group that have flows, as bits.
    #[inline]
    pub(super) fn occupied_lanes(&self, group: u32) -> u32 {
        !lanes_equal(&self.tags[group as usize], FREE) & SLOT_LANES
    }

    /// The slots of a group that have flows.
    pub(super) fn occupied(&self, group: u32) -> impl Iterator<Item = u32> + use<> {
        lanes(self.occupied_lanes(group))
    }

    #[inline]
    pub(super) fn last_seen(&self, place: Place) -> LastSeen {
        LastSeen(self.times(place.group)[place.lane as usize])
    }

    #[inline]
    pub(super) fn set_last_seen(&mut self, place: Place, last_seen: LastSeen) {
        let times: &mut [u32; LANES] = transmute_mut!(self.times.get_mut(place.group as usize));
        times[place.lane as usize] = last_seen.0;
    }

    /// When the flows of a group were last seen, a [`LastSeen`] each.
    #[inline]
    pub(super) fn times(&self, group: u32) -> &[u32; LANES] {
        transmute_ref!(self.times.get(group as usize))
    }

    #[cfg(test)]
    pub(super) fn passed(&self, group: u32) -> u8 {
        self.tags[group as usize][SLOTS]
    }

    /// A flow goes past so many full groups.
    fn pass(&mut self, first: u32, groups: u32) {
        let mut group = first;
        for _ in 0..groups {
            let passed = &mut self.tags[group as usize][SLOTS];
            *passed = passed.saturating_add(1);
            group = self.next(group);
        }
    }

    #[inline]
    fn next(&self, group: u32) -> u32 {
        if group + 1 == self.groups { 0 } else { group + 1 }
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

/// An octet of the hash that the choice of the group does not use; never that of a free slot.
#[inline]
fn tag(hash: u64) -> u8 {
    hash.to_le_bytes()[0].max(FREE + 1)
}
