//! Flow records as messages of NetFlow v5, NetFlow v9 and IPFIX.

mod builder;
mod exporter;
pub(crate) mod ipfix;
pub(crate) mod netflow5;
pub(crate) mod netflow9;
mod template;
mod uptime;

pub(crate) use builder::{Content, MESSAGE_OCTETS_MIN, Message};
pub(crate) use exporter::{Encoder, MessageExporter, Refresh};
pub(crate) use uptime::Uptime;
