//! Trust in servers over TLS: collectors, clusters, webhooks.
//!
//! An authority certifies a server by its name. A server's own certificate that the user gave, in
//! `ca=` or by its fingerprint, needs no authority: this is how self-signed ones are trusted. The
//! fingerprint of an authority makes this authority the only one.

use std::fmt::{self, Display};
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use super::words::not_trusted;

/// The SHA-256 hash of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

/// 64 hexadecimal digits; colons are ignored.
impl FromStr for Fingerprint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits: Vec<u32> = text
            .chars()
            .filter(|&c| c != ':')
            .map(|c| c.to_digit(16).ok_or(()))
            .collect::<Result<_, _>>()?;
        let octet = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).map_err(drop);
        let (pairs, rest) = digits.as_chunks::<2>();
        let octets: Vec<u8> = pairs.iter().map(|pair| octet(pair)).collect::<Result<_, _>>()?;
        if !rest.is_empty() {
            return Err(());
        }
        octets.try_into().map(Self).map_err(drop)
    }
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Rules of trust in a server's certificate.
#[derive(Debug)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    by: TrustedBy,
}

#[derive(Debug)]
enum TrustedBy {
    /// The server's certificate, or an authority that certifies the server, has it.
    Fingerprint(Fingerprint),
    /// Certificates signed by authorities, and the certificates that the user gave (`given`).
    Authorities { verifier: Arc<WebPkiServerVerifier>, given: Vec<CertificateDer<'static>> },
}

impl Trust {
    pub(super) fn fingerprint(provider: &Arc<CryptoProvider>, fingerprint: Fingerprint) -> Self {
        Self { provider: Arc::clone(provider), by: TrustedBy::Fingerprint(fingerprint) }
    }

    /// `given` are the certificates that the user gave; they are also in `roots`.
    pub(super) fn authorities(
        provider: &Arc<CryptoProvider>,
        roots: RootCertStore,
        given: Vec<CertificateDer<'static>>,
    ) -> io::Result<Self> {
        let verifier = verifier(provider, roots)?;
        let by = TrustedBy::Authorities { verifier, given };
        Ok(Self { provider: Arc::clone(provider), by })
    }

    /// A verifier with this certificate as the only authority.
    fn verifier_of(
        &self,
        authority: &CertificateDer<'_>,
    ) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        verifier(&self.provider, roots).map_err(|error| Error::General(error.to_string()))
    }

    /// True if the certificate is self-signed.
    fn is_self_signed(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let Ok(verifier) = self.verifier_of(certificate) else { return false };
        let name = ServerName::try_from("name.invalid").expect("it is a name");
        let result = verifier.verify_server_cert(certificate, &[], &name, &[], now);
        !matches!(result, Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)))
    }

    /// Explains why authorities do not trust it, with a remedy for the user.
    fn explain(
        &self,
        error: Error,
        certificate: &CertificateDer<'_>,
        given: bool,
        now: UnixTime,
    ) -> Error {
        let is_unknown = error == Error::InvalidCertificate(CertificateError::UnknownIssuer);
        if !is_unknown && !error.to_string().contains(CA_AS_END_ENTITY) {
            return error;
        }
        let what = if self.is_self_signed(certificate, now) {
            "the server's certificate is self-signed"
        } else {
            "the server's certificate is from an authority that is not trusted"
        };
        let given = if given { "ca= does not hold it" } else { "ca= is not given" };
        let fingerprint = Fingerprint::of(certificate);
        not_trusted(format!("{what} and {given}; it has fingerprint={fingerprint}"))
    }
}

fn verifier(
    provider: &Arc<CryptoProvider>,
    authorities: RootCertStore,
) -> io::Result<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(provider))
        .build()
        .map_err(io::Error::other)
}

/// The error if no certificate of a server has the fingerprint.
fn other_fingerprint(end_entity: &CertificateDer<'_>, intermediates: usize) -> Error {
    let found = Fingerprint::of(end_entity);
    let chain = if intermediates == 0 { "" } else { "; that of no authority in its chain fits" };
    not_trusted(format!("the server's certificate has another fingerprint: {found}{chain}"))
}

/// The error if a certificate with the fingerprint is only shown.
fn not_signed(error: Error) -> Error {
    if error != Error::InvalidCertificate(CertificateError::UnknownIssuer) {
        return error;
    }
    let words = "the server shows the authority with the fingerprint, which has not signed the \
                 server's certificate";
    not_trusted(words.to_owned())
}

/// webpki's error for a server that uses the certificate of an authority.
const CA_AS_END_ENTITY: &str = "CaUsedAsEndEntity";

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (verifier, given) = match &self.by {
            TrustedBy::Fingerprint(pin) => {
                if Fingerprint::of(end_entity) == *pin {
                    return Ok(ServerCertVerified::assertion());
                }
                let authority = intermediates.iter().find(|one| Fingerprint::of(one) == *pin);
                let no_fit = || other_fingerprint(end_entity, intermediates.len());
                // Whoever copies the certificate of an authority cannot sign with its key.
                return self
                    .verifier_of(authority.ok_or_else(no_fit)?)?
                    .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                    .map_err(not_signed);
            }
            TrustedBy::Authorities { verifier, given } => (verifier, given),
        };
        if given.iter().any(|one| **one == **end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        verifier
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| self.explain(error, end_entity, !given.is_empty(), now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_64_digits_with_or_without_colons() {
        let digits = "0123456789abcdef".repeat(4);
        let upper = digits.to_uppercase();
        let colons: Vec<_> = (0..32).map(|index| &upper[2 * index..2 * index + 2]).collect();
        for text in [&digits, &upper, &colons.join(":")] {
            assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), digits);
        }
        for text in ["", "00", &digits[1..], &format!("{digits}0"), &format!("{digits}00"), "x"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(()), "{text}");
        }
    }
}
