//! Warnings that come once, not once for each error.

use std::fmt::Display;
use std::time::{Duration, Instant};

use log::warn;

/// The same warning is not given again before this has passed.
const INTERVAL: Duration = Duration::from_secs(60);

/// One kind of trouble: the first time is logged, then at most once a minute, with the number of
/// times between.
#[derive(Debug, Default)]
pub(crate) struct Muted {
    last: Option<Instant>,
    skipped: u64,
}

impl Muted {
    pub(crate) fn warn(&mut self, text: impl Display) {
        if self.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            self.skipped += 1;
            return;
        }
        match self.skipped {
            0 => warn!("{text}"),
            skipped => warn!("{text} (and {skipped} times more)"),
        }
        *self = Self { last: Some(Instant::now()), skipped: 0 };
    }
}
