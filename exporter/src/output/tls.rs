//! Settings of TLS: trust in the server, and the own certificate.

use std::path::PathBuf;

use super::{Setting, Settings};
use crate::tls::TlsSettings;

pub(super) const CA: Setting = Setting::path(
    "ca",
    "PEM file of authorities, or of the collector, to trust; the system's by default",
);

pub(super) const FINGERPRINT: Setting = Setting::fingerprint(
    "fingerprint",
    "SHA-256 of the certificate to trust: the collector's, or its authority's",
);

pub(super) const CERT: Setting =
    Setting::path("cert", "PEM file of this exporter's certificate").needs("key");

pub(super) const KEY: Setting =
    Setting::path("key", "PEM file of the certificate's private key").needs("cert");

/// The given settings of TLS.
pub(super) fn tls(settings: &Settings) -> TlsSettings {
    let path = |setting| settings.given::<PathBuf>(setting);
    TlsSettings {
        authorities: path(&CA),
        fingerprint: settings.given(&FINGERPRINT),
        identity: path(&CERT).zip(path(&KEY)),
    }
}
