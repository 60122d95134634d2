//! Batches: up to 255 records from the Metering Process to stages and outputs.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::clock::CLOCKS;
use crate::collected::Exporter;
use crate::details::{Details, DetailsIndex};
use crate::facts::DnsFacts;
use crate::record::FlowRecord;
use crate::tags::Tags;
use crate::time::Timestamp;

/// Most records of a batch. Each can have details, whose index is below [`DetailsIndex::NONE`].
pub const BATCH_RECORDS: usize = 255;

/// Flow records with further facts about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The Metering Process of the records.
    pub origin: Origin,
    /// At most [`BATCH_RECORDS`], in the order in which their flows ended.
    pub records: Vec<FlowRecord>,
    /// For each clock of these records: trace time minus the time of the clock, in milliseconds.
    pub clock_offsets: [i64; CLOCKS],
    /// Optional facts about some of the records, which refer to them by index.
    pub details: Vec<Details>,
    /// Events, which are not flow records.
    pub events: Vec<Event>,
}

/// The Metering Process that made the records of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The meter of this process.
    #[default]
    ThisMeter,
    /// Another exporter, whose messages this process collects.
    Exporter(Arc<Exporter>),
}

/// An event that is not a flow record. Outputs of documents write it; others count it as not
/// exportable.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The kind of the event.
    pub kind: EventKind,
    /// Time of the event, by the trace clock.
    pub time: Timestamp,
    /// Its fields with full names, dots included (`source.ip`). Documents sort them by name.
    pub fields: Vec<(&'static str, Value)>,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An alert of a detector.
    Alert,
    /// A DNS question and its answer.
    DnsTransaction,
    /// An options record of another exporter.
    ExporterOptions,
}

/// The value of an event's field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count or another number.
    Number(u64),
    /// Yes or no.
    Truth(bool),
    /// Text.
    Text(String),
    /// An address.
    Address(IpAddr),
    /// A point in time.
    Time(Timestamp),
    /// Several values.
    List(Vec<Self>),
    /// A DNS question and its answer, as flows have them.
    Dns(Box<DnsFacts>),
}

impl Event {
    /// `observer.type` of all documents.
    pub const OBSERVER_TYPE: &'static str = "flow-probe";

    /// `observer.vendor` and `observer.product` of all documents.
    pub const PRODUCT: &'static str = "flowprobe";

    /// What all events say of the program that made them, which has this name and this version.
    pub fn observer(name: &str, version: &str) -> [(&'static str, Value); 5] {
        [
            ("observer.name", name.into()),
            ("observer.type", Self::OBSERVER_TYPE.into()),
            ("observer.vendor", Self::PRODUCT.into()),
            ("observer.product", Self::PRODUCT.into()),
            ("observer.version", version.into()),
        ]
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl Batch {
    /// An empty batch with room for [`BATCH_RECORDS`].
    pub fn with_capacity() -> Self {
        Self { records: Vec::with_capacity(BATCH_RECORDS), ..Self::default() }
    }

    /// True if it has neither records nor events.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.events.is_empty()
    }

    /// Time of the last packet of a record of this batch, in trace time. `None` for a packet that
    /// fit no clock.
    #[inline]
    pub fn trace_end(&self, record: &FlowRecord) -> Option<Timestamp> {
        self.trace_of(record, record.end)
    }

    /// When a record of this batch left the table, in trace time. `None` for that of a packet that
    /// fit no clock.
    #[inline]
    pub fn trace_exported(&self, record: &FlowRecord) -> Option<Timestamp> {
        self.trace_of(record, record.exported)
    }

    /// A time of a record, in trace time.
    #[inline]
    fn trace_of(&self, record: &FlowRecord, time: Timestamp) -> Option<Timestamp> {
        let offset_ms = self.clock_offsets.get(record.details.clock())?;
        Some(Timestamp::of_trace(time.as_millis().wrapping_add_signed(*offset_ms)))
    }

    /// The details of a record of this batch, if it has any.
    #[inline]
    pub fn details_of(&self, record: &FlowRecord) -> Option<&Details> {
        self.details.get(record.details.index())
    }

    /// The details of the record with this index. They are created if it has none.
    ///
    /// # Panics
    ///
    /// There is no such record.
    pub fn details_mut(&mut self, record: usize) -> &mut Details {
        let index = &mut self.records[record].details;
        if *index == DetailsIndex::NONE {
            let next = self.details.len();
            *index = index.at(next);
            self.details.push(Details::default());
        }
        let index = index.index();
        &mut self.details[index]
    }

    /// Adds a record with details.
    pub fn push(&mut self, record: FlowRecord, details: Details) {
        let index = record.details.at(self.details.len());
        self.details.push(details);
        self.records.push(FlowRecord { details: index, ..record });
    }

    /// Adds a tag to the record with this index.
    ///
    /// # Panics
    ///
    /// There is no such record.
    pub fn tag(&mut self, record: usize, tags: Tags) {
        self.records[record].tags |= tags;
    }
}

impl From<&[FlowRecord]> for Batch {
    fn from(records: &[FlowRecord]) -> Self {
        Self::from(records.to_vec())
    }
}

impl From<Vec<FlowRecord>> for Batch {
    fn from(records: Vec<FlowRecord>) -> Self {
        Self { records, ..Self::default() }
    }
}
