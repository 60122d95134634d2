//! Flow records to bytes to where they go: the Exporting Process.
//!
//! Encoders turn records into messages and never touch a socket; transports move
//! messages and never look inside. A `MessageExporter` joins the two and accounts for every
//! record: sent, not exportable, or failed. JSON documents go the same way, without messages.

mod destination;
mod element;
mod error;
mod exporter;
mod ipfix;
mod json;
mod message;
mod messages;
mod muted;
mod netflow5;
mod netflow9;
mod template;
mod transport;
mod uptime;

pub use destination::{Context, Destination, FORMS};
pub use error::{ExportError, sentence};
pub use exporter::{ExportCounts, Exporter, Interface, MeterReport};
pub use transport::Patience;
