//! The program flowprobe: capture sources, workers, outputs, and the command line.

pub mod capture;
mod check;
mod cluster;
mod ctl;
mod files;
mod host;
mod listen;
mod pipeline;
mod places;
mod report;
mod run;
mod settings;
mod status;
mod sys;

pub use run::main;
