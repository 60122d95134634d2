//! Batches on their way: what waits, what is under way, what became of it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};

use super::batch::Batch;
use super::concurrency::Limit;
use super::hosts::{HostIndex, Hosts};
use crate::content::Content;
use crate::ending;

/// What goes wrong is said at first, and again after this time.
const REMINDER: Duration = Duration::from_secs(60);

/// What the output and its threads share.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The URL, for messages.
    name: String,
    /// Octets of batches that may wait.
    memory_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Batch>,
    waiting_octets: usize,
    /// Batches that threads have taken and that are not resolved.
    at_work: usize,
    /// Requests under way.
    in_flight: usize,
    limit: Limit,
    hosts: Hosts,
    counts: DeliveryCounts,
    phase: Phase,
    /// When a document was last accepted, or when there was nothing to send.
    last_progress: Instant,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// No more batches come.
    Ending,
    /// Threads end, whatever is left.
    Stopped,
}

/// Something that goes wrong.
#[derive(Debug)]
struct Trouble {
    reason: String,
    said: Instant,
}

/// What became of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryCounts {
    /// Written by the cluster.
    pub(crate) accepted: Content,
    /// The cluster had them from an earlier try.
    pub(crate) duplicate: Content,
    /// Refused for good, and kept in a file.
    pub(crate) dead_lettered: Content,
    /// Refused for good, and not kept.
    pub(crate) refused: Content,
    /// There was no room for them.
    pub(crate) dropped: Content,
    /// Not delivered before the end.
    pub(crate) unsent: Content,
    /// Documents that were sent again.
    pub(crate) retried: u64,
    /// Requests.
    pub(crate) requests: u64,
    /// Octets of their bodies, as they were sent.
    pub(crate) octets: u64,
    /// Requests that did not succeed.
    pub(crate) errors: u64,
}

/// The state of the delivery, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryState {
    pub(crate) counts: DeliveryCounts,
    pub(crate) in_flight: usize,
    pub(crate) limit: usize,
    pub(crate) waiting_octets: usize,
}

/// How a request went, for the limit and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// In order, after this time.
    Good(Duration),
    /// The host answers, but the cluster has too much to do.
    Overloaded,
    /// The host is not to be asked again before some time, which it may have said.
    Failed(Option<Duration>),
    /// The request was too large; the host is well.
    TooLarge,
}

impl Delivery {
    pub(super) fn new(name: String, hosts: usize, connections: u32, memory_max: usize) -> Self {
        Self {
            name,
            memory_max,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                waiting_octets: 0,
                at_work: 0,
                in_flight: 0,
                limit: Limit::new(connections),
                hosts: Hosts::new(hosts),
                counts: DeliveryCounts::default(),
                phase: Phase::Running,
                last_progress: Instant::now(),
                trouble: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a batch if there is room for it; otherwise gives it back. One batch always has room.
    pub(super) fn offer(&self, batch: Batch) -> Result<(), Batch> {
        let mut state = self.state();
        let octets = batch.octets();
        if state.waiting_octets + octets > self.memory_max && !state.waiting.is_empty() {
            return Err(batch);
        }
        if state.is_idle() {
            state.last_progress = Instant::now();
        }
        state.waiting_octets += octets;
        state.waiting.push_back(batch);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the batch that waits longest off, because there is no room for a newer one.
    pub(super) fn drop_oldest(&self) {
        let mut state = self.state();
        if let Some(batch) = state.take_waiting() {
            state.counts.dropped += batch.total();
        }
    }

    /// Waits a while for something to change. Returns how long nothing was accepted.
    pub(super) fn wait(&self, longest: Duration) -> Duration {
        let state = self.state();
        let (state, _) =
            self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner);
        state.last_progress.elapsed()
    }

    /// Waits until nothing is left, until `end`, or until nothing was accepted for `patience`.
    /// Returns whether nothing is left.
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
            if is_over || !ending::may_wait_for_peer(idle) {
                return false;
            }
            let (next, _) = self
                .changed
                .wait_timeout(state, Duration::from_millis(100))
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }

    /// Tells all threads to end. What waits is lost, and counted.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.phase = Phase::Stopped;
        while let Some(batch) = state.take_waiting() {
            state.counts.unsent += batch.total();
        }
        self.changed.notify_all();
    }

    /// For a thread: the next batch. `None` when there is nothing more to do.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut state = self.state();
        loop {
            if state.phase == Phase::Stopped || state.phase == Phase::Ending && state.is_idle() {
                return None;
            }
            // Below the limit, so that the others wait where they are counted.
            if state.at_work < state.limit.get()
                && let Some(batch) = state.take_waiting()
            {
                state.at_work += 1;
                self.changed.notify_all();
                return Some(batch);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For a thread: waits until a request may be made, and says of which host, and whether it is
    /// in doubt. `None` if the run ends before.
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
                Err(ready) => ready.saturating_duration_since(now),
            };
            let (next, _) =
                self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }

    /// For a thread: a request has ended.
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
            Verdict::Failed(asked) => {
                state.limit.refused(now);
                state.hosts.failed(host, now, asked, fastrand::f64());
            }
            Verdict::TooLarge => state.hosts.succeeded(host),
        }
        self.changed.notify_all();
    }

    /// For a thread: says what became of documents.
    pub(super) fn count(&self, count: impl FnOnce(&mut DeliveryCounts)) {
        let mut state = self.state();
        let before = state.counts;
        count(&mut state.counts);
        if state.counts.accepted != before.accepted || state.counts.duplicate != before.duplicate {
            state.last_progress = Instant::now();
            if state.trouble.take().is_some() {
                info!("{}: documents are accepted again", self.name);
            }
        }
    }

    /// For a thread: its batch is resolved, but for what is left of it when the run ends.
    pub(super) fn resolved(&self, left: Content) {
        let mut state = self.state();
        state.at_work -= 1;
        state.counts.unsent += left;
        self.changed.notify_all();
    }

    /// Warns of what goes wrong: at first, when the reason changes, and once a minute.
    pub(super) fn complain(&self, reason: &str) {
        let now = Instant::now();
        let mut state = self.state();
        let is_known = state
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.reason == reason && now < trouble.said + REMINDER);
        if !is_known {
            state.trouble = Some(Trouble { reason: reason.to_owned(), said: now });
            drop(state);
            warn!("{}: {reason}; documents wait", self.name);
        }
    }

    pub(super) fn report(&self) -> DeliveryState {
        let state = self.state();
        DeliveryState {
            counts: state.counts,
            in_flight: state.in_flight,
            limit: state.limit.get(),
            waiting_octets: state.waiting_octets,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_waiting(&mut self) -> Option<Batch> {
        let batch = self.waiting.pop_front()?;
        self.waiting_octets -= batch.octets();
        Some(batch)
    }

    /// Nothing waits and nothing is under way.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.at_work == 0
    }
}
