//! Live capture, in comparison with the peers: a generator on one processor, a program on another,
//! and a virtual link between them.
//!
//! `link` is the network, `meter` the programs, `trial` one measurement and the search for the
//! highest rate, `report` the output page. `builds` compares two builds of our own program,
//! `page` a run with a page and one without.

mod builds;
mod link;
mod meter;
mod page;
mod report;
mod trial;

use std::path::Path;

use anyhow::{Result, ensure};

use self::link::Link;
use self::meter::Meter;
use self::report::Results;
use self::trial::{Bench, Effort, Load};
use super::rounds::Rounds;
use super::tool::Place;
use commands::debian::{self, Need};

const NEEDS: [Need; 4] = [
    Need { package: "iproute2", check: &["ip", "-V"] },
    Need { package: "ethtool", check: &["ethtool", "--version"] },
    Need { package: "nfdump", check: &["nfpcapd", "-V"] },
    Need { package: "softflowd", check: &["softflowd", "-h"] },
];

/// Three times ten seconds without loss, then a minute.
const FULL: Effort = Effort { seconds: 10, times: 3, steps: 7, steady_seconds: 60 };

/// Enough to check that everything works and every packet is accounted for.
const QUICK: Effort = Effort { seconds: 2, times: 1, steps: 2, steady_seconds: 4 };

/// Numbers of flows for which the highest rate is searched.
const FLOWS: [u32; 2] = [1000, 1_000_000];

/// Load for a minute without loss.
const STEADY: Load = Load { flows: 1_000_000, rate: Some(600_000) };

/// Measures another build in turn with ours, and prints the ratios.
pub(super) fn run_against(place: &Place, other: &Path, rounds: Rounds) -> Result<()> {
    debian::install(&NEEDS);
    builds::compare(place, other, rounds)
}

/// Measures what a page costs while somebody looks at it.
pub(super) fn cost_of_page(place: &Place, rounds: Rounds) -> Result<()> {
    debian::install(&NEEDS);
    page::cost(place, rounds)
}

/// Measures and writes the page to a folder.
pub(super) fn run(place: &Place, quick: bool, folder: &Path) -> Result<()> {
    debian::install(&NEEDS);
    let processors = std::thread::available_parallelism()?.get();
    ensure!(processors > 1, "the generator and the program each need a processor of their own");
    let effort = if quick { QUICK } else { FULL };
    let bench = Bench { place, flowprobe: &place.flowprobe, link: Link::make()?, effort };
    let meters: Vec<_> = Meter::ALL.into_iter().filter(|meter| meter.is_there()).collect();
    let mut results = Results::new(effort);
    for flows in FLOWS {
        for &meter in &meters {
            let found = bench.highest_rate(meter, flows)?;
            println!("{}, {flows} flows, without loss: {found}", meter.name());
            results.rates.push((flows, meter, found));
        }
    }
    for &meter in &meters {
        let trial = bench.trial(meter, STEADY, effort.steady_seconds)?;
        results.steady.push((meter, trial));
    }
    results.check()?;
    if quick { Ok(()) } else { results.write(folder) }
}
