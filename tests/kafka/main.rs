//! Kafka: a real broker, and an independent consumer.

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod consumer;
mod disk;
mod distribution;
mod full;
mod leaders;
mod million;
mod outages;
mod records;
mod refusals;
mod replay;
