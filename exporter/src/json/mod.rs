//! Flow records as JSON documents, one to a line.

mod address;
mod document;
mod id;
mod member;
mod netflow;
mod time;

pub(crate) use document::DocumentSettings;
use document::DocumentWriter;
use flow::{Batch, Conversation, RecordTally, Timestamp};

use crate::error::ExportError;
use crate::exporter::{ExportCounts, Exporter, MeterReport};
use crate::transport::FileTransport;

/// Flow records as documents in a file or on standard output.
#[derive(Debug)]
pub(crate) struct JsonExporter {
    documents: DocumentWriter,
    file: FileTransport,
    /// Records of a batch that were left when the file took no more.
    left: RecordTally,
    events_not_exportable: u64,
}

impl JsonExporter {
    pub(crate) fn new(settings: DocumentSettings, file: FileTransport) -> Self {
        Self {
            documents: DocumentWriter::new(settings),
            file,
            left: RecordTally::default(),
            events_not_exportable: 0,
        }
    }
}

impl Exporter for JsonExporter {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        self.events_not_exportable += batch.events.len() as u64;
        let mut rest = batch.records.iter();
        while let Some(record) = rest.next() {
            let mut content = RecordTally::default();
            content.count(record);
            let documents = &mut self.documents;
            self.file
                .append(content, |out| {
                    documents.put(record, batch.details_of(record), out);
                    out.push(b'\n');
                })
                .inspect_err(|_| rest.by_ref().for_each(|record| self.left.count(record)))?;
        }
        Ok(())
    }

    fn observe(&mut self, meter: &MeterReport) {
        self.documents.learn_interfaces(&meter.interfaces);
    }

    fn tick(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        self.file.flush()
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.file.flush()
    }

    fn counts(&self) -> ExportCounts {
        let counts = self.file.counts();
        ExportCounts {
            sent: counts.sent.records,
            failed: counts.failed.records + self.left,
            messages: counts.sent.messages,
            octets: counts.sent.octets,
            errors: counts.errors,
            events_not_exportable: self.events_not_exportable,
            ..ExportCounts::default()
        }
    }

    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}
