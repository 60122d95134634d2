//! Tests whether this process may use the sockets and maps that capture needs. Each is opened with
//! the same system calls as in a capture, and closed at once. No interface is changed.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use super::packet_ring::{PacketRing, RingSize};
use super::xsk::{Xsk, XskBinding, XskSizes, XskStep};

/// Tries to open a packet socket with a small ring that receives nothing.
///
/// # Errors
///
/// `EAFNOSUPPORT` if the kernel has none, `EPERM` without the capability, any error if a filter of
/// system calls refuses one of them.
pub(crate) fn try_packet_socket() -> io::Result<()> {
    let size = RingSize { block_octets: PAGE, blocks: 1, block_timeout_ms: 1 };
    let ring = PacketRing::open(size)?;
    no_interface(ring.bind(NO_INTERFACE))
}

/// Tries to open an AF_XDP socket with a small memory, without binding it.
///
/// # Errors
///
/// As for a packet socket.
pub(crate) fn try_xdp_socket() -> io::Result<()> {
    let sizes = XskSizes { ring: 2, frames: 2, chunk: 2048 };
    let xsk = match Xsk::new(&sizes) {
        Ok(xsk) => xsk,
        // The limit of locked memory is checked separately.
        Err((XskStep::Memory, problem)) if problem.raw_os_error() == Some(libc::ENOBUFS) => {
            return Ok(());
        }
        Err((_, problem)) => return Err(problem),
    };
    xsk.is_zero_copy()?;
    let (copies, segments) = (false, false);
    no_interface(xsk.bind(&XskBinding { ifindex: NO_INTERFACE, queue: 0, copies, segments }))
}

/// The outcome of binding a socket to an interface that does not exist.
fn no_interface(bound: io::Result<()>) -> io::Result<()> {
    match bound {
        Err(problem) if problem.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        outcome => outcome,
    }
}

/// Tries to create a BPF map of one element.
///
/// # Errors
///
/// `ENOSYS` if the kernel has none, `EPERM` without the capability.
pub(crate) fn try_bpf_map() -> io::Result<()> {
    // Map type (an array), octets of a key, octets of a value, elements.
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 8, 1]);
    let length = size_of_val(&attributes);
    // SAFETY: the kernel reads `length` octets of the attributes.
    let map = unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_mut_ptr(), length) };
    close(libc::c_int::try_from(map).unwrap_or(-1))
}

/// Closes the descriptor that a call opened, or returns its error.
fn close(descriptor: libc::c_int) -> io::Result<()> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new; no other code owns it.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    Ok(())
}

/// The minimum size of a block of a ring.
const PAGE: u32 = 4096;

/// The kernel assigns indexes in increasing order from 1 on, so this one is not in use.
const NO_INTERFACE: u32 = i32::MAX.unsigned_abs();

/// `BPF_MAP_CREATE`.
const MAP_CREATE: libc::c_int = 0;
