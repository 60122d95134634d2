//! Why the spool cannot do something, and what the user can do about it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::BatchTally;
use crate::error::sentence;

const NO_ROOM: [ErrorKind; 3] =
    [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];

/// redb's kinds for a file that is cut, or does not begin as one of redb.
const NO_DATABASE: [ErrorKind; 2] = [ErrorKind::InvalidData, ErrorKind::UnexpectedEof];

/// A failure of the spool. A batch that was pushed in vain is still the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The directory cannot be created, opened or locked.
    #[error("cannot use {} as spool directory: {reason}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// Another process, or another spool of this process, uses the directory.
    #[error("the spool directory {} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file system, the quota or the limit of file sizes has no room. The spool tries again.
    #[error("no room to write the spool file {}: {reason}", path.display())]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// Another failure to read or write the file. The spool tries again.
    #[error("cannot read or write the spool file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// The file is damaged, or is none of a spool. It stays as it is.
    #[error(
        "the spool file {} is damaged or is no spool ({reason}): move it away to start with an \
         empty spool, which gives up the batches in it",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// One batch is not as it was pushed. The spool has it no more, and it counts as lost.
    #[error("a batch of {} records in the spool file {} is damaged and lost", lost.records.records,
        path.display())]
    BatchDamaged {
        /// The file.
        path: PathBuf,
        /// The batch that is lost.
        lost: BatchTally,
        /// Whether the batch is of an earlier run.
        of_earlier_run: bool,
    },
}

impl SpoolError {
    pub(super) fn directory(path: &Path, error: &io::Error) -> Self {
        Self::Directory { path: path.to_owned(), reason: sentence(error) }
    }

    pub(super) fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }

    /// The kind for an error of the operating system about the file.
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        let kind = error.kind();
        let (path, reason) = (path.to_owned(), sentence(error));
        if NO_ROOM.contains(&kind) {
            Self::NoRoom { path, reason }
        } else if NO_DATABASE.contains(&kind) {
            Self::Damaged { path, reason }
        } else {
            Self::File { path, reason }
        }
    }

    /// The kind for an error of redb.
    pub(super) fn redb(path: &Path, error: &redb::Error) -> Self {
        if let redb::Error::Io(error) = error {
            Self::io(path, error)
        } else if matches!(error, redb::Error::DatabaseAlreadyOpen) {
            Self::InUse { path: path.to_owned() }
        } else if matches!(error, redb::Error::PreviousIo) {
            Self::File { path: path.to_owned(), reason: "an earlier write failed".to_owned() }
        } else {
            Self::damaged(path, error)
        }
    }
}
