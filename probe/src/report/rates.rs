//! Rates of a live run.

use std::time::Duration;

use flow::Tally;

use crate::report::totals::Totals;
use crate::report::units::{count, counted, octets, per_second, time};

/// Rates of a live run between two calls.
#[derive(Debug)]
pub(crate) struct Rates {
    at: Duration,
    metered: Tally,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { at: Duration::ZERO, metered: Tally::default() }
    }

    /// A text line with the rates since the last call.
    pub(crate) fn line(&mut self, totals: &Totals) -> String {
        let elapsed = totals.elapsed.saturating_sub(self.at);
        let metered = totals.meter.metered - self.metered;
        (self.at, self.metered) = (totals.elapsed, totals.meter.metered);
        let lost: u64 = totals.ports.iter().map(|port| port.source.lost).sum();
        format!(
            "up {}: {} packets/s, {}/s, {}, {} lost",
            time(totals.elapsed),
            count(per_second(metered.packets, elapsed)),
            octets(per_second(metered.octets, elapsed)),
            counted(totals.flows.into(), "active flow", "active flows"),
            counted(lost, "packet", "packets")
        )
    }
}
