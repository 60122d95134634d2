//! Two builds of our own program in turn: how much each takes of more than it can take, and the
//! processor time of a packet at a rate that both can take.

use std::path::Path;

use anyhow::Result;

use super::link::Link;
use super::meter::Meter;
use super::trial::{Bench, Effort, Load};
use super::{FLOWS, STEADY};
use crate::rounds::{Rounds, Spread};
use crate::tool::Place;

/// Duration of a trial in seconds. The other values are not used.
const SHORT: Effort = Effort { seconds: 5, times: 1, steps: 1, steady_seconds: 5 };

/// Figures of a build in the rounds that count.
#[derive(Debug, Default)]
struct Figures {
    /// Packets per second that were metered while more were sent.
    rates: Vec<f64>,
    /// Processor time of a packet at a steady rate, in ns.
    nanos: Vec<f64>,
}

/// Measures and prints ratios of another build to ours.
pub(super) fn compare(place: &Place, other: &Path, rounds: Rounds) -> Result<()> {
    let link = Link::make()?;
    let mut bench = Bench { place, flowprobe: &place.flowprobe, link, effort: SHORT };
    for meter in [Meter::FlowprobeXdp, Meter::FlowprobePacket] {
        for flows in FLOWS {
            let mut builds = [Figures::default(), Figures::default()];
            for round in 0..rounds.discarded + rounds.counted {
                for (figures, build) in builds.iter_mut().zip([&*place.flowprobe, other]) {
                    bench.flowprobe = build;
                    let overload = bench.trial(meter, Load { flows, rate: None }, SHORT.seconds)?;
                    let steady = Load { flows, ..STEADY };
                    let steady = bench.trial(meter, steady, SHORT.steady_seconds)?;
                    if round >= rounds.discarded {
                        figures.rates.push(overload.rate * overload.share());
                        figures.nanos.push(steady.nanos_per_packet());
                    }
                }
            }
            let [ours, others] =
                builds.map(|figures| (Spread::of(figures.rates), Spread::of(figures.nanos)));
            println!(
                "{}, {flows} flows: {:.3} of the other's rate ({:.3} Mpps), {:.3} of its time a \
                 packet ({:.0} ns)",
                meter.name(),
                ours.0.median / others.0.median,
                ours.0.median / 1e6,
                ours.1.median / others.1.median,
                ours.1.median,
            );
        }
    }
    Ok(())
}
