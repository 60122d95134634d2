//! Standard output, whose reader may be blocked.

use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use anstream::stdout;
use crossbeam_channel::{RecvTimeoutError, bounded};
use exporter::{ending, sentence};
use log::error;

/// Time between two checks while standard output takes no data.
const LOOK: Duration = Duration::from_millis(50);

/// Writes to standard output. It is no failure if the reader has closed it. Does not wait for a
/// blocked reader beyond the end of the run.
pub(crate) fn print(text: &[u8]) -> bool {
    let text = text.to_vec();
    let (done, result) = bounded(1);
    // The receiver of the result may be gone by then.
    let write = move || drop(done.send(write_to_stdout(&text)));
    let begin = Instant::now();
    let thread = thread::Builder::new().name("print".to_owned()).spawn(write);
    let result = thread.and_then(|_thread| {
        loop {
            match result.recv_timeout(LOOK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) if ending::may_wait_for_peer(begin.elapsed()) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "nobody reads it"));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("it failed")),
            }
        }
    });
    match result {
        Ok(()) => true,
        Err(problem) if problem.kind() == ErrorKind::BrokenPipe => true,
        Err(problem) => {
            error!("cannot write to standard output: {}", sentence(&problem));
            false
        }
    }
}

fn write_to_stdout(text: &[u8]) -> io::Result<()> {
    let mut stdout = stdout();
    stdout.write_all(text)?;
    stdout.flush()
}
