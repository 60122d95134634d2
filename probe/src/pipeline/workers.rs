//! The workers of a live run: their threads, their CPUs, and the channel to each.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use flow::{Conversation, ConversationKeys, FlowTable, Observer};
use log::{error, warn};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::host::rights;
use crate::pipeline::live::{Attached, LiveWorker, MeterChange, WorkerInput, WorkerOrder};
use crate::pipeline::payload::PayloadReader;
use crate::pipeline::queue::RecordQueue;
use crate::pipeline::snapshot::Snapshot;
use crate::pipeline::table_order::TableOrder;
use crate::pipeline::worker::{Worker, join, spawn};
use crate::settings::config::Config;

/// Maximum number of sockets and other orders that wait for a worker. More sockets wait in the main
/// thread.
const ORDERS: usize = 64;

/// Longest time that a worker takes to look at its orders.
const ANSWER: Duration = Duration::from_secs(1);

/// Input of all workers.
pub(super) struct WorkerStarter<'a> {
    pub(super) config: &'a Config,
    pub(super) left_out: Vec<Conversation>,
    pub(super) processors: Processors,
    pub(super) is_real_time: bool,
    /// Where each worker publishes its counters.
    pub(super) snapshots: &'a [Mutex<Snapshot>],
    /// Set when capture has ended.
    pub(super) stop: &'a AtomicBool,
}

/// The threads of the workers, and what tells them of changes.
pub(super) struct Workers<'scope> {
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    orders: Vec<Sender<WorkerOrder>>,
    /// Sockets that were opened later and have no worker yet.
    waiting: Vec<Attached>,
    /// The next worker to get a socket.
    next: usize,
}

impl<'a> WorkerStarter<'a> {
    /// Starts the workers. Each takes sockets that were opened later, and new settings, from its
    /// channel.
    pub(super) fn start<'scope>(
        &self,
        scope: &'scope Scope<'scope, 'a>,
        parts: impl Iterator<Item = ((Vec<Attached>, FlowTable), RecordQueue)>,
    ) -> Workers<'scope> {
        let (mut threads, mut senders) = (Vec::new(), Vec::new());
        let parts = parts.zip(self.snapshots).enumerate();
        for (index, (((sources, table), records), published)) in parts {
            let (sender, orders) = bounded(ORDERS);
            senders.push(sender);
            let input = WorkerInput {
                payload: self.config.payload.as_ref().map(|settings| {
                    let keys = ConversationKeys::new(&self.config.observer);
                    PayloadReader::new(settings, self.snapshots.len(), keys)
                }),
                filter: self.config.filter.as_ref(),
                sources,
                orders,
                published,
                stop: self.stop,
                is_real_time: self.is_real_time,
            };
            let (config, processors) = (self.config, self.processors.clone());
            let (left_out, workers) = (self.left_out.clone(), self.snapshots.len());
            threads.push(spawn(scope, "worker", move || {
                rights::give_up_in_thread().unwrap_or_else(|problem| error!("{problem}"));
                processors.pin(index);
                let mut observer = Observer::new(&config.observer);
                observer.exclude(left_out);
                let worker = Worker::new(table, records, config, workers);
                LiveWorker::new(worker, observer, input).run();
            }));
        }
        Workers { threads, orders: senders, waiting: Vec::new(), next: 0 }
    }
}

impl Workers<'_> {
    /// Gives sockets to the workers in turn. A socket that a worker cannot take waits.
    pub(super) fn hand_out(&mut self, sockets: Vec<Attached>) {
        self.waiting.extend(sockets);
        for attached in std::mem::take(&mut self.waiting) {
            let Some(worker) = self.orders.get(self.next % self.orders.len().max(1)) else {
                return;
            };
            self.next += 1;
            let refused = worker.try_send(WorkerOrder::Socket(Box::new(attached))).err();
            if let Some(WorkerOrder::Socket(attached)) = refused.map(TrySendError::into_inner) {
                self.waiting.push(*attached);
            }
        }
    }

    /// Sends new settings to all workers. Each takes them with its next tick.
    pub(super) fn change(&self, change: &MeterChange) {
        for worker in &self.orders {
            let order = WorkerOrder::Change(change.clone());
            if worker.send_timeout(order, ANSWER).is_err() {
                error!("a worker does not take its new settings");
            }
        }
    }

    /// Gives an order about flows to all workers. For one that has too much to do the answer is
    /// that there is none.
    pub(super) fn order(&self, order: &TableOrder) {
        for worker in &self.orders {
            if worker.try_send(WorkerOrder::Table(order.clone())).is_err() {
                drop(order.answer.try_send(None));
            }
        }
    }

    /// Whether all have taken what was sent to them.
    pub(super) fn are_up_to_date(&self) -> bool {
        self.orders.iter().all(Sender::is_empty)
    }

    /// Waits until all have ended.
    pub(super) fn join(self) {
        self.threads.into_iter().for_each(join);
    }
}

/// The CPU of each worker. A single worker is not pinned.
#[derive(Clone)]
pub(super) struct Processors {
    allowed: Arc<[usize]>,
}

impl Processors {
    pub(super) fn find(workers: usize) -> Self {
        let of =
            |set: CpuSet| (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect();
        let allowed = sched_getaffinity(Pid::from_raw(0)).map_or_else(|_| Vec::new(), of);
        Self { allowed: if workers > 1 { allowed.into() } else { Arc::default() } }
    }

    /// Pins this thread. Interrupts of a queue usually go to the CPU with the number of the queue,
    /// so its worker takes the next CPU.
    fn pin(&self, worker: usize) {
        if self.allowed.is_empty() {
            return;
        }
        let cpu = self.allowed[(worker + 1) % self.allowed.len()];
        let mut set = CpuSet::new();
        let pinned = set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
        if let Err(problem) = pinned {
            warn!("cannot pin a worker to processor {cpu}: {}", problem.desc());
        }
    }
}
