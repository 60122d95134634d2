//! Documents into clusters: speed, and memory while a cluster takes nothing.
//!
//! `cargo xtask bench --elastic` runs this. What is compared runs in turn, round after round, and
//! the median counts: on a machine that is busy with other things ratios stay true.

#![allow(dead_code, reason = "it uses a part of what the tests share")]

mod loader;
mod outage;
mod sink;
mod speed;

#[path = "../../tests/elastic/client.rs"]
mod client;
#[path = "../../tests/elastic/engine.rs"]
mod engine;
#[path = "../../tests/elastic/install.rs"]
mod install;
#[path = "../../tests/elastic/kind.rs"]
mod kind;
#[path = "../scenario/records.rs"]
mod records;
#[path = "../../tests/support/mod.rs"]
mod support;

/// Rounds that count, and how long an outage is.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: usize,
    outage_seconds: u64,
}

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let effort = match is_quick {
        true => Effort { rounds: 1, outage_seconds: 10 },
        false => Effort { rounds: 5, outage_seconds: 60 },
    };
    speed::into_a_sink(effort);
    speed::into_an_engine(effort);
    outage::run(effort);
}

/// The value in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
