//! Where documents go, as the exporter of documents sees it.

use std::fmt::Debug;

use flow::{Conversation, Timestamp};

use crate::content::Content;
use crate::error::ExportError;
use crate::exporter::ExportCounts;

/// Takes documents somewhere: a file, a cluster.
///
/// The sink accounts for the content of each document. It may learn what became of them in any
/// order and at any time; until then a document is in none of the counts.
pub(crate) trait DocumentSink: Debug + Send {
    /// Takes a document of this time, which `put` appends whole and without a line end. The content
    /// says what is in it; its octets are for the sink to count.
    ///
    /// # Errors
    ///
    /// When the sink has given up; every document is counted by then.
    fn put(
        &mut self,
        content: Content,
        time: Timestamp,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError>;

    /// Sends what waits.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn flush(&mut self) -> Result<(), ExportError>;

    /// From when on the next of several files is to be begun.
    fn rotation_due(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// Begins the next of several files.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn rotate(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Ok(())
    }

    /// Opens a file anew by its name.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn reopen(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Sends what waits, and waits until nothing is under way.
    ///
    /// # Errors
    ///
    /// As [`DocumentSink::put`].
    fn finish(&mut self) -> Result<(), ExportError>;

    /// What became of the documents so far.
    fn counts(&self) -> ExportCounts;

    /// The packets that carry the documents.
    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}
