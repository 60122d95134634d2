//! The loop of a worker in live capture.
//!
//! A worker shares nothing: it has its own sockets, clock, table and fragments. While packets come
//! it reads its sockets in turn and sleeps briefly between bursts. After some rounds without
//! packets it waits in `poll`. Twenty times a second it ticks, so that flows end when no packet
//! comes. The main thread watches the interfaces, adds up the counters that workers publish, and
//! waits for a signal.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use flow::{Conversation, MeterCounts, Observer};
use log::error;
use nix::poll::{PollFd, PollFlags};

use crate::capture::filter::FrameFilter;
use crate::capture::lease::Lease;
use crate::capture::live::{LiveSource, SourceCounts};
use crate::capture::{CaptureError, Polled};
use crate::host::priority::{self, Priority};
use crate::pipeline::observe::observe;
use crate::pipeline::pace::{DRAIN, TICK, TICKS_PER_BATCH, wait};
use crate::pipeline::payload::PayloadReader;
use crate::pipeline::queue::WhenFull;
use crate::pipeline::snapshot::{Snapshot, of_port, publish};
use crate::pipeline::table_order::{TableOrder, TableWalk};
use crate::pipeline::worker::{Worker, wall_clock};

/// Most frames that are read from a socket before the next socket is read.
const TURN_FRAMES: usize = 256;

/// Rounds without a frame, with a short sleep after each, before the worker waits in `poll`.
const EMPTY_ROUNDS: u32 = 8;

/// Rounds between two reads of the clock while frames come.
const ROUNDS_PER_LOOK: u32 = 16;

/// Difference between a tick and the time of day, in milliseconds. A packet has the time at which
/// the kernel received it, and arrives at most this much later, so it does not count as late.
const LAG_MS: u64 = 100;

/// Pause between two reads at the end. The kernel delivers what it has begun within 20 ms.
const DRAIN_PAUSE: Duration = Duration::from_millis(2);

/// Threads of a worker that close sockets at the end.
const CLOSING_THREADS: usize = 16;

/// A socket, and its interface.
pub(crate) struct Attached {
    pub(crate) port: usize,
    pub(crate) source: LiveSource,
    pub(crate) lease: Lease,
    /// Time of the stop, after the lease has ended.
    stopped: Option<Instant>,
}

/// What the main thread has for a worker.
pub(crate) enum WorkerOrder {
    /// A socket that was opened later.
    Socket(Box<Attached>),
    /// The settings have changed.
    Change(MeterChange),
    /// Flows are to be shown or ended.
    Table(TableOrder),
}

/// Settings of a worker that change while it runs.
#[derive(Clone, Debug)]
pub(crate) struct MeterChange {
    /// The idle and the active timeout, in milliseconds. `None`: as before.
    pub(crate) timeouts_ms: Option<(u32, u32)>,
    /// Whether stages need to know which records are still to come.
    pub(crate) wants_settle: bool,
    /// Conversations whose packets are not metered.
    pub(crate) left_out: Vec<Conversation>,
}

/// The loop of a worker.
pub(crate) struct LiveWorker<'a> {
    worker: Worker,
    observer: Observer,
    payload: Option<PayloadReader>,
    filter: Option<&'a FrameFilter>,
    sources: Vec<Attached>,
    orders: Receiver<WorkerOrder>,
    /// Orders about flows, one of each who asks. A piece of the first is done next.
    walks: VecDeque<TableWalk>,
    published: &'a Mutex<Snapshot>,
    stop: &'a AtomicBool,
    /// `None` without real-time priority.
    priority: Option<Priority>,
    /// Counters of closed sockets, by interface.
    closed: Vec<SourceCounts>,
    ticks: u32,
    /// Whether all rings were empty at some time since the last tick.
    was_idle: bool,
}

/// Sources of a worker, and the state that it shares with the main thread.
pub(crate) struct WorkerInput<'a> {
    /// `None` if payload is not read.
    pub(crate) payload: Option<PayloadReader>,
    pub(crate) filter: Option<&'a FrameFilter>,
    pub(crate) sources: Vec<Attached>,
    pub(crate) orders: Receiver<WorkerOrder>,
    pub(crate) published: &'a Mutex<Snapshot>,
    /// Set when capture has ended.
    pub(crate) stop: &'a AtomicBool,
    /// The worker has inherited real-time priority.
    pub(crate) is_real_time: bool,
}

impl<'a> LiveWorker<'a> {
    pub(crate) fn new(worker: Worker, observer: Observer, input: WorkerInput<'a>) -> Self {
        Self {
            worker,
            observer,
            payload: input.payload,
            filter: input.filter,
            sources: input.sources,
            orders: input.orders,
            walks: VecDeque::new(),
            published: input.published,
            stop: input.stop,
            priority: input.is_real_time.then(Priority::inherited),
            closed: Vec::new(),
            ticks: 0,
            was_idle: false,
        }
    }

    /// Runs until `stop` is set. Then it empties the rings and ends all flows.
    pub(crate) fn run(mut self) {
        let mut next_tick = Instant::now();
        let (mut rounds, mut empty_rounds) = (0_u32, 0_u32);
        while !self.stop.load(Ordering::Relaxed) {
            let busy = self.round();
            rounds = rounds.wrapping_add(1);
            empty_rounds = if busy { 0 } else { empty_rounds + 1 };
            self.was_idle |= !busy;
            if busy && !rounds.is_multiple_of(ROUNDS_PER_LOOK) {
                continue;
            }
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.tick();
            } else if !busy {
                match self.nap().filter(|_| empty_rounds <= EMPTY_ROUNDS) {
                    Some(nap) => thread::sleep(nap),
                    None => self.sleep(next_tick - now),
                }
            }
        }
        self.drain();
        if self.priority.take().is_some() {
            priority::drop_real_time();
        }
        self.worker.records.set_when_full(WhenFull::at_end());
        self.move_clock();
        self.observer.finish(&mut self.worker);
        let now = self.observer.now();
        for Attached { port, source, .. } in &mut self.sources {
            *of_port(&mut self.closed, *port) += source.last_counts();
        }
        let (meter, sources) = (self.counts(), std::mem::take(&mut self.closed));
        let published = self.published;
        let ended = self.worker.finish(now);
        let snapshot = Snapshot { meter, ended, flows: 0, sources, ..Snapshot::default() };
        publish(published, snapshot);
        close_all(self.sources);
    }

    /// Empties the rings after capture has ended.
    fn drain(&mut self) {
        let end = Instant::now() + DRAIN;
        self.take_orders();
        self.sources.iter_mut().for_each(Attached::stop);
        while Instant::now() < end {
            if !self.round() {
                if self.sources.iter_mut().all(|attached| attached.source.is_drained()) {
                    return;
                }
                thread::sleep(DRAIN_PAUSE);
            }
        }
    }

    /// Reads each socket once. Returns whether there was a frame.
    fn round(&mut self) -> bool {
        let mut busy = false;
        let mut index = 0;
        while index < self.sources.len() {
            match self.turn(index) {
                Ok(polled) => {
                    busy |= polled == Polled::More;
                    index += 1;
                }
                Err(problem) => {
                    // A socket that is to be closed may be of an interface that is gone.
                    if !self.sources[index].lease.has_ended() {
                        error!("{problem}");
                    }
                    self.close(index);
                }
            }
        }
        busy
    }

    fn turn(&mut self, index: usize) -> Result<Polled, CaptureError> {
        let Self { sources, filter, payload, observer, worker, .. } = self;
        let (source, payload) = (&mut sources[index].source, payload.as_mut());
        observe(source, TURN_FRAMES, *filter, payload, observer, worker, |_, _| {})
    }

    fn tick(&mut self) {
        // Packets that wait in a ring are older than the time of day. They must move the clock
        // first.
        if std::mem::take(&mut self.was_idle) {
            self.move_clock();
        }
        if let Some(priority) = &mut self.priority {
            priority.tick(self.sources.iter().any(Attached::has_little_room));
        }
        self.worker.tick(self.observer.now());
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(TICKS_PER_BATCH) {
            self.worker.records.flush();
        }
        self.take_orders();
        if let Some(mut walk) = self.walks.pop_front()
            && !self.worker.step(&mut walk)
        {
            self.walks.push_back(walk);
        }
        let leases = self.close_ended();
        let snapshot = Snapshot {
            meter: self.counts(),
            ended: self.worker.ended(),
            flows: self.worker.flows(),
            sources: self.count_sources(),
            ..Snapshot::default()
        };
        publish(self.published, snapshot);
        // The leases are dropped after the counts are published. So a thread that sees no open
        // socket also sees the final counts.
        drop(leases);
    }

    fn counts(&self) -> MeterCounts {
        let payload = self.payload.as_ref().map(PayloadReader::counts);
        MeterCounts { payload, ..self.observer.counts() }
    }

    fn take_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                WorkerOrder::Socket(attached) => self.sources.push(*attached),
                WorkerOrder::Change(change) => self.change(change),
                WorkerOrder::Table(order) => self.walks.push_back(TableWalk::new(order)),
            }
        }
    }

    /// Goes on with other settings. The table keeps its flows.
    fn change(&mut self, MeterChange { timeouts_ms, wants_settle, left_out }: MeterChange) {
        if let Some((idle_ms, active_ms)) = timeouts_ms {
            let longest_ms = self.worker.set_timeouts(idle_ms, active_ms, self.observer.now());
            self.observer.set_timeouts(idle_ms, active_ms + (longest_ms - idle_ms));
        }
        self.worker.records.set_wants_settle(wants_settle);
        self.observer.exclude(left_out);
    }

    /// Closes the sockets whose lease has ended, when their rings are empty.
    fn close_ended(&mut self) -> Vec<Lease> {
        let mut leases = Vec::new();
        let mut index = 0;
        while index < self.sources.len() {
            if self.sources[index].lease.has_ended() && self.is_finished(index) {
                leases.push(self.close(index));
            } else {
                index += 1;
            }
        }
        leases
    }

    /// Stops a socket, or finds out whether it was stopped and is empty.
    fn is_finished(&mut self, index: usize) -> bool {
        let Some(stopped) = self.sources[index].stopped else {
            self.sources[index].stop();
            return false;
        };
        match self.turn(index) {
            Ok(Polled::More) => stopped.elapsed() > DRAIN,
            Ok(Polled::Idle | Polled::End) => {
                self.sources[index].source.is_drained() || stopped.elapsed() > DRAIN
            }
            Err(_) => true,
        }
    }

    /// Moves the clock to the time of day minus [`LAG_MS`].
    fn move_clock(&mut self) {
        let now = wall_clock().minus_millis(LAG_MS);
        self.observer.tick(now, &mut self.worker);
    }

    fn count_sources(&mut self) -> Vec<SourceCounts> {
        let mut counts = self.closed.clone();
        for Attached { port, source, .. } in &mut self.sources {
            *of_port(&mut counts, *port) += source.counts();
        }
        counts
    }

    /// Closes a socket and keeps its counters.
    fn close(&mut self, index: usize) -> Lease {
        let Attached { port, mut source, lease, .. } = self.sources.remove(index);
        *of_port(&mut self.closed, port) += source.last_counts();
        lease
    }

    /// Longest sleep without overflow of a ring. `None` if the worker should wait in `poll`.
    fn nap(&self) -> Option<Duration> {
        let naps = self.sources.iter().map(|attached| attached.source.nap());
        naps.min().flatten()
    }

    /// Waits until a socket has frames, or for `longest`.
    fn sleep(&self, longest: Duration) {
        match self.sources.as_slice() {
            [only] => wait(&mut [only.readable()], longest, "packets"),
            several => {
                let mut sockets: Vec<_> = several.iter().map(Attached::readable).collect();
                wait(&mut sockets, longest, "packets");
            }
        }
    }
}

/// Closes sockets, several at a time: the kernel needs some 20 ms for each.
fn close_all(mut sockets: Vec<Attached>) {
    let each = sockets.len().div_ceil(CLOSING_THREADS).max(1);
    thread::scope(|scope| {
        while sockets.len() > each {
            let part = sockets.split_off(sockets.len() - each);
            // If no thread can be started, they are closed here.
            let closing = thread::Builder::new().name("close".to_owned());
            drop(closing.spawn_scoped(scope, || drop(part)));
        }
        drop(sockets);
    });
}

impl Attached {
    pub(crate) fn new(port: usize, source: LiveSource, lease: &Lease) -> Self {
        Self { port, source, lease: lease.clone(), stopped: None }
    }

    fn stop(&mut self) {
        self.source.stop();
        self.stopped = Some(Instant::now());
    }

    /// Whether its ring fills up within milliseconds at high rates.
    pub(crate) fn has_little_room(&self) -> bool {
        matches!(self.source, LiveSource::Xdp(_))
    }

    fn readable(&self) -> PollFd<'_> {
        PollFd::new(self.source.as_fd(), PollFlags::POLLIN)
    }
}
