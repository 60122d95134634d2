//! Signals that end the run, and signals with requests to the running program.
//!
//! Handlers only set atomics. Threads poll them a few times a second.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use exporter::ending;
use libc::c_int;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::sys::schedule::handle_time_limits;
use crate::sys::signal::{Handler, handle, is_ignored};

/// Number of requests so far to reopen files.
static REOPENINGS: AtomicUsize = AtomicUsize::new(0);

static TOTALS_WANTED: AtomicBool = AtomicBool::new(false);

const ENDING_BY_USERS: [c_int; 3] = [SIGINT, SIGTERM, SIGQUIT];

/// Signals of timers that were set before the program started, of files, and of power failures.
/// Without a handler each of them ends the process at once.
const ENDING_BY_SYSTEM: [c_int; 6] =
    [libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF, libc::SIGIO, libc::SIGPWR, libc::SIGSTKFLT];

/// Kind of the run, on which the meaning of SIGHUP depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Replay,
    Live,
}

/// Sets the handlers of a run. The returned flag is set when the run must end.
///
/// A signal that is ignored at the start stays ignored, as `nohup` and shells require.
///
/// # Errors
///
/// The system does not allow a handler.
pub(crate) fn set_up(run: Run) -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    // A program that was started on a terminal ends with the terminal.
    let hangup_ends = run == Run::Replay || has_terminal();
    let mut ending = [&ENDING_BY_USERS[..], &ENDING_BY_SYSTEM].concat();
    ending.extend(hangup_ends.then_some(SIGHUP));
    for &signal in ending.iter().filter(|&&signal| !is_ignored(signal)) {
        handle(signal, ending::request)?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let (ends, flag) = (!is_ignored(libc::SIGXCPU), Arc::clone(&stop));
    handle_time_limits(move || {
        if ends {
            ending::request();
            flag.store(true, Ordering::Relaxed);
        }
    })?;
    let others: [(c_int, Handler); 4] = [
        (SIGHUP, request_reopening),
        (SIGUSR1, || TOTALS_WANTED.store(true, Ordering::Relaxed)),
        (SIGUSR2, || {}),
        // A write beyond the limit of a file's size then fails, as on a full disk.
        (libc::SIGXFSZ, || {}),
    ];
    for (signal, handler) in others {
        if !is_ignored(signal) && !ending.contains(&signal) {
            handle(signal, handler)?;
        }
    }
    Ok(stop)
}

/// Number of requests so far to reopen files.
pub(crate) fn reopenings() -> usize {
    REOPENINGS.load(Ordering::Relaxed)
}

/// Requests what SIGHUP requests.
pub(crate) fn request_reopening() {
    REOPENINGS.fetch_add(1, Ordering::Relaxed);
}

/// Whether totals were requested since the last call.
pub(crate) fn take_totals_wanted() -> bool {
    TOTALS_WANTED.swap(false, Ordering::Relaxed)
}

/// Whether the process has a controlling terminal.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
