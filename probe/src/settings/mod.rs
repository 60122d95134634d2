//! Settings of the program: the command line, the configuration file, and their checks.

pub(crate) mod again;
pub(crate) mod args;
pub(crate) mod config;
mod contradictions;
pub(crate) mod detect;
mod domain;
pub(crate) mod elastic;
pub(crate) mod file;
mod help;
pub(crate) mod http;
mod known;
pub(crate) mod listen;
mod origin;
pub(crate) mod parse;
pub(crate) mod places;
mod run_id;
pub(crate) mod selector;
mod site;
mod tunnels;
pub(crate) mod values;
