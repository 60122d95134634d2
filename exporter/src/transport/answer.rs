//! Questions that may take long, asked in a thread that ends with the answer.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ending;

/// Calls a function in a thread that ends with it. If the thread cannot start, the channel is
/// closed.
pub(super) fn answer_of<T: Send + 'static>(
    thread: &str,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, answer) = mpsc::sync_channel(1);
    // The receiver may be closed by then.
    let answers = move || drop(sender.send(ask()));
    drop(thread::Builder::new().name(thread.to_owned()).spawn(answers));
    answer
}

/// Waits for an answer, at most this long, or until the run has to end.
pub(super) fn wait_for<T>(answer: &Receiver<T>, longest: Duration) -> Result<T, NoAnswer> {
    let begin = Instant::now();
    loop {
        let left = longest.saturating_sub(begin.elapsed());
        match answer.recv_timeout(left.min(ending::LOOK)) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Err(NoAnswer::NoThread),
            Err(RecvTimeoutError::Timeout) if ending::is_requested() => {
                return Err(NoAnswer::Interrupted);
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(NoAnswer::Late),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Reason why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("there is no answer yet")]
    Late,
    #[error("the run was interrupted")]
    Interrupted,
    #[error("the system has no thread for it")]
    NoThread,
}
