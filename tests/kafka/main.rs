//! Kafka: a real broker, and an independent consumer.

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod consumer;
mod install;
mod outages;
mod records;
mod refusals;
mod replay;
