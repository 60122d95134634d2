//! The interface of a destination of documents, for the exporter of documents.

use std::fmt::Debug;

use flow::{Conversation, Event, FlowRecord, Timestamp};

use crate::content::Content;
use crate::error::ExportError;
use crate::exporter::ExportCounts;

/// Subject of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    Record(&'a FlowRecord),
    Event(&'a Event),
}

impl Subject<'_> {
    /// Time of the document.
    #[inline]
    pub(crate) fn time(self) -> Timestamp {
        match self {
            Self::Record(record) => record.end,
            Self::Event(event) => event.time,
        }
    }
}

/// Writes or sends documents: to a file or a cluster.
///
/// The sink counts the content of each document. Outcomes may become known in any order and at any
/// time; until then a document is in none of the counts.
pub(crate) trait DocumentSink: Debug + Send {
    /// Takes a document of this subject. `put` appends all of it, without a line end. `content` has
    /// its records and events; the sink counts its octets.
    ///
    /// # Errors
    ///
    /// The sink has given up; every document is counted by then.
    fn put(
        &mut self,
        content: Content,
        subject: Subject<'_>,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError>;

    /// Sends waiting documents.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn flush(&mut self) -> Result<(), ExportError>;

    /// Time of the next file rotation.
    fn rotation_due(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// Ends the file and begins the next one.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn rotate(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Ok(())
    }

    /// Opens a file again by its name.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn reopen(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Sends waiting documents, and waits until none is in flight.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn finish(&mut self) -> Result<(), ExportError>;

    /// Outcomes of the documents so far.
    fn counts(&self) -> ExportCounts;

    /// Conversations that carry the documents.
    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}
