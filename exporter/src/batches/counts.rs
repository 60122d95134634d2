//! Counters of documents and requests.

use std::time::{Duration, SystemTime};

use derive_more::AddAssign;

use super::parcel::Origin;
use crate::content::Content;
use crate::exporter::{DeliveryReport, EarlierRuns, ExportCounts, SpoolReport};
use crate::spool::{BatchTally, RunTallies, SpoolStats};

/// Outcomes of documents. All counts only grow.
#[derive(AddAssign, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    /// Written by the cluster.
    pub(crate) accepted: Content,
    /// The cluster already had them from an earlier attempt.
    pub(crate) duplicate: Content,
    /// Refused permanently, and kept in the dead letter file.
    pub(crate) dead_lettered: Content,
    /// Refused permanently, and not kept.
    pub(crate) refused: Content,
    /// Lost: no room in memory.
    pub(crate) dropped: Content,
    /// Lost: no room in the spool.
    pub(crate) spool_full: Content,
    /// Lost: damaged in the spool.
    pub(crate) damaged: Content,
    /// Lost: not delivered before the end, and not in the spool.
    pub(crate) unsent: Content,
}

impl Outcomes {
    /// Sum of all outcomes.
    fn total(&self) -> Content {
        self.resolved() + self.failed() - self.refused
    }

    /// Documents that the cluster has.
    pub(crate) fn sent(&self) -> Content {
        self.accepted + self.duplicate
    }

    /// Documents with a final answer of the cluster.
    fn resolved(&self) -> Content {
        self.sent() + self.dead_lettered + self.refused
    }

    /// Lost documents.
    pub(crate) fn failed(&self) -> Content {
        self.refused + self.dropped + self.spool_full + self.damaged + self.unsent
    }
}

/// Documents of this run, or of earlier ones. Documents that are in none of these counts are only
/// in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunCounts {
    pub(crate) outcomes: Outcomes,
    /// Documents in memory only.
    pub(crate) in_memory: Content,
    /// Documents that are being sent and are in the spool too.
    pub(crate) in_both: Content,
}

impl RunCounts {
    /// Unresolved documents of this origin.
    pub(super) fn open(&mut self, origin: Origin) -> &mut Content {
        match origin {
            Origin::Memory => &mut self.in_memory,
            Origin::Spool { .. } => &mut self.in_both,
        }
    }
}

/// Counters of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryCounts {
    pub(crate) this_run: RunCounts,
    /// Documents that were in the spool when the run began.
    pub(crate) earlier_runs: RunCounts,
    /// Documents that were sent again.
    pub(crate) retried: u64,
    /// Number of requests.
    pub(crate) requests: u64,
    /// Octets of their bodies, after compression.
    pub(crate) octets: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
}

impl DeliveryCounts {
    /// The counters of documents of this origin.
    pub(super) fn of(&mut self, origin: Origin) -> &mut RunCounts {
        self.of_run(origin.is_earlier_run())
    }

    pub(super) fn of_run(&mut self, is_earlier: bool) -> &mut RunCounts {
        if is_earlier { &mut self.earlier_runs } else { &mut self.this_run }
    }

    /// Counts the outcomes of documents, which are resolved now.
    pub(super) fn resolve(&mut self, origin: Origin, outcomes: Outcomes) {
        let counts = self.of(origin);
        let open = counts.open(origin);
        *open = *open - outcomes.total();
        counts.outcomes += outcomes;
    }

    /// Counts documents that were removed from the spool, or not accepted by it, for lack of room.
    pub(super) fn drop_for_room(&mut self, dropped: RunTallies) {
        self.this_run.outcomes.spool_full += content(dropped.this_run);
        self.earlier_runs.outcomes.spool_full += content(dropped.earlier_runs);
    }

    /// All documents that the cluster has.
    pub(super) fn sent(&self) -> Content {
        self.this_run.outcomes.sent() + self.earlier_runs.outcomes.sent()
    }
}

/// The state of a delivery, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryState {
    pub(crate) counts: DeliveryCounts,
    pub(crate) in_flight: usize,
    pub(crate) limit: usize,
    pub(crate) waiting_octets: usize,
    /// `None` without a spool.
    pub(crate) spool: Option<SpoolStats>,
}

impl From<DeliveryState> for ExportCounts {
    fn from(state: DeliveryState) -> Self {
        let DeliveryState { counts, spool, .. } = state;
        let RunCounts { outcomes, in_memory, in_both } = counts.this_run;
        let of_spool = |of: fn(&SpoolStats) -> BatchTally| {
            spool.as_ref().map_or_else(Content::default, |spool| content(of(spool)))
        };
        let spooled = in_both + of_spool(|spool| spool.waiting.this_run);
        let failed = outcomes.failed() + of_spool(|spool| spool.unreported.this_run);
        let sent = outcomes.sent();
        let resolved = outcomes.resolved() + counts.earlier_runs.outcomes.resolved();
        Self {
            sent: sent.records,
            failed: failed.records,
            dead_lettered: outcomes.dead_lettered.records,
            spooled: spooled.records,
            events_sent: sent.events,
            events_failed: failed.events + outcomes.dead_lettered.events,
            events_spooled: spooled.events,
            retried: counts.retried,
            messages: sent.messages,
            octets: counts.octets,
            errors: counts.errors,
            delivery: Some(DeliveryReport {
                accepted: outcomes.accepted.messages,
                duplicate: outcomes.duplicate.messages,
                dead_lettered: outcomes.dead_lettered.messages,
                refused: outcomes.refused.messages,
                dropped: outcomes.dropped.messages,
                unsent: outcomes.unsent.messages,
                in_memory: in_memory.messages,
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
    let this_run = &counts.this_run.outcomes;
    let RunCounts { outcomes: earlier, in_both, .. } = &counts.earlier_runs;
    let full = this_run.spool_full + earlier.spool_full + content(spool.unreported.total());
    let age = |pushed: SystemTime| pushed.elapsed().unwrap_or_default();
    SpoolReport {
        batches: spool.held.total().batches,
        octets: spool.held.total().octets,
        octets_max: spool.octets_max,
        oldest_age: spool.oldest.map_or(Duration::ZERO, age),
        dropped: full.messages,
        damaged: (this_run.damaged + earlier.damaged).messages,
        earlier_runs: EarlierRuns {
            spooled: (content(spool.waiting.earlier_runs) + *in_both).messages,
            accepted: earlier.accepted.messages,
            duplicate: earlier.duplicate.messages,
            dead_lettered: earlier.dead_lettered.messages,
            refused: earlier.refused.messages,
        },
    }
}

/// Content of batches of a spool. Their octets include more than documents, so they are 0 here.
pub(super) fn content(tally: BatchTally) -> Content {
    let BatchTally { records, events, .. } = tally;
    Content { messages: records.records + events, octets: 0, records, events }
}
