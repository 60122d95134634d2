//! Texts of errors of TLS: plain sentences that name the party that has to act.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, OtherError};

/// The other end of a connection, in texts.
#[derive(Clone, Copy, Debug)]
struct Peer {
    name: &'static str,
    /// What this program is for it.
    own: &'static str,
    /// What to do if it asks for a certificate.
    give: &'static str,
}

/// A collector, a cluster or another service.
const SERVER: Peer =
    Peer { name: "the server", own: "this exporter", give: ": give cert= and key=" };

/// An exporter whose flows are collected.
const CLIENT: Peer = Peer { name: "the exporter", own: "this collector", give: "" };

/// A text as a certificate error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotTrusted(String);

pub(super) fn not_trusted(words: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotTrusted(words)))))
}

/// The same error, with flowprobe's text if it is one of TLS. The peer is a server.
pub(crate) fn in_words(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return io::Error::new(error.kind(), "the server has closed the connection");
    }
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    of_tls.map(|inner| io::Error::new(error.kind(), words(inner))).unwrap_or(error)
}

/// The same error, with flowprobe's text if it is one of the handshake.
pub(crate) fn handshake_error(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let closed = "the server has closed the connection in the TLS handshake";
        return io::Error::new(io::ErrorKind::UnexpectedEof, closed);
    }
    in_words(error)
}

/// Text of an error of TLS with a server.
pub(super) fn words(error: &Error) -> String {
    SERVER.words(error)
}

/// An error of TLS with a server, with flowprobe's text.
pub(crate) fn error_with_server(error: Error) -> io::Error {
    io::Error::other(words(&error))
}

/// An error of TLS with an exporter that is a client of this program, with flowprobe's text.
pub fn error_with_exporter(error: &Error) -> io::Error {
    io::Error::other(CLIENT.words(error))
}

impl Peer {
    #[expect(clippy::wildcard_enum_match_arm, reason = "there are many more, which hardly occur")]
    fn words(self, error: &Error) -> String {
        let Self { name, give, .. } = self;
        match error {
            Error::InvalidCertificate(error) => self.certificate_words(error),
            Error::AlertReceived(alert) => self.alert_words(*alert),
            Error::NoCertificatesPresented => format!("{name} shows no certificate"),
            Error::InvalidMessage(_) => format!("{name} does not speak TLS"),
            Error::PeerIncompatible(_) => {
                format!("{name} has no TLS version or cipher suite in common")
            }
            Error::PeerMisbehaved(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::DecryptError
            | Error::PeerSentOversizedRecord => format!("{name} violates the TLS protocol"),
            Error::InconsistentKeys(_) => {
                "the private key is not that of the certificate".to_owned()
            }
            Error::HandshakeNotComplete => format!("{name} has not ended the TLS handshake{give}"),
            other => other.to_string(),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "there are many more, which hardly occur")]
    fn alert_words(self, alert: AlertDescription) -> String {
        let Self { name, own, give } = self;
        let of_ours = format!("{name} does not accept {own}'s certificate");
        match alert {
            AlertDescription::CertificateRequired => format!("{name} asks for a certificate{give}"),
            AlertDescription::UnknownCA => format!("{of_ours}: it does not know its authority"),
            AlertDescription::CertificateExpired => format!("{of_ours}: it has expired"),
            AlertDescription::CertificateRevoked => format!("{of_ours}: it is revoked"),
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate => of_ours,
            AlertDescription::AccessDenied => format!("{name} denies {own} access"),
            AlertDescription::ProtocolVersion => format!("{name} has neither TLS 1.2 nor 1.3"),
            AlertDescription::HandshakeFailure => format!(
                "{name} refuses the TLS handshake: it may ask for a certificate, or have no cipher \
                 suite in common"
            ),
            other => format!("{name} ends TLS with alert {}", u8::from(other)),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "there are many more, which hardly occur")]
    fn certificate_words(self, error: &CertificateError) -> String {
        let its = format!("{}'s certificate", self.name);
        match error {
            CertificateError::Expired => format!("{its} has expired"),
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("{its} has expired, on {}", date(*not_after))
            }
            CertificateError::NotValidYet => format!("{its} is not valid yet"),
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("{its} is not valid yet, but from {} on", date(*not_before))
            }
            CertificateError::Revoked => format!("{its} is revoked"),
            CertificateError::UnknownIssuer => {
                format!("{its} is from an authority that is not trusted")
            }
            CertificateError::NotValidForName => format!("{its} is not for this host"),
            CertificateError::NotValidForNameContext { expected, presented } => {
                let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
                let names = if names.is_empty() { "no host".to_owned() } else { names.join(", ") };
                format!("{its} is for {names}, and not for {}", expected.to_str())
            }
            CertificateError::BadSignature => format!("{its} has a wrong signature"),
            CertificateError::BadEncoding => format!("{its} cannot be read"),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                format!("{its} does not allow this use")
            }
            CertificateError::Other(OtherError(inner)) if inner.is::<NotTrusted>() => {
                inner.to_string()
            }
            other => format!("{its} is not valid: {other}"),
        }
    }
}

/// The name of a host in the form `DnsName("collector.example")`.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"').to_owned()
}

fn date(time: UnixTime) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(time.as_secs());
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_is_in_the_words_of_a_programmer() {
        for peer in [SERVER, CLIENT] {
            for alert in 0..=255 {
                let words = peer.words(&Error::AlertReceived(AlertDescription::from(alert)));
                assert!(words.starts_with(peer.name), "{words}");
            }
            for error in [
                CertificateError::Expired,
                CertificateError::BadSignature,
                CertificateError::NotValidForName,
                CertificateError::UnknownIssuer,
                CertificateError::Revoked,
            ] {
                let words = peer.words(&Error::InvalidCertificate(error));
                assert!(words.starts_with(&format!("{}'s certificate ", peer.name)), "{words}");
            }
        }
        assert_eq!(words(&not_trusted("it is not trusted".to_owned())), "it is not trusted");
    }

    #[test]
    fn errors_of_tls_inside_others_are_found() {
        let wrapped = |error| in_words(io::Error::new(io::ErrorKind::InvalidData, error));
        let error = wrapped(Error::InvalidCertificate(CertificateError::Expired));
        assert_eq!(error.to_string(), "the server's certificate has expired");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(in_words(io::Error::other("another")).to_string(), "another");
    }
}
