//! Standard error. Writes do not wait for a blocked reader beyond the end of the run.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use exporter::ending;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Time between two checks for the end of the run, in milliseconds.
const LOOK_MS: u16 = 50;

/// Octets that a writable pipe or terminal takes without blocking.
const PAGE: usize = 4096;

/// Writes text. Failures are ignored, because there is no other place for messages.
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

/// Whether a write would not block. Waits for a moment, which a signal may end. A stream that
/// cannot be polled counts as ready.
fn is_ready(stream: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    !matches!(poll(&mut fds, PollTimeout::from(LOOK_MS)), Ok(0) | Err(Errno::EINTR))
}
