//! Settings of the program, and what is counted of it.

use crate::support::Run;
pub use crate::support::probe::Probe;

/// How packets are taken.
pub const METHODS: [&[&str]; 2] =
    [&["--capture", "afxdp", "--take-interface"], &["--capture", "packet"]];

/// Timeouts that do not end a flow while a test runs.
pub const PATIENT: [&str; 4] = ["--idle-timeout", "1h", "--active-timeout", "1h"];

/// Packets that all layers of capture say were lost.
pub fn lost(run: &Run) -> u64 {
    let interfaces = run.stats["interfaces"].as_array().expect("live statistics");
    interfaces.iter().map(|interface| interface["lost"].as_u64().expect("a count")).sum()
}
