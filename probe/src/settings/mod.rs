//! Settings of the program: the command line, the configuration file, and their checks.

pub(crate) mod again;
pub(crate) mod args;
pub(crate) mod config;
mod contradictions;
pub(crate) mod detect;
mod domain;
pub(crate) mod elastic;
mod exporter_names;
pub(crate) mod file;
pub(crate) mod help;
pub(crate) mod http;
mod known;
pub(crate) mod listen;
pub(crate) mod listener;
mod origin;
mod others;
pub(crate) mod parse;
mod payload;
pub(crate) mod places;
mod run_id;
pub(crate) mod selector;
pub(crate) mod service;
mod site;
mod timeouts;
mod tunnels;
pub(crate) mod values;
