//! The places of addresses: what databases and own networks say, in documents and statistics, while
//! their files change.

#[path = "../support/mod.rs"]
mod support;

mod lookups;
mod program;
mod reload;
mod shapes;
