//! Files with secrets.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use log::warn;

use crate::error::sentence;

/// Mode bit of a file: all users can read it.
const OTHERS_READ: u32 = 0o004;

/// Reads a secret: the first line of a file.
///
/// # Errors
///
/// The file cannot be read, or its first line is empty.
pub(crate) fn read(path: &Path, secret: &str) -> Result<String, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {}", path.display(), sentence(&error)))?;
    warn_of_readers(path, secret);
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(line.to_owned()) }
}

/// Warns if every user of this host can read a file with a secret.
pub(crate) fn warn_of_readers(path: &Path, secret: &str) {
    let is_readable = |mode: u32, is_file: bool| is_file && mode & OTHERS_READ != 0;
    let metadata = path.metadata();
    if metadata.is_ok_and(|metadata| is_readable(metadata.mode(), metadata.is_file())) {
        let path = path.display();
        warn!("{path}: every user of this host can read this {secret}; chmod o-r {path}");
    }
}
