//! The start of a run, in which it may wait for ever for files, pipes and names.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use exporter::ending;
use log::error;

use crate::report::logger;

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
    pub(crate) fn begin() -> Self {
        let (over, is_over) = channel::<()>();
        let watch = move || {
            let mut requested = None;
            while is_over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if !ending::is_requested() {
                    continue;
                }
                if requested.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    error!("the run was interrupted before it began");
                    logger::release();
                    std::process::exit(1);
                }
            }
        };
        // Without a thread, signals are noticed at the next check of the program.
        drop(thread::Builder::new().name("start".to_owned()).spawn(watch));
        Self { _over: over }
    }
}
