//! The start of a run, in which it may wait for ever for files, pipes and names.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use exporter::ending;

use crate::report::output::TotalsOutput;

/// Time between two looks at the end of the run.
const LOOK: Duration = Duration::from_millis(50);

/// Time for the program to end by itself after a signal.
const PATIENCE: Duration = Duration::from_secs(1);

/// While this exists, a signal ends the program even if it waits. Nothing has been read yet, so
/// nothing is lost.
#[derive(Debug)]
pub(crate) struct Start {
    _over: Sender<()>,
}

impl Start {
    pub(crate) fn begin(stats: &Arc<TotalsOutput>) -> Self {
        let stats = Arc::clone(stats);
        let (over, is_over) = channel::<()>();
        let watch = move || {
            let mut requested = None;
            while is_over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if !ending::is_requested() {
                    continue;
                }
                if requested.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    stats.fail(&["the run was interrupted before it began".to_owned()]);
                    std::process::exit(1);
                }
            }
        };
        // Without a thread, signals are noticed at the next check of the program.
        drop(thread::Builder::new().name("start".to_owned()).spawn(watch));
        Self { _over: over }
    }
}
