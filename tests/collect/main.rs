//! The collector: messages of other exporters, and our own.

#[path = "../support/mod.rs"]
mod support;

mod captures;
mod messages;
mod rules;
