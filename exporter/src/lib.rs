//! Flow records to bytes to where they go: the Exporting Process.
//!
//! Encoders turn records into messages and never touch a socket; transports move
//! messages and never look inside. A `MessageExporter` joins the two and accounts for every
//! record: sent, not exportable, or failed. A `DocumentExporter` writes documents and hands them to
//! a sink. Each output is described once, in output/.

mod cluster;
mod content;
mod elastic;
pub mod ending;
mod error;
mod exporter;
mod json;
mod message;
mod muted;
mod output;
mod sink;
pub mod spool;
mod transport;
mod unit;
mod webhook;

pub use cluster::{Cluster, Finding, Level, Setup};
pub use elastic::{alert_template, index_template};
pub use error::{ExportError, sentence};
pub use exporter::{
    Delivery, EarlierRuns, ExportCounts, Exporter, Interface, MeterReport, SpoolReport,
};
pub use json::{escaped_json, is_terminal_control};
pub use output::{Context, Destination, OUTPUTS, Output, Setting, forms, help};
pub use transport::Patience;
pub use unit::number_with_unit;
pub use webhook::Webhook;
