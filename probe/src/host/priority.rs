//! Workers of `AF_XDP` go before other programs.
//!
//! Their rings hold the frames of a few milliseconds, and as long is what another program keeps a
//! processor once it has it, however nice it is. So they are real-time threads where the system
//! permits it, but only while they need a part of their processor: one that needs most of it would
//! keep everybody else from it, the outputs of this program too. And none goes on without a pause:
//! what it waits for may be what a thread does that it keeps from going on.
//!
//! Rights are given up before threads start. So the main thread becomes a real-time thread while
//! it may, those that it starts are so too, and each that need not be ends it for itself.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, info};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};

use crate::sys::schedule::{end_endless_real_time, is_ordinary, set_real_time};

/// How often a worker looks how much of its processor it needs.
const LOOK: Duration = Duration::from_secs(1);

/// Who needs more percent than this goes with the others,
const MUCH: u128 = 80;

/// and who needs less than this goes first again.
const LITTLE: u128 = 60;

/// So long may a thread go first without a pause.
const ENDLESS: Duration = Duration::from_millis(100);

/// Makes this thread, and those that it will start, real-time threads; whether that was possible.
/// Where somebody has decided on their priority, it stays.
pub(crate) fn go_first() -> bool {
    if !is_ordinary() {
        return false;
    }
    // Without this a worker that once needed much does not get back what it gave up.
    if let Err(problem) = setrlimit(Resource::RLIMIT_RTPRIO, 1, 1) {
        debug!("a worker that needs much stays an ordinary thread: {}", problem.desc());
    }
    let result = end_endless_real_time().and_then(|_| become_real_time());
    if let Err(problem) = &result {
        info!(
            "workers do not go before other programs, so a busy host may lose packets: {problem}; \
             CAP_SYS_NICE or LimitRTPRIO=1 permits it"
        );
    }
    result.is_ok()
}

/// Makes this thread an ordinary one.
pub(crate) fn go_with_others() {
    if let Err(problem) = set_real_time(false) {
        debug!("a thread keeps its priority: {problem}");
    }
}

/// The kernel makes the limit longer each time that it is reached.
fn become_real_time() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_RTTIME)?;
    let micros = u64::try_from(ENDLESS.as_micros()).unwrap_or(u64::MAX);
    setrlimit(Resource::RLIMIT_RTTIME, micros.min(hard), hard)?;
    set_real_time(true)?;
    // It counts from the last pause as a real-time thread, which may be long ago.
    thread::sleep(Duration::from_micros(100));
    Ok(())
}

/// Of a worker's thread.
#[derive(Debug)]
pub(crate) struct Priority {
    goes_first: bool,
    looked: Instant,
    /// Processor time of this thread up to then.
    used: Duration,
}

impl Priority {
    /// Of a thread that was started by one that goes first.
    pub(crate) fn inherited() -> Self {
        Self { goes_first: true, looked: Instant::now(), used: processor_time() }
    }

    /// Twenty times a second: whether it helps that this thread goes first.
    pub(crate) fn tick(&mut self, helps: bool) {
        let passed = self.looked.elapsed();
        if passed < LOOK {
            return;
        }
        let used = processor_time();
        let percent = (used - self.used).as_nanos() * 100 / passed.as_nanos();
        (self.looked, self.used) = (self.looked + passed, used);
        let may = may_go_first(percent, self.goes_first);
        // Again and again: the kernel may have ended it.
        self.goes_first = helps && may && become_real_time().is_ok();
        if !self.goes_first {
            go_with_others();
        }
    }
}

/// Whether a thread that needs so many percent of its processor may go first, if it does so or not.
fn may_go_first(percent: u128, goes_first: bool) -> bool {
    percent <= if goes_first { MUCH } else { LITTLE }
}

/// Of this thread.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::namespace::{in_namespace, skip};

    fn spin(time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {}
    }

    #[test]
    fn who_needs_much_goes_with_others_until_it_needs_little() {
        assert!(may_go_first(MUCH, true) && !may_go_first(MUCH + 1, true));
        assert!(may_go_first(LITTLE, false) && !may_go_first(LITTLE + 1, false));
        assert!(!may_go_first(MUCH, false));
    }

    #[test]
    fn thread_goes_first_while_that_helps() {
        in_namespace(|| {
            if !go_first() {
                return skip("no thread may go first");
            }
            assert!(!is_ordinary());
            assert!(!thread::spawn(is_ordinary).join().unwrap(), "as the one that started it");
            assert!(!go_first(), "somebody has decided");
            let mut priority = Priority::inherited();
            for helps in [true, false, true] {
                thread::sleep(LOOK);
                priority.tick(helps);
                assert_eq!(is_ordinary(), !helps);
            }
        });
    }

    #[test]
    fn thread_without_a_pause_does_not_go_first_for_long() {
        in_namespace(|| {
            if !go_first() {
                return skip("no thread may go first");
            }
            for _ in 0..2 {
                become_real_time().unwrap();
                spin(ENDLESS / 10);
                assert!(!is_ordinary());
                spin(2 * ENDLESS);
                assert!(is_ordinary());
            }
        });
    }
}
