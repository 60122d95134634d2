//! The scheduling policy of a thread (sched(7)).

use std::io;

use libc::{c_int, c_long};
use signal_hook::SigId;
use signal_hook::consts::SIGXCPU;
use signal_hook::low_level::register;

/// Whether this thread has the policy SCHED_OTHER.
pub(crate) fn is_ordinary() -> bool {
    // SAFETY: no memory is involved. 0 is this thread.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    policy == c_long::from(libc::SCHED_OTHER)
}

/// Gives this thread SCHED_RR with priority 1, or SCHED_OTHER.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_NICE` and with an `RLIMIT_RTPRIO` of 0, if a filter of system calls
/// forbids it, or if the control group has no real-time share.
pub(crate) fn set_real_time(real_time: bool) -> io::Result<()> {
    let (policy, priority) = if real_time { (libc::SCHED_RR, 1) } else { (libc::SCHED_OTHER, 0) };
    let parameter = Parameter { priority };
    // Some functions of libc with this name act on the whole process, and musl's does nothing.
    let (call, thread): (c_long, c_int) = (libc::SYS_sched_setscheduler, 0);
    // SAFETY: the kernel reads the parameter, a `struct sched_param`, and keeps no pointer to it.
    let result = unsafe { libc::syscall(call, thread, policy, &raw const parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// From now on, a real-time thread that reaches `RLIMIT_RTTIME` without a pause drops to
/// SCHED_OTHER. The kernel sends SIGXCPU to that thread.
///
/// # Errors
///
/// The errno of `sigaction`.
pub(crate) fn limit_real_time() -> io::Result<SigId> {
    let make_ordinary = || drop(set_real_time(false));
    // SAFETY: this system call is permitted in a signal handler, which does nothing else. Its error
    // is a number without allocation.
    unsafe { register(SIGXCPU, make_ordinary) }
}

/// `struct sched_param` of the kernel.
#[repr(C)]
struct Parameter {
    priority: c_int,
}
