//! Errors of outputs, as sentences.

use std::io;

/// An output that could not be opened, or that has given up. All its records are counted. Each
/// error has a sentence: the action, its object, and the reason of the failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It could not be opened.
    #[error("{0}")]
    NotOpened(String),
    /// It gave up: the records that it could not send or write are lost.
    #[error("{0}")]
    GaveUp(String),
    /// The reader of a pipe has closed it, which is not a failure.
    #[error("the reader of {0} has closed it")]
    ReaderLeft(String),
}

impl ExportError {
    /// True if the reader of a pipe has closed it.
    pub fn is_reader_left(&self) -> bool {
        matches!(self, Self::ReaderLeft(_))
    }
}

/// The operating system's text for an error, without Rust's error number. For the limit of open
/// files, the remedy follows.
pub fn sentence(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" (os error").unwrap_or(text.len());
    let mut chars = text[..end].chars();
    let words: String =
        chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect());
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            format!("{words}; raise the limit (LimitNOFILE of systemd, ulimit -n)")
        }
        _ => words,
    }
}
