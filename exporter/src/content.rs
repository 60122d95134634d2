//! Content of messages and documents, in which outputs count their losses.

use derive_more::{Add, AddAssign, Sub};
use flow::{FlowRecord, RecordTally};

/// Messages or documents, their octets, and the records and events in them.
#[derive(Add, AddAssign, Clone, Copy, Debug, Default, PartialEq, Eq, Sub)]
pub(crate) struct Content {
    pub(crate) messages: u64,
    pub(crate) octets: u64,
    pub(crate) records: RecordTally,
    pub(crate) events: u64,
}

impl Content {
    /// A document of one record.
    pub(crate) fn record(record: &FlowRecord) -> Self {
        let records = RecordTally { records: 1, packets: record.packets, octets: record.octets };
        Self { messages: 1, records, ..Self::default() }
    }

    /// A document of one event.
    pub(crate) fn event() -> Self {
        Self { messages: 1, events: 1, ..Self::default() }
    }

    /// Sum of several contents.
    pub(crate) fn sum(contents: impl IntoIterator<Item = Self>) -> Self {
        contents.into_iter().fold(Self::default(), |sum, one| sum + one)
    }
}

/// A finished message, and the flow records in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// The encoded octets.
    pub(crate) octets: &'a [u8],
    /// Flow records in it.
    pub(crate) records: RecordTally,
}

impl Message<'_> {
    /// The content of this message, for counting.
    pub(crate) fn content(&self) -> Content {
        Content { messages: 1, octets: self.octets.len() as u64, records: self.records, events: 0 }
    }
}
