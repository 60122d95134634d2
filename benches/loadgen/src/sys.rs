//! The one system call without a library.

#![allow(unsafe_code, reason = "a system call, behind a safe function")]

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc::{SOL_PACKET, c_int, setsockopt, socklen_t};

/// From linux/if_packet.h.
const PACKET_QDISC_BYPASS: c_int = 20;

/// Makes a packet socket send frames directly to the driver.
pub(super) fn bypass_queueing(socket: BorrowedFd<'_>) -> io::Result<()> {
    let yes: c_int = 1;
    let length = socklen_t::try_from(size_of_val(&yes)).expect("four");
    let value = (&raw const yes).cast();
    // SAFETY: the descriptor is open while it is borrowed. The kernel reads `length` octets of a
    // value that lives until the call returns.
    let status =
        unsafe { setsockopt(socket.as_raw_fd(), SOL_PACKET, PACKET_QDISC_BYPASS, value, length) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
