//! The memory of the table: groups of slots. A hash selects the group of a flow.
//!
//! A packet needs two cache lines of its group (group.rs). For four groups of five these are in the
//! same page of memory.

use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use zerocopy::{FromZeros, IntoBytes, transmute_mut, transmute_ref};

use super::group::{FREE, Group, LINE, PASSED, Position, SLOT_LANES, SLOTS, lanes, tag};
use super::slot::{LastSeen, Slot};
use crate::hash::pick;
use crate::prefetch::{LANES, lanes_equal, prefetch};

/// Maximum number of groups for a flow: its first group and the next ones. This bounds a search
/// even if all hashes are equal. A full table of 10 M flows needs about 16.
pub(super) const PROBES_MAX: u32 = 32;

/// Flows per slot of a full table (3/4): 93 octets per flow; 1 flow in 16 is not in its first
/// group.
const LOAD: (u64, u64) = (3, 4);

/// Groups of a region. A search for all flows skips regions without flows.
const REGION: u32 = 512;

/// The hash of a flow, and its likely position.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lookup {
    pub(super) hash: u64,
    pub(super) guess: Position,
}

/// The system does not provide the memory of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Octets of a huge page.
const HUGE_PAGE: usize = 2 << 20;

const WORD: usize = size_of::<u64>();

const GROUP_WORDS: usize = size_of::<Group>() / WORD;

/// All groups. They are allocated as zeroed words without alignment: the kernel provides such
/// memory without a write, whereas the allocator writes all memory that has to be zeroed and
/// aligned. The groups begin at the first word that starts a cache line, or a huge page.
#[derive(Debug)]
pub(super) struct Groups {
    words: Vec<u64>,
    /// Words before the first group.
    start: usize,
    /// Words from there to the end of the last line, or huge page.
    length: usize,
    /// Groups in use.
    count: u32,
    probes_max: u32,
    /// Flows in each region.
    regions: Vec<u32>,
}

impl Groups {
    /// Groups for `flows_max` flows. The groups for `flows` flows are in use. The kernel provides
    /// the memory at its first use.
    pub(super) fn new(flows_max: u32, flows: u32) -> Result<Self, NoMemory> {
        let octets = usize::try_from(Self::octets_for(flows_max)).map_err(|_error| NoMemory)?;
        let align = if octets < HUGE_PAGE { LINE } else { HUGE_PAGE };
        let (length, spare) = (octets.next_multiple_of(align) / WORD, align / WORD);
        let words = u64::new_vec_zeroed(length + spare).map_err(|_error| NoMemory)?;
        let start = words.as_ptr().align_offset(align).min(spare);
        let regions = Self::count_for(flows_max).div_ceil(REGION) as usize;
        let regions = u32::new_vec_zeroed(regions).map_err(|_error| NoMemory)?;
        let mut groups = Self { words, start, length, count: 0, probes_max: 0, regions };
        groups.use_for(flows);
        Ok(groups)
    }

    /// Octets of the groups for this number of flows.
    pub(super) fn octets_for(flows: u32) -> u64 {
        u64::from(Self::count_for(flows)) * size_of::<Group>() as u64
    }

    fn count_for(flows: u32) -> u32 {
        let slots = (u64::from(flows) * LOAD.1).div_ceil(LOAD.0);
        u32::try_from(slots.div_ceil(SLOTS as u64)).expect("fewer groups than flows")
    }

    /// Uses the groups for this number of flows. Returns the number of groups used before.
    /// Afterwards flows are not in the groups of their hashes.
    pub(super) fn use_for(&mut self, flows: u32) -> u32 {
        let count = Self::count_for(flows);
        self.probes_max = PROBES_MAX.min(count);
        mem::replace(&mut self.count, count)
    }

    /// Takes all flows out of a group.
    pub(super) fn empty(&mut self, number: u32, flows: &mut Vec<(Slot, LastSeen)>) {
        for lane in self.occupied(number) {
            let (slot, last_seen) = self.get(Position { group: number, lane });
            flows.push((*slot, last_seen));
            self.regions[(number / REGION) as usize] -= 1;
        }
        self.group_mut(number).zero();
    }

    /// Puts a flow that was removed into a slot that was claimed for it.
    pub(super) fn put(&mut self, position: Position, flow: (Slot, LastSeen)) {
        let (slot, last_seen) = self.get_mut(position);
        (*slot, *last_seen) = flow;
    }

    /// The first group of a flow with this hash.
    #[inline]
    pub(super) fn first_group(&self, hash: u64) -> u32 {
        pick(hash, self.count)
    }

    /// All groups, also unused ones, to the end of the last cache line or huge page.
    pub(super) fn memory(&self) -> &[u8] {
        self.words[self.start..self.start + self.length].as_bytes()
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Prefetches the tags and times of the first group of a hash.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.prefetch_group(pick(hash, self.count));
    }

    /// Prefetches the tags and times of a group.
    #[inline]
    pub(super) fn prefetch_group(&self, number: u32) {
        prefetch(self.words.as_ptr().wrapping_add(self.words_of(number).start));
    }

    /// Guesses the positions of flows.
    #[inline(never)]
    pub(super) fn guess_all(&self, lookups: &mut [Lookup]) {
        for lookup in lookups {
            lookup.guess = self.guess(lookup.hash);
        }
    }

    /// The likely position of the flow with this hash, or its future one if it is new. The slot is
    /// prefetched. The lane is 32 if there is no such position.
    #[inline(always)]
    fn guess(&self, hash: u64) -> Position {
        let number = pick(hash, self.count);
        let group = self.group(number);
        let matches = group.lanes(tag(hash));
        if matches != 0 {
            return group.candidate(number, matches);
        }
        if group.has_passed() {
            return self.guess_further(number, hash);
        }
        group.likely(number, group.lanes(FREE))
    }

    /// The same, if flows of the first group are in later groups.
    #[inline(never)]
    fn guess_further(&self, first: u32, hash: u64) -> Position {
        let mut number = first;
        for _ in 1..self.probes_max {
            number = self.next(number);
            let group = self.group(number);
            let matches = group.lanes(tag(hash));
            if matches != 0 {
                return group.candidate(number, matches);
            }
            if !group.has_passed() {
                break;
            }
        }
        let group = self.group(first);
        group.likely(first, group.lanes(FREE))
    }

    /// The slot at a guessed position. A free slot has IP version 0, so it matches no packet,
    /// except after [`FlowTable::finish`](super::FlowTable::finish).
    #[inline]
    pub(super) fn guessed(&mut self, guess: Position) -> Option<(&mut Slot, &mut LastSeen)> {
        let group = self.group_mut(guess.group);
        let lane = guess.lane as usize;
        let slot = group.slots.get_mut(lane)?;
        Some((slot, transmute_mut!(&mut group.times[lane])))
    }

    /// The position of the flow with this hash for which `is_it` is true.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&Slot) -> bool) -> Option<Position> {
        let tag = tag(hash);
        let mut number = pick(hash, self.count);
        for _ in 0..self.probes_max {
            let group = self.group(number);
            let mut lanes = group.lanes(tag);
            while lanes != 0 {
                let lane = lanes.trailing_zeros();
                if is_it(&group.slots[lane as usize]) {
                    return Some(Position { group: number, lane });
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

    /// Takes the first free slot in the groups of a hash. `None` if all of them are full.
    pub(super) fn claim(&mut self, hash: u64) -> Option<Position> {
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
                return Some(Position { group: number, lane });
            }
            number = self.next(number);
        }
        None
    }

    /// Frees the slot of a flow with this hash.
    pub(super) fn release(&mut self, hash: u64, position: Position) {
        let group = self.group_mut(position.group);
        group.tags[position.lane as usize] = FREE;
        group.slots[position.lane as usize].words.forget();
        self.regions[(position.group / REGION) as usize] -= 1;
        let mut number = pick(hash, self.count);
        while number != position.group {
            let passed = &mut self.group_mut(number).tags[PASSED];
            if *passed != u8::MAX {
                *passed -= 1;
            }
            number = self.next(number);
        }
    }

    /// Frees all slots of a group when all flows of the table end. No packet may wait for its flow:
    /// its guessed slot would still have the words of a flow that has ended.
    ///
    /// Only the first cache line is written. A group that was empty before keeps its number of
    /// flows in later groups. Look-ups then read one group more, as where that number is
    /// saturated.
    pub(super) fn release_group(&mut self, number: u32) {
        self.regions[(number / REGION) as usize] -= self.occupied_lanes(number).count_ones();
        self.group_mut(number).tags = [FREE; LANES];
    }

    /// The first group with flows, beginning with the first group of a hash. The search wraps
    /// around.
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

    /// The first group with flows, from number `from` on.
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

    /// The end of the region of a group, if the region has no flows.
    pub(super) fn end_if_empty(&self, number: u32) -> Option<u32> {
        let region = number / REGION;
        let is_empty = self.regions[region as usize] == 0;
        is_empty.then(|| ((region + 1) * REGION).min(self.count))
    }

    /// The slots of a group with flows: slot n is bit n.
    #[inline]
    pub(super) fn occupied_lanes(&self, number: u32) -> u32 {
        !lanes_equal(&self.group(number).tags, FREE) & SLOT_LANES
    }

    /// The slots of a group with flows.
    pub(super) fn occupied(&self, number: u32) -> impl Iterator<Item = u32> + use<> {
        lanes(self.occupied_lanes(number))
    }

    /// A flow, and its last seen time.
    #[inline]
    pub(super) fn get(&self, position: Position) -> (&Slot, LastSeen) {
        let group = self.group(position.group);
        let lane = position.lane as usize;
        (&group.slots[lane], LastSeen(group.times[lane]))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, position: Position) -> (&mut Slot, &mut LastSeen) {
        let group = self.group_mut(position.group);
        let lane = position.lane as usize;
        (&mut group.slots[lane], transmute_mut!(&mut group.times[lane]))
    }

    /// The last seen times of the flows of a group, as [`LastSeen`] values.
    #[inline]
    pub(super) fn times(&self, number: u32) -> &[u32; SLOTS] {
        &self.group(number).times
    }

    #[cfg(test)]
    pub(super) fn passed(&self, number: u32) -> u8 {
        self.group(number).tags[PASSED]
    }

    /// Counts a flow in the full groups before its group.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_begins_with_a_line_of_zeros() {
        let groups = Groups::new(100, 100).unwrap();
        for number in 0..groups.count() {
            let group = groups.group(number);
            assert_eq!(core::ptr::from_ref(group).addr() % LINE, 0);
            assert!(group.as_bytes().iter().all(|octet| *octet == 0));
        }
    }
}
