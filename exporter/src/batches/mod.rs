//! Documents or messages into a service that acknowledges each: a cluster, or brokers.
//!
//! The thread of the output collects them in batches (batch.rs). Batches wait in memory
//! (delivery.rs) for threads that send them (sender.rs) with the client of the service (client.rs),
//! until the output gives up (giving_up.rs).
//! With a spool, batches that wait too long go to the disk (spooler.rs). The number of batches in
//! flight adapts to the answers of the service (concurrency.rs).

mod batch;
mod client;
mod concurrency;
mod counts;
mod dead_letter;
mod delivery;
mod denials;
mod giving_up;
mod hosts;
mod outbox;
mod parcel;
mod sender;
mod settings;
mod spooler;
mod spooling;
mod state;

pub(crate) use batch::Batch;
pub(crate) use client::{Answer, Client, Outcome};
pub(crate) use hosts::HostIndex;
pub(crate) use outbox::Outbox;
pub(crate) use settings::{OutboxSettings, SpoolSettings};
