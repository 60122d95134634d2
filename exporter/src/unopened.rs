//! An output that could not be opened, in the place of the one that was to be.

use flow::{Batch, Conversation, RecordTally, Timestamp};

use crate::error::ExportError;
use crate::exporter::{ExportCounts, Exporter, MeterReport};

/// An output that could not be opened: it gives up at once, and counts its records as failed.
#[derive(Debug)]
pub struct Unopened {
    error: ExportError,
    failed: RecordTally,
    events_failed: u64,
}

impl Unopened {
    /// An output that gives up with this error.
    pub fn new(error: ExportError) -> Self {
        Self { error, failed: RecordTally::default(), events_failed: 0 }
    }
}

impl Exporter for Unopened {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        batch.records.iter().for_each(|record| self.failed.count(record));
        self.events_failed += batch.events.len() as u64;
        Err(self.error.clone())
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Err(self.error.clone())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Err(self.error.clone())
    }

    fn counts(&self) -> ExportCounts {
        let (failed, events_failed) = (self.failed, self.events_failed);
        ExportCounts { failed, events_failed, ..ExportCounts::default() }
    }

    fn is_ready(&self) -> bool {
        false
    }

    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}
