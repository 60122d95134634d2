//! Programs on the same files in turn, in several rounds.

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};

use super::tool::{Counted, Place, Tool};
use super::trace::{Recipe, Sums, Trace};

/// A trace and its meters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) recipe: Recipe,
    /// The peers of our own program, each with its number of packets of the trace.
    pub(super) peers: &'static [(Tool, u64)],
}

/// Numbers of rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// Rounds before the counted ones, whose results are discarded.
    pub(super) discarded: u32,
    pub(super) counted: u32,
}

/// Results of a program with a trace.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) tool: Tool,
    pub(super) sums: Sums,
    /// Packets per second.
    pub(super) rate: Spread,
    pub(super) cpu_nanos_per_packet: f64,
    /// Peak memory in octets.
    pub(super) peak_memory: u64,
    /// The worst result of all runs: the program's counts compared with the trace.
    pub(super) accounted: Accounted,
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { median, least, greatest } = self.rate;
        let [median, least, greatest] = [median, least, greatest].map(|rate| rate / 1e6);
        let memory = self.peak_memory / 1_000_000;
        let nanos = self.cpu_nanos_per_packet;
        write!(
            out,
            "{median:.2} Mpps ({least:.2} to {greatest:.2}), {nanos:.1} ns of CPU a packet, {memory} MB"
        )
    }
}

/// Comparison of a program's counts with the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accounted {
    Exactly,
    /// The program does not report the number of packets.
    NotSaid,
    /// Differences in packets and octets.
    Off {
        packets: i128,
        octets: i128,
    },
}

/// The median of some values, the minimum and the maximum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Spread {
    pub(super) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let count = figures.len();
        Self {
            median: f64::midpoint(at(count.saturating_sub(1) / 2), at(count / 2)),
            least: at(0),
            greatest: at(count.saturating_sub(1)),
        }
    }
}

/// Creates the files, and measures our own program and the peers, each with its number of packets.
pub(super) fn compare(
    place: &Place,
    folder: &Path,
    recipe: &Recipe,
    peers: &[(Tool, u64)],
    rounds: Rounds,
) -> Result<Vec<Row>> {
    let mut runs = vec![(Tool::Flowprobe, recipe.make(folder, recipe.packets)?, Vec::new())];
    for &(tool, packets) in peers {
        if tool.is_there() {
            runs.push((tool, recipe.make(folder, packets)?, Vec::new()));
        }
    }
    for (_, trace, _) in &runs {
        trace.warm()?;
    }
    for round in 0..rounds.discarded + rounds.counted {
        for (tool, trace, kept) in &mut runs {
            let counted = warm(|| tool.run(place, trace))?;
            let rate = rate(trace, &counted);
            println!("{:5} {:9} {:>8.2} Mpps", recipe.name, tool.name(), rate / 1e6);
            if round >= rounds.discarded {
                kept.push(counted);
            }
        }
    }
    runs.iter().map(|(tool, trace, kept)| Row::new(*tool, trace, kept)).collect()
}

/// Returns the second of two consecutive runs.
///
/// A virtual machine may return memory to its host after it has been free for seconds. The next
/// process that touches it waits for the host: up to 2 s per GiB. The first run has this delay, and
/// the second run gets the memory that the first one has just freed.
pub(super) fn warm(run: impl Fn() -> Result<Counted>) -> Result<Counted> {
    run()?;
    run()
}

impl Row {
    fn new(tool: Tool, trace: &Trace, kept: &[Counted]) -> Result<Self> {
        let packets = trace.sums.packets as f64;
        let accounted = kept
            .iter()
            .map(|counted| Accounted::new(tool, &trace.sums, counted))
            .find(|accounted| matches!(accounted, Accounted::Off { .. }))
            .unwrap_or(match tool {
                Tool::Tcpdump => Accounted::NotSaid,
                Tool::Flowprobe
                | Tool::OtherFlowprobe
                | Tool::FlowprobeWith(_)
                | Tool::Nfpcapd
                | Tool::Softflowd => Accounted::Exactly,
            });
        ensure!(
            !tool.is_flowprobe() || accounted == Accounted::Exactly,
            "flowprobe did not count what is in {}: {accounted:?}",
            trace.path.display()
        );
        let cpu = kept.iter().map(|counted| counted.run.cpu_seconds).collect();
        Ok(Self {
            tool,
            sums: trace.sums,
            rate: Spread::of(kept.iter().map(|counted| rate(trace, counted)).collect()),
            cpu_nanos_per_packet: Spread::of(cpu).median * 1e9 / packets,
            peak_memory: kept.iter().map(|counted| counted.run.peak_memory).max().unwrap_or(0),
            accounted,
        })
    }
}

impl Accounted {
    fn new(tool: Tool, sums: &Sums, counted: &Counted) -> Self {
        let (packets, octets) = tool.expected(sums);
        let octets = octets.unwrap_or(counted.octets);
        if (counted.packets, counted.octets) == (packets, octets) {
            return Self::Exactly;
        }
        Self::Off {
            packets: i128::from(counted.packets) - i128::from(packets),
            octets: i128::from(counted.octets) - i128::from(octets),
        }
    }
}

/// Packets per second.
pub(super) fn rate(trace: &Trace, counted: &Counted) -> f64 {
    trace.sums.packets as f64 / counted.run.seconds
}

/// A rate per second, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive and far below the limit"
)]
pub(super) fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_in_the_middle() {
        for (figures, median) in [
            (&[3.0][..], 3.0),
            (&[9.0, 1.0], 5.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 3.0, 2.0], 2.5),
        ] {
            let spread = Spread::of(figures.to_vec());
            assert!((spread.median - median).abs() < 1e-9, "{figures:?}");
            assert!(spread.least <= median && median <= spread.greatest);
        }
    }
}
