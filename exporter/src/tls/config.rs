//! Configurations of rustls, from files with certificates and keys.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::trust::{Fingerprint, Trust};
use super::words::{error_with_server, words};
use crate::error::sentence;
use crate::secret::warn_of_readers;

/// Settings of trust in a server, and of the own certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// PEM file of the authorities to trust instead of the system's, or of the server's own
    /// certificate.
    pub(crate) authorities: Option<PathBuf>,
    /// Fingerprint of the server's certificate, or of the only authority to trust.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// PEM files of the own certificate and its key, for a server that requests one.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl TlsSettings {
    /// The configuration of rustls for a client.
    pub(crate) fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = match self.fingerprint {
            Some(fingerprint) => Trust::fingerprint(&provider, fingerprint),
            None => authorities(&provider, self.authorities.as_deref())?,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(error_with_server)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key_file)) => with_identity(certificate, key_file, |chain, key| {
                builder.with_client_auth_cert(chain, key)
            })?,
        };
        // No resumption: each connection checks the certificates.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// The name of a server that its certificate has to be for.
///
/// # Errors
///
/// No certificate can be for it.
pub(crate) fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    // A zone has a meaning on this host only. Certificates do not contain it.
    let name = host.split_once('%').map_or(host, |(address, _zone)| address);
    ServerName::try_from(name.to_owned())
        .map_err(|_error| io::Error::other(format!("no certificate can be for {name}")))
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
        .map_err(error_with_server)?;
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
