//! Kafka: real brokers, and an independent consumer.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the tests of clusters use all of it")]
#[path = "../elastic/client.rs"]
mod client;
#[allow(dead_code, reason = "the tests of clusters use all of it")]
#[path = "../elastic/engine.rs"]
mod engine;
#[path = "../elastic/install.rs"]
mod install;
#[allow(dead_code, reason = "the tests of clusters use all of it")]
#[path = "../elastic/kind.rs"]
mod kind;
#[path = "../elastic/streams.rs"]
mod streams;

mod broker;
mod consumer;
mod disk;
mod distribution;
mod full;
mod leaders;
mod million;
mod outages;
mod probes;
mod records;
mod refusals;
mod replay;
mod rsyslog;
#[cfg(feature = "kafka-tls")]
mod secure;
