//! flowprobe, the program: capture sources, workers, outputs, and the command line around them.

mod args;
pub mod capture;
mod config;
mod config_file;
mod doctor;
mod interface;
mod logger;
mod queue;
mod run;
mod stats;
mod top;
mod units;
mod worker;

pub use run::main;
