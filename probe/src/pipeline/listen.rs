//! The datagrams of other exporters as the input of a live run.
//!
//! A worker has a socket of each listener and a collector of its own. All datagrams of an exporter
//! come to the same worker, so that nothing is shared. Twenty times a second a worker ticks: it
//! publishes its counts, and sends records on that wait in a batch.

use std::mem::take;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use collect::{ExporterReport, StoredTemplate};
use crossbeam_channel::{Receiver, Sender, unbounded};
use exporter::{MeterReport, sentence};
use flow::{RecordTally, Timestamp, Tpids};
use log::error;
use nix::poll::{PollFd, PollFlags};

use crate::host::listeners::{ListenSocket, WorkerSockets};
use crate::host::rights;
use crate::pipeline::collect::{LATE_MS, SETTLE_MS};
use crate::pipeline::connections::Connections;
use crate::pipeline::feed::{Feed, LiveInput};
use crate::pipeline::hearing::Hearing;
use crate::pipeline::live::MeterChange;
use crate::pipeline::pace::{DRAIN, TICK, TICKS_PER_BATCH, wait};
use crate::pipeline::queue::{RecordQueue, WhenFull};
use crate::pipeline::template_store::TemplateStore;
use crate::pipeline::worker::{join, spawn, wall_clock};
use crate::report::collected::CollectReport;
use crate::report::exporters;
use crate::report::totals::Totals;
use crate::report::workers::WorkerCounts;
use crate::settings::listen::CollectSettings;
use crate::sys::datagrams::{DatagramBuffers, dropped, socket_of};

/// Ticks between two lists of exporters.
const TICKS_PER_LIST: u32 = 20;

/// Sockets, and what their workers need.
pub(crate) struct ListenInput<'a> {
    pub(crate) settings: &'a CollectSettings,
    /// Further tag protocols in sampled frames.
    pub(crate) tpids: Tpids,
    /// The sockets of each worker.
    pub(crate) sockets: Vec<WorkerSockets>,
    /// Where each worker publishes its counts.
    pub(crate) published: &'a [Mutex<Heard>],
    /// The file of templates.
    pub(crate) store: Option<TemplateStore>,
    /// The templates of an earlier run.
    pub(crate) stored: Arc<[StoredTemplate]>,
}

/// What a worker publishes, by copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    report: CollectReport,
    /// Records for which the queue behind the workers had no room.
    dropped: RecordTally,
    exporters: Vec<ExporterReport>,
    /// Templates that are to be stored, as they were when they were last wanted, and the number
    /// of their changes.
    templates: (Arc<[StoredTemplate]>, u64),
    /// The templates are wanted.
    wants_templates: bool,
    /// Sockets that work.
    sockets: usize,
    /// Time of the publication; `None` before the first.
    at: Option<Instant>,
}

impl LiveInput for ListenInput<'_> {
    fn workers(&self) -> usize {
        self.sockets.len()
    }

    fn start<'scope, 'env>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        queues: Vec<RecordQueue>,
        ended: &'env AtomicBool,
    ) -> Box<dyn Feed + 'scope>
    where
        Self: 'env,
    {
        let limits = self.settings.limits.share(self.sockets.len());
        let (mut threads, mut orders) = (Vec::new(), Vec::new());
        let workers = self.sockets.len();
        let mut stored: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        for template in self.stored.iter() {
            let of_worker = stored.get_mut(socket_of(template.address, workers));
            of_worker.into_iter().for_each(|list| list.push(template.clone()));
        }
        let mut stored = stored.into_iter();
        for ((sockets, records), published) in
            self.sockets.into_iter().zip(queues).zip(self.published)
        {
            let (settings, tpids) = (self.settings, self.tpids);
            let stored = stored.next().unwrap_or_default();
            let (sender, of_main) = unbounded();
            orders.push(sender);
            threads.push(spawn(scope, "worker", move || {
                rights::give_up_in_thread().unwrap_or_else(|problem| error!("{problem}"));
                let hearing = Hearing::new(settings, limits, tpids, records, &stored);
                drop(stored);
                let connections = Connections::new(sockets.streams, workers);
                let datagrams = sockets.datagrams;
                let sockets = (datagrams, connections);
                ListenWorker::new(hearing, sockets, of_main, published, ended).run();
            }));
        }
        let (published, store) = (self.published, self.store);
        Box::new(ListenFeed { threads, orders, published, store, ended })
    }
}

/// The workers of datagrams.
struct ListenFeed<'scope, 'env> {
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    /// Whether stages need to know which records are still to come.
    orders: Vec<Sender<bool>>,
    published: &'env [Mutex<Heard>],
    store: Option<TemplateStore>,
    ended: &'env AtomicBool,
}

impl ListenFeed<'_, '_> {
    fn heard(&self) -> impl Iterator<Item = MutexGuard<'_, Heard>> {
        self.published.iter().map(|one| one.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The templates of each worker, and the number of their changes.
    fn templates(&self) -> (Vec<Arc<[StoredTemplate]>>, u64) {
        let lists = self.heard().map(|heard| heard.templates.clone());
        let (lists, changes): (_, Vec<_>) = lists.unzip();
        (lists, changes.iter().sum())
    }
}

impl Feed for ListenFeed<'_, '_> {
    fn look(&mut self, is_round: bool) {
        if !is_round || !self.store.as_ref().is_some_and(TemplateStore::is_due) {
            return;
        }
        // What was wanted a round ago is there, unless a worker is late.
        if self.heard().any(|heard| heard.wants_templates) {
            return;
        }
        let (templates, changes) = self.templates();
        if let Some(store) = &mut self.store
            && store.begin(templates, changes)
        {
            return;
        }
        self.heard().for_each(|mut heard| heard.wants_templates = true);
    }

    fn is_over(&self) -> bool {
        self.heard().all(|heard| heard.at.is_some() && heard.sockets == 0)
    }

    fn is_alive(&self, longest: Duration) -> bool {
        self.heard().all(|heard| heard.at.is_none_or(|at| at.elapsed() < longest))
    }

    fn change(&mut self, change: MeterChange) {
        for worker in &self.orders {
            if worker.send(change.wants_settle).is_err() {
                error!("a worker has ended");
            }
        }
    }

    fn is_up_to_date(&self) -> bool {
        self.orders.iter().all(Sender::is_empty)
    }

    fn end(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(join);
        let (templates, _) = self.templates();
        self.store.take().into_iter().for_each(|store| store.finish(&templates));
    }

    fn put(&self, totals: &mut Totals) {
        let mut sum = CollectReport { listens: true, ..CollectReport::default() };
        let mut exporters = Vec::new();
        for heard in self.heard() {
            sum += heard.report;
            totals.workers.push(WorkerCounts::of_collecting(heard.report, heard.dropped));
            exporters.extend(heard.exporters.iter().cloned());
        }
        totals.exporters = exporters::largest(exporters);
        totals.collected = Some(sum);
    }

    fn report(&self, _totals: &Totals) -> MeterReport {
        MeterReport::default()
    }
}

/// The loop of a worker.
struct ListenWorker<'a> {
    hearing: Hearing<'a>,
    /// The sockets that work, each with its count of dropped datagrams at the last look.
    sockets: Vec<(ListenSocket, u32)>,
    connections: Connections,
    buffers: DatagramBuffers,
    orders: Receiver<bool>,
    published: &'a Mutex<Heard>,
    ended: &'a AtomicBool,
    ticks: u32,
    /// Time of the next settle message.
    settle_at: Timestamp,
}

impl<'a> ListenWorker<'a> {
    fn new(
        hearing: Hearing<'a>,
        (sockets, connections): (Vec<ListenSocket>, Connections),
        orders: Receiver<bool>,
        published: &'a Mutex<Heard>,
        ended: &'a AtomicBool,
    ) -> Self {
        Self {
            hearing,
            sockets: sockets.into_iter().map(|socket| (socket, 0)).collect(),
            connections,
            buffers: DatagramBuffers::new(),
            orders,
            published,
            ended,
            ticks: 0,
            settle_at: Timestamp::default(),
        }
    }

    /// Runs until the run ends. Then it takes what has come until then.
    fn run(mut self) {
        let mut next_tick = Instant::now();
        while !self.ended.load(Ordering::Relaxed) {
            let busy = self.round();
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.tick();
            } else if !busy {
                self.wait(next_tick - now);
            }
        }
        let end = Instant::now() + DRAIN;
        self.hearing.records.set_when_full(WhenFull::at_end());
        while self.round() && Instant::now() < end {}
        self.connections.finish(&mut self.hearing);
        self.count_dropped();
        self.hearing.collector.finish();
        self.hearing.records.flush();
        self.publish(true, true);
    }

    /// Reads each socket once. Returns whether more may be there.
    fn round(&mut self) -> bool {
        let Self { hearing, sockets, connections, buffers, .. } = self;
        let mut busy = connections.round(hearing);
        sockets.retain(|(socket, _)| {
            let received =
                buffers.receive(socket.as_fd(), |datagram| hearing.take(socket, datagram));
            if let Err(problem) = &received {
                error!("{}: {}", socket.name, sentence(problem));
            }
            busy |= received.as_ref().is_ok_and(|more| *more);
            received.is_ok()
        });
        busy
    }

    fn tick(&mut self) {
        self.count_dropped();
        self.connections.tick(&mut self.hearing);
        let records = &mut self.hearing.records;
        self.orders.try_iter().for_each(|wants_settle| records.set_wants_settle(wants_settle));
        let now = wall_clock();
        if now >= self.settle_at && records.wants_settle() {
            self.settle_at = now.plus_millis(SETTLE_MS);
            records.settle(now.minus_millis(LATE_MS));
        }
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(TICKS_PER_BATCH) {
            records.flush();
        }
        self.publish(self.ticks % TICKS_PER_LIST == 1, false);
    }

    /// Adds what sockets had no room for since the last look.
    fn count_dropped(&mut self) {
        for (socket, before) in &mut self.sockets {
            if let Ok(now) = dropped(socket.as_fd()) {
                let more = now.wrapping_sub(*before);
                self.hearing.report.kernel_dropped += u64::from(more);
                *before = now;
            }
        }
    }

    /// Publishes the counts, and the templates if they are wanted and have changed since.
    fn publish(&self, with_list: bool, is_last: bool) {
        let collector = &self.hearing.collector;
        let list = with_list.then(|| collector.exporters(exporters::REPORTED));
        let changes = collector.template_changes();
        let counts = collector.counts();
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.report = CollectReport { counts, ..self.hearing.report };
        published.dropped = self.hearing.records.dropped;
        published.sockets = self.sockets.len() + self.connections.listeners();
        published.at = Some(Instant::now());
        if let Some(list) = list {
            published.exporters = list;
        }
        let is_wanted = take(&mut published.wants_templates) || is_last;
        if is_wanted && published.templates.1 != changes {
            published.templates = (collector.templates().collect(), changes);
        }
    }

    /// Waits until a socket has datagrams, or for `longest`.
    fn wait(&self, longest: Duration) {
        let sockets = self.sockets.iter();
        let sockets = sockets.map(|(it, _)| PollFd::new(it.as_fd(), PollFlags::POLLIN));
        let mut sockets: Vec<_> = sockets.chain(self.connections.sockets()).collect();
        wait(&mut sockets, longest, "datagrams");
    }
}
