//! The hosts of a service and their state.

use std::time::{Duration, Instant};

/// The first pause after a failure. It doubles with each failure, up to the maximum.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The hosts, used in turn.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    hosts: Vec<Health>,
    next: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    /// Consecutive failures.
    failures: u32,
    /// Consecutive answers of an overloaded cluster.
    overloads: u32,
    /// End of the pause, in which the host gets no requests.
    pause_end: Option<Instant>,
}

/// The number of a host, from 0.
pub(crate) type HostIndex = usize;

impl Hosts {
    pub(super) fn new(count: usize) -> Self {
        Self { hosts: vec![Health::default(); count], next: 0 }
    }

    /// The next host without a pause, or the end of the first pause.
    pub(super) fn pick(&mut self, now: Instant) -> Result<HostIndex, Instant> {
        let count = self.hosts.len();
        let ready = (0..count)
            .map(|step| (self.next + step) % count)
            .find(|&index| !self.hosts[index].is_paused(now));
        if let Some(index) = ready {
            self.next = (index + 1) % count;
            return Ok(index);
        }
        let ends = self.hosts.iter().filter_map(|host| host.pause_end);
        Err(ends.min().unwrap_or(now))
    }

    /// Time at which the first host is available.
    pub(super) fn ready(&self, now: Instant) -> Instant {
        let ready = |host: &Health| host.pause_end.unwrap_or(now).max(now);
        self.hosts.iter().map(ready).min().unwrap_or(now)
    }

    /// True if the last request failed: the next one is a small request that checks the host.
    pub(super) fn is_in_doubt(&self, index: HostIndex) -> bool {
        self.hosts[index].failures > 0
    }

    /// A request succeeded: ends the pause.
    pub(super) fn succeeded(&mut self, index: HostIndex) {
        self.hosts[index] = Health::default();
    }

    /// The host answers, but the cluster is overloaded. Pauses the host as after a failure,
    /// beginning with a tenth of [`PAUSE`].
    pub(super) fn overloaded(&mut self, index: HostIndex, now: Instant, part: f64) {
        let host = &mut self.hosts[index];
        if host.is_paused(now) {
            return;
        }
        let pause = random_part(PAUSE / 10, host.overloads, part);
        *host = Health {
            failures: 0,
            overloads: host.overloads.saturating_add(1),
            pause_end: now.checked_add(pause),
        };
    }

    /// The same, but the cluster has accepted a part of the request: the pause does not grow.
    pub(super) fn partly_overloaded(&mut self, index: HostIndex, now: Instant, part: f64) {
        self.hosts[index].overloads = 0;
        self.overloaded(index, now, part);
    }

    /// The host has failed. The pause is a random part of a time that doubles with each failure. It
    /// is at least the time that the host asks for, up to [`PAUSE_MAX`]. `part` is from 0 to 1.
    pub(super) fn failed(
        &mut self,
        index: HostIndex,
        now: Instant,
        asked: Option<Duration>,
        part: f64,
    ) {
        let host = &mut self.hosts[index];
        let asked = now.checked_add(asked.unwrap_or_default().min(PAUSE_MAX));
        // Requests in flight together fail together: they count as one failure.
        if !host.is_paused(now) {
            let pause = random_part(PAUSE, host.failures, part);
            host.failures = host.failures.saturating_add(1);
            host.pause_end = now.checked_add(pause);
        }
        host.pause_end = host.pause_end.max(asked);
    }
}

impl Health {
    fn is_paused(&self, now: Instant) -> bool {
        self.pause_end.is_some_and(|end| now < end)
    }
}

/// A random part of a pause that was doubled this many times, at most [`PAUSE_MAX`].
fn random_part(first: Duration, doubled: u32, part: f64) -> Duration {
    let longest = first.saturating_mul(1 << doubled.min(6)).min(PAUSE_MAX);
    longest.mul_f64(part.clamp(0.05, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn hosts_are_used_in_turn_and_those_that_failed_are_left_out() {
        let now = Instant::now();
        let mut hosts = Hosts::new(3);
        let picked = |hosts: &mut Hosts| hosts.pick(now).unwrap();
        assert_eq!([0, 1, 2, 0].map(|_| picked(&mut hosts)), [0, 1, 2, 0]);
        hosts.failed(1, now, None, 1.0);
        assert_eq!([0; 3].map(|_| picked(&mut hosts)), [2, 0, 2]);
        hosts.succeeded(1);
        assert_eq!([0; 3].map(|_| picked(&mut hosts)), [0, 1, 2]);
    }

    #[test]
    fn pause_doubles_up_to_a_minute_and_ends_with_success() {
        let mut now = Instant::now();
        let mut hosts = Hosts::new(1);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            hosts.failed(0, now, None, 1.0);
            assert_eq!(hosts.pick(now), Err(now + seconds * SECOND));
            now += seconds * SECOND;
        }
        hosts.succeeded(0);
        assert_eq!(hosts.pick(now), Ok(0));
        hosts.failed(0, now, None, 1.0);
        assert_eq!(hosts.pick(now), Err(now + SECOND));
        assert!(hosts.is_in_doubt(0));
    }

    #[test]
    fn host_says_how_long_to_wait() {
        let now = Instant::now();
        let mut hosts = Hosts::new(1);
        hosts.failed(0, now, Some(7 * SECOND), 0.5);
        assert_eq!(hosts.pick(now), Err(now + 7 * SECOND));
        // What another request was told counts too.
        hosts.failed(0, now + SECOND, Some(7000 * SECOND), 0.5);
        assert_eq!(hosts.pick(now), Err(now + 61 * SECOND));
        // It cannot be asked without a pause.
        let mut hosts = Hosts::new(1);
        hosts.failed(0, now, Some(Duration::ZERO), 0.5);
        assert_eq!(hosts.pick(now), Err(now + SECOND / 2));
    }

    #[test]
    fn pause_of_an_overloaded_cluster_grows_only_while_it_accepts_nothing() {
        let mut now = Instant::now();
        let mut hosts = Hosts::new(1);
        for tenths in [1, 2, 4] {
            hosts.overloaded(0, now, 1.0);
            assert_eq!(hosts.pick(now), Err(now + tenths * SECOND / 10));
            now += tenths * SECOND / 10;
        }
        for _ in 0..3 {
            hosts.partly_overloaded(0, now, 1.0);
            assert_eq!(hosts.pick(now), Err(now + SECOND / 10));
            now += SECOND / 10;
        }
        hosts.overloaded(0, now, 1.0);
        assert_eq!(hosts.pick(now), Err(now + 2 * SECOND / 10));
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let now = Instant::now();
        let mut hosts = Hosts::new(2);
        for _ in 0..8 {
            hosts.failed(0, now, None, 1.0);
            hosts.overloaded(1, now, 1.0);
        }
        assert_eq!(hosts.pick(now), Err(now + SECOND / 10));
        hosts.failed(1, now + SECOND / 10, None, 1.0);
        assert_eq!(hosts.pick(now + SECOND / 2), Err(now + SECOND));
    }
}
