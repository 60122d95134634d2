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

/// Sets the handler of SIGXCPU, which stands for two limits. A real-time thread has reached
/// `RLIMIT_RTTIME`: it ran for that long without a pause, and drops to SCHED_OTHER. An ordinary
/// thread runs when the process reaches `RLIMIT_CPU`: `end` is called, which uses only atomics and
/// the clock. The kernel sends the signal again each second, so `end` is called soon even if a
/// real-time thread runs at that moment.
///
/// # Errors
///
/// The errno of `sigaction`.
pub(crate) fn handle_time_limits(end: impl Fn() + Send + Sync + 'static) -> io::Result<SigId> {
    let handler = move || {
        if is_ordinary() {
            end();
        } else {
            drop(set_real_time(false));
        }
    };
    // SAFETY: these system calls are permitted in a signal handler, and their errors are numbers
    // without allocation. `end` does only what is permitted.
    unsafe { register(SIGXCPU, handler) }
}

/// `struct sched_param` of the kernel.
#[repr(C)]
struct Parameter {
    priority: c_int,
}
