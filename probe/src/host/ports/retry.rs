//! Retries to open an interface: with increasing pauses, up to a minute.

use std::time::{Duration, Instant};

/// The time of the next attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    next: Instant,
    pause: Duration,
}

/// Kind of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The first one. Its failure is logged.
    First,
    /// A later one.
    Again,
}

const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

impl Retry {
    /// The first attempt is due at once.
    pub(super) fn new() -> Self {
        Self { next: Instant::now(), pause: PAUSE_FIRST }
    }

    /// Begins an attempt; `None` if none is due.
    pub(super) fn begin(&mut self) -> Option<Attempt> {
        let now = Instant::now();
        if now < self.next {
            return None;
        }
        let attempt = if self.pause == PAUSE_FIRST { Attempt::First } else { Attempt::Again };
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Some(attempt)
    }
}
