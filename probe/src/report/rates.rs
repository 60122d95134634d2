//! Rates of a live run.

use std::time::Duration;

use flow::Tally;
use flow::words::counted;

use crate::report::collected::CollectReport;
use crate::report::totals::Totals;
use crate::report::units::{count, octets, per_second, time};

/// Rates of a live run between two calls.
#[derive(Debug)]
pub(crate) struct Rates {
    at: Duration,
    metered: Tally,
    /// Datagrams and records of a collector.
    heard: [u64; 2],
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { at: Duration::ZERO, metered: Tally::default(), heard: [0; 2] }
    }

    /// A text line with the rates since the last call.
    pub(crate) fn line(&mut self, totals: &Totals) -> String {
        let elapsed = totals.elapsed.saturating_sub(self.at);
        if let Some(collected) = &totals.collected {
            return self.collected(collected, totals.elapsed, elapsed);
        }
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

    /// The line of a collector.
    fn collected(&mut self, report: &CollectReport, at: Duration, elapsed: Duration) -> String {
        let (datagrams, records) = (report.frames, report.counts.records);
        let [before, records_before] = std::mem::replace(&mut self.heard, [datagrams, records]);
        self.at = at;
        format!(
            "up {}: {} datagrams/s, {} records/s, {}, {} lost",
            time(at),
            count(per_second(datagrams - before, elapsed)),
            count(per_second(records - records_before, elapsed)),
            counted(report.counts.exporters, "exporter", "exporters"),
            counted(report.kernel_dropped, "datagram", "datagrams")
        )
    }
}
