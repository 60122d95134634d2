//! Flow records to bytes to where they go: the Exporting Process.
//!
//! Encoders turn records into messages and never touch a socket; transports move
//! messages and never look inside. A `MessageExporter` joins the two and accounts for every
//! record: sent, not exportable, or failed. JSON documents go the same way, without messages.

mod destination;
mod error;
mod exporter;
mod json;
mod message;
mod muted;
mod transport;

pub use destination::{Context, Destination, FORMS};
pub use error::{ExportError, sentence};
pub use exporter::{ExportCounts, Exporter, Interface, MeterReport};
pub use transport::Patience;
