//! What the exporters put on the wire: golden messages, their rules one by one, and round trips
//! through a decoder that is not ours.
//!
//! Only the public interface of the exporter is used: an output is opened as a user writes it,
//! records go in, and what comes out of a socket or a file is looked at.

#[path = "../support/mod.rs"]
mod support;

mod balance;
mod collector;
mod connections;
mod documents;
mod files;
mod golden;
mod interfaces;
mod limits;
mod message;
mod netflow5;
mod record;
mod refresh;
mod round_trip;
mod statistics;
mod template;
mod times;
