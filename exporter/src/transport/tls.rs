//! A TCP connection, plain or under TLS, that counts the written octets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConfig, StreamOwned,
};

use super::tls_words::{handshake_error, in_words, words};
use super::trust::{Fingerprint, Trust};
use crate::error::sentence;
use crate::secret::warn_of_readers;

/// Settings of trust in the collector, and of the own certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// PEM file of the authorities to trust instead of the system's, or of the collector's own
    /// certificate.
    pub(crate) authorities: Option<PathBuf>,
    /// Fingerprint of the collector's certificate, or of the only authority to trust.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// PEM files of the own certificate and its key, for a collector that requests one.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// The loaded TLS configuration, and the expected name of the collector.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    config: Arc<ClientConfig>,
    peer: ServerName<'static>,
}

impl Identity {
    pub(super) fn new(settings: &TlsSettings, host: &str) -> io::Result<Self> {
        let config = Arc::new(client_config(settings)?);
        // A zone has a meaning on this host only. Certificates do not contain it.
        let name = host.split_once('%').map_or(host, |(address, _zone)| address);
        let peer = ServerName::try_from(name.to_owned())
            .map_err(|_error| io::Error::other(format!("no certificate can be for {name}")))?;
        Ok(Self { config, peer })
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
            ClientConnection::new(Arc::clone(config), peer.clone()).map_err(tls_error)?;
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

fn tls_error(error: rustls::Error) -> io::Error {
    io::Error::other(words(&error))
}

impl TlsSettings {
    /// The configuration of rustls for a client.
    pub(crate) fn config(&self) -> io::Result<Arc<ClientConfig>> {
        client_config(self).map(Arc::new)
    }
}

fn client_config(settings: &TlsSettings) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = match settings.fingerprint {
        Some(fingerprint) => Trust::fingerprint(&provider, fingerprint),
        None => authorities(&provider, settings.authorities.as_deref())?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key_file)) => with_identity(certificate, key_file, |chain, key| {
            builder.with_client_auth_cert(chain, key)
        })?,
    };
    // No resumption: each connection checks the certificates.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The configuration of rustls for a server that shows this certificate. With `authorities`, a
/// client has to show a certificate that one of them has signed.
///
/// # Errors
///
/// A file cannot be read, or is not what it should be; in one sentence.
pub fn server_config(
    certificate: &Path,
    key_file: &Path,
    authorities: Option<&Path>,
) -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(roots(file, &certificates(file)?)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let named = |error| io::Error::other(format!("{}: {error}", file.display()));
            builder.with_client_cert_verifier(verifier.build().map_err(named)?)
        }
    };
    with_identity(certificate, key_file, |chain, key| builder.with_single_cert(chain, key))
        .map(Arc::new)
}

type Chain = Vec<CertificateDer<'static>>;

/// A configuration with the certificate and the key in these files.
fn with_identity<T>(
    certificate: &Path,
    key_file: &Path,
    build: impl FnOnce(Chain, PrivateKeyDer<'static>) -> Result<T, rustls::Error>,
) -> io::Result<T> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| pem_error(key_file, &error, "no private key in it"))?;
    let config = build(chain, key).map_err(|error| {
        let (certificate, key) = (certificate.display(), key_file.display());
        io::Error::other(format!("cert={certificate}, key={key}: {}", words(&error)))
    })?;
    warn_of_readers(key_file, "private key");
    Ok(config)
}

fn roots(file: &Path, given: &[CertificateDer<'static>]) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in given {
        roots
            .add(certificate.clone())
            .map_err(|error| io::Error::other(format!("{}: {}", file.display(), words(&error))))?;
    }
    Ok(roots)
}

fn authorities(provider: &Arc<CryptoProvider>, file: Option<&Path>) -> io::Result<Trust> {
    let given = file.map(certificates).transpose()?.unwrap_or_default();
    let roots = match file {
        Some(file) => roots(file, &given)?,
        None => {
            let mut roots = RootCertStore::empty();
            // Certificates of the system that cannot be read are skipped.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    if roots.is_empty() {
        return Err(io::Error::other(
            "this system has no certificates of authorities to trust: give ca= or fingerprint=",
        ));
    }
    Trust::authorities(provider, roots, given)
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let named = |error| pem_error(file, &error, "no certificate in it");
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(named)?
        .collect::<Result<_, _>>()
        .map_err(named)?;
    if found.is_empty() {
        return Err(named(pem::Error::NoItemsFound));
    }
    Ok(found)
}

/// Text of an error of a PEM file.
#[expect(clippy::wildcard_enum_match_arm, reason = "others may come")]
fn pem_error(file: &Path, error: &pem::Error, nothing: &str) -> io::Error {
    let why = match error {
        pem::Error::Io(error) => sentence(error),
        pem::Error::NoItemsFound => nothing.to_owned(),
        pem::Error::MissingSectionEnd { .. } => "it is cut: an END line is missing".to_owned(),
        other => format!("it is no PEM file: {other}"),
    };
    io::Error::other(format!("{}: {why}", file.display()))
}
