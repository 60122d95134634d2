//! The collector: messages of other exporters, and our own.

#[path = "../support/mod.rs"]
mod support;

mod captures;
mod messages;
mod program;
mod round_trip;
mod rules;
mod sflow;
#[path = "../interop/traffic.rs"]
mod traffic;
