//! The width of terminals.

use std::io::{stderr, stdin, stdout};
use std::os::fd::AsFd;

use rustix::termios::{isatty, tcgetwinsize};

/// Columns of standard output, if it is a terminal whose width is known.
pub(crate) fn columns_of_stdout() -> Option<usize> {
    columns_of(stdout())
}

/// Columns of standard error, if it is a terminal whose width is known.
pub(crate) fn columns_of_stderr() -> Option<usize> {
    columns_of(stderr())
}

/// Columns of the first standard stream that is a terminal, or as the environment says.
pub(crate) fn columns() -> Option<usize> {
    columns_of(stdout())
        .or_else(|| columns_of(stderr()))
        .or_else(|| columns_of(stdin()))
        .or_else(columns_of_environment)
}

fn columns_of(stream: impl AsFd) -> Option<usize> {
    if !isatty(&stream) {
        return None;
    }
    // A terminal over a serial line does not know its size.
    let columns = tcgetwinsize(&stream).map_or(0, |size| usize::from(size.ws_col));
    (columns > 0).then_some(columns).or_else(columns_of_environment)
}

fn columns_of_environment() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok()?.parse().ok()?;
    (columns > 0).then_some(columns)
}
