//! Stages: they change or observe records between workers and outputs.

use alloc::vec::Vec;

use crate::batch::{Batch, Event};
use crate::time::Timestamp;

/// Changes or observes batches from workers to outputs. One thread owns it.
///
/// In a replay the batches always come in the same order, so the results of a stage have to be the
/// same too: they must not depend on the wall clock or on the order of a hash map.
pub trait Stage: Send {
    /// Takes a batch on its way to the outputs.
    fn batch(&mut self, batch: &mut Batch);

    /// Announces the name of an interface, which does not change, before its records.
    fn interface(&mut self, _number: u32, _name: &str) {}

    /// True if the stage needs [`Stage::settle`]. It makes workers check all their flows.
    fn wants_settle(&self) -> bool {
        false
    }

    /// All records that come after this call have a packet at `until` or later, in trace time
    /// ([`Batch::trace_end`]). The time never decreases; at the end of the input it is
    /// [`Timestamp::MAX`]. In a replay the records that came before depend on the size of blocks,
    /// so the results for a time span should depend only on the times of records.
    fn settle(&mut self, _until: Timestamp, _events: &mut Vec<Event>) {}
}
