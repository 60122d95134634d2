//! The counters that workers of a live run publish.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flow::MeterCounts;

use crate::capture::live::SourceCounts;
use crate::pipeline::worker::Ended;
use crate::report::workers::{Read, WorkerCounts};

/// Counters that a worker publishes, by copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) meter: MeterCounts,
    pub(crate) ended: Ended,
    /// Flows in the table.
    pub(crate) flows: u32,
    /// By interface.
    pub(crate) sources: Vec<SourceCounts>,
    /// Time of the publication.
    pub(super) at: Option<Instant>,
}

/// Whether no worker is late by this time with its counters.
pub(crate) fn are_alive(published: &[Mutex<Snapshot>], longest: Duration) -> bool {
    published.iter().all(|one| {
        let one = one.lock().unwrap_or_else(PoisonError::into_inner);
        one.at.is_none_or(|at| at.elapsed() < longest)
    })
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
    *published.lock().unwrap_or_else(PoisonError::into_inner) =
        Snapshot { at: Some(Instant::now()), ..snapshot };
}

/// What each worker has published.
pub(crate) fn copies(published: &[Mutex<Snapshot>]) -> Vec<Snapshot> {
    published.iter().map(|one| one.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
}

/// The sum over all workers.
pub(crate) fn sum(workers: &[Snapshot]) -> Snapshot {
    let mut sum = Snapshot::default();
    for one in workers {
        sum.meter += one.meter;
        sum.ended += one.ended;
        sum.flows += one.flows;
        for (port, part) in one.sources.iter().enumerate() {
            *of_port(&mut sum.sources, port) += part.clone();
        }
    }
    sum
}

impl Snapshot {
    /// The counts of this worker in the totals.
    pub(crate) fn counts(&self) -> WorkerCounts {
        let rings = self.sources.iter().map(|source| (source.lent, source.lost));
        let rings = rings.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        WorkerCounts {
            rings: Some(rings),
            read: Some(Read::of(&self.meter)),
            ..WorkerCounts::of_flows(&self.ended, self.flows, self.meter.metered.packets)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_hangs_is_noticed() {
        let published: [Mutex<Snapshot>; 2] = Default::default();
        let longest = Duration::from_secs(60);
        assert!(are_alive(&published, longest), "they have just begun");
        published.iter().for_each(|one| publish(one, Snapshot::default()));
        assert!(are_alive(&published, longest));
        let mut hanging = published[1].lock().unwrap();
        hanging.at = Instant::now().checked_sub(longest);
        drop(hanging);
        assert!(!are_alive(&published, longest));
        publish(&published[1], Snapshot::default());
        assert!(are_alive(&published, longest));
    }
}
