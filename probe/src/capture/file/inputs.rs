//! Inputs that the user names: files, folders, pipes.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use log::warn;

use super::decompress::Stream;
use super::pipe::{Pipe, PipeState};
use super::place::FilePlace;

/// A capture file, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `-`.
    Stdin,
    /// A path.
    File(PathBuf),
}

impl Input {
    /// The inputs with these names. A folder stands for the files in it, in the order of their
    /// names, without subfolders and hidden files. A file that is named twice is read once.
    ///
    /// # Errors
    ///
    /// Standard input is named twice.
    pub fn of_names(names: &[PathBuf]) -> Result<Vec<Self>, String> {
        Self::distinct(names).map(|(inputs, _)| inputs)
    }

    /// Warns of files that are named twice.
    pub(crate) fn warn_of_repeated(names: &[PathBuf]) {
        for input in Self::distinct(names).map(|(_, repeated)| repeated).unwrap_or_default() {
            warn!("{} is named twice, and read once", input.name());
        }
    }

    /// The inputs with these names, and those among them that are named again.
    fn distinct(names: &[PathBuf]) -> Result<(Vec<Self>, Vec<Self>), String> {
        let mut inputs = Vec::with_capacity(names.len());
        let mut repeated = Vec::new();
        let mut known = HashSet::new();
        for path in names.iter().flat_map(|name| files_of(name)) {
            let input = if path == Path::new("-") { Self::Stdin } else { Self::File(path) };
            if input == Self::Stdin && inputs.contains(&input) {
                return Err("-r -: standard input can be read only once".to_owned());
            }
            if input.place().is_none_or(|place| known.insert(place)) {
                inputs.push(input);
            } else {
                repeated.push(input);
            }
        }
        Ok((inputs, repeated))
    }

    /// The name for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Whether it is a pipe or another device, which can be opened only once.
    pub fn is_pipe(&self) -> bool {
        match self {
            Self::Stdin => true,
            Self::File(path) => fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()),
        }
    }

    /// The size in octets, if it is known before the file is read.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => {
                let metadata = fs::metadata(path).ok()?;
                metadata.is_file().then_some(metadata.len())
            }
        }
    }

    /// Opens the stream. The octets read from it are counted.
    pub(super) fn open(&self, state: &PipeState) -> io::Result<Stream> {
        let state = state.clone();
        Ok(match self {
            Self::Stdin => {
                // Bypasses the buffer of std, of which poll does not know.
                let fd = io::stdin().as_fd().try_clone_to_owned()?;
                Box::new(Pipe { fd, state })
            }
            Self::File(path) => {
                // A named pipe opens at once, even without a writer.
                let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
                let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
                // Of a folder only that without files is an input itself.
                if file.metadata()?.is_dir() {
                    return Err(io::Error::new(ErrorKind::IsADirectory, "no files in it"));
                }
                if file.metadata()?.is_file() {
                    Box::new(Counted { inner: file, read: state.read })
                } else {
                    Box::new(Pipe { fd: file.into(), state })
                }
            }
        })
    }

    /// Metadata of the file or pipe.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Stdin => File::from(io::stdin().as_fd().try_clone_to_owned()?).metadata(),
            Self::File(path) => path.metadata(),
        }
    }

    /// The file or pipe of this input.
    pub(crate) fn place(&self) -> Option<FilePlace> {
        match self {
            Self::Stdin => FilePlace::of_stdin(),
            Self::File(path) => FilePlace::of_path(path),
        }
    }
}

/// The files of a folder. Any other name, and a folder without files, is returned itself.
fn files_of(name: &Path) -> Vec<PathBuf> {
    let is_hidden =
        |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
    let mut files: Vec<_> = fs::read_dir(name)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && !is_hidden(path))
        .collect();
    files.sort_unstable();
    if files.is_empty() { vec![name.to_owned()] } else { files }
}

/// Counts the octets that are read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: io::Read> io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
