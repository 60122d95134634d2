//! Counts of data that queues dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flow::{Batch, RecordTally};

/// Counts of data that was dropped because a queue was full.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    records: AtomicU64,
    packets: AtomicU64,
    octets: AtomicU64,
    events: AtomicU64,
}

/// Counts of all queues on the way to an output.
#[derive(Clone, Debug, Default)]
pub(crate) struct DroppedOnWay(pub(super) Vec<Arc<Dropped>>);

impl Dropped {
    pub(super) fn count(&self, batch: &Batch) {
        let mut tally = RecordTally::default();
        batch.records.iter().for_each(|record| tally.count(record));
        self.records.fetch_add(tally.records, Ordering::Relaxed);
        self.packets.fetch_add(tally.packets, Ordering::Relaxed);
        self.octets.fetch_add(tally.octets, Ordering::Relaxed);
        self.events.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
    }

    fn tally(&self) -> RecordTally {
        RecordTally {
            records: self.records.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            octets: self.octets.load(Ordering::Relaxed),
        }
    }
}

impl DroppedOnWay {
    pub(crate) fn tally(&self) -> RecordTally {
        self.0.iter().fold(RecordTally::default(), |sum, queue| sum + queue.tally())
    }

    pub(crate) fn events(&self) -> u64 {
        self.0.iter().map(|queue| queue.events.load(Ordering::Relaxed)).sum()
    }
}
