//! Live capture, end to end: the program on one end of a virtual link, traffic into the other.
//!
//! Everything is real: the kernel, its namespaces, XDP, `AF_XDP`, `AF_PACKET`. It takes root;
//! without, tests say that they are skipped.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the benches use all of it")]
#[path = "../../benches/elastic/sink.rs"]
mod sink;

mod alerts;
mod captures;
mod changes;
mod collectors;
mod control;
mod direction;
mod ends;
mod exports;
mod hangup;
mod host;
mod image;
mod interfaces;
mod load;
mod losses;
mod many;
mod names;
mod notify;
mod package;
mod places;
mod probe;
mod records;
mod reload;
mod rights;
mod service;
mod soak;
mod static_build;
mod totals;
mod tunnels;
mod ways;
