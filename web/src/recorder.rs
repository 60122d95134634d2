//! The output that feeds the page with flow records and events.

use std::sync::Arc;

use exporter::{ExportCounts, ExportError, Exporter, MeterReport};
use flow::{Batch, Conversation, RecordTally, Timestamp};

use crate::board::Board;

/// Adds each record and event to the page.
#[derive(Debug)]
pub struct Recorder {
    board: Arc<Board>,
    given: RecordTally,
    events: u64,
}

impl Recorder {
    /// The output for this board.
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, given: RecordTally::default(), events: 0 }
    }
}

impl Exporter for Recorder {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        self.board.add(batch);
        batch.records.iter().for_each(|record| self.given.count(record));
        self.events += batch.events.len() as u64;
        Ok(())
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    fn counts(&self) -> ExportCounts {
        ExportCounts { sent: self.given, events_sent: self.events, ..ExportCounts::default() }
    }

    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}
