//! Why an output cannot go on, in one sentence.

use std::io;

/// An output that could not be opened, or that has given up. What it was given is counted. Each
/// holds a sentence: what was tried, on what, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It could not be opened.
    #[error("{0}")]
    NotOpened(String),
    /// It has lost what it cannot send any more, or cannot write.
    #[error("{0}")]
    GaveUp(String),
    /// The reader of a pipe wants no more, which is no fault.
    #[error("the reader of {0} has left")]
    ReaderLeft(String),
}

impl ExportError {
    /// Whether it is only that the reader of a pipe wants no more.
    pub fn is_reader_left(&self) -> bool {
        matches!(self, Self::ReaderLeft(_))
    }
}

/// The operating system's words for an error, without Rust's number of it. Where the limit of open
/// files is reached, the remedy follows.
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
