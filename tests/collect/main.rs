//! The collector: messages of other exporters, and our own.

#[path = "../support/mod.rs"]
mod support;

mod biflow;
mod captures;
mod carried;
#[path = "../interop/collector.rs"]
mod collector;
mod connections;
mod control;
mod counters;
mod flood;
mod hostile;
mod judges;
mod meaning;
mod mediation;
mod messages;
mod names;
mod options;
#[path = "../interop/others.rs"]
mod others;
mod peers;
mod program;
mod round_trip;
mod rules;
mod scaled;
mod sflow;
mod slow;
mod sockets;
mod store;
#[path = "../interop/traffic.rs"]
mod traffic;
