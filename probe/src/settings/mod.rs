//! What the program is to do: the command line, the configuration file, and both checked.

pub(crate) mod args;
pub(crate) mod config;
mod domain;
mod file;
mod known;
pub(crate) mod places;
mod run_id;
pub(crate) mod selector;
pub(crate) mod values;
