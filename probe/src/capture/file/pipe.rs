//! Pipes and standard input. They may be silent for a long time: even then an interrupt must be
//! noticed, and ended flows must leave.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Time between two checks of a silent pipe for an interrupt, in milliseconds.
const LOOK_MS: u16 = 100;

/// State that pipes share with the source.
#[derive(Clone, Default)]
pub(super) struct PipeState {
    /// Octets read of all files.
    pub(super) read: Arc<AtomicU64>,
    /// The run is interrupted.
    pub(super) stop: Arc<AtomicBool>,
    /// All files are open: from now on, a read of a silent pipe returns `WouldBlock`.
    pub(super) opened: Arc<AtomicBool>,
}

pub(super) struct Pipe {
    pub(super) fd: OwnedFd,
    pub(super) state: PipeState,
}

impl Read for Pipe {
    /// Reads the octets that are there. After an interrupt, the input has ended.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if all files are open and nothing came for a while. The next call continues.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            if self.state.stop.load(Ordering::Relaxed) {
                return Ok(0);
            }
            let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(LOOK_MS)) {
                Ok(0) if self.state.opened.load(Ordering::Relaxed) => {
                    return Err(ErrorKind::WouldBlock.into());
                }
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match nix::unistd::read(&self.fd, &mut *buffer) {
                // Another reader of the same pipe was faster.
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                count => break count?,
            }
        };
        self.state.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
