//! Flow records as messages of NetFlow v5, NetFlow v9 and IPFIX.

mod announcement;
mod builder;
mod encoder;
mod exporter;
pub(crate) mod ipfix;
mod named;
pub(crate) mod netflow5;
pub(crate) mod netflow9;
#[cfg(feature = "kafka")]
mod self_contained;
mod template;
mod uptime;

pub(crate) use announcement::Refresh;
pub(crate) use encoder::MessageEncoder;
pub(crate) use exporter::MessageExporter;
pub(crate) use named::Namespace;
#[cfg(feature = "kafka")]
pub(crate) use self_contained::SelfContained;
pub(crate) use uptime::Uptime;
