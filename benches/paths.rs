//! Checks that no path is unexpectedly slow: prints the mean and the worst call of each scenario.
//!
//! A capture ring must bridge the worst call. It is measured in wall time, so another program on a
//! busy machine may affect it. The minimum of several rounds is used.

#[path = "scenario/mod.rs"]
mod scenario;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use scenario::{SCENARIOS, Scenario};

const ROUNDS: usize = 5;

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    println!("{:28} {:>14} {:>12} {:>14}", "scenario", "ns per unit", "units/call", "worst call");
    for scenario in &SCENARIOS {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round(scenario)).collect();
        let mean = rounds.iter().map(|round| round.mean_nanos).fold(f64::INFINITY, f64::min);
        let worst = rounds.iter().map(|round| round.worst).min().unwrap_or_default();
        let size = rounds[0].size;
        println!("{:28} {mean:>14.1} {size:>12} {worst:>14.1?}", scenario.name);
    }
}

struct Round {
    mean_nanos: f64,
    worst: Duration,
    size: usize,
}

fn round(scenario: &Scenario) -> Round {
    let mut work = scenario.prepare();
    let mut worst = Duration::ZERO;
    let begin = Instant::now();
    for call in 0..work.calls {
        let begin = Instant::now();
        (work.call)(call);
        worst = worst.max(begin.elapsed());
    }
    let units = (work.calls * work.size) as f64;
    Round { mean_nanos: begin.elapsed().as_nanos() as f64 / units, worst, size: work.size }
}
