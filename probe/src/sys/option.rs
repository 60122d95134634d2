//! Socket options without a safe library.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A value that the kernel reads or writes octet by octet.
///
/// # Safety
///
/// Every octet pattern is a valid value of the type, and it has no padding: it consists of integers
/// without gaps.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for libc::c_int {}
// SAFETY: integers without gaps.
unsafe impl Plain for [u32; 3] {}
// SAFETY: integers, 16 octets without a gap.
unsafe impl Plain for libc::packet_mreq {}

/// Level and name of an option.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketOption {
    pub(super) level: libc::c_int,
    pub(super) name: libc::c_int,
}

/// Sets an option.
pub(super) fn set<T: Plain>(
    socket: BorrowedFd<'_>,
    option: SocketOption,
    value: &T,
) -> io::Result<()> {
    // SAFETY: integers have no pointers in them.
    unsafe { set_any(socket, option, value) }
}

/// Gives a socket a program of classic BPF, by an option that takes a `sock_fprog`.
pub(super) fn attach(
    socket: BorrowedFd<'_>,
    name: libc::c_int,
    program: &[libc::sock_filter],
) -> io::Result<()> {
    let value = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap_or(u16::MAX),
        // The kernel only reads it and keeps a copy.
        filter: program.as_ptr().cast_mut(),
    };
    let option = SocketOption { level: libc::SOL_SOCKET, name };
    // SAFETY: the pointer in it is to `len` instructions.
    unsafe { set_any(socket, option, &value) }
}

/// Sets an option.
///
/// # Safety
///
/// Pointers in the value must be valid for the use of this option.
unsafe fn set_any<T>(socket: BorrowedFd<'_>, option: SocketOption, value: &T) -> io::Result<()> {
    let length = length_of::<T>();
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the kernel reads `length` octets from `value`, which has this length and is borrowed
    // here. The caller guarantees its content.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), option.level, option.name, value, length) };
    check(result).map(drop)
}

/// Gets an option. Fields that an old kernel does not know are zero.
pub(super) fn get<T: Plain>(socket: BorrowedFd<'_>, option: SocketOption) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut length = length_of::<T>();
    // SAFETY: the kernel writes at most `length` octets to `value`, which has this length.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            option.level,
            option.name,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    check(result)?;
    // SAFETY: all octets were initialized, at least with zeros, and all octet patterns are a valid
    // `T`.
    Ok(unsafe { value.assume_init() })
}

/// The result of a system call that returns a negative number with an error.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub(super) fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("the kernel's structures have a few octets")
}
