//! The pace of datagrams: bursts overflow the socket buffers of collectors.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::ending;

/// Limits the average number of datagrams per second.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// Time at which the next datagram may be sent.
    due: Instant,
}

/// Unused time is lost, except this much, because a sleep takes longer than requested.
const SLACK: Duration = Duration::from_millis(2);

impl Pace {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.get(), due: Instant::now() }
    }

    /// Waits until this number of datagrams may be sent. `false` if the run ends before.
    pub(crate) fn wait_for(&mut self, datagrams: u32) -> bool {
        let now = Instant::now();
        if let Some(early) = self.due.checked_duration_since(now)
            && !ending::pause(early)
        {
            return false;
        }
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        self.due = self.due.max(earliest) + self.interval * datagrams;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_leave_at_the_rate_and_not_faster() {
        let mut pace = Pace::new(NonZeroU32::new(10_000).unwrap());
        let begin = Instant::now();
        for _ in 0..100 {
            assert!(pace.wait_for(16));
        }
        let elapsed = begin.elapsed();
        // 1,600 datagrams take 160 ms, less the first group and the slack.
        assert!(elapsed >= Duration::from_millis(155), "{elapsed:?}");
        assert!(elapsed < Duration::from_millis(2000), "{elapsed:?}");
    }
}
