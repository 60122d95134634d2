//! Who goes first on a processor (sched(7)).

use std::io;

use libc::{c_int, c_long};
use signal_hook::SigId;
use signal_hook::consts::SIGXCPU;
use signal_hook::low_level::register;

/// Whether this thread is neither a real-time thread nor one of another special kind.
pub(crate) fn is_ordinary() -> bool {
    // SAFETY: no memory is involved. 0 is this thread.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    policy == c_long::from(libc::SCHED_OTHER)
}

/// Has this thread go before all that are not real-time threads, or makes it an ordinary one.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_NICE` and a limit (`RLIMIT_RTPRIO`) of at least 1, where a filter of
/// system calls rules it out, or where the control group has no share of real-time threads.
pub(crate) fn set_real_time(real_time: bool) -> io::Result<()> {
    let (policy, priority) = if real_time { (libc::SCHED_RR, 1) } else { (libc::SCHED_OTHER, 0) };
    let parameter = Parameter { priority };
    // Of libc's functions of this name some mean the whole process, and musl's does nothing.
    let (call, thread): (c_long, c_int) = (libc::SYS_sched_setscheduler, 0);
    // SAFETY: the kernel reads the parameter, a `struct sched_param`, and keeps no pointer to it.
    let result = unsafe { libc::syscall(call, thread, policy, &raw const parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// From now on a real-time thread that has gone on without a pause for as long as it may
/// (`RLIMIT_RTTIME`) becomes an ordinary one, whatever it is doing. The kernel tells the thread
/// itself.
///
/// # Errors
///
/// What the system says.
pub(crate) fn end_endless_real_time() -> io::Result<SigId> {
    let make_ordinary = || drop(set_real_time(false));
    // SAFETY: a signal handler may make this system call, and does nothing else: an error of it is
    // a number, that nothing is allocated for.
    unsafe { register(SIGXCPU, make_ordinary) }
}

/// `struct sched_param` of the kernel.
#[repr(C)]
struct Parameter {
    priority: c_int,
}
