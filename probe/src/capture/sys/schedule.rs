//! Who goes first on a processor (sched(7)).

use std::io;

use libc::{c_int, c_long};

/// Has this thread go before all that are not real-time threads, or makes it one of them.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_NICE` and a limit (`RLIMIT_RTPRIO`) of at least 1, or where a filter of
/// system calls rules it out. To be ordinary is always allowed.
pub(crate) fn set_real_time(real_time: bool) -> io::Result<()> {
    let (policy, priority) = if real_time { (libc::SCHED_RR, 1) } else { (libc::SCHED_OTHER, 0) };
    let parameter = Parameter { priority };
    // Of libc's functions of this name some mean the whole process, and musl's does nothing.
    let (call, thread): (c_long, c_int) = (libc::SYS_sched_setscheduler, 0);
    // SAFETY: the kernel reads the parameter, a `struct sched_param`, and keeps no pointer to it.
    let result = unsafe { libc::syscall(call, thread, policy, &raw const parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `struct sched_param` of the kernel.
#[repr(C)]
struct Parameter {
    priority: c_int,
}
