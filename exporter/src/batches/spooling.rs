//! The spool in the delivery: selects batches to write to the disk, and to read back.

use std::time::{Duration, Instant};

use super::counts::content;
use super::delivery::Delivery;
use super::parcel::{Origin, Parcel};
use super::state::{Phase, State};
use crate::spool::{BatchKey, BatchTally, RunTallies, SpoolStats};

/// Next task of the spool thread.
#[derive(Debug)]
pub(super) enum SpoolWork {
    /// The cluster is too slow: write these to the disk.
    Push(Vec<Parcel>),
    /// These are resolved: remove them from the disk.
    Remove(Vec<BatchKey>),
    /// The cluster can take more: read the oldest batch.
    Take,
    /// The run ends.
    End,
}

/// A batch goes to the spool after this time in memory.
const AGE_MAX: Duration = Duration::from_secs(2);

/// Maximum octets of one write to the spool.
const PUSH_MAX: usize = 16 << 20;

impl Delivery {
    /// For the spool thread: waits for the next task.
    pub(super) fn spool_work(&self) -> SpoolWork {
        let mut state = self.state();
        loop {
            if !state.acknowledged.is_empty() {
                return SpoolWork::Remove(std::mem::take(&mut state.acknowledged));
            }
            // Parcels that senders still hold may be resolved.
            let is_over = state.phase == Phase::Stopped;
            if is_over && state.at_work == 0 {
                return SpoolWork::End;
            }
            if is_over {
                state = self.wait_for(state, AGE_MAX);
                continue;
            }
            if self.spills && state.lags(self.memory_max, Instant::now()) {
                return SpoolWork::Push(state.take_oldest(PUSH_MAX));
            }
            let can_take = state.spool.is_some_and(|spool| spool.waiting.total().batches > 0);
            // One batch is enough for the next sender: each takes memory.
            let is_one_ready = state.waiting.iter().any(|parcel| parcel.origin != Origin::Memory);
            if can_take && !is_one_ready && state.waiting.len() < state.limit.get() {
                return SpoolWork::Take;
            }
            state = self.wait_for(state, AGE_MAX / 4);
        }
    }

    /// For the spool thread: these parcels are only in the spool now, and the `dropped` batches had
    /// no room. Updates the state of the spool.
    pub(super) fn kept(&self, parcels: &[Parcel], dropped: RunTallies, stats: SpoolStats) {
        let mut state = self.state();
        for parcel in parcels {
            state.waiting_octets -= parcel.octets();
            let open = state.counts.of(parcel.origin).open(parcel.origin);
            *open = *open - parcel.left();
        }
        state.spool_fails = false;
        state.counts.drop_for_room(dropped);
        state.spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the spool thread: these parcels could not be written. Updates the state of the spool.
    pub(super) fn not_kept(&self, parcels: Vec<Parcel>, stats: SpoolStats) {
        let mut state = self.state();
        state.spool_fails = true;
        // Their octets are still counted.
        parcels.into_iter().rev().for_each(|parcel| state.waiting.push_front(parcel));
        state.spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the spool thread: a batch was taken from it. Updates the state of the spool.
    pub(super) fn taken(&self, parcel: Parcel, stats: SpoolStats) {
        let mut state = self.state();
        *state.counts.of(parcel.origin).open(parcel.origin) += parcel.left();
        state.put_back(parcel);
        state.spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the spool thread: a batch in it is damaged. Updates the state of the spool.
    pub(super) fn damaged(&self, lost: BatchTally, of_earlier_run: bool, stats: SpoolStats) {
        let mut state = self.state();
        state.counts.of_run(of_earlier_run).outcomes.damaged += content(lost);
        state.spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the spool thread: updates the state of the spool.
    pub(super) fn spool_is(&self, stats: SpoolStats) {
        self.state().spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the spool thread: waits for this time, or until the run ends.
    pub(super) fn pause(&self, pause: Duration) {
        let end = Instant::now() + pause;
        let mut state = self.state();
        while state.phase != Phase::Stopped {
            let wait = end.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            state = self.wait_for(state, wait);
        }
    }
}

impl State {
    /// True if batches in memory have to go to the spool: more than half of the room is in use, or
    /// the oldest batch waits too long.
    fn lags(&self, memory_max: usize, now: Instant) -> bool {
        let mut in_memory = self.waiting.iter().filter(|parcel| parcel.origin == Origin::Memory);
        let oldest = in_memory.next();
        oldest.is_some_and(|oldest| {
            let age = now.saturating_duration_since(oldest.since);
            self.waiting_octets > memory_max / 2 || age >= AGE_MAX
        })
    }

    /// Takes the oldest parcels that are only in memory, at least one. Their octets are still
    /// counted.
    fn take_oldest(&mut self, octets_max: usize) -> Vec<Parcel> {
        let mut octets = 0;
        let mut taken = Vec::new();
        for parcel in std::mem::take(&mut self.waiting) {
            if parcel.origin == Origin::Memory && octets < octets_max {
                octets += parcel.octets();
                taken.push(parcel);
            } else {
                self.waiting.push_back(parcel);
            }
        }
        taken
    }
}
