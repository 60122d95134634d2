//! The pace of the workers of a live run, of packets and of datagrams.

use std::thread;
use std::time::Duration;

use log::warn;
use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};

/// Time between two ticks of a worker.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Ticks between two flushes of a batch that is not full.
pub(super) const TICKS_PER_BATCH: u32 = 5;

/// Longest time in which sockets are emptied at the end.
pub(super) const DRAIN: Duration = Duration::from_millis(500);

/// Waits until one of the sockets is readable, or for `longest`. `what`: what comes from them.
pub(super) fn wait(sockets: &mut [PollFd<'_>], longest: Duration, what: &str) {
    // `poll` takes whole milliseconds, and 0 would not wait.
    let millis = longest + Duration::from_millis(1);
    let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::ZERO);
    match poll(sockets, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(problem) => {
            warn!("cannot wait for {what}: {}", problem.desc());
            thread::sleep(longest);
        }
    }
}
