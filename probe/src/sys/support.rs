//! Whether this process can have what captures are made of. Each is tried, and undone at once;
//! none of it touches an interface.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Tries a packet socket that receives nothing.
///
/// # Errors
///
/// `EAFNOSUPPORT` where the kernel has none, `EPERM` without the right.
pub(crate) fn try_packet_socket() -> io::Result<()> {
    try_socket(libc::AF_PACKET)
}

/// Tries an AF_XDP socket that is bound to nothing.
///
/// # Errors
///
/// As for a packet socket.
pub(crate) fn try_xdp_socket() -> io::Result<()> {
    try_socket(libc::AF_XDP)
}

/// Tries a BPF map of one element.
///
/// # Errors
///
/// `ENOSYS` where the kernel has none, `EPERM` without the right.
pub(crate) fn try_bpf_map() -> io::Result<()> {
    // The kind (an array), octets of a key, octets of a value, elements.
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 8, 1]);
    let length = size_of_val(&attributes);
    // SAFETY: the kernel reads as many octets of the attributes as it is told there are.
    let map = unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_mut_ptr(), length) };
    close(libc::c_int::try_from(map).unwrap_or(-1))
}

fn try_socket(family: libc::c_int) -> io::Result<()> {
    // SAFETY: no memory is involved.
    close(unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })
}

/// Closes what a call opened, if it did.
fn close(descriptor: libc::c_int) -> io::Result<()> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new; no other code owns it.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    Ok(())
}

/// `BPF_MAP_CREATE`.
const MAP_CREATE: libc::c_int = 0;
