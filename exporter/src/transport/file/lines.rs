//! A file of lines, written one at a time: each is there completely, or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::form::Form;
use super::in_use::{FilesInUse, Writer};
use super::open::{OpenFile, Start};

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
    /// Opens a file that is truncated just before its first line is written.
    ///
    /// # Errors
    ///
    /// An error of the system; no reader of a pipe before the end of the run; or the file is in
    /// use.
    pub fn anew(path: &Path, in_use: &Arc<FilesInUse>) -> io::Result<Self> {
        Self::open(path, Start::Anew, in_use)
    }

    /// Opens a file to append to. An incomplete line at its end is removed.
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

    /// Opens the file again by its name, after a rename. If that fails, the old file stays open.
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

    /// Writes a line; `line` includes the line end.
    ///
    /// # Errors
    ///
    /// An error of the system. No part of the line is in the file then, unless it is a pipe.
    pub fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let (written, result) = self.file.write(line);
        if result.is_err() {
            self.file.cut_back(written);
        }
        result
    }

    /// Octets in the file.
    pub fn octets(&self) -> u64 {
        self.file.position()
    }
}

impl Drop for LineFile {
    fn drop(&mut self) {
        self.in_use.leave(&self.writer);
    }
}
