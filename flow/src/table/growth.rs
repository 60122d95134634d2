//! How a table grows within the memory that was reserved for it.
//!
//! A table uses the first groups of its memory only. A hash names a group by its share of the
//! groups in use, so with more groups a flow moves up, and all flows keep their order but for those
//! that are not in their first group. The groups are emptied from the last one to the first one, a
//! block at a time, and their flows are put where they are to be now.

use alloc::vec::Vec;

use super::FlowTable;
use crate::record::FlowRecord;

/// Factor by which a step multiplies the room for flows. A step that leads to half of the largest
/// size goes to the largest size, because each step moves all flows. A table touches at most eight
/// times the memory that its flows need.
const FACTOR: u32 = 4;

/// Groups that are emptied together.
const BLOCK: u32 = 512;

impl FlowTable {
    /// Makes room for one more flow, whose hash this is: the table grows, or a flow ends early.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&mut self, hash: u64, end: &mut impl FnMut(FlowRecord)) {
        if self.room < self.flows_max {
            self.grow(end);
        } else {
            self.evict(hash, end);
        }
    }

    /// Flows that have expired leave first. The sweep begins again, because flows move.
    fn grow(&mut self, end: &mut impl FnMut(FlowRecord)) {
        self.sweep_all(self.now, end);
        let room = self.room.saturating_mul(FACTOR);
        self.room = if room < self.flows_max / 2 { room } else { self.flows_max };
        let before = self.groups.use_for(self.room);
        let mut moving = Vec::new();
        for first in (0..before).step_by(BLOCK as usize).rev() {
            let block = first..before.min(first + BLOCK);
            block.for_each(|group| self.groups.empty(group, &mut moving));
            // A group below the block may still have flows at their old places.
            moving.retain(|flow| {
                let hash = self.hash(&flow.0.words);
                let waits = self.groups.first_group(hash) < first;
                if !waits {
                    let place = self.claim(hash, end);
                    self.groups.put(place, *flow);
                }
                waits
            });
        }
    }
}
