//! Signal handlers.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use libc::c_int;

/// A handler that uses only atomics and the clock, because it may interrupt any code.
pub(crate) type Handler = fn();

/// Whether the signal was ignored at the start of this process, as `nohup` does.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the present one, for which zeros are a
    // valid value.
    let action = unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Sets the handler of a signal.
///
/// # Errors
///
/// The system does not permit a handler for it.
pub(crate) fn handle(signal: c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: by its type the handler does only what is permitted in a signal handler.
    unsafe { signal_hook::low_level::register(signal, handler) }.map(drop)
}
