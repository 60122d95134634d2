//! Messages over TCP, plain or under TLS (RFC 7011 section 10.4 and 11.1).
//!
//! TCP takes octets long before they arrive, so a message counts as sent only when the peer's
//! kernel has acknowledged its last octet; when a connection breaks, the others have failed. A new
//! connection is a new transport session: templates again, sequence from 0, and nothing is sent
//! twice.

use std::collections::VecDeque;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use flow::Conversation;
use log::{info, warn};
use nix::sys::socket::getsockopt;

use super::TransportCounts;
use super::tls::{self, TlsSettings};
use super::udp::connect;
use crate::error::{ExportError, sentence};
use crate::message::{Content, Message};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer that takes nothing for so long is treated as gone.
const STUCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The first pause before a new connection; the next ones double.
const RECONNECT_FIRST: Duration = Duration::from_secs(1);

/// A replay waits this long for a collector that has gone.
const REPLAY_PATIENCE: Duration = Duration::from_secs(60);

/// Octets are gathered up to this before they are written.
const BUFFER: usize = 64 * 1024;

/// IP protocol number.
const TCP: u8 = 6;

/// What to do without a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Replay: wait for a new connection, a minute, then give up. A collector that is not there
    /// at the start is an error.
    Wait,
    /// Live: go on, count what is lost, try again now and then.
    GoOn,
}

/// Where a stream goes and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamSettings {
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// With TLS, its settings.
    pub(crate) tls: Option<TlsSettings>,
    /// Longest pause between attempts to connect again.
    pub(crate) reconnect_max: Duration,
}

#[derive(Debug)]
pub(crate) struct StreamTransport {
    name: String,
    settings: StreamSettings,
    patience: Patience,
    state: State,
    session_is_new: bool,
    counts: TransportCounts,
}

#[derive(Debug)]
enum State {
    Connected(Session),
    Down { next_attempt: Instant, pause: Duration },
}

/// A connection and what is under way on it.
#[derive(Debug)]
struct Session {
    wire: tls::Wire,
    buffer: Vec<u8>,
    /// What is in the buffer: a message each.
    buffered: Vec<Content>,
    /// Octets written to the connection when a batch of messages ended, and what is in the batch.
    under_way: VecDeque<(u64, Content)>,
    /// What the kernel counted as acknowledged when the connection was new.
    acknowledged_before: u64,
}

impl StreamTransport {
    /// Connects. Live, a collector that is not there yet is only a warning.
    pub(crate) fn open(
        name: &str,
        settings: StreamSettings,
        patience: Patience,
    ) -> Result<Self, ExportError> {
        let state = match Session::open(&settings) {
            Ok(session) => State::Connected(session),
            Err(error) => {
                let error = ExportError::io(&format!("cannot connect to {name}"), &error);
                if patience == Patience::Wait {
                    return Err(error);
                }
                warn!("{error}; trying again");
                State::Down {
                    next_attempt: Instant::now() + RECONNECT_FIRST,
                    pause: RECONNECT_FIRST,
                }
            }
        };
        Ok(Self {
            name: name.to_owned(),
            settings,
            patience,
            state,
            session_is_new: true,
            counts: TransportCounts::default(),
        })
    }

    /// Also of a collector that is not there yet: the route tells which address is ours.
    pub(crate) fn conversation(&self) -> Option<Conversation> {
        let host = (self.settings.host.as_str(), self.settings.port);
        let remote = match &self.state {
            State::Connected(session) => session.wire.stream().peer_addr().ok()?,
            State::Down { .. } => host.to_socket_addrs().ok()?.next()?,
        };
        let local = connect(remote).and_then(|probe| probe.local_addr()).ok()?.ip();
        Some(Conversation { protocol: TCP, local, remote })
    }

    pub(crate) fn session_began(&mut self) -> bool {
        std::mem::take(&mut self.session_is_new)
    }

    /// Messages under way count as neither sent nor failed yet.
    pub(crate) fn counts(&self) -> TransportCounts {
        self.counts
    }

    pub(crate) fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
        if let State::Down { next_attempt, .. } = self.state {
            self.counts.failed += message.content();
            if Instant::now() >= next_attempt {
                self.reconnect_once();
            }
            return Ok(());
        }
        if let State::Connected(session) = &mut self.state {
            session.buffer.extend_from_slice(message.octets);
            session.buffered.push(message.content());
            if session.buffer.len() < BUFFER {
                return Ok(());
            }
        }
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> Result<(), ExportError> {
        let State::Connected(session) = &mut self.state else { return Ok(()) };
        let result = session.write();
        self.counts.sent += session.take_acknowledged();
        result.or_else(|error| self.broken(&error))
    }

    /// After the last message there is nothing that a new connection would be for.
    pub(crate) fn finish(&mut self) -> Result<(), ExportError> {
        if let State::Connected(session) = &mut self.state {
            let result = session.write().and_then(|()| session.close());
            self.counts.errors += u64::from(result.is_err());
            self.counts.sent += session.take_acknowledged();
            let lost = session.take_rest();
            self.counts.failed += lost;
            if lost.messages > 0 {
                let why =
                    result.err().as_ref().map_or_else(|| "not acknowledged".to_owned(), sentence);
                return Err(ExportError::new(format!("{}: the end was lost: {why}", self.name)));
            }
        }
        Ok(())
    }

    /// The connection is gone, and with it what was under way.
    fn broken(&mut self, error: &io::Error) -> Result<(), ExportError> {
        let State::Connected(session) = &mut self.state else { return Ok(()) };
        self.counts.sent += session.take_acknowledged();
        let lost = session.take_rest();
        self.counts.failed += lost;
        self.counts.errors += 1;
        let records = lost.records.records;
        warn!("{}: connection lost: {}; {records} records with it", self.name, sentence(error));
        let begin = Instant::now();
        self.state = State::Down { next_attempt: begin + RECONNECT_FIRST, pause: RECONNECT_FIRST };
        if self.patience == Patience::GoOn {
            return Ok(());
        }
        while let State::Down { next_attempt, .. } = self.state {
            if next_attempt > begin + REPLAY_PATIENCE {
                let seconds = REPLAY_PATIENCE.as_secs();
                return Err(ExportError::new(format!(
                    "{}: the connection was lost and did not come back in {seconds} s",
                    self.name
                )));
            }
            thread::sleep(next_attempt.saturating_duration_since(Instant::now()));
            self.reconnect_once();
        }
        Ok(())
    }

    fn reconnect_once(&mut self) {
        let State::Down { pause, .. } = self.state else { return };
        match Session::open(&self.settings) {
            Ok(session) => {
                info!("{}: connected again", self.name);
                self.state = State::Connected(session);
                self.session_is_new = true;
                self.counts.reconnects += 1;
            }
            Err(_) => {
                let pause = (pause * 2).min(self.settings.reconnect_max);
                self.state = State::Down { next_attempt: Instant::now() + pause, pause };
            }
        }
    }
}

impl Session {
    fn open(settings: &StreamSettings) -> io::Result<Self> {
        let mut failure = io::Error::other("the name has no address");
        for address in (settings.host.as_str(), settings.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => return Self::begin(stream, settings),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn begin(stream: TcpStream, settings: &StreamSettings) -> io::Result<Self> {
        stream.set_write_timeout(Some(STUCK_TIMEOUT))?;
        stream.set_read_timeout(Some(STUCK_TIMEOUT))?;
        stream.set_nodelay(true)?;
        let acknowledged_before = acknowledged(&stream)?;
        Ok(Self {
            wire: tls::Wire::begin(stream, settings.tls.as_ref(), &settings.host)?,
            buffer: Vec::with_capacity(BUFFER + u16::MAX as usize),
            buffered: Vec::new(),
            under_way: VecDeque::new(),
            acknowledged_before,
        })
    }

    /// Writes what is in the buffer, unless the peer has ended the connection.
    fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let result = self.wire.check_peer().and_then(|()| self.wire.write_all(&self.buffer));
        // After an error part of the batch may arrive, but not its end.
        let end = if result.is_ok() { self.wire.written() } else { u64::MAX };
        self.under_way.extend(self.buffered.drain(..).map(|content| (end, content)));
        self.buffer.clear();
        result
    }

    /// Ends the connection in good order and waits until all is acknowledged.
    fn close(&mut self) -> io::Result<()> {
        self.wire.end()?;
        let begin = Instant::now();
        while !self.all_acknowledged()? && begin.elapsed() < STUCK_TIMEOUT {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn all_acknowledged(&self) -> io::Result<bool> {
        let acknowledged = acknowledged(self.wire.stream())? - self.acknowledged_before;
        Ok(self.under_way.back().is_none_or(|(end, _)| *end <= acknowledged))
    }

    /// What was acknowledged since this was last asked.
    fn take_acknowledged(&mut self) -> Content {
        let acknowledged = acknowledged(self.wire.stream())
            .map_or(0, |octets| octets.saturating_sub(self.acknowledged_before));
        let mut sum = Content::default();
        while let Some((_, content)) = self.under_way.pop_front_if(|(end, _)| *end <= acknowledged)
        {
            sum += content;
        }
        sum
    }

    /// What has not arrived.
    fn take_rest(&mut self) -> Content {
        let under_way = self.under_way.drain(..).map(|(_, content)| content);
        under_way.chain(self.buffered.drain(..)).sum()
    }
}

/// Octets that the peer's kernel has acknowledged, of the handshake and all.
fn acknowledged(stream: &TcpStream) -> io::Result<u64> {
    let info = getsockopt(stream, TcpInfo)?;
    Ok(info[BYTES_ACKED])
}

/// The first 128 octets of `struct tcp_info`.
#[derive(Clone, Copy, Debug)]
struct TcpInfo;

nix::getsockopt_impl!(
    TcpInfo,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u64; 16],
    nix::sys::socket::sockopt::GetStruct<[u64; 16]>
);

/// `tcpi_bytes_acked`, since Linux 4.1, as a word of the struct.
const BYTES_ACKED: usize = 15;
