//! This host: its interfaces, their capture, the capabilities and the priority of the program.

pub(crate) mod control;
pub(crate) mod doctor;
pub(crate) mod interface;
pub(crate) mod listeners;
pub(crate) mod memory;
pub(crate) mod method;
#[cfg(test)]
pub(crate) mod namespace;
pub(crate) mod ports;
pub(crate) mod priority;
pub(crate) mod rights;
pub(crate) mod service;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod system;
