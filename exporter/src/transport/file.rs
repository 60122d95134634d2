//! Messages or documents into a file or to standard output.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use flow::RecordTally;

use super::TransportCounts;
use crate::error::ExportError;
use crate::message::Content;

/// Octets are gathered up to this before they are written.
const BUFFER: usize = 256 * 1024;

/// Room for one more document or message beyond that.
const SPARE: usize = 64 * 1024;

pub(crate) struct FileTransport {
    name: String,
    file: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    /// Where in the buffer each piece ends, and what is in it.
    ends: Vec<(usize, RecordTally)>,
    counts: TransportCounts,
}

impl FileTransport {
    /// Creates the file, or empties it. `-` is standard output.
    pub(crate) fn create(path: &str) -> Result<Self, ExportError> {
        if path == "-" {
            // Not through std's own buffer: what is written is to be known exactly.
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            let stdout = stdout
                .map_err(|error| ExportError::io("cannot write to standard output", &error))?;
            return Ok(Self::new("standard output", Box::new(File::from(stdout))));
        }
        let file = File::create(path)
            .map_err(|error| ExportError::io(&format!("cannot create {path}"), &error))?;
        Ok(Self::new(path, Box::new(file)))
    }

    pub(crate) fn new(name: &str, file: Box<dyn Write + Send>) -> Self {
        Self {
            name: name.to_owned(),
            file,
            buffer: Vec::with_capacity(BUFFER + SPARE),
            ends: Vec::new(),
            counts: TransportCounts::default(),
        }
    }

    pub(crate) fn counts(&self) -> TransportCounts {
        self.counts
    }

    /// Appends a piece, whole, with these records.
    #[inline]
    pub(crate) fn append(
        &mut self,
        records: RecordTally,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        put(&mut self.buffer);
        self.ends.push((self.buffer.len(), records));
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// Writes what was gathered. What did not get into the file whole has failed.
    pub(crate) fn flush(&mut self) -> Result<(), ExportError> {
        let (written, result) = write_as_much_as_possible(&mut self.file, &self.buffer);
        let mut begin = 0;
        for (end, records) in self.ends.drain(..) {
            let octets = (end - std::mem::replace(&mut begin, end)) as u64;
            let content = Content { messages: 1, octets, records };
            if end <= written {
                self.counts.sent += content;
            } else {
                self.counts.failed += content;
            }
        }
        self.buffer.clear();
        result.map_err(|error| {
            self.counts.errors += 1;
            if error.kind() == ErrorKind::BrokenPipe {
                ExportError::reader_left(&self.name)
            } else {
                ExportError::io(&format!("cannot write to {}", self.name), &error)
            }
        })
    }
}

impl std::fmt::Debug for FileTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTransport").field("name", &self.name).finish_non_exhaustive()
    }
}

fn write_as_much_as_possible(file: &mut dyn Write, octets: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = octets.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, file.flush())
}
