//! Batches: what goes from the Metering Process to stages and outputs, 255 records at a time.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::details::{Details, DetailsIndex};
use crate::record::FlowRecord;
use crate::tags::Tags;
use crate::time::Timestamp;

/// Most records of a batch: each can have details, whose index is not [`DetailsIndex::NONE`].
pub const BATCH_RECORDS: usize = 255;

/// Flow records that travel together, with what is known besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Who metered the records.
    pub origin: Origin,
    /// At most [`BATCH_RECORDS`], in the order in which their flows ended.
    pub records: Vec<FlowRecord>,
    /// Optional facts about some of the records, which refer to them by index.
    pub details: Vec<Details>,
    /// What is no flow record.
    pub events: Vec<Event>,
}

/// The Metering Process that made the records of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The meter of this process.
    #[default]
    ThisMeter,
}

/// Something that is no flow record: outputs of documents write it, others count it as not
/// exportable.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What kind of event it is.
    pub kind: EventKind,
    /// When it happened, by the trace clock.
    pub time: Timestamp,
    /// Its fields by name, dots included (`source.ip`), in the order in which they are written.
    pub fields: Vec<(&'static str, Value)>,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A detector found something.
    Alert,
    /// A DNS question and its answer.
    DnsTransaction,
}

/// The value of an event's field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count or another number.
    Number(u64),
    /// Text.
    Text(String),
    /// An address.
    Address(IpAddr),
    /// A point in time.
    Time(Timestamp),
    /// Several values.
    List(Vec<Self>),
}

impl Batch {
    /// An empty batch with room for [`BATCH_RECORDS`].
    pub fn with_capacity() -> Self {
        Self { records: Vec::with_capacity(BATCH_RECORDS), ..Self::default() }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.events.is_empty()
    }

    /// The details of a record of this batch, if it has any.
    #[inline]
    pub fn details_of(&self, record: &FlowRecord) -> Option<&Details> {
        self.details.get(usize::from(record.details.0))
    }

    /// The details of the record with this index, which are made if it has none.
    ///
    /// # Panics
    ///
    /// When there is no such record.
    pub fn details_mut(&mut self, record: usize) -> &mut Details {
        let index = &mut self.records[record].details;
        if *index == DetailsIndex::NONE {
            let next = self.details.len();
            *index = DetailsIndex(u8::try_from(next).expect("a batch has few records"));
            self.details.push(Details::default());
        }
        &mut self.details[usize::from(index.0)]
    }

    /// Adds a tag to the record with this index.
    ///
    /// # Panics
    ///
    /// When there is no such record.
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
