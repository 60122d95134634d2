//! Documents into Elasticsearch or OpenSearch, by the bulk API.
//!
//! The thread of the output gathers documents in batches (batch.rs). Batches wait in memory
//! (delivery.rs) for threads that send them (sender.rs). With a spool, what waits too long there
//! goes to the disk (spooler.rs). Each document has an id that depends on the run and its
//! position only, so a batch that is sent twice is written once. How many requests are under way
//! follows from how the cluster answers (concurrency.rs).

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
