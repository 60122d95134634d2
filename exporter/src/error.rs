//! Why an output cannot go on, in one sentence.

use std::io;

/// An output that could not be opened, or that has given up. What it was given is counted.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct ExportError {
    sentence: String,
    reader_left: bool,
}

impl ExportError {
    /// Whether it is only that the reader of standard output wants no more.
    pub fn is_reader_left(&self) -> bool {
        self.reader_left
    }

    /// What was tried, on what, and why it failed; then what to do.
    pub(crate) fn new(tried: impl Into<String>) -> Self {
        Self { sentence: tried.into(), reader_left: false }
    }

    pub(crate) fn io(tried: &str, error: &io::Error) -> Self {
        Self::new(format!("{tried}: {}", sentence(error)))
    }

    pub(crate) fn reader_left(name: &str) -> Self {
        Self { sentence: format!("the reader of {name} has left"), reader_left: true }
    }
}

/// The operating system's words for an error, without Rust's number of it.
pub fn sentence(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" (os error").unwrap_or(text.len());
    let mut chars = text[..end].chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}
