//! The end of the run, for all who wait for something.
//!
//! A signal ends the whole process, so its end is one for all outputs. The first request ends the
//! run in good order: an output may still wait, but for a bounded time. A request that comes later
//! than two seconds after the first stops waiting.
//!
//! Handlers of signals call [`request`], so there are only atomics and the clock in it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Requests within this time after the first are the same request: `timeout` and a terminal send
/// several signals.
const ONE_REQUEST: Duration = Duration::from_secs(2);

/// After the first request, an output waits at most this long for a peer that takes nothing, and
/// in all this long for its pace.
const PATIENCE: Duration = Duration::from_secs(15);

/// Time between two looks of a thread that waits.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// When the first request came, by [`now`]. 0 is never.
static REQUESTED: AtomicU64 = AtomicU64::new(0);

/// Nothing is waited for any more.
static HURRIED: AtomicBool = AtomicBool::new(false);

/// Asks the run to end. It may be called in the handler of a signal.
pub fn request() {
    let now = now();
    if begin_at(now).is_some_and(|first| now.saturating_sub(first) >= nanos(ONE_REQUEST)) {
        hurry();
    }
}

/// The run ends by itself: outputs wait for their peers no longer than after a request.
pub fn begin() {
    begin_at(now());
}

/// Notes when the end began; the time of an earlier request, if there was one.
fn begin_at(now: u64) -> Option<u64> {
    REQUESTED.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).err()
}

/// Asks the outputs to wait for nothing any more.
pub fn hurry() {
    HURRIED.store(true, Ordering::Relaxed);
}

/// Whether the run was asked to end.
pub fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed) != 0
}

/// Whether the outputs were asked to wait for nothing any more.
pub fn is_hurried() -> bool {
    HURRIED.load(Ordering::Relaxed)
}

/// Whether a thread may wait any longer for a peer that has taken something `idle` ago.
pub fn may_wait_for_peer(idle: Duration) -> bool {
    !is_hurried() && since_request().is_none_or(|past| past.min(idle) < PATIENCE)
}

/// Waits. `false` as soon as the end of the run does not allow it any more.
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

/// Nanoseconds of a clock that is not set; not 0.
fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    nanos(now.unwrap_or_default()).max(1)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
