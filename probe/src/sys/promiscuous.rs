//! Promiscuous mode for as long as a socket is open.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use super::option::{self, Plain, SocketOption};

/// `struct packet_mreq`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Membership {
    interface: u32,
    kind: u16,
    address_length: u16,
    address: [u8; 8],
}

// SAFETY: integers, 16 octets without a gap.
unsafe impl Plain for Membership {}

/// An interface takes all frames on its wire, and not only those for its host, while this lives.
/// The kernel counts who asks for it, so that others are not disturbed, and forgets a process that
/// dies.
#[derive(Debug)]
pub(crate) struct Promiscuous {
    _socket: OwnedFd,
}

impl Promiscuous {
    /// Asks for it.
    pub(crate) fn join(ifindex: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no memory is involved. Protocol 0 means that no frame is delivered.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the socket is new; no other code has its descriptor.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        debug_assert!(socket.as_raw_fd() >= 0);
        let membership = Membership {
            interface: ifindex,
            kind: u16::try_from(libc::PACKET_MR_PROMISC).expect("a small number"),
            address_length: 0,
            address: [0; 8],
        };
        let option = SocketOption { level: libc::SOL_PACKET, name: libc::PACKET_ADD_MEMBERSHIP };
        option::set(socket.as_fd(), option, &membership)?;
        Ok(Self { _socket: socket })
    }
}
