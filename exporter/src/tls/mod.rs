//! TLS: whom this program trusts, what it shows, and what errors mean.

mod config;
mod trust;
mod words;

pub use config::server_config;
pub(crate) use config::{TlsSettings, server_name};
pub(crate) use trust::Fingerprint;
pub use words::error_with_exporter;
pub(crate) use words::{error_with_server, handshake_error, in_words};
