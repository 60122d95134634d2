//! Standard input, which may be silent for long: an interrupt is to be noticed then too.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often a silent input looks for an interrupt, in milliseconds.
const LOOK_MS: u16 = 100;

pub(super) struct Stdin {
    read: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Stdin {
    pub(super) fn open(read: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Box<dyn Read + Send> {
        Box::new(Self { read, stop })
    }
}

impl Read for Stdin {
    /// Reads what there is; after an interrupt, the input has ended.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(0);
            }
            let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(LOOK_MS)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => break,
                Err(error) => return Err(error.into()),
            }
        }
        // Past std's own buffer, which poll does not know of.
        let count = nix::unistd::read(stdin.as_fd(), buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
