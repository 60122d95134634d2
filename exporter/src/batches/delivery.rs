//! Delivery of batches: waiting ones, those in flight, and their outcomes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};

use super::batch::Batch;
use super::concurrency::Limit;
use super::counts::{DeliveryCounts, DeliveryState, Outcomes};
use super::denials::Denials;
use super::hosts::{HostIndex, Hosts};
use super::parcel::{Origin, Parcel};
use super::state::{Phase, State, Trouble};
use crate::ending;
use crate::spool::SpoolStats;

/// Shared state of the output and its threads.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The URL, for messages.
    pub(super) name: String,
    /// What the service takes, for messages.
    pub(super) unit: &'static str,
    /// Maximum octets of waiting batches.
    pub(super) memory_max: usize,
    /// Batches that wait in memory go to the spool: in a live run with a spool.
    pub(super) spills: bool,
    /// It gives up if the user may not write: in a replay.
    pub(super) gives_up: bool,
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// Result of a request, for the limit and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Success, after this time.
    Good(Duration),
    /// The host answers, but the cluster is overloaded.
    Overloaded,
    /// The same, and the cluster has accepted some documents of the request.
    PartlyOverloaded,
    /// The host gets no request for some time: at least the time that it asked for, if any.
    Failed(Option<Duration>),
    /// The request was too large; the host works.
    TooLarge,
    /// It says nothing about the host.
    Unclear,
}

/// Settings of a [`Delivery`].
#[derive(Debug)]
pub(super) struct DeliverySettings {
    /// The URL, for messages.
    pub(super) name: String,
    /// What the service takes, for messages.
    pub(super) unit: &'static str,
    /// Number of hosts.
    pub(super) hosts: usize,
    /// Maximum requests in flight.
    pub(super) connections: u32,
    /// Maximum octets of waiting batches.
    pub(super) memory_max: usize,
    /// State of the spool, if there is one.
    pub(super) spool: Option<SpoolStats>,
    /// Batches that wait in memory go to the spool.
    pub(super) spills: bool,
    /// It gives up if the user may not write.
    pub(super) gives_up: bool,
}

impl Delivery {
    pub(super) fn new(settings: DeliverySettings) -> Self {
        let DeliverySettings {
            name,
            unit,
            hosts,
            connections,
            memory_max,
            spool,
            spills,
            gives_up,
        } = settings;
        Self {
            name,
            unit,
            memory_max,
            spills: spills && spool.is_some(),
            gives_up,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                waiting_octets: 0,
                spare: Vec::new(),
                acknowledged: Vec::new(),
                spool,
                spool_fails: false,
                at_work: 0,
                in_flight: 0,
                limit: Limit::new(connections),
                hosts: Hosts::new(hosts),
                counts: DeliveryCounts::default(),
                phase: Phase::Running,
                last_progress: Instant::now(),
                trouble: None,
                wait: None,
                refusal: None,
                denials: Denials::default(),
                stop_reason: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a batch if there is room for it; else returns it. The first batch always has room.
    pub(super) fn offer(&self, batch: Batch) -> Result<(), Batch> {
        let mut state = self.state();
        let octets = batch.octets();
        let is_full = state.waiting_octets + octets > self.memory_max;
        if is_full && state.waiting.iter().any(|parcel| parcel.origin == Origin::Memory) {
            return Err(batch);
        }
        state.add(batch);
        self.changed.notify_all();
        Ok(())
    }

    /// Adds a batch, even without room.
    pub(super) fn add(&self, batch: Batch) {
        self.state().add(batch);
    }

    /// Drops the batch that waits longest, to make room for a newer one.
    pub(super) fn drop_oldest(&self) {
        let mut state = self.state();
        let oldest = state.waiting.iter().position(|parcel| parcel.origin == Origin::Memory);
        if let Some(parcel) = oldest.and_then(|index| state.waiting.remove(index)) {
            state.waiting_octets -= parcel.octets();
            let outcomes = Outcomes { dropped: parcel.left(), ..Outcomes::default() };
            state.counts.resolve(parcel.origin, outcomes);
            drop(state);
            self.recycle(parcel);
        }
    }

    /// An empty batch with room for some octets.
    pub(super) fn empty_batch(&self, octets: usize) -> Batch {
        let spare = self.state().spare.pop();
        let mut batch = spare.unwrap_or_default();
        batch.restart(octets);
        batch
    }

    /// Keeps the memory of a parcel that is no longer needed.
    pub(super) fn recycle(&self, parcel: Parcel) {
        parcel.pieces.into_iter().for_each(|piece| self.recycle_batch(piece.batch));
    }

    /// Keeps the memory of a batch, if that of waiting batches and this together are within the
    /// limit.
    pub(super) fn recycle_batch(&self, batch: Batch) {
        let mut state = self.state();
        let spare: usize = state.spare.iter().map(Batch::capacity).sum();
        if state.waiting_octets + spare + batch.capacity() <= self.memory_max {
            state.spare.push(batch);
        }
    }

    /// True if the spool can make room.
    pub(super) fn makes_room(&self) -> bool {
        self.spills && !self.state().spool_fails
    }

    /// Waits for a change, for at most `longest`. Returns the time since the last accepted
    /// document.
    pub(super) fn wait(&self, longest: Duration) -> Duration {
        let state = self.wait_for(self.state(), longest);
        state.last_progress.elapsed()
    }

    /// Waits until all documents are resolved, until `end`, or until no document was accepted for
    /// `patience`. Returns true if all documents are resolved.
    pub(super) fn drain(&self, end: Option<Instant>, patience: Duration) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Running {
            state.phase = Phase::Ending;
        }
        self.changed.notify_all();
        loop {
            if state.is_idle() {
                return true;
            }
            let now = Instant::now();
            let idle = now.saturating_duration_since(state.last_progress);
            let is_over = end.is_some_and(|end| end <= now) || idle >= patience;
            let is_over = is_over || state.phase == Phase::Stopped;
            if is_over || !ending::may_wait_for_peer(idle) {
                return false;
            }
            drop(self.wait_for(state, Duration::from_millis(100)));
            self.say_wait(idle, patience);
            state = self.state();
        }
    }

    /// Tells all threads to end. Afterwards [`Self::take_left`] returns the rest.
    pub(super) fn stop(&self) {
        self.state().phase = Phase::Stopped;
        self.changed.notify_all();
    }

    /// Takes the parcels that are not resolved, after all threads have ended.
    pub(super) fn take_left(&self) -> Vec<Parcel> {
        std::mem::take(&mut self.state().waiting).into()
    }

    /// Counts a remaining parcel as lost.
    pub(super) fn lose(&self, parcel: &Parcel) {
        let mut state = self.state();
        state.waiting_octets -= parcel.octets();
        let outcomes = Outcomes { unsent: parcel.left(), ..Outcomes::default() };
        state.counts.resolve(parcel.origin, outcomes);
    }

    /// For senders: the next parcel. `None` if there is no more work.
    pub(super) fn next(&self) -> Option<Parcel> {
        let mut state = self.state();
        loop {
            if state.phase == Phase::Stopped || state.phase == Phase::Ending && state.is_idle() {
                return None;
            }
            // Senders over the limit wait here, where their parcels are counted as waiting. With a
            // spool, parcels that would wait for a host stay here too, so that they can go to the
            // spool.
            let now = Instant::now();
            let mut ready = if self.spills { state.hosts.ready(now) } else { now };
            if ready <= now && state.at_work < state.limit.get() {
                match state.take_due(now) {
                    Ok(parcel) => {
                        state.at_work += 1;
                        self.changed.notify_all();
                        return Some(parcel);
                    }
                    Err(first) => ready = first.unwrap_or(now),
                }
            }
            state = match ready.saturating_duration_since(now) {
                Duration::ZERO => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                wait => self.wait_for(state, wait),
            };
        }
    }

    /// For senders: waits for permission to make a request. Returns the host, and true if the host
    /// is in doubt. `None` if the parcel has to wait elsewhere, or the run ends.
    pub(super) fn permit(&self) -> Option<(HostIndex, bool)> {
        let mut state = self.state();
        loop {
            if state.phase == Phase::Stopped {
                return None;
            }
            let now = Instant::now();
            let wait = match state.hosts.pick(now) {
                Ok(host) if state.in_flight < state.limit.get() => {
                    state.in_flight += 1;
                    return Some((host, state.hosts.is_in_doubt(host)));
                }
                Ok(_) => Duration::from_secs(1),
                Err(_) if self.spills => return None,
                Err(ready) => ready.saturating_duration_since(now),
            };
            state = self.wait_for(state, wait);
        }
    }

    /// For senders: a request has ended.
    pub(super) fn requested(&self, host: HostIndex, verdict: Verdict, octets: u64) {
        let now = Instant::now();
        let mut state = self.state();
        let in_use = state.in_flight;
        state.in_flight -= 1;
        state.counts.requests += 1;
        state.counts.octets += octets;
        state.counts.errors += u64::from(!matches!(verdict, Verdict::Good(_)));
        match verdict {
            Verdict::Good(time) => {
                state.hosts.succeeded(host);
                state.limit.answered(time, in_use, now);
            }
            Verdict::Overloaded => {
                state.limit.refused(now);
                state.hosts.overloaded(host, now, fastrand::f64());
            }
            Verdict::PartlyOverloaded => {
                state.limit.refused(now);
                state.hosts.partly_overloaded(host, now, fastrand::f64());
            }
            Verdict::Failed(asked) => {
                state.limit.refused(now);
                state.hosts.failed(host, now, asked, fastrand::f64());
            }
            Verdict::TooLarge => state.hosts.succeeded(host),
            Verdict::Unclear => {}
        }
        self.changed.notify_all();
    }

    /// For senders: counts documents that are sent again.
    pub(super) fn retry(&self, documents: usize) {
        self.state().counts.retried += documents as u64;
    }

    /// For senders: counts the outcomes of documents of this origin.
    pub(super) fn resolve(&self, origin: Origin, outcomes: Outcomes) {
        let mut state = self.state();
        let before = state.counts.sent();
        state.counts.resolve(origin, outcomes);
        if state.counts.sent() != before {
            state.last_progress = Instant::now();
            state.denials = Denials::default();
            if state.trouble.take().is_some() {
                info!("{}: {} are accepted again", self.name, self.unit);
            }
        }
    }

    /// For senders: returns the parcel, with its unresolved documents.
    pub(super) fn give_back(&self, parcel: Parcel) {
        let mut state = self.state();
        state.at_work -= 1;
        match parcel.origin {
            _ if !parcel.pieces.is_empty() && parcel.due.is_some() => state.put_back(parcel),
            _ if !parcel.pieces.is_empty() => state.put_front(parcel),
            Origin::Spool { key, .. } => state.acknowledged.push(key),
            Origin::Memory => {}
        }
        self.changed.notify_all();
    }

    /// Logs a problem: at first, when the reason changes, and once a minute.
    pub(super) fn complain(&self, reason: &str) {
        if Trouble::is_news(&mut self.state().trouble, reason) {
            warn!("{}: {reason}; {} wait", self.name, self.unit);
        }
    }

    /// Logs what becomes of a refused document: the first of a type of errors, and again each
    /// minute.
    pub(super) fn tell_refusal(&self, kind: &str, sentence: &str) {
        if Trouble::is_news(&mut self.state().refusal, kind) {
            warn!("{}: {sentence}", self.name);
        }
    }

    /// For senders: the number of documents that the service has.
    pub(super) fn accepted(&self) -> u64 {
        self.state().counts.sent().messages
    }

    pub(super) fn report(&self) -> DeliveryState {
        let state = self.state();
        DeliveryState {
            counts: state.counts,
            in_flight: state.in_flight,
            limit: state.limit.get(),
            waiting_octets: state.waiting_octets,
            spool: state.spool,
        }
    }

    /// Waits for a change, for at most `longest`.
    pub(super) fn wait_for<'a>(
        &self,
        state: MutexGuard<'a, State>,
        longest: Duration,
    ) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;

    fn batch(delivery: &Delivery, octets: usize) -> Batch {
        let mut batch = delivery.empty_batch(octets);
        batch.put(Content { messages: 1, ..Content::default() }, |out| out.resize(octets, b'x'));
        batch
    }

    #[test]
    fn memory_of_a_dropped_batch_is_used_again_within_the_limit() {
        let delivery = Delivery::new(DeliverySettings {
            name: String::new(),
            unit: "documents",
            hosts: 1,
            connections: 1,
            memory_max: 2500,
            spool: None,
            spills: false,
            gives_up: false,
        });
        let oldest = batch(&delivery, 1000);
        let memory = oldest.body().as_ptr();
        delivery.offer(oldest).expect("room for it");
        delivery.offer(batch(&delivery, 1000)).expect("room for it");
        delivery.offer(batch(&delivery, 1000)).expect_err("no room for it");
        delivery.drop_oldest();
        assert_eq!(delivery.empty_batch(1000).body().as_ptr(), memory);
        delivery.recycle_batch(batch(&delivery, 2000));
        assert_eq!(delivery.state().spare.len(), 0, "more than the limit with what waits");
    }
}
