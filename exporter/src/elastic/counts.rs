//! What became of documents, and of requests.

use std::time::{Duration, SystemTime};

use super::parcel::Origin;
use crate::content::Content;
use crate::exporter::{self, EarlierRuns, ExportCounts, SpoolReport};
use crate::spool::{BatchTally, RunTallies, SpoolStats};

/// What became of documents that an output was given. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    /// Written by the cluster.
    pub(crate) accepted: Content,
    /// The cluster had them from an earlier try.
    pub(crate) duplicate: Content,
    /// Refused for good, and kept in a file.
    pub(crate) dead_lettered: Content,
    /// Refused for good, and not kept.
    pub(crate) refused: Content,
    /// There was no room for them in memory.
    pub(crate) dropped: Content,
    /// There was no room for them in the spool.
    pub(crate) spool_full: Content,
    /// They were damaged in the spool.
    pub(crate) damaged: Content,
    /// Not delivered before the end, and not in the spool.
    pub(crate) unsent: Content,
}

impl Outcomes {
    /// The cluster has them.
    pub(crate) fn sent(&self) -> Content {
        self.accepted + self.duplicate
    }

    /// The cluster has said what becomes of them.
    fn resolved(&self) -> Content {
        self.sent() + self.dead_lettered + self.refused
    }

    /// Nobody has them.
    pub(crate) fn failed(&self) -> Content {
        self.refused + self.dropped + self.spool_full + self.damaged + self.unsent
    }
}

/// Counts of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryCounts {
    /// Documents of this run.
    pub(crate) this_run: Outcomes,
    /// Documents of earlier runs, which were in the spool.
    pub(crate) earlier_runs: Outcomes,
    /// Documents that were sent again.
    pub(crate) retried: u64,
    /// Requests.
    pub(crate) requests: u64,
    /// Octets of their bodies, as they were sent.
    pub(crate) octets: u64,
    /// Requests that did not succeed.
    pub(crate) errors: u64,
}

impl DeliveryCounts {
    /// The counts for documents that come from there.
    pub(super) fn of(&mut self, origin: Origin) -> &mut Outcomes {
        self.of_run(origin.is_earlier_run())
    }

    pub(super) fn of_run(&mut self, is_earlier: bool) -> &mut Outcomes {
        if is_earlier { &mut self.earlier_runs } else { &mut self.this_run }
    }

    /// These had to leave the spool, or found no room in it.
    pub(super) fn drop_for_room(&mut self, dropped: RunTallies) {
        self.this_run.spool_full += content(dropped.this_run);
        self.earlier_runs.spool_full += content(dropped.earlier_runs);
    }

    /// All that the cluster has.
    pub(super) fn sent(&self) -> Content {
        self.this_run.sent() + self.earlier_runs.sent()
    }
}

/// The state of a delivery, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryState {
    pub(crate) counts: DeliveryCounts,
    pub(crate) in_flight: usize,
    pub(crate) limit: usize,
    pub(crate) waiting_octets: usize,
    /// If there is a spool.
    pub(crate) spool: Option<SpoolStats>,
}

impl From<DeliveryState> for ExportCounts {
    fn from(state: DeliveryState) -> Self {
        let DeliveryState { counts, spool, .. } = state;
        let DeliveryCounts { this_run, earlier_runs, .. } = counts;
        let spooled = spool.map_or_else(Content::default, |spool| content(spool.waiting.this_run));
        let unreported =
            spool.map_or_else(Content::default, |spool| content(spool.unreported.this_run));
        let (sent, failed) = (this_run.sent(), this_run.failed() + unreported);
        let resolved = this_run.resolved() + earlier_runs.resolved();
        Self {
            sent: sent.records,
            failed: failed.records,
            dead_lettered: this_run.dead_lettered.records,
            spooled: spooled.records,
            events_sent: sent.events,
            events_failed: failed.events + this_run.dead_lettered.events,
            events_spooled: spooled.events,
            retried: counts.retried,
            messages: sent.messages,
            octets: counts.octets,
            errors: counts.errors,
            delivery: Some(exporter::Delivery {
                accepted: this_run.accepted.messages,
                duplicate: this_run.duplicate.messages,
                dead_lettered: this_run.dead_lettered.messages,
                refused: this_run.refused.messages,
                dropped: this_run.dropped.messages,
                unsent: this_run.unsent.messages,
                requests: counts.requests,
                document_octets: resolved.octets,
                in_flight: state.in_flight as u64,
                concurrency_limit: state.limit as u64,
                waiting_octets: state.waiting_octets as u64,
                spool: spool.map(|spool| spool_report(&counts, &spool)),
            }),
            ..Self::default()
        }
    }
}

fn spool_report(counts: &DeliveryCounts, spool: &SpoolStats) -> SpoolReport {
    let DeliveryCounts { this_run, earlier_runs, .. } = counts;
    let full = this_run.spool_full + earlier_runs.spool_full + content(spool.unreported.total());
    let age = |pushed: SystemTime| pushed.elapsed().unwrap_or_default();
    SpoolReport {
        batches: spool.held.total().batches,
        octets: spool.held.total().octets,
        oldest_age: spool.oldest.map_or(Duration::ZERO, age),
        dropped: full.messages,
        damaged: (this_run.damaged + earlier_runs.damaged).messages,
        earlier_runs: EarlierRuns {
            spooled: content(spool.held.earlier_runs).messages,
            accepted: earlier_runs.accepted.messages,
            duplicate: earlier_runs.duplicate.messages,
            dead_lettered: earlier_runs.dead_lettered.messages,
            refused: earlier_runs.refused.messages,
        },
    }
}

/// What is in batches of a spool. Their octets are not those of documents alone.
pub(super) fn content(tally: BatchTally) -> Content {
    let BatchTally { records, events, .. } = tally;
    Content { messages: records.records + events, octets: 0, records, events }
}
