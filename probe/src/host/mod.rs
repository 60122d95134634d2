//! This host: its interfaces, what captures from them, the rights and the priority of the program.

pub(crate) mod doctor;
pub(crate) mod interface;
#[cfg(test)]
pub(crate) mod namespace;
pub(crate) mod port;
pub(crate) mod priority;
pub(crate) mod rights;
