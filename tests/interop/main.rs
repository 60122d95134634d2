//! Real collectors receive NetFlow v5, v9 and IPFIX and report what `json:` says.
//!
//! Each test starts a collector on the loopback, replays one capture into it and into documents,
//! and compares record by record. What a protocol cannot say, or a collector does not show or
//! shows in its own way, is written down at each one, and is exactly that.

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod flows;
mod goflow2;
mod logstash;
mod nfdump;
mod others;
mod places;
mod pmacct;
mod replay;
mod traffic;
mod tshark;
