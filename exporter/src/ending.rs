//! The end of the run, for all threads that wait.
//!
//! A signal ends the whole process, so all outputs share one end. The first request ends the run in
//! good order: an output may still wait, but for a bounded time. A request more than two seconds
//! after the first one ends all waiting.
//!
//! Signal handlers call [`request`], so it only uses atomics and the clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Requests within this time after the first count as the same request: `timeout` and a terminal
/// send several signals.
const ONE_REQUEST: Duration = Duration::from_secs(2);

/// After the first request, an output waits at most this long for a peer that accepts nothing, and
/// at most this long in total for its pace.
const PATIENCE: Duration = Duration::from_secs(15);

/// Interval at which a waiting thread checks for the end.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Time of the first request, from [`now`]. 0: no request.
static REQUESTED: AtomicU64 = AtomicU64::new(0);

/// True if all waiting has to end.
static HURRIED: AtomicBool = AtomicBool::new(false);

/// Requests the end of the run. A signal handler may call it.
pub fn request() {
    let now = now();
    if begin_at(now).is_some_and(|first| now.saturating_sub(first) >= nanos(ONE_REQUEST)) {
        hurry();
    }
}

/// The run ends without a request: outputs wait as after a request.
pub fn begin() {
    begin_at(now());
}

/// Sets the time of the first request. Returns the time of an earlier one, if there is one.
fn begin_at(now: u64) -> Option<u64> {
    REQUESTED.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).err()
}

/// Ends all waiting of outputs.
pub fn hurry() {
    HURRIED.store(true, Ordering::Relaxed);
}

/// True if the end of the run was requested.
pub fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed) != 0
}

/// True if all waiting of outputs has to end.
pub fn is_hurried() -> bool {
    HURRIED.load(Ordering::Relaxed)
}

/// True if a thread may still wait for a peer that last accepted something `idle` ago.
pub fn may_wait_for_peer(idle: Duration) -> bool {
    !is_hurried() && since_request().is_none_or(|past| past.min(idle) < PATIENCE)
}

/// Waits. Returns `false` early if the end of the run ends the waiting.
pub(crate) fn pause(duration: Duration) -> bool {
    let begin = Instant::now();
    loop {
        if !may_wait_for_peer(Duration::MAX) {
            return false;
        }
        let left = duration.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Time since the first request.
fn since_request() -> Option<Duration> {
    match REQUESTED.load(Ordering::Relaxed) {
        0 => None,
        at => Some(Duration::from_nanos(now().saturating_sub(at))),
    }
}

/// Nanoseconds of the monotonic clock; never 0.
fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    nanos(now.unwrap_or_default()).max(1)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
