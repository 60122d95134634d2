//! Messages or documents into a file or to standard output.

mod form;
mod open;

use std::io::ErrorKind;
use std::path::Path;

pub(crate) use self::form::Form;
use self::open::OpenFile;
pub(crate) use self::open::Start;
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

/// Which file, and how it is opened.
#[derive(Clone, Debug)]
pub(crate) struct FileSettings {
    /// `-` is standard output.
    pub(crate) path: String,
    pub(crate) start: Start,
    pub(crate) form: Form,
}

#[derive(Debug)]
pub(crate) struct FileTransport {
    name: String,
    file: OpenFile,
    form: Form,
    buffer: Vec<u8>,
    /// Where in the buffer each piece ends, and what is in it.
    ends: Vec<(usize, Content)>,
    opening: Opening,
    counts: TransportCounts,
}

/// The messages before the first one with flows, which has their templates. They are written once
/// more if another program has cut the file.
#[derive(Debug, Default)]
struct Opening {
    octets: Vec<u8>,
    is_whole: bool,
}

impl FileTransport {
    /// Opens the file, or makes it.
    pub(crate) fn open(settings: &FileSettings) -> Result<Self, ExportError> {
        let FileSettings { path, start, form } = settings;
        let (name, file) = match path.as_str() {
            "-" => ("standard output", OpenFile::stdout()),
            path => (path, OpenFile::open(Path::new(path), *start, *form)),
        };
        let file = file.map_err(|error| {
            let tried = if path == "-" { "write to" } else { "create" };
            ExportError::NotOpened(format!("cannot {tried} {name}: {}", sentence(&error)))
        })?;
        Ok(Self {
            name: name.to_owned(),
            file,
            form: *form,
            buffer: Vec::with_capacity(BUFFER + SPARE),
            ends: Vec::new(),
            opening: Opening::default(),
            counts: TransportCounts::default(),
        })
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
        let needs_opening = self.form == Form::Messages && self.file.was_cut();
        let opening = if needs_opening { &self.opening.octets[..] } else { &[] };
        let (mut written, mut result) = self.file.write(opening);
        let mut whole = 0;
        if result.is_ok() {
            (written, result) = self.file.write(&self.buffer);
            whole = self.ends.iter().map(|(end, _)| *end).rfind(|end| *end <= written).unwrap_or(0);
        }
        self.file.cut_back(written - whole);
        let mut begin = 0;
        for (end, mut content) in self.ends.drain(..) {
            content.octets = (end - std::mem::replace(&mut begin, end)) as u64;
            if end <= whole {
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

impl Opening {
    fn add(&mut self, message: &Message<'_>) {
        self.is_whole |= message.content().records.records > 0 || self.octets.len() > BUFFER;
        if !self.is_whole {
            self.octets.extend_from_slice(message.octets);
        }
    }
}

impl Transport for FileTransport {
    fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
        self.opening.add(&message);
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
