//! A connection and its messages: waiting, in flight, and acknowledged.
//!
//! The socket never blocks. Calls that wait have a time limit.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use super::attempts::Failure;
use super::collector::{Collector, Unreachable};
use super::wire::{Identity, Wire};
use crate::content::{Content, Message};
use crate::ending;

/// Timeout for each address of a name, and for the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer that accepts or acknowledges nothing for this time counts as dead.
const STUCK_TIMEOUT: Duration = Duration::from_secs(30);

/// TCP keep-alive: seconds of silence before the first probe, and between probes, until
/// `STUCK_TIMEOUT`.
const KEEP_ALIVE: (u32, u32) = (30, 10);

/// With TLS 1.3 the client ends its handshake before the peer has checked the client's certificate
/// (RFC 8446 section 2). The peer may refuse it within this time.
const ACCEPTANCE: Duration = Duration::from_secs(1);

/// Interval of checks that this host still has the local address of the connection. Without that
/// address nothing arrives, and TCP reports it only after `STUCK_TIMEOUT`.
const ADDRESS_CHECK: Duration = Duration::from_secs(1);

/// Octets that are collected before a write.
pub(super) const BUFFER: usize = 64 * 1024;

/// The collector to connect to.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) collector: Collector,
    /// TLS identity, if TLS is used.
    pub(super) tls: Option<Identity>,
}

#[derive(Debug)]
pub(super) struct Session {
    wire: Wire,
    /// Octets of messages that are not passed to the connection yet.
    buffer: VecDeque<u8>,
    /// Total octets of messages: pushed, and passed to the connection.
    given: u64,
    taken: u64,
    /// Messages in the buffer: the end in all pushed octets, and the content.
    waiting: VecDeque<(u64, Content)>,
    /// Messages in flight: the end in the octets of the connection, and the content.
    under_way: VecDeque<(u64, Content)>,
    /// The kernel's count of acknowledged octets at the beginning.
    acknowledged_before: u64,
    /// End of the time in which the peer may still refuse the certificate.
    acceptance: Option<Instant>,
    next_address_check: Instant,
    /// Time of the last progress: octets were written, or none were left.
    progress: Instant,
}

impl Session {
    /// Connects to the first of the collector's addresses that accepts a connection.
    pub(super) fn open(peer: &Peer) -> Result<Self, Failure> {
        let mut failures = Vec::new();
        for address in peer.collector.addresses()? {
            match peer.collector.tcp(address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    // The host is reachable. A TLS failure is then a configuration error.
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

    /// Waiting octets.
    pub(super) fn backlog(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn push(&mut self, message: Message<'_>) {
        self.buffer.extend(message.octets);
        self.given += message.octets.len() as u64;
        self.waiting.push_back((self.given, message.content()));
    }

    /// Fails if the peer has closed the connection, or if this host has lost the local address.
    pub(super) fn check_ends(&mut self) -> io::Result<()> {
        self.wire.check_peer()?;
        let now = Instant::now();
        self.acceptance = self.acceptance.filter(|until| now < *until);
        if now >= self.next_address_check {
            self.next_address_check = now + ADDRESS_CHECK;
            let local = SocketAddr::from((self.stream().local_addr()?.ip(), 0));
            // A link-local address cannot be bound without a zone.
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

    /// Writes as much as the connection accepts now.
    pub(super) fn write_some(&mut self) -> io::Result<()> {
        if self.pump()? || self.progress.elapsed() < STUCK_TIMEOUT {
            Ok(())
        } else {
            Err(self.stuck())
        }
    }

    /// Writes all octets. Waits while the peer makes progress, at most until `until`.
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

    /// Ends the connection in good order, and waits until all octets are acknowledged, at most
    /// until `until`.
    pub(super) fn close(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.wire.say_end();
        self.write_all(until)?;
        self.wire.end()?;
        let until = until.unwrap_or_else(|| Instant::now() + STUCK_TIMEOUT);
        let may_wait =
            |begin: Instant| Instant::now() < until && ending::may_wait_for_peer(begin.elapsed());
        let begin = Instant::now();
        while !self.all_acknowledged()? && may_wait(begin) {
            // A peer that has closed its side may still acknowledge.
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

    /// Writes until the connection accepts no more. Returns true if all octets are written.
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
            // Frees the memory that a slow peer required.
            self.buffer.shrink_to(2 * BUFFER);
        }
        if done || self.wire.written() > before {
            self.progress = Instant::now();
        }
        Ok(done)
    }

    /// Moves messages that are completely written to those in flight.
    fn note_written(&mut self) {
        while let Some((end, content)) = self.waiting.pop_front_if(|(end, _)| *end <= self.taken) {
            self.under_way.push_back((self.wire.position(end), content));
        }
    }

    fn all_acknowledged(&self) -> io::Result<bool> {
        let acknowledged = acknowledged(self.stream())?.saturating_sub(self.acknowledged_before);
        Ok(self.under_way.back().is_none_or(|(end, _)| *end <= acknowledged))
    }

    /// Content acknowledged since the last call; nothing while the peer may refuse the certificate.
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

    /// The peer accepts nothing, but it has not refused the certificate either.
    fn stuck(&mut self) -> io::Error {
        self.acceptance = None;
        io::Error::new(ErrorKind::TimedOut, "the collector accepts no data")
    }

    /// Content that is not acknowledged.
    pub(super) fn take_rest(&mut self) -> Content {
        let left = self.under_way.drain(..).chain(self.waiting.drain(..));
        Content::sum(left.map(|(_, content)| content))
    }
}

/// Octets that the peer's kernel has acknowledged, including the TLS handshake.
fn acknowledged(stream: &TcpStream) -> io::Result<u64> {
    let info = getsockopt(stream, TcpInfo)?;
    Ok(info[BYTES_ACKED])
}

/// True if the connection is closed, so that no more octets can be acknowledged.
fn is_closed(stream: &TcpStream) -> io::Result<bool> {
    let [state, ..] = getsockopt(stream, TcpInfo)?[0].to_ne_bytes();
    Ok(state == TCP_CLOSE)
}

/// `TCP_CLOSE` of the kernel's TCP states.
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

/// Index of `tcpi_bytes_acked` (since Linux 4.1) in 8-octet words of the struct.
const BYTES_ACKED: usize = 15;
