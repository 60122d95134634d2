//! Messages or documents into a file or to standard output.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use super::{Transport, TransportCounts};
use crate::content::Content;
use crate::error::{ExportError, sentence};
use crate::exporter::ExportCounts;
use crate::message::Message;
use crate::sink::DocumentSink;

/// Octets are gathered up to this before they are written.
const BUFFER: usize = 256 * 1024;

/// Room for one more document or message beyond that.
const SPARE: usize = 64 * 1024;

pub(crate) struct FileTransport {
    name: String,
    file: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    /// Where in the buffer each piece ends, and what is in it.
    ends: Vec<(usize, Content)>,
    counts: TransportCounts,
}

impl FileTransport {
    /// Creates the file, or empties it. `-` is standard output.
    pub(crate) fn create(path: &str) -> Result<Self, ExportError> {
        if path == "-" {
            // Not through std's own buffer: what is written is to be known exactly.
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            let stdout = stdout.map_err(|error| {
                let problem = format!("cannot write to standard output: {}", sentence(&error));
                ExportError::NotOpened(problem)
            })?;
            return Ok(Self::new("standard output", Box::new(File::from(stdout))));
        }
        let file = File::create(path).map_err(|error| {
            ExportError::NotOpened(format!("cannot create {path}: {}", sentence(&error)))
        })?;
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

    /// Appends a piece, whole, with this in it.
    #[inline]
    fn append(
        &mut self,
        content: Content,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        put(&mut self.buffer);
        self.ends.push((self.buffer.len(), content));
        if self.buffer.len() < BUFFER { Ok(()) } else { self.write() }
    }

    /// Writes what was gathered. What did not get into the file whole has failed.
    fn write(&mut self) -> Result<(), ExportError> {
        let (written, result) = write_as_much_as_possible(&mut self.file, &self.buffer);
        let mut begin = 0;
        for (end, mut content) in self.ends.drain(..) {
            content.octets = (end - std::mem::replace(&mut begin, end)) as u64;
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
                ExportError::ReaderLeft(self.name.clone())
            } else {
                let problem = format!("cannot write to {}: {}", self.name, sentence(&error));
                ExportError::GaveUp(problem)
            }
        })
    }
}

impl Transport for FileTransport {
    fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
        self.append(message.content(), |out| out.extend_from_slice(message.octets))
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.write()
    }

    fn counts(&self) -> TransportCounts {
        self.counts
    }
}

/// Documents, one to a line.
impl DocumentSink for FileTransport {
    #[inline]
    fn put(&mut self, content: Content, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), ExportError> {
        self.append(content, |out| {
            put(out);
            out.push(b'\n');
        })
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.write()
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.write()
    }

    fn counts(&self) -> ExportCounts {
        self.counts.into()
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
