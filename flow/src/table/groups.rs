//! The memory of the table: groups of slots, where flows are found by a hash.
//!
//! A group is one piece of 13 cache lines. In the first are the tags of its slots and when each
//! was last seen, then come the slots. So a packet needs two lines, which are in the same page of
//! memory for four groups of five.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes, transmute_mut, transmute_ref};

use super::ahead::Found;
use super::{LastSeen, Slot};
use crate::hash::pick;
use crate::prefetch::{LANES, TIMES, lanes_equal, prefetch};

/// Slots of a group. The 13th octet of its tags counts flows that had to go further.
pub(super) const SLOTS: usize = TIMES;

/// The lanes of a group that are slots.
const SLOT_LANES: u32 = (1 << SLOTS) - 1;

/// A flow is in its first group or in one of the next, so many altogether: a search is bounded
/// also where every hash is the same. A table of 10 M flows needs about 16 when it is full.
pub(super) const PROBES_MAX: u32 = 32;

/// Slots are filled to 3 in 4: 93 octets a flow, and 1 flow in 16 is not in its first group.
const LOAD: (u64, u64) = (3, 4);

/// Groups of a region. Regions without flows are skipped where all flows are looked for.
const REGION: u32 = 512;

/// The tag of a free slot.
const FREE: u8 = 0;

/// A slot, by its group and its lane in there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: u32,
    pub(super) lane: u32,
}

/// Tags of the slots, then the number of flows that passed by because all were taken, where 255
/// stands for that and more, for ever; the rest is not used.
type Tags = [u8; LANES];

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Group {
    /// A [`LastSeen`] each.
    times: [u32; SLOTS],
    tags: Tags,
    slots: [Slot; SLOTS],
}

const _: () = assert!(size_of::<Group>() == (1 + SLOTS) * LINE);

/// Octets of a cache line.
const LINE: usize = 64;

/// Octets of a huge page. Memory that has only a part of one is in small pages there.
const HUGE_PAGE: usize = 2 << 20;

const WORD: usize = size_of::<u64>();

const GROUP_WORDS: usize = size_of::<Group>() / WORD;

/// Which octet of the tags is the count.
const PASSED: usize = SLOTS;

impl Group {
    /// The slots with a tag, as bits.
    #[inline]
    fn lanes(&self, tag: u8) -> u32 {
        lanes_equal(&self.tags, tag) & SLOT_LANES
    }

    /// Whether flows that belong here are further on.
    #[inline]
    fn has_passed(&self) -> bool {
        self.tags[PASSED] != 0
    }

    /// The first of some slots of this group, which is asked for; nowhere if there are none.
    #[inline]
    fn likely(&self, number: u32, lanes: u32) -> Place {
        let lane = lanes.trailing_zeros();
        self.ask_for(lane);
        Place { group: number, lane }
    }

    /// As [`Group::likely`], for a tag that flows have: one in thirty has it by chance.
    #[inline]
    fn found(&self, number: u32, lanes: u32) -> Place {
        let others = lanes & (lanes - 1);
        if others != 0 {
            self.ask_for(others.trailing_zeros());
        }
        self.likely(number, lanes)
    }

    #[inline]
    fn ask_for(&self, lane: u32) {
        prefetch(self.slots.as_ptr().wrapping_add(lane as usize));
    }
}

/// The allocator hands out zeroed memory for nothing when it is fresh from the kernel, but not
/// aligned to cache lines; aligned and zeroed, it writes all of it. So the groups are allocated as
/// words and begin at the first word that starts a line, or a huge page.
#[derive(Debug)]
pub(super) struct Groups {
    words: Vec<u64>,
    /// Words before the first group.
    start: usize,
    /// Words from there to the end of the last line, or huge page.
    length: usize,
    count: u32,
    probes_max: u32,
    /// Flows in each region.
    regions: Vec<u32>,
}

impl Groups {
    /// For so many flows. Nothing is touched before it is used.
    pub(super) fn new(flows_max: u32) -> Self {
        let slots = (u64::from(flows_max) * LOAD.1).div_ceil(LOAD.0);
        let count = u32::try_from(slots.div_ceil(SLOTS as u64)).expect("fewer groups than flows");
        let octets = count as usize * size_of::<Group>();
        let align = if octets < HUGE_PAGE { LINE } else { HUGE_PAGE };
        let (length, spare) = (octets.next_multiple_of(align) / WORD, align / WORD);
        let words = vec![0; length + spare];
        let start = words.as_ptr().align_offset(align).min(spare);
        let regions = vec![0; count.div_ceil(REGION) as usize];
        Self { words, start, length, count, probes_max: PROBES_MAX.min(count), regions }
    }

    /// All groups, to the end of the last line or huge page.
    pub(super) fn memory(&self) -> &[u8] {
        self.words[self.start..self.start + self.length].as_bytes()
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Asks for the tags and times of the group where a flow with this hash should be.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.prefetch_group(pick(hash, self.count));
    }

    /// The same for a group that the sweep will look at.
    #[inline]
    pub(super) fn prefetch_group(&self, number: u32) {
        prefetch(self.words.as_ptr().wrapping_add(self.words_of(number).start));
    }

    /// Guesses where flows are.
    #[inline(never)]
    pub(super) fn seek_all(&self, found: &mut [Found]) {
        for found in found {
            found.guess = self.seek(found.hash);
        }
    }

    /// Where the flow with this hash is likely to be, or will be if it is new: its slot is asked
    /// for. There may be no such place.
    #[inline(always)]
    fn seek(&self, hash: u64) -> Place {
        let number = pick(hash, self.count);
        let group = self.group(number);
        let found = group.lanes(tag(hash));
        if found != 0 {
            return group.found(number, found);
        }
        if group.has_passed() {
            return self.seek_further(number, hash);
        }
        group.likely(number, group.lanes(FREE))
    }

    /// Flows that belong in the first group went past it.
    #[inline(never)]
    fn seek_further(&self, first: u32, hash: u64) -> Place {
        let mut number = first;
        for _ in 1..self.probes_max {
            number = self.next(number);
            let group = self.group(number);
            let found = group.lanes(tag(hash));
            if found != 0 {
                return group.found(number, found);
            }
            if !group.has_passed() {
                break;
            }
        }
        let group = self.group(first);
        group.likely(first, group.lanes(FREE))
    }

    /// What is where it was guessed that a flow is. A slot without a flow has no IP version, so it
    /// is not that of any packet.
    #[inline]
    pub(super) fn guessed(&mut self, guess: Place) -> Option<(&mut Slot, &mut LastSeen)> {
        let group = self.group_mut(guess.group);
        let lane = guess.lane as usize;
        let slot = group.slots.get_mut(lane)?;
        Some((slot, transmute_mut!(&mut group.times[lane])))
    }

    /// The place of the flow with this hash that `is_it` confirms.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&Slot) -> bool) -> Option<Place> {
        let tag = tag(hash);
        let mut number = pick(hash, self.count);
        for _ in 0..self.probes_max {
            let group = self.group(number);
            let mut lanes = group.lanes(tag);
            while lanes != 0 {
                let lane = lanes.trailing_zeros();
                if is_it(&group.slots[lane as usize]) {
                    return Some(Place { group: number, lane });
                }
                lanes &= lanes - 1;
            }
            if !group.has_passed() {
                return None;
            }
            number = self.next(number);
        }
        None
    }

    /// Takes the first free slot on the way of a hash; none when all groups on it are full.
    pub(super) fn claim(&mut self, hash: u64) -> Option<Place> {
        let first = pick(hash, self.count);
        let mut number = first;
        for passed in 0..self.probes_max {
            let tags = &mut self.group_mut(number).tags;
            let free = lanes_equal(tags, FREE) & SLOT_LANES;
            if free != 0 {
                let lane = free.trailing_zeros();
                tags[lane as usize] = tag(hash);
                self.pass(first, passed);
                self.regions[(number / REGION) as usize] += 1;
                return Some(Place { group: number, lane });
            }
            number = self.next(number);
        }
        None
    }

    /// Frees the slot of a flow with this hash.
    pub(super) fn release(&mut self, hash: u64, place: Place) {
        let group = self.group_mut(place.group);
        group.tags[place.lane as usize] = FREE;
        group.slots[place.lane as usize].words.forget();
        self.regions[(place.group / REGION) as usize] -= 1;
        let mut number = pick(hash, self.count);
        while number != place.group {
            let passed = &mut self.group_mut(number).tags[PASSED];
            if *passed != u8::MAX {
                *passed -= 1;
            }
            number = self.next(number);
        }
    }

    /// The first group on the way of a hash that has flows, of all groups.
    pub(super) fn first_occupied(&self, hash: u64) -> Option<u32> {
        let mut number = pick(hash, self.count);
        for _ in 0..self.count {
            if self.occupied_lanes(number) != 0 {
                return Some(number);
            }
            number = self.next(number);
        }
        None
    }

    /// The first group that has flows, from one on.
    pub(super) fn next_occupied(&self, from: u32) -> Option<u32> {
        let mut number = from;
        while number < self.count {
            let region = number / REGION;
            let end = ((region + 1) * REGION).min(self.count);
            if self.regions[region as usize] != 0
                && let Some(found) = (number..end).find(|&number| self.occupied_lanes(number) != 0)
            {
                return Some(found);
            }
            number = end;
        }
        None
    }

    /// The slots of a group that have flows, as bits.
    #[inline]
    pub(super) fn occupied_lanes(&self, number: u32) -> u32 {
        !lanes_equal(&self.group(number).tags, FREE) & SLOT_LANES
    }

    /// The slots of a group that have flows.
    pub(super) fn occupied(&self, number: u32) -> impl Iterator<Item = u32> + use<> {
        lanes(self.occupied_lanes(number))
    }

    /// A flow, and when it was last seen.
    #[inline]
    pub(super) fn get(&self, place: Place) -> (&Slot, LastSeen) {
        let group = self.group(place.group);
        let lane = place.lane as usize;
        (&group.slots[lane], LastSeen(group.times[lane]))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> (&mut Slot, &mut LastSeen) {
        let group = self.group_mut(place.group);
        let lane = place.lane as usize;
        (&mut group.slots[lane], transmute_mut!(&mut group.times[lane]))
    }

    /// When the flows of a group were last seen, a [`LastSeen`] each.
    #[inline]
    pub(super) fn times(&self, number: u32) -> &[u32; SLOTS] {
        &self.group(number).times
    }

    #[cfg(test)]
    pub(super) fn passed(&self, number: u32) -> u8 {
        self.group(number).tags[PASSED]
    }

    /// A flow goes past so many full groups.
    fn pass(&mut self, first: u32, groups: u32) {
        let mut number = first;
        for _ in 0..groups {
            let passed = &mut self.group_mut(number).tags[PASSED];
            *passed = passed.saturating_add(1);
            number = self.next(number);
        }
    }

    #[inline]
    fn next(&self, number: u32) -> u32 {
        if number + 1 == self.count { 0 } else { number + 1 }
    }

    #[inline]
    fn group(&self, number: u32) -> &Group {
        let words = &self.words[self.words_of(number)];
        transmute_ref!(words.first_chunk::<GROUP_WORDS>().expect("the words of a group"))
    }

    #[inline]
    fn group_mut(&mut self, number: u32) -> &mut Group {
        let range = self.words_of(number);
        let words = &mut self.words[range];
        transmute_mut!(words.first_chunk_mut::<GROUP_WORDS>().expect("the words of a group"))
    }

    #[inline]
    fn words_of(&self, number: u32) -> Range<usize> {
        let start = self.start + number as usize * GROUP_WORDS;
        start..start + GROUP_WORDS
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_begins_with_a_line_of_zeros() {
        let groups = Groups::new(100);
        for number in 0..groups.count() {
            let group = groups.group(number);
            assert_eq!(core::ptr::from_ref(group).addr() % LINE, 0);
            assert!(group.as_bytes().iter().all(|octet| *octet == 0));
        }
    }
}
