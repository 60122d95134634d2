//! Messages of other exporters to flow records: NetFlow v5, NetFlow v9, IPFIX and sFlow.
//!
//! The [`Collector`] takes datagrams and gives records. It keeps the templates of each exporter and
//! Observation Domain, and data that came before its template. A message is checked as a whole
//! before it changes anything. All state is bounded, and everything that is left out is counted.
//!
//! This crate performs no I/O, reads no clock and starts no thread. Records depend only on the
//! datagrams, the times of their arrival and the limits.

mod collector;
mod counts;
mod exporter;
mod given;
mod half;
mod known;
mod limits;
mod message;
mod names;
mod netflow5;
mod options;
mod originals;
mod record;
mod sampling;
mod scale;
mod sequence;
mod sets;
mod sflow;
mod store;
mod template;
mod templates;
mod totals;
mod waiting;

pub use collector::{Collector, Sink};
pub use counts::Counts;
pub use exporter::ExporterReport;
pub use known::{SflowExporter, TemplateScope};
pub use limits::Limits;
pub use names::ExporterNames;
pub use options::OptionsRecord;
pub use scale::SamplingSettings;
pub use sflow::InterfaceReport;
pub use store::StoredTemplate;
