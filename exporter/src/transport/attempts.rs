//! Attempts to reach a collector, one after the other.

use std::time::{Duration, Instant};
use std::{iter, thread};

use log::warn;

use super::answer::NoAnswer;
use super::collector::Unreachable;
use crate::ending;
use crate::error::ExportError;

/// The first pause between two attempts to reach a collector. It doubles with each attempt.
pub(super) const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Retries an attempt to reach a collector, in a replay, until `wait` is over. `doing` is a verb
/// phrase for messages.
pub(super) fn keep_trying<T>(
    doing: &str,
    wait: Duration,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, ExportError> {
    let last_attempt = Instant::now() + wait;
    let pauses = iter::successors(Some(PAUSE_FIRST), |pause| Some(*pause * 2));
    let mut said = false;
    for pause in pauses {
        let reason = match attempt() {
            Ok(reached) => return Ok(reached),
            Err(Failure::ForGood(reason)) => {
                return Err(ExportError::NotOpened(format!("cannot {doing}: {reason}")));
            }
            Err(Failure::ForNow(Unreachable(reason))) => reason,
        };
        let left = last_attempt.saturating_duration_since(Instant::now());
        if ending::is_requested() {
            let words = format!("cannot {doing}: {reason}; the run was interrupted");
            return Err(ExportError::NotOpened(words));
        }
        if left.is_zero() {
            let seconds = wait.as_secs();
            let words = format!("cannot {doing}: {reason}; given up after {seconds} s");
            return Err(ExportError::NotOpened(words));
        }
        if !said {
            warn!("cannot {doing}: {reason}; trying again for {} s", wait.as_secs());
            said = true;
        }
        let end = Instant::now() + pause.min(left);
        while Instant::now() < end && !ending::is_requested() {
            thread::sleep(ending::LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }
    unreachable!("there is always a next pause")
}

/// Reason why an attempt to reach a collector failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another attempt may succeed.
    ForNow(Unreachable),
    /// Another attempt would fail in the same way: a configuration error.
    ForGood(String),
}

impl From<NoAnswer> for Failure {
    fn from(reason: NoAnswer) -> Self {
        Self::ForGood(reason.to_string())
    }
}

impl From<Unreachable> for Failure {
    fn from(unreachable: Unreachable) -> Self {
        Self::ForNow(unreachable)
    }
}
