//! Turns: one test of a process at a time has what takes much memory.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long other tests may have their turns.
const PATIENCE: Duration = Duration::from_secs(600);

/// Who waits for a turn.
#[derive(Debug)]
pub struct Queue {
    is_taken: Mutex<bool>,
    given_back: Condvar,
}

impl Queue {
    pub const fn new() -> Self {
        Self { is_taken: Mutex::new(false), given_back: Condvar::new() }
    }

    /// Waits for a turn, which lasts until it is dropped.
    #[track_caller]
    pub fn wait(&'static self) -> Turn {
        let is_taken = self.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.given_back.wait_timeout_while(is_taken, PATIENCE, |is_taken| *is_taken);
        let (mut is_taken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "another test has its turn for {PATIENCE:?}");
        *is_taken = true;
        Turn(self)
    }
}

/// The turn of a test.
#[derive(Debug)]
pub struct Turn(&'static Queue);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.given_back.notify_one();
    }
}
