//! flowprobe, the program: capture sources, workers, outputs, and the command line around them.

mod args;
pub mod capture;
mod config;
mod config_file;
mod doctor;
mod interface;
mod live;
mod logger;
#[cfg(test)]
mod namespace;
mod port;
mod priority;
mod queue;
mod replay;
mod rights;
mod run;
mod session;
mod stats;
mod top;
mod units;
mod worker;

pub use run::main;
