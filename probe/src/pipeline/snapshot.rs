//! The counters that workers of a live run publish.

use std::sync::{Mutex, PoisonError};

use flow::MeterCounts;

use crate::capture::live::SourceCounts;
use crate::pipeline::worker::Ended;

/// Counters that a worker publishes, by copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) meter: MeterCounts,
    pub(crate) ended: Ended,
    /// Flows in the table.
    pub(crate) flows: u32,
    /// By interface.
    pub(crate) sources: Vec<SourceCounts>,
}

/// The counts of an interface, which is added if it is new.
pub(super) fn of_port(counts: &mut Vec<SourceCounts>, port: usize) -> &mut SourceCounts {
    if counts.len() <= port {
        counts.resize_with(port + 1, SourceCounts::default);
    }
    &mut counts[port]
}

pub(super) fn publish(published: &Mutex<Snapshot>, snapshot: Snapshot) {
    // A poisoned lock still holds a whole copy.
    *published.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
}

/// The sum over all workers.
pub(crate) fn sum(published: &[Mutex<Snapshot>]) -> Snapshot {
    let mut sum = Snapshot::default();
    for one in published {
        let one = one.lock().unwrap_or_else(PoisonError::into_inner);
        sum.meter += one.meter;
        sum.ended += one.ended;
        sum.flows += one.flows;
        for (port, part) in one.sources.iter().enumerate() {
            *of_port(&mut sum.sources, port) += part.clone();
        }
    }
    sum
}
