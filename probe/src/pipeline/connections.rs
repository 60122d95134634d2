//! Connections of exporters: IPFIX over TCP, plain or under TLS (RFC 7011 section 10.4).
//!
//! All is bounded: the connections, the octets of an unfinished message, the time for one, and the
//! time of TLS before the first message. The kernel finds peers that are gone (keepalive).

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exporter::{error_with_exporter, sentence};
use log::warn;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval};
use rustls::{ServerConfig, ServerConnection};

use crate::host::listeners::StreamListener;
use crate::pipeline::framing::{Malformed, take};
use crate::report::collected::CollectReport;

/// Most connections of all workers.
const CONNECTIONS_MAX: usize = 512;

/// Octets that are read at once.
const READ: usize = 64 << 10;

/// Reads of a connection in its turn.
const READS: usize = 8;

/// Connections that are taken in a turn.
const TAKEN: usize = 64;

/// Time for the rest of a message, and for the handshake of TLS.
const SLOW: Duration = Duration::from_secs(10);

/// Time for the first message.
const SILENT: Duration = Duration::from_secs(300);

/// Time between two messages about connections.
const SAID: Duration = Duration::from_secs(60);

/// Seconds without octets, after which the kernel asks whether the peer is still there; seconds
/// between two such questions, and how many have no answer before it is gone.
const KEEPALIVE: [u32; 3] = [60, 10, 6];

/// Takes the messages of connections.
pub(super) trait MessageSink {
    /// Whether connections from this address are taken.
    fn allows(&self, from: SocketAddr) -> bool;

    /// Takes a message of a connection. False if it is malformed.
    fn message(&mut self, connection: u64, from: SocketAddr, octets: &[u8]) -> bool;

    /// A connection has ended.
    fn ended(&mut self, connection: u64, from: SocketAddr);

    /// The counts.
    fn report(&mut self) -> &mut CollectReport;
}

/// The connections of a worker.
pub(super) struct Connections {
    listeners: Vec<StreamListener>,
    open: Vec<Connection>,
    /// Most of them.
    most: usize,
    /// The number of the next one.
    next: u64,
    buffer: Box<[u8]>,
    /// What went wrong last, until it is said.
    trouble: Option<String>,
    /// When something was said.
    said: Option<Instant>,
    /// No connection is taken until the next tick, because there are no more descriptors.
    rests: bool,
}

struct Connection {
    /// The listener in messages.
    listener: Arc<str>,
    number: u64,
    from: SocketAddr,
    wire: Wire,
    /// The octets of a message that is not complete.
    unfinished: Vec<u8>,
    has_message: bool,
    /// When it was opened, or the last message ended.
    since: Instant,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<ServerConnection>, TcpStream),
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its peer has closed it.
    Closed,
    /// For an error, or for a malformed message.
    Reset,
    Slow,
}

impl Connections {
    /// The connections of one of so many workers, none yet.
    pub(super) fn new(listeners: Vec<StreamListener>, workers: usize) -> Self {
        let octets = if listeners.is_empty() { 0 } else { READ };
        Self {
            listeners,
            open: Vec::new(),
            most: CONNECTIONS_MAX.div_ceil(workers.max(1)),
            next: 0,
            buffer: vec![0; octets].into_boxed_slice(),
            trouble: None,
            said: None,
            rests: false,
        }
    }

    /// Number of sockets at which connections come in.
    pub(super) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// All sockets, to wait for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = PollFd<'_>> {
        let listeners = self.listeners.iter().map(AsFd::as_fd);
        let events = if self.rests { PollFlags::empty() } else { PollFlags::POLLIN };
        let listeners = listeners.map(move |socket| PollFd::new(socket, events));
        listeners.chain(self.open.iter().map(Connection::poll))
    }

    /// Takes new connections, and what has come over the others. Returns whether more may be there.
    pub(super) fn round(&mut self, sink: &mut impl MessageSink) -> bool {
        if self.listeners.is_empty() {
            return false;
        }
        let mut sockets: Vec<_> = self.sockets().collect();
        if !matches!(poll(&mut sockets, PollTimeout::ZERO), Ok(1..)) {
            return false;
        }
        let is_ready = |socket: &PollFd<'_>| socket.any().unwrap_or(true);
        let ready: Vec<_> = sockets.iter().map(is_ready).collect();
        let (listeners, ready) = ready.split_at(self.listeners.len());
        let has_new = listeners.contains(&true);
        let Self { open, buffer, trouble, .. } = self;
        let mut ready = ready.iter();
        open.retain_mut(|connection| {
            if !ready.next().is_some_and(|is_ready| *is_ready) {
                return true;
            }
            let end = connection.read(buffer, sink, trouble);
            end.into_iter().for_each(|end| connection.end(end, sink));
            end.is_none()
        });
        if has_new {
            self.take_new(sink);
        }
        true
    }

    /// Closes connections that are too slow.
    pub(super) fn tick(&mut self, sink: &mut impl MessageSink) {
        let now = Instant::now();
        self.rests = false;
        self.open.retain(|connection| {
            let is_slow = connection.is_slow(now);
            if is_slow {
                connection.end(End::Slow, sink);
            }
            !is_slow
        });
        let is_silent = self.said.is_none_or(|said| now.duration_since(said) >= SAID);
        if is_silent && let Some(trouble) = self.trouble.take() {
            warn!("{trouble}");
            self.said = Some(now);
        }
    }

    /// Closes all connections, at the end of the run.
    pub(super) fn finish(&mut self, sink: &mut impl MessageSink) {
        self.open.drain(..).for_each(|connection| connection.end(End::Closed, sink));
    }

    fn take_new(&mut self, sink: &mut impl MessageSink) {
        let mut taken = Vec::new();
        for StreamListener { socket, tls, name, .. } in &self.listeners {
            for accepted in (0..TAKEN).map(|_| socket.accept()) {
                match accepted {
                    Ok((stream, from)) => taken.push((stream, from, tls.clone(), Arc::clone(name))),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        let error = sentence(&error);
                        self.trouble =
                            Some(format!("{name}: a connection cannot be taken: {error}"));
                        sink.report().connections_delayed += 1;
                        self.rests = true;
                        break;
                    }
                }
            }
        }
        for (stream, from, tls, listener) in taken {
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            if !sink.allows(from) || !self.has_room(sink) {
                self.trouble = Some(format!("{listener}: the connection of {from} is refused"));
                sink.report().connections_refused += 1;
                continue;
            }
            sink.report().connections += 1;
            match Wire::new(stream, tls) {
                Ok(wire) => {
                    self.open.push(Connection {
                        listener,
                        number: self.next,
                        from,
                        wire,
                        unfinished: Vec::new(),
                        has_message: false,
                        since: Instant::now(),
                    });
                    self.next += 1;
                }
                Err(_gone) => sink.report().connections_reset += 1,
            }
        }
    }

    /// Whether there is room for another connection. The oldest that has sent no message gives way.
    fn has_room(&mut self, sink: &mut impl MessageSink) -> bool {
        if self.open.len() < self.most {
            return true;
        }
        let silent = self.open.iter().position(|connection| !connection.has_message);
        silent.map(|place| self.open.remove(place).end(End::Slow, sink)).is_some()
    }
}

impl Connection {
    fn poll(&self) -> PollFd<'_> {
        let (socket, wants_write) = match &self.wire {
            Wire::Plain(stream) => (stream, false),
            Wire::Tls(tls, stream) => (stream, tls.wants_write()),
        };
        let write = if wants_write { PollFlags::POLLOUT } else { PollFlags::empty() };
        PollFd::new(socket.as_fd(), PollFlags::POLLIN | write)
    }

    /// Reads what has come. Returns how the connection has ended, if it has.
    fn read(
        &mut self,
        buffer: &mut [u8],
        sink: &mut impl MessageSink,
        trouble: &mut Option<String>,
    ) -> Option<End> {
        for _ in 0..READS {
            let Self { number, from, wire, unfinished, .. } = self;
            let was_between_messages = unfinished.is_empty();
            let read = wire.read(buffer, unfinished);
            let was_complete = match take(unfinished, |octets| sink.message(*number, *from, octets))
            {
                Ok(messages) => messages > 0,
                Err(Malformed) => {
                    *trouble = Some(self.words("a malformed message"));
                    return Some(End::Reset);
                }
            };
            if was_complete {
                (self.has_message, self.since) = (true, Instant::now());
            } else if was_between_messages && !self.unfinished.is_empty() {
                self.since = Instant::now();
            }
            match read {
                Ok(Taken::More) => {}
                Ok(Taken::Ended) => return Some(End::Closed),
                Err(problem) if is_momentary(&problem) => return None,
                Err(problem) => {
                    *trouble = Some(self.words(&sentence(&problem)));
                    return Some(End::Reset);
                }
            }
        }
        None
    }

    fn words(&self, problem: &str) -> String {
        format!("{}: the connection of {} is closed: {problem}", self.listener, self.from)
    }

    fn is_slow(&self, now: Instant) -> bool {
        let is_handshaking = matches!(&self.wire, Wire::Tls(tls, _) if tls.is_handshaking());
        let longest = if is_handshaking || !self.unfinished.is_empty() { SLOW } else { SILENT };
        let is_waited_for = !self.has_message || !self.unfinished.is_empty();
        is_waited_for && now.duration_since(self.since) > longest
    }

    fn end(&self, end: End, sink: &mut impl MessageSink) {
        let report = sink.report();
        match end {
            End::Closed => report.connections_cut += u64::from(!self.unfinished.is_empty()),
            End::Reset => report.connections_reset += 1,
            End::Slow => report.connections_slow += 1,
        }
        sink.ended(self.number, self.from);
    }
}

/// What a read found.
enum Taken {
    More,
    Ended,
}

impl Wire {
    fn new(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let [idle, interval, count] = KEEPALIVE;
        setsockopt(&stream, KeepAlive, &true)?;
        setsockopt(&stream, TcpKeepIdle, &idle)?;
        setsockopt(&stream, TcpKeepInterval, &interval)?;
        setsockopt(&stream, TcpKeepCount, &count)?;
        Ok(match tls {
            None => Self::Plain(stream),
            Some(config) => {
                let connection =
                    ServerConnection::new(config).map_err(|error| error_with_exporter(&error))?;
                Self::Tls(Box::new(connection), stream)
            }
        })
    }

    /// Reads octets once, and appends them. `WouldBlock`: there are none for now.
    fn read(&mut self, buffer: &mut [u8], into: &mut Vec<u8>) -> io::Result<Taken> {
        match self {
            Self::Plain(stream) => {
                let length = stream.read(buffer)?;
                into.extend_from_slice(buffer.get(..length).unwrap_or_default());
                Ok(if length == 0 { Taken::Ended } else { Taken::More })
            }
            Self::Tls(tls, stream) => read_tls(tls, stream, buffer, into),
        }
    }
}

fn read_tls(
    tls: &mut ServerConnection,
    stream: &mut TcpStream,
    buffer: &mut [u8],
    into: &mut Vec<u8>,
) -> io::Result<Taken> {
    let read = tls.read_tls(stream);
    if read.is_ok() {
        let state = tls.process_new_packets();
        // An alert tells the peer what is wrong.
        while tls.wants_write() && tls.write_tls(stream)? > 0 {}
        state.map_err(|error| error_with_exporter(&error))?;
    }
    let mut has_ended = false;
    loop {
        match tls.reader().read(buffer) {
            Ok(0) => break has_ended = true,
            Ok(length) => into.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(problem) if problem.kind() == ErrorKind::WouldBlock => break,
            Err(problem) if problem.kind() == ErrorKind::UnexpectedEof => break has_ended = true,
            Err(problem) => return Err(problem),
        }
    }
    Ok(if has_ended || read? == 0 { Taken::Ended } else { Taken::More })
}

fn is_momentary(problem: &io::Error) -> bool {
    matches!(problem.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
