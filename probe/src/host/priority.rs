//! Real-time priority of AF_XDP workers.
//!
//! An AF_XDP ring holds the frames of a few milliseconds. Another program can keep the CPU for that
//! long, whatever its niceness. So these workers run with SCHED_RR where the system permits it. A
//! worker that needs most of its CPU drops to SCHED_OTHER: otherwise the outputs and the rest of
//! the host would get no time. A worker also drops if it does not pause for 100 ms, because it may
//! wait for a step of a thread that it keeps from running.
//!
//! Rights are given up before threads start. So the main thread takes the priority first, the
//! threads that it starts inherit it, and each thread that does not need it drops it.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, error, info};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};

use crate::host::rights;
use crate::sys::schedule::{is_ordinary, set_real_time};

/// Time between two looks at the CPU share of a worker.
const LOOK: Duration = Duration::from_secs(1);

/// CPU share in percent above which a worker drops to SCHED_OTHER.
const DROP_ABOVE: u128 = 80;

/// CPU share in percent up to which a worker returns to real time.
const RETURN_BELOW: u128 = 60;

/// Longest time that a real-time thread runs without a pause.
const PAUSE_WITHIN: Duration = Duration::from_millis(100);

/// Gives this thread real-time priority; threads that it starts inherit it. Returns whether that
/// was possible. A policy that the user has chosen, by chrt(1) or in a unit, is left.
pub(crate) fn take_real_time() -> bool {
    if !is_ordinary() {
        return false;
    }
    // A worker that has dropped needs this limit to return.
    if let Err(problem) = setrlimit(Resource::RLIMIT_RTPRIO, 1, 1) {
        debug!("a worker that drops to SCHED_OTHER stays there: {}", problem.desc());
    }
    let result = become_real_time();
    if let Err(problem) = &result {
        info!(
            "workers have no real-time priority, so a busy host may lose packets: {problem}; \
             CAP_SYS_NICE or LimitRTPRIO=1 permits it"
        );
    }
    result.is_ok()
}

/// Begin of a thread that needs neither the priority of workers nor capabilities.
pub(crate) fn begin_ordinary(is_real_time: bool) {
    if is_real_time {
        drop_real_time();
    }
    rights::give_up_in_thread().unwrap_or_else(|problem| error!("{problem}"));
}

/// Drops this thread to SCHED_OTHER.
pub(crate) fn drop_real_time() {
    if let Err(problem) = set_real_time(false) {
        debug!("a thread keeps its real-time priority: {problem}");
    }
}

/// Sets the limit of time without a pause each time: the kernel raises it whenever it is reached.
fn become_real_time() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_RTTIME)?;
    let micros = u64::try_from(PAUSE_WITHIN.as_micros()).unwrap_or(u64::MAX);
    setrlimit(Resource::RLIMIT_RTTIME, micros.min(hard), hard)?;
    set_real_time(true)?;
    // The limit counts from the last pause as a real-time thread, which may be long ago.
    thread::sleep(Duration::from_micros(100));
    Ok(())
}

/// The priority of a worker's thread.
#[derive(Debug)]
pub(crate) struct Priority {
    is_real_time: bool,
    looked_at: Instant,
    /// CPU time of this thread at `looked_at`.
    used: Duration,
}

impl Priority {
    /// State of a thread that inherited real-time priority.
    pub(crate) fn inherited() -> Self {
        Self { is_real_time: true, looked_at: Instant::now(), used: processor_time() }
    }

    /// Called twenty times a second. `is_useful`: without real-time priority packets would be lost.
    pub(crate) fn tick(&mut self, is_useful: bool) {
        let passed = self.looked_at.elapsed();
        if passed < LOOK {
            return;
        }
        let used = processor_time();
        let percent = (used - self.used).as_nanos() * 100 / passed.as_nanos();
        (self.looked_at, self.used) = (self.looked_at + passed, used);
        let may_be = may_be_real_time(percent, self.is_real_time);
        // Set each time: the kernel may have ended it.
        self.is_real_time = is_useful && may_be && become_real_time().is_ok();
        if !self.is_real_time {
            drop_real_time();
        }
    }
}

/// Whether a thread with this CPU share may be a real-time thread.
fn may_be_real_time(percent: u128, is_real_time: bool) -> bool {
    percent <= if is_real_time { DROP_ABOVE } else { RETURN_BELOW }
}

/// CPU time of this thread.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use nix::sys::signal::{Signal, raise};

    use super::*;
    use crate::host::namespace::{in_namespace, skip};
    use crate::sys::schedule::handle_time_limits;

    fn spin(time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {}
    }

    #[test]
    fn a_worker_with_a_high_share_drops_until_it_has_a_low_one() {
        assert!(may_be_real_time(DROP_ABOVE, true) && !may_be_real_time(DROP_ABOVE + 1, true));
        assert!(
            may_be_real_time(RETURN_BELOW, false) && !may_be_real_time(RETURN_BELOW + 1, false)
        );
        assert!(!may_be_real_time(DROP_ABOVE, false));
    }

    #[test]
    fn thread_goes_first_while_that_helps() {
        in_namespace(|| {
            if !take_real_time() {
                return skip("real-time priority is not permitted");
            }
            assert!(!is_ordinary());
            assert!(!thread::spawn(is_ordinary).join().unwrap(), "as the one that started it");
            assert!(!take_real_time(), "the policy was chosen");
            let mut priority = Priority::inherited();
            for helps in [true, false, true] {
                thread::sleep(LOOK);
                priority.tick(helps);
                assert_eq!(is_ordinary(), !helps);
            }
        });
    }

    #[test]
    fn limit_of_real_time_drops_a_thread_and_limit_of_cpu_time_ends_the_run() {
        in_namespace(|| {
            static ENDS: AtomicUsize = AtomicUsize::new(0);
            handle_time_limits(|| {
                ENDS.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
            if !take_real_time() {
                return skip("real-time priority is not permitted");
            }
            for _ in 0..2 {
                become_real_time().unwrap();
                spin(PAUSE_WITHIN / 10);
                assert!(!is_ordinary());
                spin(2 * PAUSE_WITHIN);
                assert!(is_ordinary());
            }
            assert_eq!(ENDS.load(Ordering::Relaxed), 0);
            raise(Signal::SIGXCPU).unwrap();
            assert_eq!(ENDS.load(Ordering::Relaxed), 1);
        });
    }
}
