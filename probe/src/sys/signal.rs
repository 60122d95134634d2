//! Handlers of signals.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use libc::c_int;

/// A handler that uses atomics and the clock only: it may interrupt any code.
pub(crate) type Handler = fn();

/// Whether this process was started with the signal ignored, as `nohup` does.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the present one, of which zeros are a
    // valid value.
    let action = unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Has a signal call this handler from now on.
///
/// # Errors
///
/// The system does not allow a handler for it.
pub(crate) fn handle(signal: c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: by its type the handler does only what a handler of signals may.
    unsafe { signal_hook::low_level::register(signal, handler) }.map(drop)
}
