//! Documents into Elasticsearch or OpenSearch, by the bulk API.
//!
//! The thread of the output collects documents in batches (batch.rs). Batches wait in memory
//! (delivery.rs) for threads that send them (sender.rs). With a spool, batches that wait too long
//! go to the disk (spooler.rs). Each document has an id that depends only on the run and its
//! position, so a batch that is sent twice is written once. The number of requests in flight adapts
//! to the answers of the cluster (concurrency.rs).

mod alerts;
mod batch;
mod client;
mod concurrency;
mod connector;
mod counts;
mod dead_letter;
mod delivery;
mod hosts;
mod parcel;
mod reply;
mod sender;
mod sink;
mod spooler;
mod spooling;
mod state;
mod target;
mod template;

pub use alerts::alert_template;
pub(crate) use client::{ClientSettings, Credentials, words};
pub(crate) use connector::connector;
pub(crate) use reply::problem;
pub(crate) use sink::{ElasticSettings, ElasticSink, SpoolSettings};
pub(crate) use target::IndexPattern;
pub use template::index_template;
