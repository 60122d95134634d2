//! Growth of a table within its reserved memory.
//!
//! A table uses only the first groups of its memory. A hash selects a group in proportion to the
//! number of groups in use. So with more groups a flow moves up, and the order of flows stays the
//! same, except for flows that are not in their first group. Growth empties the groups from the
//! last one to the first one, one block at a time, and puts their flows into their new groups.

use alloc::vec::Vec;

use super::FlowTable;
use crate::record::FlowRecord;

/// Factor of the room for flows in a step of growth. If a step leads to half of the maximum or
/// more, it goes to the maximum, because each step moves all flows. A table uses at most eight
/// times the memory that its flows need.
const FACTOR: u32 = 4;

/// Groups that are emptied together.
const BLOCK: u32 = 512;

impl FlowTable {
    /// Makes room for a new flow with this hash: the table grows, or a flow ends early.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&mut self, hash: u64, end: &mut impl FnMut(FlowRecord)) {
        if self.room < self.flows_max {
            self.grow(end);
        } else {
            self.evict(hash, end);
        }
    }

    /// Ends expired flows first. The sweep begins again, because flows move.
    fn grow(&mut self, end: &mut impl FnMut(FlowRecord)) {
        self.sweep_all(self.now, end);
        let room = self.room.saturating_mul(FACTOR);
        self.room = if room < self.flows_max / 2 { room } else { self.flows_max };
        let before = self.groups.use_for(self.room);
        let mut moving = Vec::new();
        for first in (0..before).step_by(BLOCK as usize).rev() {
            let block = first..before.min(first + BLOCK);
            block.for_each(|group| self.groups.empty(group, &mut moving));
            // A group below the block may still have flows at their old positions.
            moving.retain(|flow| {
                let hash = self.hash(&flow.0.words);
                let waits = self.groups.first_group(hash) < first;
                if !waits {
                    let position = self.claim(hash, end);
                    self.groups.put(position, *flow);
                }
                waits
            });
        }
    }
}
