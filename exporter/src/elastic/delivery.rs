//! Batches on their way: what waits, what is under way, what became of it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};

use super::batch::Batch;
use super::concurrency::Limit;
use super::counts::{DeliveryCounts, DeliveryState};
use super::hosts::{HostIndex, Hosts};
use super::parcel::{Origin, Parcel};
use crate::ending;
use crate::spool::{BatchKey, RunTallies, SpoolStats};

/// What goes wrong is said at first, and again after this time.
const REMINDER: Duration = Duration::from_secs(60);

/// What the output and its threads share.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The URL, for messages.
    name: String,
    /// Octets of batches that may wait.
    memory_max: usize,
    /// Whether batches that wait in memory go to the spool: live, if there is one.
    spills: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Parcel>,
    /// Octets of those that are in memory only, and of those that are being written to the spool.
    waiting_octets: usize,
    /// Resolved, and still in the spool.
    acknowledged: Vec<BatchKey>,
    /// What is in the spool, if there is one.
    spool: Option<SpoolStats>,
    /// Whether the last write to it failed.
    spool_fails: bool,
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

/// Settings of a [`Delivery`].
#[derive(Debug)]
pub(super) struct DeliverySettings {
    /// The URL, for messages.
    pub(super) name: String,
    /// Their number.
    pub(super) hosts: usize,
    /// The most requests under way.
    pub(super) connections: u32,
    /// Octets of batches that may wait.
    pub(super) memory_max: usize,
    /// What is in the spool, if there is one.
    pub(super) spool: Option<SpoolStats>,
    /// Whether batches that wait in memory go to the spool.
    pub(super) spills: bool,
}

/// What the thread of the spool is to do.
#[derive(Debug)]
pub(super) enum SpoolWork {
    /// The cluster lags: these go to the disk.
    Push(Vec<Parcel>),
    /// The cluster has these: they leave the disk.
    Remove(Vec<BatchKey>),
    /// The cluster can take more: the oldest batch is read.
    Take,
    /// The run ends.
    End,
}

/// A batch that has waited in memory for so long goes to the spool.
const AGE_MAX: Duration = Duration::from_secs(2);

/// So many octets are written to the spool at once.
const PUSH_MAX: usize = 16 << 20;

impl Delivery {
    pub(super) fn new(settings: DeliverySettings) -> Self {
        let DeliverySettings { name, hosts, connections, memory_max, spool, spills } = settings;
        Self {
            name,
            memory_max,
            spills: spills && spool.is_some(),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                waiting_octets: 0,
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
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a batch if there is room for it; otherwise gives it back. One batch always has room.
    pub(super) fn offer(&self, batch: Batch) -> Result<(), Batch> {
        let mut state = self.state();
        let octets = batch.octets();
        let is_full = state.waiting_octets + octets > self.memory_max;
        if is_full && state.waiting.iter().any(|parcel| parcel.origin == Origin::Memory) {
            return Err(batch);
        }
        if state.is_idle() {
            state.last_progress = Instant::now();
        }
        state.put_back(Parcel::new(batch));
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the batch that waits longest off, because there is no room for a newer one.
    pub(super) fn drop_oldest(&self) {
        let mut state = self.state();
        let oldest = state.waiting.iter().position(|parcel| parcel.origin == Origin::Memory);
        if let Some(parcel) = oldest.and_then(|index| state.waiting.remove(index)) {
            state.waiting_octets -= parcel.octets();
            state.counts.this_run.dropped += parcel.left();
        }
    }

    /// Whether the spool is about to make room.
    pub(super) fn makes_room(&self) -> bool {
        self.spills && !self.state().spool_fails
    }

    /// Waits a while for something to change. Returns how long nothing was accepted.
    pub(super) fn wait(&self, longest: Duration) -> Duration {
        let state = self.wait_for(self.state(), longest);
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
            state = self.wait_for(state, Duration::from_millis(100));
        }
    }

    /// Tells all threads to end. What is left can be taken when they have.
    pub(super) fn stop(&self) {
        self.state().phase = Phase::Stopped;
        self.changed.notify_all();
    }

    /// What is not resolved. No thread has any of it.
    pub(super) fn take_left(&self) -> Vec<Parcel> {
        let mut state = self.state();
        state.waiting_octets = 0;
        std::mem::take(&mut state.waiting).into()
    }

    /// For a thread: the next parcel. `None` when there is nothing more to do.
    pub(super) fn next(&self) -> Option<Parcel> {
        let mut state = self.state();
        loop {
            if state.phase == Phase::Stopped || state.phase == Phase::Ending && state.is_idle() {
                return None;
            }
            // Below the limit, so that the others wait where they are counted. What would wait for
            // a host can go to the spool instead.
            let now = Instant::now();
            let ready = if self.spills { state.hosts.ready(now) } else { now };
            if ready <= now
                && state.at_work < state.limit.get()
                && let Some(parcel) = state.take_waiting()
            {
                state.at_work += 1;
                self.changed.notify_all();
                return Some(parcel);
            }
            state = match ready.saturating_duration_since(now) {
                Duration::ZERO => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                wait => self.wait_for(state, wait),
            };
        }
    }

    /// For a thread: waits until a request may be made, and says of which host, and whether it is
    /// in doubt. `None` if the parcel is to wait elsewhere, or the run ends before.
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

    /// Says what became of documents.
    pub(super) fn count(&self, count: impl FnOnce(&mut DeliveryCounts)) {
        let mut state = self.state();
        let before = state.counts.sent();
        count(&mut state.counts);
        if state.counts.sent() != before {
            state.last_progress = Instant::now();
            if state.trouble.take().is_some() {
                info!("{}: documents are accepted again", self.name);
            }
        }
    }

    /// For a thread: gives back its parcel, with what is left of it.
    pub(super) fn give_back(&self, parcel: Parcel) {
        let mut state = self.state();
        state.at_work -= 1;
        match parcel.origin {
            _ if !parcel.pieces.is_empty() => state.put_front(parcel),
            Origin::Spool { key, .. } => state.acknowledged.push(key),
            Origin::Memory => {}
        }
        self.changed.notify_all();
    }

    /// For the thread of the spool: waits for what it is to do next.
    pub(super) fn spool_work(&self) -> SpoolWork {
        let mut state = self.state();
        loop {
            if !state.acknowledged.is_empty() {
                return SpoolWork::Remove(std::mem::take(&mut state.acknowledged));
            }
            // What threads are about to give back may have been acknowledged.
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
            if can_take && state.waiting.len() < state.limit.get() {
                return SpoolWork::Take;
            }
            state = self.wait_for(state, AGE_MAX / 4);
        }
    }

    /// For the thread of the spool: these parcels are in the spool, or dropped, but for those that
    /// are given here. Says what is in the spool now.
    pub(super) fn pushed(
        &self,
        octets: usize,
        left: Vec<Parcel>,
        dropped: RunTallies,
        stats: SpoolStats,
    ) {
        let mut state = self.state();
        state.waiting_octets -= octets;
        state.spool_fails = !left.is_empty();
        left.into_iter().rev().for_each(|parcel| state.put_front(parcel));
        state.counts.drop_for_room(dropped);
        state.spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the thread of the spool: a batch was taken from it. Says what is in it now.
    pub(super) fn taken(&self, parcel: Parcel, stats: SpoolStats) {
        let mut state = self.state();
        state.put_back(parcel);
        state.spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the thread of the spool: says what is in it now.
    pub(super) fn spool_is(&self, stats: SpoolStats) {
        self.state().spool = Some(stats);
        self.changed.notify_all();
    }

    /// For the thread of the spool: waits, unless the run ends.
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
            spool: state.spool,
        }
    }

    /// Waits for a change, for at most so long.
    fn wait_for<'a>(
        &self,
        state: MutexGuard<'a, State>,
        longest: Duration,
    ) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put_back(&mut self, parcel: Parcel) {
        self.waiting_octets += parcel.octets();
        self.waiting.push_back(parcel);
    }

    fn put_front(&mut self, parcel: Parcel) {
        self.waiting_octets += parcel.octets();
        self.waiting.push_front(parcel);
    }

    fn take_waiting(&mut self) -> Option<Parcel> {
        let parcel = self.waiting.pop_front()?;
        self.waiting_octets -= parcel.octets();
        Some(parcel)
    }

    /// Whether some of what is in memory only is to go to the spool: half of the room is taken, or
    /// it waits for long.
    fn lags(&self, memory_max: usize, now: Instant) -> bool {
        let mut in_memory = self.waiting.iter().filter(|parcel| parcel.origin == Origin::Memory);
        let oldest = in_memory.next();
        oldest.is_some_and(|oldest| {
            let age = now.saturating_duration_since(oldest.since);
            self.waiting_octets > memory_max / 2 || age >= AGE_MAX
        })
    }

    /// Takes the oldest of what is in memory only, one parcel or more. Their octets still count.
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

    /// Nothing waits and nothing is under way.
    fn is_idle(&self) -> bool {
        let is_spool_read = self.spool.is_none_or(|spool| spool.waiting.total().batches == 0);
        self.waiting.is_empty() && self.at_work == 0 && is_spool_read
    }
}
