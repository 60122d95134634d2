//! Documents into clusters: speed, and memory while a cluster accepts no documents. With the
//! feature `kafka` also documents into Kafka.
//!
//! `cargo xtask bench elastic` and `kafka` run this. The compared programs run in turn, in
//! several rounds, and the median counts: so ratios are valid even on a busy machine.

#![allow(dead_code, reason = "it uses a part of what the tests share")]

#[cfg(feature = "kafka")]
mod kafka;
mod loader;
mod outage;
mod sink;
mod speed;

#[cfg(feature = "kafka")]
#[path = "../../tests/kafka/broker.rs"]
mod broker;
#[path = "../../tests/elastic/client.rs"]
mod client;
#[cfg(feature = "kafka")]
#[path = "../../tests/kafka/disk.rs"]
mod disk;
#[cfg(feature = "kafka")]
#[path = "../../tests/kafka/distribution.rs"]
mod distribution;
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

/// Amount of work.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Number of rounds that count.
    rounds: usize,
    /// Documents per round into an engine.
    documents: usize,
    outage_seconds: u64,
}

const FULL: Effort = Effort { rounds: 5, documents: 60_000, outage_seconds: 60 };
const QUICK: Effort = Effort { rounds: 1, documents: 6_000, outage_seconds: 10 };

type Part = (&'static str, fn(Effort));

/// The parts, which can be named on the command line.
const PARTS: &[Part] = &[
    ("sink", speed::into_a_sink),
    ("engine", speed::into_an_engine),
    ("outage", outage::run),
    #[cfg(feature = "kafka")]
    ("kafka", kafka::run),
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let effort = if has("--quick") { QUICK } else { FULL };
    let is_all = PARTS.iter().all(|(name, _)| !has(name));
    for (name, run) in PARTS {
        if is_all || has(name) {
            run(effort);
        }
    }
}

/// The median.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
