//! Documents into Elasticsearch or OpenSearch, by the bulk API.
//!
//! The sink (sink.rs) adds the action of each document, and the batches of ../batches/ go out by
//! the client (client.rs). Each document has an id that depends only on the run and its position,
//! so a batch that is sent twice is written once.

mod alerts;
mod client;
mod dns;
mod engine;
mod reply;
mod sink;
mod target;
mod template;

pub use alerts::alert_template;
pub(crate) use client::{ClientSettings, Credentials};
pub use dns::dns_template;
pub(crate) use engine::{Engine, version};
pub(crate) use reply::problem;
pub(crate) use sink::{ElasticSettings, ElasticSink};
pub(crate) use target::{IndexPattern, alert_stream, dns_stream, flow_stream, streams};
pub use template::index_template;
