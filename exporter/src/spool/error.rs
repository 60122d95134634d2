//! Errors of the spool, with remedies for the user.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::batch::BatchTally;
use crate::error::sentence;
use flow::words::noun;

const NO_ROOM: [ErrorKind; 3] =
    [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];

/// redb's kinds of errors for a file that is truncated, or is not one of redb.
const NO_DATABASE: [ErrorKind; 2] = [ErrorKind::InvalidData, ErrorKind::UnexpectedEof];

/// A failure of the spool. After a failed push, the caller still has the batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The directory cannot be created, opened or locked.
    #[error("cannot use {} as spool directory: {reason}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's text.
        reason: String,
    },
    /// Another process, or another spool of this process, uses the directory.
    #[error("the spool directory {} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file system, the quota or the limit of file sizes has no room. The spool retries later.
    #[error("no room to write the spool file {}: {reason}", path.display())]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// The operating system's text.
        reason: String,
    },
    /// Another failure to read or write the file. The spool retries later.
    #[error("cannot read or write the spool file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's text.
        reason: String,
    },
    /// The file is damaged, or is not one of a spool. It is not changed.
    #[error(
        "the spool file {} is damaged or is no spool ({reason}): move it away to start with an \
         empty spool, which gives up the batches in it",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Reason why it is refused.
        reason: String,
    },
    /// A batch is different from what was pushed. It is removed from the spool and counts as lost.
    #[error("a batch of {} {} in the spool file {} is damaged and lost", lost.records.records,
        noun(lost.records.records, "record", "records"), path.display())]
    BatchDamaged {
        /// The file.
        path: PathBuf,
        /// The lost batch.
        lost: BatchTally,
        /// True if the batch is of an earlier run.
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

    /// The kind of an error of the operating system about the file.
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

    /// The kind of an error of redb.
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
