//! Outputs for alerts: they get what the detectors found, and no records.

use exporter::{ExportCounts, ExportError, Exporter, MeterReport};
use flow::{Batch, Conversation, EventKind, RecordTally, Timestamp};

/// An exporter that is given alerts only.
pub(crate) struct AlertExporter(pub(crate) Box<dyn Exporter>);

impl Exporter for AlertExporter {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        let alerts = batch.events.iter().filter(|event| event.kind == EventKind::Alert);
        let events: Vec<_> = alerts.cloned().collect();
        if events.is_empty() {
            return Ok(());
        }
        self.0.export(&Batch { events, ..Batch::default() })
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError> {
        self.0.tick(now)
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.0.reopen()
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.0.finish()
    }

    fn counts(&self) -> ExportCounts {
        // Records are none of its business, so it can lose none.
        ExportCounts { failed: RecordTally::default(), ..self.0.counts() }
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn conversations(&self) -> Vec<Conversation> {
        self.0.conversations()
    }
}
