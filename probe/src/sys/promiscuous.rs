//! Promiscuous mode.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use super::option::{self, SocketOption};

/// A socket that can request promiscuous mode on any number of interfaces of its network namespace.
/// It receives nothing.
#[derive(Clone, Debug)]
pub(crate) struct PromiscuousSocket(Arc<OwnedFd>);

/// Keeps an interface in promiscuous mode while it exists: the interface receives all frames on its
/// wire, not only those for its host. The kernel counts requests, so other programs are not
/// affected, and it drops the requests of a process that ends.
#[derive(Debug)]
pub(crate) struct Promiscuous {
    socket: PromiscuousSocket,
    ifindex: u32,
}

impl PromiscuousSocket {
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`.
    pub(crate) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no memory is involved. Protocol 0 means that no frame is delivered.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the socket is new; no other code has its descriptor.
        Ok(Self(Arc::new(unsafe { OwnedFd::from_raw_fd(socket) })))
    }

    /// Turns on promiscuous mode.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no such interface.
    pub(crate) fn join(&self, ifindex: u32) -> io::Result<Promiscuous> {
        self.set(libc::PACKET_ADD_MEMBERSHIP, ifindex)?;
        Ok(Promiscuous { socket: self.clone(), ifindex })
    }

    fn set(&self, name: libc::c_int, ifindex: u32) -> io::Result<()> {
        let membership = libc::packet_mreq {
            mr_ifindex: libc::c_int::try_from(ifindex).unwrap_or(libc::c_int::MAX),
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).expect("a small number"),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        let option = SocketOption { level: libc::SOL_PACKET, name };
        option::set(self.0.as_fd(), option, &membership)
    }
}

impl Drop for Promiscuous {
    fn drop(&mut self) {
        // An interface that is gone has no membership any more.
        drop(self.socket.set(libc::PACKET_DROP_MEMBERSHIP, self.ifindex));
    }
}
