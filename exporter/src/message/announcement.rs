//! Times at which templates and options are due.

use std::time::Duration;

use flow::Timestamp;

/// Interval of repeated templates and options. A UDP collector cannot request them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refresh {
    /// Time between two announcements, by the trace clock.
    pub(crate) interval: Duration,
    /// Messages between two announcements.
    pub(crate) messages: u32,
}

/// Templates and options of the current transport session.
#[derive(Debug)]
pub(super) struct Announcements {
    /// `None`: once for each session is enough.
    refresh: Option<Refresh>,
    /// Time of the last announcement, and messages sent since. `None`: not yet sent.
    last: Option<(Timestamp, u32)>,
}

impl Announcements {
    pub(super) fn new(refresh: Option<Refresh>) -> Self {
        Self { refresh, last: None }
    }

    /// True if they are repeated, because the collector may have lost them.
    pub(super) fn are_repeated(&self) -> bool {
        self.refresh.is_some()
    }

    /// True if they were sent in this session.
    pub(super) fn were_sent(&self) -> bool {
        self.last.is_some()
    }

    #[inline]
    pub(super) fn are_due(&self, clock: Timestamp) -> bool {
        match (self.last, self.refresh) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((at, messages)), Some(refresh)) => {
                messages >= refresh.messages
                    || u128::from(clock.abs_diff(at)) >= refresh.interval.as_millis()
            }
        }
    }

    /// Sets the time of an announcement, before it is sent.
    pub(super) fn sent(&mut self, clock: Timestamp) {
        self.last = Some((clock, 0));
    }

    /// Restarts the count of messages after an announcement, so that its own messages do not count.
    pub(super) fn begin_count(&mut self) {
        if let Some((_, messages)) = &mut self.last {
            *messages = 0;
        }
    }

    pub(super) fn count_message(&mut self) {
        if let Some((_, messages)) = &mut self.last {
            *messages += 1;
        }
    }

    /// They have to be sent first: a session began, or they have changed.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}
