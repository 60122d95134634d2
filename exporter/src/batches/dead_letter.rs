//! The file of documents that the service refuses permanently.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::transport::{FilesInUse, LineFile};

/// Maximum octets of the file.
const OCTETS_MAX: u64 = 1 << 30;

/// The file: a line of JSON for each document, with the reason.
#[derive(Debug)]
pub(super) struct DeadLetters(LineFile);

impl DeadLetters {
    /// Opens the file; documents are appended.
    pub(super) fn open(path: &Path, in_use: &Arc<FilesInUse>) -> io::Result<Self> {
        LineFile::append(path, in_use).map(Self)
    }

    /// Opens the file again by its name, after a rename.
    pub(super) fn open_again(&mut self) -> io::Result<()> {
        self.0.open_again()
    }

    /// Writes a document as one line. `letter` has it as members of a JSON object.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or it is full.
    pub(super) fn keep(&mut self, kind: &str, reason: &str, letter: &str) -> io::Result<()> {
        let (kind, reason) = (serde_json::json!(kind), serde_json::json!(reason));
        let line = format!("{{\"error\":{{\"type\":{kind},\"reason\":{reason}}},{letter}}}\n");
        if self.0.octets() + line.len() as u64 > OCTETS_MAX {
            return Err(io::Error::other("the file of refused documents is full"));
        }
        self.0.write(line.as_bytes())
    }
}
