//! What the program tells a service manager (sd_notify(3)): that it captures, what it does, that
//! it is alive, that it reads its settings. Without `NOTIFY_SOCKET` it tells nothing.

use std::time::{Duration, Instant};

use exporter::sentence;
use log::warn;
use sd_notify::NotifyState;

/// Time between two lines of status.
const STATUS: Duration = Duration::from_secs(10);

/// Part of the time that the service manager grants after which it gets a sign of life.
const PART: u32 = 3;

/// The service manager.
pub(crate) struct Service {
    /// Time within which it needs a sign of life. `None`: it needs none.
    pub(crate) watchdog: Option<Duration>,
    next_sign: Instant,
    next_status: Instant,
    /// A message could not be sent. That is said once.
    has_failed: bool,
}

impl Service {
    pub(crate) fn find() -> Self {
        let now = Instant::now();
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            next_sign: now,
            next_status: now,
            has_failed: false,
        }
    }

    /// Everything is open, and all threads have started.
    pub(crate) fn ready(&mut self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Gives a sign of life when it is due, if the program is alive.
    pub(crate) fn sign(&mut self, is_alive: impl FnOnce() -> bool) {
        let Some(watchdog) = self.watchdog else { return };
        if Instant::now() >= self.next_sign && is_alive() {
            self.next_sign = Instant::now() + watchdog / PART;
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// Says what the program does, now and then.
    pub(crate) fn status(&mut self, words: impl FnOnce() -> String) {
        if Instant::now() >= self.next_status {
            self.next_status = Instant::now() + STATUS;
            self.tell(&[NotifyState::Status(&words())]);
        }
    }

    /// The program reads its settings again, until it is ready again.
    pub(crate) fn reloading(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_no_clock) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// The program ends.
    pub(crate) fn stopping(&mut self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&mut self, state: &[NotifyState<'_>]) {
        if let Err(problem) = sd_notify::notify(state)
            && !std::mem::replace(&mut self.has_failed, true)
        {
            warn!("cannot notify the service manager: {}", sentence(&problem));
        }
    }
}
