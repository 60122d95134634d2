//! Elasticsearch and OpenSearch: the real ones, and a server that answers as a test tells it.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod client;
mod cluster;
mod concurrency;
mod delivery;
mod engine;
mod engines;
mod existing;
mod hosts;
mod install;
mod kills;
mod kind;
mod moments;
mod panels;
mod relay;
mod replay;
mod rights;
mod run;
mod scripted;
mod secrets;
mod seeded;
mod setup;
mod spool;
mod streams;
mod targets;
mod trust;
