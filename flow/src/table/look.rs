//! Looks at flows that are in the table, and ends some of them early.
//!
//! Both go through the table in pieces, so that packets do not wait. A flow that comes meanwhile
//! may be missed. A flow is seen once, unless the table grows meanwhile, as only in a replay.

use super::FlowTable;
use super::group::Position;
use crate::record::{FlowEndReason, FlowRecord, RecordTally};

/// A flow in the table.
#[derive(Clone, Copy, Debug)]
pub struct SeenFlow<'a> {
    table: &'a FlowTable,
    position: Position,
}

impl SeenFlow<'_> {
    /// Its packets and octets, which take a tenth of the time of its record.
    #[inline]
    pub fn tally(&self) -> RecordTally {
        let (slot, _) = self.table.groups.get(self.position);
        RecordTally { records: 1, packets: slot.packets.into(), octets: slot.octets }
    }

    /// The record that it would be now.
    #[inline]
    pub fn record(&self) -> FlowRecord {
        self.table.record(self.position, FlowEndReason::ForcedEnd, self.table.now)
    }
}

impl FlowTable {
    /// Shows the flows of the next groups with flows. Begins at group 0. Returns the group at which
    /// to go on; `None` after the last.
    pub fn look(&self, from: u32, groups: u32, show: &mut impl FnMut(SeenFlow<'_>)) -> Option<u32> {
        let mut next = from;
        for _ in 0..groups {
            let group = self.groups.next_occupied(next)?;
            for lane in self.groups.occupied(group) {
                show(SeenFlow { table: self, position: Position { group, lane } });
            }
            next = group + 1;
        }
        Some(next)
    }

    /// Ends the flows of the next groups for which `is_meant` is true, with the reason of a forced
    /// end. `from`, `groups` and the result are as those of [`FlowTable::look`].
    pub fn end_some(
        &mut self,
        from: u32,
        groups: u32,
        is_meant: &mut impl FnMut(&FlowRecord) -> bool,
        end: &mut impl FnMut(FlowRecord),
    ) -> Option<u32> {
        self.settle(end);
        let mut next = from;
        for _ in 0..groups {
            let group = self.groups.next_occupied(next)?;
            for lane in self.groups.occupied(group) {
                let position = Position { group, lane };
                let now = self.now;
                if is_meant(&self.record(position, FlowEndReason::ForcedEnd, now)) {
                    let reason = self.expired(position, now).unwrap_or(FlowEndReason::ForcedEnd);
                    self.end(position, reason, now, end);
                }
            }
            next = group + 1;
        }
        Some(next)
    }
}
