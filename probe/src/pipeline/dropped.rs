//! Counts of data at queues: what they dropped, and what an output was offered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flow::{Batch, RecordTally};

/// Counts of records and events, by one thread for others.
#[derive(Debug, Default)]
pub(crate) struct QueueCounts {
    records: AtomicU64,
    packets: AtomicU64,
    octets: AtomicU64,
    events: AtomicU64,
}

/// The state of a queue between threads.
#[derive(Clone, Debug)]
pub(crate) struct QueueReport {
    pub(crate) name: String,
    /// Records for which it had no room.
    pub(crate) dropped: RecordTally,
    /// Messages that wait in it, most of them batches, and the most that it takes.
    pub(crate) waiting: usize,
    pub(crate) room: usize,
}

/// Counts of the data that all queues on the way to an output dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct DroppedOnWay {
    /// In the order of the way. The last one is the output's own.
    pub(super) queues: Vec<Arc<QueueCounts>>,
    /// What they had dropped before the output was there.
    before: RecordTally,
    events_before: u64,
}

impl QueueCounts {
    /// Counts a batch, and returns the sum of its records.
    pub(super) fn count(&self, batch: &Batch) -> RecordTally {
        let mut tally = RecordTally::default();
        batch.records.iter().for_each(|record| tally.count(record));
        self.records.fetch_add(tally.records, Ordering::Relaxed);
        self.packets.fetch_add(tally.packets, Ordering::Relaxed);
        self.octets.fetch_add(tally.octets, Ordering::Relaxed);
        self.events.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
        tally
    }

    pub(crate) fn tally(&self) -> RecordTally {
        RecordTally {
            records: self.records.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            octets: self.octets.load(Ordering::Relaxed),
        }
    }
}

impl DroppedOnWay {
    pub(crate) fn tally(&self) -> RecordTally {
        let (shared, own) = self.parts();
        shared + own
    }

    /// What was dropped before the output's own queue, and there.
    pub(crate) fn parts(&self) -> (RecordTally, RecordTally) {
        let Some((own, shared)) = self.queues.split_last() else { return Default::default() };
        (sum(shared) - self.before, own.tally())
    }

    pub(crate) fn events(&self) -> u64 {
        self.all_events() - self.events_before
    }

    /// The same way, for an output that comes now.
    pub(super) fn for_another(&self) -> Self {
        let (before, events_before) = (sum(&self.queues), self.all_events());
        Self { queues: self.queues.clone(), before, events_before }
    }

    fn all_events(&self) -> u64 {
        self.queues.iter().map(|queue| queue.events.load(Ordering::Relaxed)).sum()
    }
}

fn sum(queues: &[Arc<QueueCounts>]) -> RecordTally {
    queues.iter().fold(RecordTally::default(), |sum, queue| sum + queue.tally())
}
