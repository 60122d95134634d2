//! The state of a delivery: waiting batches, those in flight, and their outcomes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::concurrency::Limit;
use super::counts::DeliveryCounts;
use super::denials::Denials;
use super::hosts::Hosts;
use super::parcel::Parcel;
use crate::spool::{BatchKey, SpoolStats};

#[derive(Debug)]
pub(super) struct State {
    pub(super) waiting: VecDeque<Parcel>,
    /// Octets of waiting batches in memory, and of those that are being written to the spool.
    pub(super) waiting_octets: usize,
    /// Batches that are no longer needed, to be filled again. New memory for each batch would leave
    /// gaps that nothing fills.
    pub(super) spare: Vec<Batch>,
    /// Resolved batches that are still in the spool.
    pub(super) acknowledged: Vec<BatchKey>,
    /// State of the spool, if there is one.
    pub(super) spool: Option<SpoolStats>,
    /// True if the last write to the spool failed.
    pub(super) spool_fails: bool,
    /// Parcels that senders hold.
    pub(super) at_work: usize,
    /// Requests in flight.
    pub(super) in_flight: usize,
    pub(super) limit: Limit,
    pub(super) hosts: Hosts,
    pub(super) counts: DeliveryCounts,
    pub(super) phase: Phase,
    /// Time of the last accepted document, or of the first batch after an idle time.
    pub(super) last_progress: Instant,
    pub(super) trouble: Option<Trouble>,
    /// What was last logged of a replay that waits for the service.
    pub(super) wait: Option<Trouble>,
    /// What was last logged of a refused document.
    pub(super) refusal: Option<Trouble>,
    /// Consecutive denials of the service.
    pub(super) denials: Denials,
    /// The reason why the service can accept nothing.
    pub(super) stop_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// No more batches are added.
    Ending,
    /// Threads end, even with unresolved documents.
    Stopped,
}

/// A problem that was logged.
#[derive(Debug)]
pub(super) struct Trouble {
    reason: String,
    said: Instant,
}

/// A problem is logged at first, and again after this time.
const REMINDER: Duration = Duration::from_secs(60);

/// From this time without an accepted document on, a replay says how long it waits.
const WAIT_SAID: Duration = Duration::from_secs(5);

impl Trouble {
    /// True if a problem was not logged lately. It is kept as the last one.
    pub(super) fn is_news(last: &mut Option<Self>, reason: &str) -> bool {
        let now = Instant::now();
        let is_same = |last: &Self| last.reason == reason && now < last.said + REMINDER;
        if last.as_ref().is_some_and(is_same) {
            return false;
        }
        *last = Some(Self { reason: reason.to_owned(), said: now });
        true
    }
}

impl State {
    /// True if it was not logged lately that a replay waits, and no document was accepted for
    /// `idle`.
    pub(super) fn is_wait_news(&mut self, idle: Duration) -> bool {
        idle >= WAIT_SAID && Trouble::is_news(&mut self.wait, "waits")
    }

    pub(super) fn add(&mut self, batch: Batch) {
        if self.is_idle() {
            self.last_progress = Instant::now();
        }
        let parcel = Parcel::new(batch);
        self.counts.this_run.in_memory += parcel.left();
        self.put_back(parcel);
    }

    pub(super) fn put_back(&mut self, parcel: Parcel) {
        self.waiting_octets += parcel.octets();
        self.waiting.push_back(parcel);
    }

    pub(super) fn put_front(&mut self, parcel: Parcel) {
        self.waiting_octets += parcel.octets();
        self.waiting.push_front(parcel);
    }

    /// The first parcel that is due. If none is: the time of the first one that will be.
    pub(super) fn take_due(&mut self, now: Instant) -> Result<Parcel, Option<Instant>> {
        let is_due = |parcel: &Parcel| parcel.due.is_none_or(|due| due <= now);
        let first = self.waiting.iter().position(is_due);
        let Some(parcel) = first.and_then(|index| self.waiting.remove(index)) else {
            return Err(self.waiting.iter().filter_map(|parcel| parcel.due).min());
        };
        self.waiting_octets -= parcel.octets();
        Ok(parcel)
    }

    /// True if all documents are resolved and no batch of the spool waits.
    pub(super) fn is_idle(&self) -> bool {
        let is_spool_read = self.spool.is_none_or(|spool| spool.waiting.total().batches == 0);
        let DeliveryCounts { this_run, earlier_runs, .. } = &self.counts;
        let open = this_run.in_memory + this_run.in_both + earlier_runs.in_both;
        open.messages == 0 && self.at_work == 0 && is_spool_read
    }
}
