//! Flow records and events as JSON documents.

mod address;
mod collected;
mod document;
mod escape;
mod event;
mod exporter;
mod facts;
mod member;
mod netflow;
mod own;
mod place;
mod related;
mod settings;
mod time;

use flow::{Batch, Conversation, Event, EventKind, NetworkSet, Timestamp};

use crate::content::Content;
use crate::error::ExportError;
use crate::exporter::{ExportCounts, Exporter, MeterReport};
use crate::sink::{DocumentSink, Subject};
use document::DocumentWriter;
pub use escape::{escaped_json, is_terminal_control};
use event::EventWriter;
pub(crate) use netflow::elements;
pub(crate) use settings::{DocumentSettings, Fields};

/// Converts flow records and events to documents and passes them to a sink.
#[derive(Debug)]
pub(crate) struct DocumentExporter<S> {
    documents: DocumentWriter,
    events: EventWriter,
    sink: S,
    has_dns_events: bool,
    has_options: bool,
    /// Events that the output does not want.
    unwanted: u64,
    /// Records and events of a batch that remained when the sink gave up.
    left: Content,
}

impl<S: DocumentSink> DocumentExporter<S> {
    pub(crate) fn new(settings: DocumentSettings, sink: S) -> Self {
        Self {
            has_dns_events: settings.has_dns_events,
            has_options: settings.has_options,
            unwanted: 0,
            documents: DocumentWriter::new(settings),
            events: EventWriter::default(),
            sink,
            left: Content::default(),
        }
    }
}

impl<S: DocumentSink> Exporter for DocumentExporter<S> {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        let Self { documents, events, sink, has_dns_events, has_options, unwanted, left } = self;
        documents.begin_batch(&batch.origin);
        let mut records = batch.records.iter();
        let is_wanted = |event: &&Event| match event.kind {
            EventKind::Alert => true,
            EventKind::DnsTransaction => *has_dns_events,
            EventKind::ExporterOptions => *has_options,
        };
        let wanted = batch.events.iter().filter(is_wanted).count();
        *unwanted += (batch.events.len() - wanted) as u64;
        let mut rest = batch.events.iter().filter(is_wanted);
        let result = records
            .try_for_each(|record| {
                if record.exported >= sink.rotation_due() {
                    sink.rotate(record.exported)?;
                }
                sink.put(Content::record(record), Subject::Record(record), |out| {
                    documents.put(record, batch.details_of(record), out)
                })
            })
            .and_then(|()| {
                rest.try_for_each(|event| {
                    sink.put(Content::event(), Subject::Event(event), |out| events.put(event, out))
                })
            });
        records.for_each(|record| left.records.count(record));
        left.events += rest.count() as u64;
        result
    }

    fn observe(&mut self, meter: &MeterReport) {
        self.documents.learn_interfaces(&meter.interfaces);
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError> {
        if now >= self.sink.rotation_due() {
            self.sink.rotate(now)?;
        }
        self.sink.flush()
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.sink.reopen()
    }

    fn set_local_networks(&mut self, networks: &NetworkSet) {
        self.documents.set_local_networks(networks.clone());
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.sink.finish()
    }

    fn counts(&self) -> ExportCounts {
        let mut counts = self.sink.counts();
        counts.lose_documents(self.left.records, self.left.events);
        counts.events_not_exportable += self.unwanted;
        counts
    }

    fn conversations(&self) -> Vec<Conversation> {
        self.sink.conversations()
    }
}
