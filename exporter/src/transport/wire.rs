//! A TCP connection, plain or under TLS, that counts the written octets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, StreamOwned};

use crate::tls::{TlsSettings, error_with_server, handshake_error, in_words, server_name};

/// The loaded TLS configuration, and the expected name of the collector.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    config: Arc<ClientConfig>,
    peer: ServerName<'static>,
}

impl Identity {
    pub(super) fn new(settings: &TlsSettings, host: &str) -> io::Result<Self> {
        Ok(Self { config: settings.config()?, peer: server_name(host)? })
    }
}

#[derive(Debug)]
pub(super) enum Wire {
    Plain(Counted),
    Tls(Box<StreamOwned<ClientConnection, Counted>>),
}

/// Counts the octets that the kernel accepted.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    written: u64,
    /// End of the time for the handshake, also for a peer that sends octet by octet.
    handshake_end: Option<Instant>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(end) = self.handshake_end else { return self.stream.read(buffer) };
        match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(no_handshake()),
            _ if Instant::now() >= end => Err(no_handshake()),
            result => result,
        }
    }
}

impl Write for Counted {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(octets)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Wire {
    /// Does the TLS handshake, if TLS is used. The socket still blocks, for at most `timeout`.
    pub(super) fn begin(
        stream: TcpStream,
        tls: Option<&Identity>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let mut counted = Counted { stream, written: 0, handshake_end: None };
        let Some(Identity { config, peer }) = tls else { return Ok(Self::Plain(counted)) };
        counted.stream.set_write_timeout(Some(timeout))?;
        counted.stream.set_read_timeout(Some(timeout))?;
        counted.handshake_end = Some(Instant::now() + timeout);
        let connection =
            ClientConnection::new(Arc::clone(config), peer.clone()).map_err(error_with_server)?;
        let mut stream = StreamOwned::new(connection, counted);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(handshake_error)?;
        }
        stream.sock.handshake_end = None;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// True if the peer may refuse the certificate after the handshake.
    pub(super) fn may_be_refused(&self) -> bool {
        let Self::Tls(tls) = self else { return false };
        tls.conn.protocol_version() != Some(ProtocolVersion::TLSv1_2)
    }

    pub(super) fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(plain) => &plain.stream,
            Self::Tls(tls) => &tls.sock.stream,
        }
    }

    /// Octets written so far, with those of TLS.
    pub(super) fn written(&self) -> u64 {
        match self {
            Self::Plain(plain) => plain.written,
            Self::Tls(tls) => tls.sock.written,
        }
    }

    /// A position in the written octets at or after the end of the first `taken` octets.
    pub(super) fn position(&self, taken: u64) -> u64 {
        match self {
            Self::Plain(_) => taken,
            Self::Tls(tls) => tls.sock.written,
        }
    }

    /// Takes as many octets as possible. With TLS, `flush` writes them.
    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => some(plain.write(octets)),
            Self::Tls(tls) => tls.conn.writer().write(octets),
        }
    }

    /// Writes what TLS has taken. Returns true if all of it is written.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let Self::Tls(tls) = self else { return Ok(true) };
        while tls.conn.wants_write() {
            if some(tls.conn.write_tls(&mut tls.sock))? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits for room to write, or for the end of the connection.
    pub(super) fn wait_until_writable(&self, longest: Duration) -> io::Result<()> {
        self.wait(PollFlags::POLLOUT, longest)
    }

    fn wait(&self, event: PollFlags, longest: Duration) -> io::Result<()> {
        let timeout = PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX);
        let mut sockets = [PollFd::new(self.stream().as_fd(), event)];
        match poll(&mut sockets, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails if the peer has closed the connection. Other octets from the peer are ignored.
    pub(super) fn check_peer(&mut self) -> io::Result<()> {
        if self.peer_has_ended()? {
            let closed = "the collector has closed the connection";
            return Err(io::Error::new(ErrorKind::ConnectionAborted, closed));
        }
        Ok(())
    }

    /// True if the peer has closed the connection. Fails if the peer reports an error.
    pub(super) fn peer_has_ended(&mut self) -> io::Result<bool> {
        let mut word = [0; 64];
        let result = match self {
            Self::Plain(plain) => plain.read(&mut word),
            Self::Tls(tls) => tls.read(&mut word).map_err(in_words),
        };
        match result {
            Ok(count) => Ok(count == 0),
            // Some peers close TLS without `close_notify`.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(true),
            Err(error) if is_momentary(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until the peer closes the connection too. Fails if the peer reports an error.
    pub(super) fn wait_for_end(&mut self, longest: Duration) -> io::Result<()> {
        let until = Instant::now() + longest;
        while !self.peer_has_ended()? {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.wait(PollFlags::POLLIN, left)?;
        }
        Ok(())
    }

    /// Queues `close_notify` of TLS, if TLS is used.
    pub(super) fn say_end(&mut self) {
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
        }
    }

    /// Closes the connection for writing.
    pub(super) fn end(&self) -> io::Result<()> {
        self.stream().shutdown(Shutdown::Write)
    }
}

/// Returns 0 if the socket accepts no more for now.
fn some(written: io::Result<usize>) -> io::Result<usize> {
    written.or_else(|error| if is_momentary(&error) { Ok(0) } else { Err(error) })
}

fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn no_handshake() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the TLS handshake timed out")
}
