//! Messages or documents into a file or to standard output.

mod form;
mod in_use;
mod lines;
mod open;
mod rotation;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::Timestamp;
use log::{error, info};

pub(crate) use self::form::Form;
pub use self::in_use::FilesInUse;
use self::in_use::Writer;
pub use self::lines::LineFile;
use self::open::OpenFile;
pub(crate) use self::open::Start;
use self::rotation::Names;
pub(crate) use self::rotation::Rotation;
use super::{Transport, TransportCounts};
use crate::content::{Content, Message};
use crate::error::{ExportError, sentence};
use crate::exporter::ExportCounts;
use crate::sink::{DocumentSink, Subject};

/// Octets that are collected before a write.
const BUFFER: usize = 256 * 1024;

/// Additional room for one document or message.
const SPARE: usize = 64 * 1024;

/// The file, and how it is opened.
#[derive(Clone, Debug)]
pub(crate) struct FileSettings {
    /// `-` is standard output.
    pub(crate) path: String,
    pub(crate) start: Start,
    pub(crate) form: Form,
    pub(crate) rotation: Option<Rotation>,
    /// The files that the run uses.
    pub(crate) in_use: Arc<FilesInUse>,
}

impl FileSettings {
    /// Checks the path of a rotating output.
    ///
    /// # Errors
    ///
    /// Reason why the path is refused.
    pub(crate) fn check(path: &str, rotation: Option<Rotation>) -> Result<(), String> {
        rotation.map_or(Ok(()), |rotation| Names::new(path, rotation).map(drop))
    }
}

#[derive(Debug)]
pub(crate) struct FileTransport {
    /// The path of the file, or `standard output`.
    name: String,
    /// `None` before the first file of a rotating replay: it opens when the time is known.
    file: Option<OpenFile>,
    start: Start,
    form: Form,
    in_use: Arc<FilesInUse>,
    writer: Writer,
    /// Names of files, if they rotate.
    names: Option<Names>,
    /// Time of the next rotation.
    rotation_due: Timestamp,
    /// Maximum octets of this file.
    octets_max: u64,
    /// A file was begun since the last call of `session_began`.
    session_is_new: bool,
    buffer: Vec<u8>,
    /// The end in the buffer and the content of each piece.
    ends: Vec<(usize, Content)>,
    opening: Opening,
    counts: TransportCounts,
}

/// The messages before the first one with flows: they have the templates. They are written again if
/// another program has truncated the file.
#[derive(Debug, Default)]
struct Opening {
    octets: Vec<u8>,
    is_whole: bool,
}

impl FileTransport {
    /// Opens the file, and creates it if needed. `now` is the time of day of a live run.
    pub(crate) fn open(
        settings: &FileSettings,
        now: Option<Timestamp>,
    ) -> Result<Self, ExportError> {
        let FileSettings { path, start, form, rotation, in_use } = settings;
        let names = rotation.map(|rotation| Names::new(path, rotation)).transpose();
        let mut transport = Self {
            name: path.to_owned(),
            file: None,
            start: *start,
            form: *form,
            in_use: Arc::clone(in_use),
            writer: in_use.writer(rotation.is_some()),
            names: names.map_err(ExportError::NotOpened)?,
            rotation_due: Timestamp::MAX,
            octets_max: u64::MAX,
            session_is_new: false,
            buffer: Vec::with_capacity(BUFFER + SPARE),
            ends: Vec::new(),
            opening: Opening::default(),
            counts: TransportCounts::default(),
        };
        let opened = match (&transport.names, now) {
            (None, _) if path == "-" => {
                "standard output".clone_into(&mut transport.name);
                OpenFile::stdout().map(|file| transport.file = Some(file))
            }
            (None, _) => transport.begin_file(Path::new(path)),
            (Some(_), Some(now)) => transport.begin_next(now),
            (Some(_), None) => {
                transport.rotation_due = Timestamp::default();
                Ok(())
            }
        };
        opened.map_err(|error| ExportError::NotOpened(transport.not_opened(&error)))?;
        Ok(transport)
    }

    fn not_opened(&self, error: &io::Error) -> String {
        let tried = if self.name == "standard output" { "write to" } else { "create" };
        format!("cannot {tried} {}: {}", self.name, sentence(error))
    }

    /// Begins the next file at this time. Skips a name whose file is in use.
    fn begin_next(&mut self, now: Timestamp) -> io::Result<()> {
        loop {
            let Some(names) = &mut self.names else { return Ok(()) };
            self.rotation_due = names.end(now);
            let path = names.begin(now, self.start)?;
            let octets_max = names.octets_max();
            if let Some(folder) = path.parent() {
                // If this fails, opening the file fails too, with the error to report.
                drop(fs::create_dir_all(folder));
            }
            match self.begin_file(&path) {
                Err(problem) if problem.kind() == ErrorKind::AlreadyExists => {}
                result => {
                    self.octets_max = octets_max;
                    return result;
                }
            }
        }
    }

    /// Opens a file. If this fails, the old one stays open.
    fn begin_file(&mut self, path: &Path) -> io::Result<()> {
        let file = OpenFile::claimed(path, self.start, self.form, &self.in_use, &mut self.writer)?;
        self.file = Some(file);
        self.name = path.display().to_string();
        self.session_is_new = true;
        self.opening = Opening::default();
        Ok(())
    }

    /// Appends a complete piece with this content.
    #[inline]
    fn append(
        &mut self,
        content: Content,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        put(&mut self.buffer);
        self.ends.push((self.buffer.len(), content));
        if self.octets_max != u64::MAX {
            self.end_if_full();
        }
        if self.buffer.len() < BUFFER { Ok(()) } else { self.write() }
    }

    /// Makes the rotation due if the file has reached its maximum.
    fn end_if_full(&mut self) {
        let written = self.file.as_ref().map_or(0, OpenFile::position);
        if written + self.buffer.len() as u64 >= self.octets_max {
            self.rotation_due = Timestamp::default();
        }
    }

    /// Writes the buffer. Pieces that are not completely in the file count as failed.
    fn write(&mut self) -> Result<(), ExportError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let needs_opening = self.form == Form::Messages && file.was_cut();
        let opening = if needs_opening { &self.opening.octets[..] } else { &[] };
        let (mut written, mut result) = file.write(opening);
        let mut whole = 0;
        if result.is_ok() {
            (written, result) = file.write(&self.buffer);
            whole = self.ends.iter().map(|(end, _)| *end).rfind(|end| *end <= written).unwrap_or(0);
        }
        file.cut_back(written - whole);
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

    /// Ends this file and begins the next one. If that cannot be opened, this one stays in use.
    fn next_file(&mut self, now: Timestamp) -> Result<(), ExportError> {
        self.write()?;
        let Err(problem) = self.begin_next(now) else { return Ok(()) };
        let Some(file) = &self.file else {
            return Err(ExportError::GaveUp(self.not_opened(&problem)));
        };
        self.octets_max = self.octets_max.saturating_add(file.position());
        error!("{}: cannot begin the next file: {}", self.name, sentence(&problem));
        Ok(())
    }

    /// Opens the file again by its name, after a rename.
    fn open_again(&mut self) -> Result<(), ExportError> {
        self.write()?;
        if !self.file.as_ref().is_some_and(OpenFile::has_name) {
            return Ok(());
        }
        let path = PathBuf::from(&self.name);
        let is_file = path.metadata().map_or(true, |metadata| metadata.is_file());
        let result = if is_file {
            self.begin_file(&path)
        } else {
            Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file any more"))
        };
        let name = &self.name;
        match result.map_err(|problem| sentence(&problem)) {
            Ok(()) => info!("{name}: opened again"),
            Err(problem) => error!("cannot open {name} again, the old file stays open: {problem}"),
        }
        Ok(())
    }
}

impl Drop for FileTransport {
    fn drop(&mut self) {
        self.in_use.leave(&self.writer);
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

    fn session_began(&mut self) -> bool {
        std::mem::take(&mut self.session_is_new)
    }

    fn rotation_due(&self) -> Timestamp {
        self.rotation_due
    }

    fn rotate(&mut self, now: Timestamp) -> Result<(), ExportError> {
        self.next_file(now)
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.open_again()
    }

    fn counts(&self) -> TransportCounts {
        self.counts
    }
}

/// Documents, one per line.
impl DocumentSink for FileTransport {
    #[inline]
    fn put(
        &mut self,
        content: Content,
        _subject: Subject<'_>,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
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

    #[inline]
    fn rotation_due(&self) -> Timestamp {
        self.rotation_due
    }

    fn rotate(&mut self, now: Timestamp) -> Result<(), ExportError> {
        self.next_file(now)
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.open_again()
    }

    fn counts(&self) -> ExportCounts {
        self.counts.into()
    }
}
