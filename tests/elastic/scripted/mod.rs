//! A server of HTTP/1.1 on the loopback that answers as a test tells it, well or badly.
//!
//! Without instructions it does what an engine does, as far as an output of documents sees it.

mod bulk;
mod checks;
mod filter;
mod proxy;
mod request;
mod step;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::{self, setsockopt, sockopt};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub use bulk::{Bulk, Item, Refusal};
pub use proxy::Proxy;
pub use request::Request;
use request::{Head, read_body};
pub use step::{Answer, Manner, Step};

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    scheme: &'static str,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_over: bool,
    requests: Vec<Request>,
    /// Each for one request with such a path.
    next: VecDeque<(String, Step)>,
    /// For requests that have no step of their own.
    always: Vec<(String, Step)>,
    bulk: Bulk,
    /// None when it has ended.
    connections: Vec<Option<TcpStream>>,
    running: usize,
    most_running: usize,
    held: Held,
}

/// Requests that wait until the test lets them go.
#[derive(Debug, Default)]
struct Held {
    /// Since when each waits, the oldest first.
    since: VecDeque<Instant>,
    /// How many were let go before the oldest.
    gone: usize,
    is_over: bool,
}

impl Server {
    pub fn start() -> Self {
        Self::listen("127.0.0.1:0", None)
    }

    /// Listens where another one did.
    pub fn start_at(address: SocketAddr) -> Self {
        Self::listen(&address.to_string(), None)
    }

    /// Speaks TLS. The certificate should be for 127.0.0.1.
    pub fn start_tls(config: ServerConfig) -> Self {
        Self::listen("127.0.0.1:0", Some(Arc::new(config)))
    }

    fn listen(address: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).expect("a port to listen on");
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = Arc::new(listener);
        let (accepting, on) = (Arc::clone(&shared), Arc::clone(&listener));
        let acceptor = thread::spawn(move || accept(&on, &accepting, tls.as_ref()));
        Self { address, listener, scheme, shared, acceptor: Some(acceptor) }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to do with the next request to a path that has no step yet. A query does not count.
    pub fn next(&self, path: &str, step: Step) {
        self.shared.lock().next.push_back((path.to_owned(), step));
    }

    /// What to do with requests to a path when no step for the next one is left.
    pub fn always(&self, path: &str, step: Step) {
        let mut state = self.shared.lock();
        state.always.retain(|(known, _)| known != path);
        state.always.push((path.to_owned(), step));
    }

    /// What is wrong with an item of a `_bulk` request, if anything.
    pub fn refuse(&self, rule: impl FnMut(&Item) -> Option<Refusal> + Send + 'static) {
        self.shared.lock().bulk.refuse(rule);
    }

    /// Bodies of more octets, before compression, are answered with the status 413.
    pub fn limit_bodies(&self, octets: usize) {
        self.shared.lock().bulk.limit_bodies(octets);
    }

    /// The requests so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// The requests to a path so far.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.path() == path);
        requests
    }

    /// Waits until so many requests were read; whether that came in time.
    pub fn wait_for_requests(&self, count: usize, patience: Duration) -> bool {
        let state = self.shared.lock();
        let is_missing = |state: &mut State| state.requests.len() < count;
        let waited = self.shared.changed.wait_timeout_while(state, patience, is_missing);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// The documents that were taken, in the order in which they came.
    pub fn documents(&self) -> Vec<Item> {
        self.shared.lock().bulk.documents().to_vec()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Since when each request waits that the test holds, the oldest first.
    pub fn held(&self) -> Vec<Instant> {
        self.shared.lock().held.since.iter().copied().collect()
    }

    /// Lets the oldest of them go.
    pub fn let_one_go(&self) {
        self.shared.lock().held.pop();
        self.shared.changed.notify_all();
    }

    /// Lets all go, and holds none from now on.
    pub fn let_all_go(&self) {
        self.shared.lock().held.is_over = true;
        self.shared.changed.notify_all();
    }

    /// How many requests waited for their answers at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.lock().most_running
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        for stream in state.connections.iter().flatten() {
            // An error says that the connection is closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
        drop(state);
        self.shared.changed.notify_all();
        // This wakes the acceptor, which may be in another network namespace.
        let closed = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        closed.expect("a listener can be shut down");
        let ended = self.acceptor.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "a thread of the server panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, unless the server ends; whether it goes on.
    fn pause(&self, duration: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), duration, |state| !state.is_over);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    /// Waits until the test lets this request go, or the server ends; whether it goes on.
    fn hold(&self) -> bool {
        let mut state = self.lock();
        let number = state.held.push();
        let waits = |state: &mut State| state.held.has(number) && !state.is_over;
        let waited = self.changed.wait_while(state, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).is_over
    }

    /// Waits until the server ends.
    fn pause_for_ever(&self) {
        let ended = self.changed.wait_while(self.lock(), |state| !state.is_over);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    fn step(&self, path: &str) -> Step {
        let mut state = self.lock();
        let place = state.next.iter().position(|(known, _)| known == path);
        if let Some((_, step)) = place.and_then(|place| state.next.remove(place)) {
            return step;
        }
        let always = state.always.iter().find(|(known, _)| known == path);
        always.map_or_else(Step::emulate, |(_, step)| step.clone())
    }

    /// Lets a connection end as that of a host that knows nothing of it.
    fn reset(&self, number: usize) {
        let at_once = linger { l_onoff: 1, l_linger: 0 };
        let state = self.lock();
        let stream = state.connections[number].as_ref().expect("the connection is there");
        setsockopt(stream, sockopt::Linger, &at_once).expect("a connection can be reset");
    }

    fn record(&self, request: Request) {
        let mut state = self.lock();
        state.requests.push(request);
        state.running += 1;
        state.most_running = state.most_running.max(state.running);
        self.changed.notify_all();
    }
}

impl Held {
    /// Adds one. Returns its number.
    fn push(&mut self) -> usize {
        self.since.push_back(Instant::now());
        self.gone + self.since.len() - 1
    }

    fn pop(&mut self) {
        self.since.pop_front().expect("a request is held");
        self.gone += 1;
    }

    fn has(&self, number: usize) -> bool {
        number >= self.gone && !self.is_over
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, tls: Option<&Arc<ServerConfig>>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        let mut state = shared.lock();
        if state.is_over {
            break;
        }
        let stream = stream.expect("a connection");
        let number = state.connections.len();
        state.connections.push(Some(stream.try_clone().expect("a stream can be shared")));
        drop(state);
        // One octet at a time goes out when it is written.
        stream.set_nodelay(true).expect("a connection without delay");
        let (shared, tls) = (Arc::clone(shared), tls.cloned());
        threads.push(thread::spawn(move || {
            // Errors are those of clients that go away, which they may.
            drop(match tls {
                None => serve(stream, number, &shared),
                Some(config) => {
                    let connection = ServerConnection::new(config).expect("a configuration");
                    serve(StreamOwned::new(connection, stream), number, &shared)
                }
            });
            // Nobody has it any more: it is closed, or reset.
            shared.lock().connections[number] = None;
        }));
    }
    for thread in threads {
        thread.join().expect("no connection panics");
    }
}

/// Answers requests until the client or a step ends the connection.
fn serve(mut stream: impl Read + Write, number: usize, shared: &Shared) -> io::Result<()> {
    while let Some(head) = Head::read(&mut stream)? {
        let step = shared.step(head.path());
        let body = match step.manner {
            Manner::Early | Manner::Unread => Ok(Vec::new()),
            Manner::CutRequest(octets) => {
                let mut begin = Vec::new();
                (&mut stream).take(octets).read_to_end(&mut begin).map(|_| begin)
            }
            _ => read_body(&mut stream, &head),
        };
        let request = head.with_body(body?);
        shared.record(request.clone());
        let goes_on = carry_out(&step, &request, &mut stream, shared);
        shared.lock().running -= 1;
        if matches!(step.manner, Manner::CutRequest(_)) {
            shared.reset(number);
        }
        if !goes_on? {
            break;
        }
    }
    Ok(())
}

/// Does what a step says. Whether the connection goes on.
fn carry_out(
    step: &Step,
    request: &Request,
    stream: &mut impl Write,
    shared: &Shared,
) -> io::Result<bool> {
    if step.is_held {
        if !shared.hold() {
            return Ok(false);
        }
        let step = Step { is_held: false, ..shared.step(request.path()) };
        return carry_out(&step, request, stream, shared);
    }
    let answer = match &step.answer {
        Some(answer) => answer.clone(),
        None if step.manner.does_the_work() => shared.lock().bulk.answer(request),
        None => Answer::status(200),
    };
    if !shared.pause(step.delay) {
        return Ok(false);
    }
    match step.manner {
        Manner::Whole => {
            stream.write_all(&answer.octets())?;
            stream.flush()?;
            return Ok(!request.asks_to_close());
        }
        Manner::Early => {
            stream.write_all(&answer.header("connection", "close").octets())?;
            stream.flush()?;
        }
        Manner::Never | Manner::Unread => shared.pause_for_ever(),
        Manner::CutRequest(_) => {}
        Manner::CutAnswer(octets) => {
            let whole = answer.octets();
            stream.write_all(&whole[..octets.min(whole.len())])?;
            stream.flush()?;
        }
        Manner::Drip(pause) => {
            for octet in answer.octets() {
                stream.write_all(&[octet])?;
                stream.flush()?;
                if !shared.pause(pause) {
                    return Ok(false);
                }
            }
            return Ok(!request.asks_to_close());
        }
        Manner::Garbage => {
            stream.write_all(b"\0\x16\x03SSH-2.0-this is no HTTP\r\n\r\n")?;
            stream.flush()?;
        }
        Manner::Flood(octets) => flood(stream, octets)?,
    }
    Ok(false)
}

/// A body of spaces in chunks, so that its length is not said before.
fn flood(stream: &mut impl Write, octets: u64) -> io::Result<()> {
    const CHUNK: usize = 0x1_0000;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &[b' '; CHUNK], b"\r\n"].concat();
    let begin = Instant::now();
    let mut written = 0;
    while written < octets && begin.elapsed() < FLOOD_TIME {
        stream.write_all(&chunk)?;
        written += CHUNK as u64;
    }
    stream.write_all(b"0\r\n\r\n")?;
    stream.flush()
}

/// A client that reads all of a flood is let go after this.
const FLOOD_TIME: Duration = Duration::from_secs(60);
