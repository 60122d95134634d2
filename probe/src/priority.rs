//! Workers of `AF_XDP` go before other programs.
//!
//! Their rings hold the frames of a few milliseconds, and as long is what another program keeps a
//! processor once it has it, however nice it is. So they are real-time threads where the system
//! permits it, but only while they have idle moments: one that has none would keep everybody else
//! from the processor, the outputs of this program too.
//!
//! The right is used before it is given up with all others: the main thread becomes a real-time
//! thread, those that it starts are so too, and each that need not be ends it for itself.

use log::debug;
use nix::sys::resource::{Resource, setrlimit};

use crate::capture::sys::schedule::set_real_time;

/// Ticks without an idle moment, after which a worker is an ordinary thread: a second.
const BUSY_TICKS_MAX: u32 = 20;

/// Makes this thread, and those that it will start, real-time threads.
pub(crate) fn go_first() {
    // Without this a worker that was busy for too long does not get back what it gave up.
    if let Err(problem) = setrlimit(Resource::RLIMIT_RTPRIO, 1, 1) {
        debug!("a worker without idle moments stays an ordinary thread: {}", problem.desc());
    }
    if let Err(problem) = set_real_time(true) {
        debug!("no worker goes before other programs: {problem}");
    }
}

/// Makes this thread an ordinary one.
pub(crate) fn go_with_others() {
    if let Err(problem) = set_real_time(false) {
        debug!("a thread keeps its priority: {problem}");
    }
}

/// Of a worker's thread.
#[derive(Debug)]
pub(crate) struct Priority {
    goes_first: bool,
    busy_ticks: u32,
}

impl Priority {
    /// As the thread that started this one has it.
    pub(crate) fn inherited() -> Self {
        Self { goes_first: true, busy_ticks: 0 }
    }

    /// Twenty times a second: whether the worker needs to go first, and whether it had an idle
    /// moment.
    pub(crate) fn tick(&mut self, needed: bool, was_idle: bool) {
        self.busy_ticks = if was_idle { 0 } else { self.busy_ticks.saturating_add(1) };
        let goes_first = needed && self.busy_ticks < BUSY_TICKS_MAX;
        if goes_first != self.goes_first && set_real_time(goes_first).is_ok() {
            self.goes_first = goes_first;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::namespace::in_namespace;

    /// Of this thread, as the kernel says: the 41st number behind the name.
    fn is_real_time() -> bool {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let policy = fields.split_whitespace().nth(38).unwrap();
        policy.parse() == Ok(libc::SCHED_RR)
    }

    #[test]
    fn worker_without_idle_moments_goes_with_others() {
        in_namespace(|| {
            go_first();
            let mut priority = Priority::inherited();
            assert!(is_real_time());
            assert!(thread::spawn(is_real_time).join().unwrap(), "as the one that started it");
            let mut tick = |was_idle| {
                priority.tick(true, was_idle);
                is_real_time()
            };
            assert!((1..BUSY_TICKS_MAX).all(|_| tick(false)));
            assert!(!tick(false) && !tick(false));
            assert!(tick(true));
            // Not all at once.
            assert!((1..BUSY_TICKS_MAX).all(|_| tick(false)) && tick(true) && tick(false));
            priority.tick(false, true);
            assert!(!is_real_time(), "not needed");
            go_with_others();
            assert!(!is_real_time());
        });
    }
}
