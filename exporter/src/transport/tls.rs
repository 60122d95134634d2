//! A TCP connection, plain or under TLS, that knows how much was written to it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Whom to trust and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// PEM file of the authorities to trust instead of the system's.
    pub(crate) authorities: Option<PathBuf>,
    /// PEM files of our certificate and its key, for a collector that asks for one.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug)]
pub(super) enum Wire {
    Plain(Counted),
    Tls(Box<StreamOwned<ClientConnection, Counted>>),
}

/// Counts the octets that the kernel took.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    written: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
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
    /// Does the TLS handshake where there is one.
    pub(super) fn begin(
        stream: TcpStream,
        tls: Option<&TlsSettings>,
        host: &str,
    ) -> io::Result<Self> {
        let counted = Counted { stream, written: 0 };
        let Some(settings) = tls else { return Ok(Self::Plain(counted)) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(client_config(settings)?), name)
            .map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, counted);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    pub(super) fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(plain) => &plain.stream,
            Self::Tls(tls) => &tls.sock.stream,
        }
    }

    /// Octets written so far, those of TLS included.
    pub(super) fn written(&self) -> u64 {
        match self {
            Self::Plain(plain) => plain.written,
            Self::Tls(tls) => tls.sock.written,
        }
    }

    pub(super) fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.write_all(octets),
            Self::Tls(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
        }
    }

    /// Fails if the peer has ended the connection. Collectors say nothing else.
    pub(super) fn check_peer(&mut self) -> io::Result<()> {
        self.stream().set_nonblocking(true)?;
        let mut word = [0; 64];
        let result = match self {
            Self::Plain(plain) => plain.read(&mut word),
            Self::Tls(tls) => tls.read(&mut word),
        };
        self.stream().set_nonblocking(false)?;
        match result {
            Ok(0) => Err(io::Error::new(
                ErrorKind::ConnectionAborted,
                "the collector has closed the connection",
            )),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says that no more will come.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
            tls.flush()?;
        }
        self.stream().shutdown(Shutdown::Write)
    }
}

fn client_config(settings: &TlsSettings) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(authorities(settings.authorities.as_deref())?);
    match &settings.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| io::Error::other(format!("{}: {error}", key.display())))?;
            builder.with_client_auth_cert(chain, key).map_err(io::Error::other)
        }
    }
}

fn authorities(file: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = match file {
        Some(file) => certificates(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    for certificate in found {
        // The system may have some that are too old to be read; a file of the user may not.
        let added = roots.add(certificate);
        if file.is_some() {
            added.map_err(io::Error::other)?;
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other("no certificate authority to trust was found"));
    }
    Ok(roots)
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let named = |error| io::Error::other(format!("{}: {error}", file.display()));
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(named)?
        .collect::<Result<_, _>>()
        .map_err(named)?;
    if found.is_empty() {
        return Err(io::Error::other(format!("{}: no certificate in it", file.display())));
    }
    Ok(found)
}
