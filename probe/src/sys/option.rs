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
    let length = length_of::<T>();
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the kernel reads `length` octets from `value`, which has this length and is borrowed
    // here.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), option.level, option.name, value, length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all octets were initialized, at least with zeros, and all octet patterns are a valid
    // `T`.
    Ok(unsafe { value.assume_init() })
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("an option has a few octets")
}
