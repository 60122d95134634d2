//! Stages: where records are changed or watched between workers and outputs.

use alloc::vec::Vec;

use crate::batch::{Batch, Event};
use crate::time::Timestamp;

/// Changes or watches what goes from workers to outputs. One thread owns it.
///
/// In a replay the batches come in the same order each time, so what a stage makes of them is the
/// same each time too: it may not depend on the wall clock or on the order of a hash map.
pub trait Stage: Send {
    /// Takes a batch on its way to the outputs.
    fn batch(&mut self, batch: &mut Batch);

    /// An interface has a name, which does not change. Records of it come later.
    fn interface(&mut self, _number: u32, _name: &str) {}

    /// Whether [`Stage::settle`] is to be called. It makes workers look at all their flows.
    fn wants_settle(&self) -> bool {
        false
    }

    /// Each record that comes after this has a packet at `until` or later, in trace time
    /// ([`Batch::trace_end`]). The time only grows; at the end of the input it is
    /// [`Timestamp::MAX`]. In a replay the records that came before depend on the size of blocks,
    /// so what a stage makes of a time span should depend on the times of records alone.
    fn settle(&mut self, _until: Timestamp, _events: &mut Vec<Event>) {}

    /// The trace clock has moved on to `now`, by a second or more; events that are due then are
    /// added.
    fn tick(&mut self, now: Timestamp, events: &mut Vec<Event>);
}
