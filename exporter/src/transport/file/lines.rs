//! A file of lines that are written one at a time: each is there whole, or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::in_use::Writer;
use super::open::{OpenFile, Start};
use super::{FilesInUse, Form};

/// A file of lines of JSON.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    start: Start,
    file: OpenFile,
    in_use: Arc<FilesInUse>,
    writer: Writer,
}

impl LineFile {
    /// Opens a file that is emptied before its first line is written, and not before.
    ///
    /// # Errors
    ///
    /// The system's, nobody reads a pipe before the run is to end, or an output has this file.
    pub fn anew(path: &Path, in_use: &Arc<FilesInUse>) -> io::Result<Self> {
        Self::open(path, Start::Anew, in_use)
    }

    /// Opens a file that is appended to. An unfinished line at its end is removed.
    ///
    /// # Errors
    ///
    /// As [`LineFile::anew`].
    pub fn append(path: &Path, in_use: &Arc<FilesInUse>) -> io::Result<Self> {
        Self::open(path, Start::Append, in_use)
    }

    fn open(path: &Path, start: Start, in_use: &Arc<FilesInUse>) -> io::Result<Self> {
        let mut writer = in_use.writer(false);
        let file = OpenFile::claimed(path, start, Form::Documents, in_use, &mut writer)?;
        Ok(Self { path: path.to_owned(), start, file, in_use: Arc::clone(in_use), writer })
    }

    /// Opens the file of this name, which may be another one by now. If that fails, the old one
    /// goes on.
    ///
    /// # Errors
    ///
    /// As [`LineFile::anew`].
    pub fn open_again(&mut self) -> io::Result<()> {
        if self.file.has_name() {
            let Self { path, start, in_use, writer, .. } = self;
            self.file = OpenFile::claimed(path, *start, Form::Documents, in_use, writer)?;
        }
        Ok(())
    }

    /// Writes a line, which ends with a line end.
    ///
    /// # Errors
    ///
    /// The system's. No part of the line is in the file then, unless it is a pipe.
    pub fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let (written, result) = self.file.write(line);
        if result.is_err() {
            self.file.cut_back(written);
        }
        result
    }

    /// The octets in it.
    pub fn octets(&self) -> u64 {
        self.file.position()
    }
}

impl Drop for LineFile {
    fn drop(&mut self) {
        self.in_use.leave(&self.writer);
    }
}
