//! The Exporting Process: encodes flow records and sends them.
//!
//! Encoders turn records into messages and never use a socket; transports send messages and never
//! read them. A `MessageExporter` connects both and counts every record: sent, not exportable, or
//! failed. A `DocumentExporter` writes documents and passes them to a sink. Each output is defined
//! once, in output/.

mod balance;
mod batches;
mod cluster;
mod content;
mod conversation_id;
mod elastic;
pub mod ending;
mod error;
mod exporter;
mod http;
mod json;
#[cfg(feature = "kafka")]
mod kafka;
mod message;
mod muted;
mod output;
mod patience;
mod secret;
mod sink;
pub mod spool;
mod tls;
mod transport;
mod unit;
mod unopened;
mod webhook;
mod words;

pub use cluster::{Cluster, Finding, Level, Retention, Setup};
pub use elastic::{alert_template, dns_template, index_template};
pub use error::{ExportError, sentence};
pub use exporter::{
    CollectorCounts, DeliveryReport, EarlierRuns, ExportCounts, Exporter, Interface, MeterReport,
    SpoolReport,
};
pub use json::{escaped_json, is_terminal_control};
pub use output::{Context, Destination, OUTPUTS, Output, Setting, forms, help, without_secrets};
pub use patience::Patience;
pub use tls::{error_with_exporter, server_config};
pub use transport::{FilesInUse, LineFile};
pub use unit::{missing_unit, number_with_unit};
pub use unopened::Unopened;
pub use webhook::Webhook;
pub use words::{nearest, wrapped};
