//! An open file, pipe or device. Writes to a pipe or terminal do not block beyond the end of the
//! run.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use log::warn;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::form::Form;
use super::in_use::{FilesInUse, Writer};
use crate::ending;

/// Treatment of existing content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The file is truncated just before the first write.
    Anew,
    /// It stays, except an incomplete piece at its end.
    Append,
}

/// Method of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A regular file.
    Regular,
    /// A descriptor with `O_NONBLOCK`.
    NonBlocking,
    /// A pipe or a terminal that other programs share, so its flags must not be changed. When it is
    /// ready, it accepts a page without blocking.
    Shared,
}

/// Maximum octets that a ready pipe accepts without blocking.
const PAGE: usize = 4096;

#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    kind: Kind,
    is_stdout: bool,
    /// The existing content is still to be truncated.
    is_old: bool,
    /// Offset of the next write, in a regular file.
    position: u64,
}

impl OpenFile {
    /// Opens a file by its name for this writer, unless it is in use in this run.
    pub(super) fn claimed(
        path: &Path,
        start: Start,
        form: Form,
        in_use: &FilesInUse,
        writer: &mut Writer,
    ) -> io::Result<Self> {
        let claim = |metadata: &_| {
            // A descriptor is not checked: whoever opened it may share it.
            if is_descriptor(path) { Ok(()) } else { in_use.claim(writer, metadata) }
        };
        let file = Self::open(path, start, form, &claim)?;
        in_use.opened(writer, &file.metadata()?);
        Ok(file)
    }

    /// Opens a file by its name, and creates it if needed. Waits for a reader of a pipe. Changes
    /// nothing before `claim` returns `Ok`.
    fn open(
        path: &Path,
        start: Start,
        form: Form,
        claim: &dyn Fn(&Metadata) -> io::Result<()>,
    ) -> io::Result<Self> {
        let is_regular = path.metadata().map_or(true, |metadata| metadata.is_file());
        let file = if start == Start::Append && is_regular {
            OpenOptions::new().read(true).append(true).create(true).open(path)?
        } else {
            open_for_writing(path)?
        };
        let metadata = file.metadata()?;
        claim(&metadata)?;
        if !metadata.is_file() {
            return Ok(Self {
                file,
                kind: Kind::NonBlocking,
                is_stdout: false,
                is_old: false,
                position: 0,
            });
        }
        let is_old = start == Start::Anew && !is_descriptor(path);
        let mut open = Self { file, kind: Kind::Regular, is_stdout: false, is_old, position: 0 };
        if start == Start::Append {
            open.mend(path, &metadata, form)?;
            open.position = open.file.seek(SeekFrom::End(0))?;
        }
        Ok(open)
    }

    pub(super) fn stdout() -> io::Result<Self> {
        // std's buffer is not used: the number of written octets has to be exact.
        let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let metadata = file.metadata()?;
        let kind = if metadata.is_file() || metadata.file_type().is_block_device() {
            Kind::Regular
        } else {
            let may_block = metadata.file_type().is_fifo() || file.is_terminal();
            // A new open of the same file has its own flags.
            match open_for_writing(Path::new("/proc/self/fd/1")).ok().filter(|_| may_block) {
                Some(own) => {
                    file = own;
                    Kind::NonBlocking
                }
                None => Kind::Shared,
            }
        };
        Ok(Self { file, kind, is_stdout: true, is_old: false, position: 0 })
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// True for a regular file that was opened by name: it can be opened again after a rename.
    pub(super) fn has_name(&self) -> bool {
        self.kind == Kind::Regular && !self.is_stdout
    }

    /// Offset of the next write, in a regular file.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// True if another program has truncated the file since the last write.
    pub(super) fn was_cut(&self) -> bool {
        let is_shorter = |metadata: Metadata| metadata.len() < self.position;
        self.kind == Kind::Regular && self.file.metadata().is_ok_and(is_shorter)
    }

    /// Truncates the existing content if that is still to be done.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_old) { self.file.set_len(0) } else { Ok(()) }
    }

    /// Writes octets. Returns the number that was written.
    pub(super) fn write(&mut self, octets: &[u8]) -> (usize, io::Result<()>) {
        if let Err(error) = self.begin() {
            return (0, Err(error));
        }
        let mut written = 0;
        let mut progress = Instant::now();
        let result = loop {
            let rest = &octets[written..];
            if rest.is_empty() {
                break Ok(());
            }
            match self.write_some(rest) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    progress = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !ending::may_wait_for_peer(progress.elapsed()) {
                        break Err(io::Error::new(ErrorKind::TimedOut, "its reader does not read"));
                    }
                    self.wait();
                }
                Err(error) => break Err(error),
            }
        };
        if self.kind == Kind::Regular {
            self.position = self.file.stream_position().unwrap_or(0);
        }
        (written, result)
    }

    fn write_some(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self.kind {
            Kind::Regular | Kind::NonBlocking => self.file.write(octets),
            Kind::Shared if self.is_ready() => self.file.write(&octets[..PAGE.min(octets.len())]),
            Kind::Shared => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// True if a write would not block. A device without poll support counts as ready.
    fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        poll(&mut fds, PollTimeout::ZERO) != Ok(0)
    }

    /// Waits a moment until it accepts more.
    fn wait(&self) {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        let look = PollTimeout::try_from(ending::LOOK).unwrap_or(PollTimeout::ZERO);
        // A signal or an error may end it early. The next write gets the error too.
        let _ended_early = poll(&mut fds, look);
    }

    /// Removes this number of octets that were just written, unless another program has written
    /// since.
    pub(super) fn cut_back(&mut self, octets: usize) {
        let whole = self.position.saturating_sub(octets as u64);
        if octets == 0 || self.kind != Kind::Regular {
            return;
        }
        let is_last = self.file.metadata().is_ok_and(|metadata| metadata.len() == self.position);
        let cut = is_last.then(|| self.file.set_len(whole)).transpose();
        if cut.and_then(|_| self.file.seek(SeekFrom::Start(whole))).is_ok() {
            self.position = whole;
        }
    }

    /// Removes an incomplete piece at the end, from a run that was killed.
    fn mend(&mut self, path: &Path, metadata: &Metadata, form: Form) -> io::Result<()> {
        let name = path.display();
        match form.whole(&self.file, metadata.len())? {
            Some(whole) if whole < metadata.len() => {
                let octets = metadata.len() - whole;
                self.file.set_len(whole)?;
                warn!("{name}: {octets} octets of an incomplete {} are removed", form.piece());
            }
            Some(_) => {}
            None => self.file.write_all(b"\n")?,
        }
        Ok(())
    }
}

/// True if a path is the name of a descriptor. Existing content is then kept, as its opener chose.
fn is_descriptor(path: &Path) -> bool {
    let names = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"];
    names.iter().any(|name| path.starts_with(name))
}

/// Opens for writing only. For a pipe without a reader, retries until it has one or the run has to
/// end.
fn open_for_writing(path: &Path) -> io::Result<File> {
    // With this flag a terminal does not become the controlling terminal of this process.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.append(true).create(true).custom_flags(flags);
    loop {
        let error = match options.open(path) {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        let is_fifo = || path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
        if error.raw_os_error() != Some(Errno::ENXIO as i32) || !is_fifo() {
            return Err(error);
        }
        if ending::is_requested() {
            return Err(io::Error::new(ErrorKind::TimedOut, "it has no reader"));
        }
        std::thread::sleep(ending::LOOK);
    }
}
