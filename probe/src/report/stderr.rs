//! Standard error. A reader that does not read is not waited for beyond the end of the run.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use exporter::ending;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Time between two looks at the end of the run, in milliseconds.
const LOOK_MS: u16 = 50;

/// A pipe or terminal that is ready takes so much without blocking.
const PAGE: usize = 4096;

/// Writes text. There is no other place for a message about a failure, so there is none.
pub(crate) fn write(text: &[u8]) {
    let stderr = io::stderr();
    let mut stderr = stderr.lock();
    let mut progress = Instant::now();
    for piece in text.chunks(PAGE) {
        while !is_ready(&stderr) {
            if !ending::may_wait_for_peer(progress.elapsed()) {
                return;
            }
        }
        if stderr.write_all(piece).is_err() {
            return;
        }
        progress = Instant::now();
    }
}

/// Whether a write would not block, after a moment that a signal may end. What cannot say that is
/// ready.
fn is_ready(stream: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    !matches!(poll(&mut fds, PollTimeout::from(LOOK_MS)), Ok(0) | Err(Errno::EINTR))
}
