//! A connection and the messages on it: those that wait, those under way, those that arrived.
//!
//! Its socket never blocks. Whoever has time to wait says how long.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use super::collector::{Collector, Failure, Unreachable};
use super::tls::{Identity, Wire};
use crate::content::Content;
use crate::ending;
use crate::message::Message;

/// For each address of a name, and for the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer that takes or acknowledges nothing for so long is treated as gone.
const STUCK_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that was silent for so many seconds, with nothing to acknowledge, is asked whether it is
/// there; then again and again until `STUCK_TIMEOUT` is over.
const KEEP_ALIVE: (u32, u32) = (30, 10);

/// With TLS 1.3 the client ends its handshake before the peer has looked at its certificate
/// (RFC 8446 section 2), and a peer that turns it away may say so later, by so much.
const ACCEPTANCE: Duration = Duration::from_secs(1);

/// Time between two checks that this host still has its address of the connection. Without it
/// nothing arrives, and TCP does not say so before `STUCK_TIMEOUT`.
const ADDRESS_CHECK: Duration = Duration::from_secs(1);

/// Octets that are gathered before they are written.
pub(super) const BUFFER: usize = 64 * 1024;

/// The collector to connect to.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) collector: Collector,
    /// Where TLS is spoken.
    pub(super) tls: Option<Identity>,
}

#[derive(Debug)]
pub(super) struct Session {
    wire: Wire,
    /// Octets of messages that the connection has not taken yet.
    buffer: VecDeque<u8>,
    /// Octets of messages so far: all, and those that the connection took.
    given: u64,
    taken: u64,
    /// What is in the buffer: where in all octets a message ends, and what it has.
    waiting: VecDeque<(u64, Content)>,
    /// Where in the octets of the connection a message ends, and what it has.
    under_way: VecDeque<(u64, Content)>,
    /// What the kernel counted as acknowledged when the connection was new.
    acknowledged_before: u64,
    /// While the peer may still turn us away: when it will no more.
    acceptance: Option<Instant>,
    next_address_check: Instant,
    /// When nothing was left to be written, or something was taken.
    progress: Instant,
}

impl Session {
    /// Connects to the first of the collector's addresses that takes a connection.
    pub(super) fn open(peer: &Peer) -> Result<Self, Failure> {
        let mut failures = Vec::new();
        for address in peer.collector.addresses()? {
            match peer.collector.tcp(address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    // It is there. If there is no TLS with it, that is a mistake.
                    return Self::begin(stream, peer)
                        .map_err(|error| Failure::ForGood(Unreachable::at(address, &error).0));
                }
                Err(error) => failures.push(Unreachable::at(address, &error)),
            }
        }
        Err(Unreachable::all(&failures).into())
    }

    fn begin(stream: TcpStream, peer: &Peer) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let stuck = u32::try_from(STUCK_TIMEOUT.as_millis()).expect("it is short");
        setsockopt(&stream, sockopt::TcpUserTimeout, &stuck)?;
        let (silence, again) = KEEP_ALIVE;
        setsockopt(&stream, sockopt::KeepAlive, &true)?;
        setsockopt(&stream, sockopt::TcpKeepIdle, &silence)?;
        setsockopt(&stream, sockopt::TcpKeepInterval, &again)?;
        let acknowledged_before = acknowledged(&stream)?;
        let wire = Wire::begin(stream, peer.tls.as_ref(), CONNECT_TIMEOUT)?;
        wire.stream().set_nonblocking(true)?;
        let now = Instant::now();
        let acceptance = wire.may_be_refused().then(|| now + ACCEPTANCE);
        Ok(Self {
            wire,
            buffer: VecDeque::with_capacity(2 * BUFFER),
            given: 0,
            taken: 0,
            waiting: VecDeque::new(),
            under_way: VecDeque::new(),
            acknowledged_before,
            acceptance,
            next_address_check: now + ADDRESS_CHECK,
            progress: now,
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.wire.stream()
    }

    /// Octets that wait.
    pub(super) fn backlog(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn push(&mut self, message: Message<'_>) {
        self.buffer.extend(message.octets);
        self.given += message.octets.len() as u64;
        self.waiting.push_back((self.given, message.content()));
    }

    /// Fails if the peer has ended the connection, or if this host has lost the address of it.
    pub(super) fn check_ends(&mut self) -> io::Result<()> {
        self.wire.check_peer()?;
        let now = Instant::now();
        self.acceptance = self.acceptance.filter(|until| now < *until);
        if now >= self.next_address_check {
            self.next_address_check = now + ADDRESS_CHECK;
            let local = SocketAddr::from((self.stream().local_addr()?.ip(), 0));
            // Without a zone a link-local address cannot be bound to.
            let is_gone = |error: io::Error| error.kind() == ErrorKind::AddrNotAvailable;
            if UdpSocket::bind(local).is_err_and(is_gone) {
                return Err(io::Error::other(format!(
                    "this host has no address {} any more",
                    local.ip()
                )));
            }
        }
        Ok(())
    }

    /// Writes what the connection takes now.
    pub(super) fn write_some(&mut self) -> io::Result<()> {
        if self.pump()? || self.progress.elapsed() < STUCK_TIMEOUT {
            Ok(())
        } else {
            Err(self.stuck())
        }
    }

    /// Writes all. Waits as long as the peer takes something now and then, but not beyond a point
    /// in time.
    pub(super) fn write_all(&mut self, until: Option<Instant>) -> io::Result<()> {
        while !self.pump()? {
            let end = self.progress + STUCK_TIMEOUT;
            let end = until.map_or(end, |until| until.min(end));
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !ending::may_wait_for_peer(self.progress.elapsed()) {
                return Err(self.stuck());
            }
            self.wire.wait_until_writable(left.min(ending::LOOK))?;
        }
        Ok(())
    }

    /// Ends the connection in good order and waits until all is acknowledged, but not beyond a
    /// point in time.
    pub(super) fn close(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.wire.say_end();
        self.write_all(until)?;
        self.wire.end()?;
        let until = until.unwrap_or_else(|| Instant::now() + STUCK_TIMEOUT);
        let may_wait =
            |begin: Instant| Instant::now() < until && ending::may_wait_for_peer(begin.elapsed());
        let begin = Instant::now();
        while !self.all_acknowledged()? && may_wait(begin) {
            // A peer that has ended its side in good order may still acknowledge.
            let peer_has_ended = self.wire.peer_has_ended()?;
            if peer_has_ended && is_closed(self.stream())? {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        if self.acceptance.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            self.wire.wait_for_end(left.min(ACCEPTANCE))?;
            self.acceptance = None;
        }
        Ok(())
    }

    /// Writes until all is written or the connection takes no more; whether all is written.
    fn pump(&mut self) -> io::Result<bool> {
        let before = self.wire.written();
        let done = loop {
            if !self.wire.flush()? {
                break false;
            }
            self.note_written();
            let (octets, _) = self.buffer.as_slices();
            if octets.is_empty() {
                break true;
            }
            match self.wire.write(octets)? {
                0 => break false,
                count => {
                    self.buffer.drain(..count);
                    self.taken += count as u64;
                }
            }
        };
        if done {
            // What a slow peer made it hold is given back.
            self.buffer.shrink_to(2 * BUFFER);
        }
        if done || self.wire.written() > before {
            self.progress = Instant::now();
        }
        Ok(done)
    }

    /// Messages that were written whole are under way.
    fn note_written(&mut self) {
        while let Some((end, content)) = self.waiting.pop_front_if(|(end, _)| *end <= self.taken) {
            self.under_way.push_back((self.wire.position(end), content));
        }
    }

    fn all_acknowledged(&self) -> io::Result<bool> {
        let acknowledged = acknowledged(self.stream())?.saturating_sub(self.acknowledged_before);
        Ok(self.under_way.back().is_none_or(|(end, _)| *end <= acknowledged))
    }

    /// What was acknowledged since this was last asked, by a peer that has not turned us away.
    pub(super) fn take_acknowledged(&mut self) -> Content {
        if self.acceptance.is_some() {
            return Content::default();
        }
        let acknowledged = acknowledged(self.stream())
            .map_or(0, |octets| octets.saturating_sub(self.acknowledged_before));
        let mut sum = Content::default();
        while let Some((_, content)) = self.under_way.pop_front_if(|(end, _)| *end <= acknowledged)
        {
            sum += content;
        }
        sum
    }

    /// The peer takes nothing, but has not turned us away either.
    fn stuck(&mut self) -> io::Error {
        self.acceptance = None;
        io::Error::new(ErrorKind::TimedOut, "the collector takes nothing")
    }

    /// What has not arrived.
    pub(super) fn take_rest(&mut self) -> Content {
        let left = self.under_way.drain(..).chain(self.waiting.drain(..));
        Content::sum(left.map(|(_, content)| content))
    }
}

/// Octets that the peer's kernel has acknowledged, of the handshake and all.
fn acknowledged(stream: &TcpStream) -> io::Result<u64> {
    let info = getsockopt(stream, TcpInfo)?;
    Ok(info[BYTES_ACKED])
}

/// Whether the connection is over, so that nothing more will be acknowledged.
fn is_closed(stream: &TcpStream) -> io::Result<bool> {
    let [state, ..] = getsockopt(stream, TcpInfo)?[0].to_ne_bytes();
    Ok(state == TCP_CLOSE)
}

/// `TCP_CLOSE` of the kernel's states of a connection.
const TCP_CLOSE: u8 = 7;

/// The first 128 octets of `struct tcp_info`.
#[derive(Clone, Copy, Debug)]
struct TcpInfo;

nix::getsockopt_impl!(
    TcpInfo,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u64; 16],
    sockopt::GetStruct<[u64; 16]>
);

/// `tcpi_bytes_acked`, since Linux 4.1, as a word of the struct.
const BYTES_ACKED: usize = 15;
