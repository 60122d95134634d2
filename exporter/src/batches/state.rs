//! The state of a delivery: waiting batches, those in flight, and their outcomes.

use std::collections::VecDeque;
use std::time::Instant;

use super::batch::Batch;
use super::concurrency::Limit;
use super::counts::DeliveryCounts;
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
    pub(super) reason: String,
    pub(super) said: Instant,
}

impl State {
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

    pub(super) fn take_waiting(&mut self) -> Option<Parcel> {
        let parcel = self.waiting.pop_front()?;
        self.waiting_octets -= parcel.octets();
        Some(parcel)
    }

    /// True if all documents are resolved and no batch of the spool waits.
    pub(super) fn is_idle(&self) -> bool {
        let is_spool_read = self.spool.is_none_or(|spool| spool.waiting.total().batches == 0);
        let DeliveryCounts { this_run, earlier_runs, .. } = &self.counts;
        let open = this_run.in_memory + this_run.in_both + earlier_runs.in_both;
        open.messages == 0 && self.at_work == 0 && is_spool_read
    }
}
