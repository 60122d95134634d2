//! Files with secrets.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use log::warn;

/// Mode bit of a file: all users can read it.
const OTHERS_READ: u32 = 0o004;

/// Warns if every user of this host can read a file with a secret.
pub(crate) fn warn_of_readers(path: &Path, secret: &str) {
    let is_readable = |mode: u32, is_file: bool| is_file && mode & OTHERS_READ != 0;
    let metadata = path.metadata();
    if metadata.is_ok_and(|metadata| is_readable(metadata.mode(), metadata.is_file())) {
        let path = path.display();
        warn!("{path}: every user of this host can read this {secret}; chmod o-r {path}");
    }
}
