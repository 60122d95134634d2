//! Repeated warnings are suppressed for some time.

use std::fmt::Display;
use std::time::{Duration, Instant};

use log::warn;

/// Minimum time between two warnings of a kind.
const INTERVAL: Duration = Duration::from_secs(60);

/// One kind of problem. The first warning is logged, then at most one in a minute, with the number
/// of suppressed ones.
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
            1 => warn!("{text} (and once more)"),
            skipped => warn!("{text} (and {skipped} more times)"),
        }
        *self = Self { last: Some(Instant::now()), skipped: 0 };
    }
}
