//! Documents or messages into a topic of Kafka.
//!
//! The sink (sink.rs) adds the key of each message, and the batches of ../batches/ go out by the
//! client (client.rs). librdkafka finds the brokers and partitions, and sends again what they do
//! not acknowledge. A batch is done when each of its messages has an outcome (receipts.rs).

mod client;
mod outcome;
mod receipts;
mod sink;

pub(crate) use client::{KafkaSettings, Value};
pub(crate) use sink::{KafkaSink, PartitionKey};
