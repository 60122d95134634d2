//! The socket by which `flowprobe ctl` asks a live run.
//!
//! A connection has one request, a line of at most [`REQUEST_MAX`] octets, and one answer, a line
//! of JSON. There are spaces before it if workers have to go through their tables. A thread serves
//! one connection at a time. Who may connect is decided by the permissions of the socket: the
//! program's user and group.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use exporter::sentence;
use log::{LevelFilter, info, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::host::{priority, rights, signals};
use crate::pipeline::table_order::{TableAnswer, TableOrder};
use crate::report::flows::{self, Asked};

/// Octets of a request, with the end of its line.
const REQUEST_MAX: usize = 1024;

/// How long a client may take for its request, and to take the answer.
const CLIENT: Duration = Duration::from_secs(2);

/// How long the main thread may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Time between two spaces to a client that waits for workers to go through their tables. That
/// takes a minute for each 22 M flows that the table of a worker has room for, and twice that while
/// the page looks at the tables too.
const WALK_LOOK: Duration = Duration::from_secs(1);

/// Maximum number of workers that answer.
pub(crate) const WORKERS_MAX: usize = 256;

const NO_ANSWER: &str = "the run does not answer; it may be ending";

/// How long new settings may take until they are in force.
const RELOAD: Duration = Duration::from_secs(60);

/// Time between two looks whether they are.
const RELOAD_LOOK: Duration = Duration::from_millis(100);

/// Time between two checks for the end of the run, in milliseconds.
const LOOK_MS: u16 = 200;

/// The owner and the group may connect.
const MODE: u32 = 0o660;

/// The socket of a run. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    requests: Receiver<Request>,
    has_ended: Arc<AtomicBool>,
}

/// What the main thread is asked for, with the way of the answer.
#[derive(Debug)]
pub(crate) enum Request {
    Totals(Sender<Value>),
    Flows(TableOrder),
    Pause { output: String, pause: bool, answer: Sender<Result<(), String>> },
}

impl Control {
    /// Makes the socket and starts to answer. `is_real_time`: the calling thread has real-time
    /// priority.
    ///
    /// # Errors
    ///
    /// The socket cannot be made, or another program answers there; in one sentence.
    pub(crate) fn open(path: &Path, is_real_time: bool) -> Result<Self, String> {
        let named = |problem: io::Error| {
            let problem = sentence(&problem);
            format!("--control {}: {problem}", path.display())
        };
        let listener = bind(path).map_err(named)?;
        let (ask, requests) = bounded(1);
        let has_ended = Arc::new(AtomicBool::new(false));
        let server = Server { listener, ask, has_ended: Arc::clone(&has_ended) };
        let run = move || {
            if is_real_time {
                priority::drop_real_time();
            }
            match rights::give_up_in_thread() {
                Ok(()) => server.run(),
                Err(problem) => warn!("--control: {problem}"),
            }
        };
        let thread = thread::Builder::new().name("control".to_owned()).spawn(run);
        thread.map_err(named)?;
        Ok(Self { path: path.to_owned(), requests, has_ended })
    }

    /// The next request, if there is one.
    pub(crate) fn request(&self) -> Option<Request> {
        self.requests.try_recv().ok()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        if let Err(problem) = fs::remove_file(&self.path) {
            warn!("cannot remove {}: {}", self.path.display(), sentence(&problem));
        }
    }
}

/// Makes the socket. It gets its name when it has its permissions. One that a run has left is
/// replaced.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "it is a file"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(ErrorKind::AddrInUse, "another program answers there"));
        }
        Ok(_) | Err(_) => {}
    }
    let new = path.with_added_extension("new");
    match fs::remove_file(&new) {
        Err(problem) if problem.kind() != ErrorKind::NotFound => return Err(problem),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(MODE))?;
    fs::rename(&new, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The thread's part.
struct Server {
    listener: UnixListener,
    ask: Sender<Request>,
    has_ended: Arc<AtomicBool>,
}

impl Server {
    fn run(self) {
        while !self.has_ended.load(Ordering::Relaxed) {
            let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut fds, PollTimeout::from(LOOK_MS)), Ok(1)) {
                continue;
            }
            match self.listener.accept() {
                // Who goes away before the answer does not need it.
                Ok((mut stream, _)) => drop(self.serve(&mut stream)),
                // The connection waits until there is a descriptor for it.
                Err(_) => thread::sleep(Duration::from_millis(LOOK_MS.into())),
            }
        }
    }

    fn serve(&self, stream: &mut UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(CLIENT))?;
        let answer = match read_request(stream)? {
            Some(request) => self.answer(&request, stream),
            None => Err(format!("a line of at most {REQUEST_MAX} octets is needed")),
        };
        let answer = answer.unwrap_or_else(|problem| json!({ "error": problem }));
        stream.write_all(format!("{answer}\n").as_bytes())
    }

    fn answer(&self, request: &str, client: &UnixStream) -> Result<Value, String> {
        match request.split_once(' ').unwrap_or((request, "")) {
            ("stats", "") => Ok(json!({ "statistics": self.totals()? })),
            ("reload", "") => self.reload(),
            ("log-level", level) => set_level(level),
            ("flows", words) => flows::show(words, |order| self.flows(order, client, ANSWER)),
            ("expire", words) => flows::expire(words, |order| self.flows(order, client, ANSWER)),
            ("pause", output) => self.pause(output, true),
            ("resume", output) => self.pause(output, false),
            _ => Err("stats, flows, expire, pause, resume, reload or log-level LEVEL is needed"
                .to_owned()),
        }
    }

    fn totals(&self) -> Result<Value, String> {
        let (answer, totals) = bounded(1);
        self.ask(Request::Totals(answer))?;
        totals.recv_timeout(ANSWER).map_err(|_error| NO_ANSWER.to_owned())
    }

    fn ask(&self, request: Request) -> Result<(), String> {
        self.ask.send_timeout(request, ANSWER).map_err(|_error| NO_ANSWER.to_owned())
    }

    /// The answers of all workers to an order about flows. Gives up when no worker does a piece of
    /// it for `patience`.
    fn flows(
        &self,
        order: Asked,
        mut client: &UnixStream,
        patience: Duration,
    ) -> Result<TableAnswer, String> {
        let (answer, answers) = bounded(WORKERS_MAX);
        let (Asked { task, meant }, pieces) = (order, Arc::<AtomicU64>::default());
        let is_over = Arc::<AtomicBool>::default();
        let (of_order, ends) = (Arc::clone(&pieces), Arc::clone(&is_over));
        let order = TableOrder { task, meant, pieces: of_order, is_over: ends, answer };
        self.ask(Request::Flows(order))?;
        let mut sum: Option<TableAnswer> = None;
        let (mut done, mut since) = (0, Instant::now());
        loop {
            match answers.recv_timeout(WALK_LOOK.min(patience)) {
                Ok(None) => return Err("a worker has too much to do; try again".to_owned()),
                Ok(Some(answer)) => {
                    let sum = sum.get_or_insert_default();
                    sum.flows.extend(answer.flows);
                    sum.meant += answer.meant;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return sum.ok_or_else(|| "this run has no table of flows".to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {
                    let before = std::mem::replace(&mut done, pieces.load(Ordering::Relaxed));
                    if done != before {
                        since = Instant::now();
                    } else if since.elapsed() >= patience {
                        return Err(NO_ANSWER.to_owned());
                    }
                    // Without a client the workers leave it, so that other clients do not wait.
                    if let Err(problem) = client.write_all(b" ") {
                        is_over.store(true, Ordering::Relaxed);
                        return Err(format!("the client has left: {}", sentence(&problem)));
                    }
                }
            }
        }
    }

    fn pause(&self, output: &str, pause: bool) -> Result<Value, String> {
        let (answer, done) = bounded(1);
        self.ask(Request::Pause { output: output.to_owned(), pause, answer })?;
        done.recv_timeout(ANSWER).map_err(|_error| NO_ANSWER.to_owned())??;
        Ok(json!({ "output": output, "paused": pause }))
    }

    /// As SIGHUP does, and waits for the outcome.
    fn reload(&self) -> Result<Value, String> {
        let counts = |totals: &Value| {
            let count = |name: &str| totals["reloads"][name].as_u64();
            Some((count("applied")?, count("refused")?))
        };
        let no_file = "the run has no --config: there is nothing to read again";
        let before = counts(&self.totals()?).ok_or(no_file)?;
        signals::request_reopening();
        let begin = Instant::now();
        while begin.elapsed() < RELOAD {
            thread::sleep(RELOAD_LOOK);
            let now = counts(&self.totals()?).ok_or(no_file)?;
            if now.1 > before.1 {
                let kept = "the settings have mistakes, which the log names; all stay as they were";
                return Err(kept.to_owned());
            }
            if now.0 > before.0 {
                return Ok(json!({ "reload": "applied" }));
            }
        }
        Err(format!("the settings are not in force after {} s; see the log", RELOAD.as_secs()))
    }
}

fn set_level(level: &str) -> Result<Value, String> {
    let known = [LevelFilter::Error, LevelFilter::Warn, LevelFilter::Info];
    let found = known.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(level));
    let found = found.ok_or("the levels are error, warn and info")?;
    // The message is there if one of both levels shows it.
    log::set_max_level(found.max(log::max_level()));
    info!("messages from now on: {level}");
    log::set_max_level(found);
    Ok(json!({ "log-level": level }))
}

/// The request without the end of its line. `None` if it is too long or no text.
fn read_request(stream: &mut UnixStream) -> io::Result<Option<String>> {
    let end = Instant::now() + CLIENT;
    let mut request = Vec::new();
    let mut piece = [0; REQUEST_MAX];
    while !request.ends_with(b"\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut piece)?;
        request.extend(piece.iter().take(read));
        if read == 0 || request.len() > REQUEST_MAX {
            return Ok(None);
        }
    }
    let text = String::from_utf8(request).ok();
    Ok(text.map(|text| text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use super::*;
    use crate::pipeline::table_order::{FlowMatch, TableTask};

    /// The answer to an order of which a worker does some pieces, one each 100 ms, and what the
    /// client got until then.
    fn walk(pieces: u32, does_answer: bool) -> (Result<TableAnswer, String>, String) {
        let (client, stream) = UnixStream::pair().unwrap();
        walk_for(client, stream, pieces, does_answer)
    }

    fn walk_for(
        mut client: UnixStream,
        stream: UnixStream,
        pieces: u32,
        does_answer: bool,
    ) -> (Result<TableAnswer, String>, String) {
        let (ask, requests) = bounded(1);
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("control")).unwrap();
        let server = Server { listener, ask, has_ended: Arc::default() };
        let answer = thread::scope(|scope| {
            scope.spawn(|| {
                let Ok(Request::Flows(order)) = requests.recv() else { panic!("no order") };
                for _ in 0..pieces {
                    thread::sleep(Duration::from_millis(100));
                    order.pieces.fetch_add(1, Ordering::Relaxed);
                    if order.is_over.load(Ordering::Relaxed) {
                        return;
                    }
                }
                if does_answer {
                    order.answer.send(Some(TableAnswer::default())).unwrap();
                } else {
                    thread::sleep(Duration::from_secs(3));
                }
            });
            let asked = Asked { task: TableTask::End, meant: FlowMatch::default() };
            server.flows(asked, &stream, Duration::from_secs(1))
        });
        drop(stream);
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        (answer, got)
    }

    #[test]
    fn a_walk_may_take_as_long_as_it_goes_on() {
        let (answer, got) = walk(35, true);
        assert!(answer.is_ok(), "{answer:?}");
        assert!(got.len() >= 2 && got.trim().is_empty(), "{got:?}");
        assert_eq!(walk(1, false).0.unwrap_err(), NO_ANSWER);
    }

    #[test]
    fn a_walk_ends_when_its_client_has_left() {
        let (client, stream) = UnixStream::pair().unwrap();
        client.shutdown(Shutdown::Both).unwrap();
        let begin = Instant::now();
        let (answer, _) = walk_for(client, stream, 600, true);
        assert!(answer.is_err_and(|why| why.contains("left")));
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }
}
