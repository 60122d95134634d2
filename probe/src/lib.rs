//! The program flowprobe: capture sources, workers, outputs, and the command line.

pub mod capture;
mod check;
mod cluster;
mod collect;
mod ctl;
mod host;
mod pipeline;
mod places;
mod report;
mod run;
mod settings;
mod sys;

pub use run::main;
