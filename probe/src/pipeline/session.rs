//! A live run: its threads, their published counters, and the interfaces over time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use exporter::{MeterReport, ending};
use flow::{Conversation, FlowTable, Observer};
use log::{error, warn};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::host::ports::Ports;
use crate::host::{priority, rights, signals};
use crate::pipeline::dropped::DroppedOnWay;
use crate::pipeline::live::{Attached, LiveWorker, Snapshot, WorkerInput, sum};
use crate::pipeline::output::{Clock, Label, Output, OutputEnd, OutputLoop, Published, Ticks};
use crate::pipeline::queue::{Delivery, QueueSender, QueueSet, RecordQueue, WhenFull};
use crate::pipeline::stages::{Mode, StageCounts, StageLoop, Stages};
use crate::pipeline::worker::{Worker, join, spawn};
use crate::report::totals::Totals;
use crate::settings::args::LiveSettings;
use crate::settings::config::Config;

/// Time between two checks of the main thread for a stop.
const LOOK: Duration = Duration::from_millis(50);

/// Time between two checks of the interfaces and two reports to the outputs.
const ROUND: Duration = Duration::from_secs(1);

/// Time between two ticks of an exporter, so that gathered records leave within a second.
const EXPORT_TICK: Duration = Duration::from_millis(500);

/// Maximum number of sockets that were opened later and wait for a worker. More wait in the main
/// thread.
const ARRIVALS: usize = 64;

/// Time after the last record in which an output may wait for what it needs to end.
const OUTPUTS_END: Duration = Duration::from_secs(15);

/// Time in which an output that must not wait has to end. After that it is abandoned.
const HURRIED_END: Duration = Duration::from_secs(2);

/// Input of a live run.
pub(crate) struct Session<'a> {
    pub(crate) config: &'a Config,
    pub(crate) settings: &'a LiveSettings,
    pub(crate) ports: Ports,
    /// The sockets of each worker.
    pub(crate) sockets: Vec<Vec<Attached>>,
    /// One for each worker.
    pub(crate) tables: Vec<FlowTable>,
    pub(crate) stages: Stages,
    pub(crate) outputs: Vec<Output<'a>>,
    /// Conversations of the outputs. Their packets are not metered.
    pub(crate) left_out: Vec<Conversation>,
    /// Set by a signal.
    pub(crate) stop: &'a AtomicBool,
    /// The main thread has real-time priority, which workers inherit.
    pub(crate) is_real_time: bool,
    pub(crate) begin: Instant,
}

/// Gets the totals of a run while it continues.
pub(crate) trait Watch {
    /// Once a second.
    fn second(&mut self, totals: &Totals);

    /// Every `--stats-interval`.
    fn interval(&mut self, totals: &Totals);

    /// Whether messages wait for them.
    fn has_news(&mut self) -> bool;

    /// When somebody asks for them, or messages wait for them.
    fn wanted(&mut self, totals: &Totals);

    /// Called at the end if an output hangs, with the last totals. It must end the process.
    fn stuck(&mut self, totals: &Totals) -> !;
}

/// State that threads share with the main thread.
struct Shared {
    /// By worker.
    snapshots: Vec<Mutex<Snapshot>>,
    /// By output.
    exports: Vec<Mutex<Published>>,
    outputs_left: AtomicUsize,
    /// XDP is detached: workers drain the rings and stop.
    last_frames: AtomicBool,
}

impl Session<'_> {
    /// Runs until a signal, or until no interface or no output is left. `watch` gets the totals.
    pub(crate) fn run(self, watch: &mut dyn Watch) -> Totals {
        let (workers, is_real_time) = (self.sockets.len(), self.is_real_time);
        let flows_max = self.config.table.flows_max as usize;
        let (outputs, needs) = (self.outputs.len(), self.stages.needs());
        let queues = QueueSet::live(workers, outputs, needs, flows_max);
        let shared = Shared {
            snapshots: (0..workers).map(|_| Mutex::default()).collect(),
            exports: self.outputs.iter().map(|_| Mutex::default()).collect(),
            outputs_left: AtomicUsize::new(self.outputs.len()),
            last_frames: AtomicBool::new(false),
        };
        let mut supervisor = Supervisor {
            shared: &shared,
            names: self.outputs.iter().map(Output::label).collect(),
            reports: queues.sender(),
            dropped: queues.outputs.iter().map(|merge| merge.dropped.clone()).collect(),
            ports: self.ports,
            stages: self.stages.counts,
            interval: self.settings.interval(),
            begin: self.begin,
        };
        thread::scope(|scope| {
            // The threads of outputs and stages need neither the workers' priority nor
            // capabilities.
            let give_up = move || {
                if is_real_time {
                    priority::drop_real_time();
                }
                rights::give_up_in_thread().unwrap_or_else(|problem| error!("{problem}"));
            };
            let mut outputs = Vec::with_capacity(self.outputs.len());
            let parts = self.outputs.into_iter().zip(queues.outputs).zip(&shared.exports);
            for ((output, merge), published) in parts {
                let ticks = Some(Ticks { period: EXPORT_TICK, clock: Clock::TimeOfDay });
                let (pool, outputs_left) = (queues.pool.clone(), &shared.outputs_left);
                let output = OutputLoop { output, merge, pool, ticks, published, outputs_left };
                outputs.push(spawn(scope, "output", move || {
                    give_up();
                    output.run()
                }));
            }
            let stages = queues.stages.map(|queues| {
                let stages =
                    StageLoop::new(self.stages.list, queues, Mode::Live(&shared.last_frames));
                spawn(scope, "stages", move || {
                    give_up();
                    stages.run();
                })
            });
            let starter = WorkerStarter {
                config: self.config,
                left_out: &self.left_out,
                processors: Processors::find(workers),
                is_real_time,
                shared: &shared,
            };
            let parts = self.sockets.into_iter().zip(self.tables).zip(queues.workers);
            let (threads, arrivals) = starter.start(scope, parts);
            if is_real_time {
                priority::drop_real_time();
            }
            supervisor.supervise(self.stop, &arrivals, watch);
            // From now on, outputs wait for their peers only as long as after a signal.
            ending::begin();
            supervisor.ports.detach();
            shared.last_frames.store(true, Ordering::Relaxed);
            threads.into_iter().for_each(join);
            supervisor.finish(stages, outputs, watch)
        })
    }
}

/// Input of all workers.
struct WorkerStarter<'a> {
    config: &'a Config,
    left_out: &'a [Conversation],
    processors: Processors,
    is_real_time: bool,
    shared: &'a Shared,
}

type Threads<'scope> = Vec<ScopedJoinHandle<'scope, ()>>;

impl<'a> WorkerStarter<'a> {
    /// Starts the workers. Each takes sockets that were opened later from its channel.
    fn start<'scope>(
        &self,
        scope: &'scope Scope<'scope, 'a>,
        parts: impl Iterator<Item = ((Vec<Attached>, FlowTable), RecordQueue)>,
    ) -> (Threads<'scope>, Vec<Sender<Attached>>) {
        let (mut threads, mut senders) = (Vec::new(), Vec::new());
        let parts = parts.zip(&self.shared.snapshots).enumerate();
        for (index, (((sources, table), records), published)) in parts {
            let (sender, arrivals) = bounded(ARRIVALS);
            senders.push(sender);
            let input = WorkerInput {
                filter: self.config.filter.as_ref(),
                sources,
                arrivals,
                published,
                stop: &self.shared.last_frames,
                is_real_time: self.is_real_time,
            };
            let (config, processors) = (self.config, self.processors.clone());
            let left_out = self.left_out.to_vec();
            threads.push(spawn(scope, "worker", move || {
                rights::give_up_in_thread().unwrap_or_else(|problem| error!("{problem}"));
                processors.pin(index);
                let mut observer = Observer::new(&config.observer);
                observer.exclude(left_out);
                let worker = Worker::new(table, records, &config.observer.decap);
                LiveWorker::new(worker, observer, input).run();
            }));
        }
        (threads, senders)
    }
}

/// The main thread's part.
struct Supervisor<'a> {
    shared: &'a Shared,
    names: Vec<Label>,
    /// Queue for reports. `None` after the workers have ended.
    reports: Option<QueueSender>,
    /// Counts of the data that the queues to each output dropped.
    dropped: Vec<DroppedOnWay>,
    ports: Ports,
    stages: StageCounts,
    interval: Option<Duration>,
    begin: Instant,
}

impl Supervisor<'_> {
    /// Watches interfaces and outputs until the run ends.
    fn supervise(
        &mut self,
        stop: &AtomicBool,
        arrivals: &[Sender<Attached>],
        watch: &mut dyn Watch,
    ) {
        let mut waiting = Waiting::default();
        let mut next_round = Instant::now();
        let mut next_interval = self.interval.map(|interval| next_round + interval);
        while !stop.load(Ordering::Relaxed)
            && self.shared.outputs_left.load(Ordering::Relaxed) > 0
            && !self.ports.are_all_gone()
        {
            thread::sleep(LOOK);
            if signals::take_totals_wanted() || watch.has_news() {
                watch.wanted(&self.totals(self.outputs_so_far()));
            }
            let now = Instant::now();
            let is_round = now >= next_round;
            if is_round || self.ports.have_news() {
                let shared = self.shared;
                waiting.sockets.extend(self.ports.look(&|| sum(&shared.snapshots).sources));
            }
            waiting.hand_out(arrivals);
            if !is_round {
                continue;
            }
            next_round = now + ROUND;
            let totals = self.totals(self.outputs_so_far());
            self.report(&totals, WhenFull::Drop);
            watch.second(&totals);
            if let (Some(due), Some(interval)) = (next_interval, self.interval)
                && now >= due
            {
                next_interval = Some(now + interval);
                watch.interval(&totals);
            }
        }
    }

    /// Ends the stages and then the outputs. Called after the workers have ended.
    ///
    /// The stages end within a bounded time. Until then they may wait for an output that hangs,
    /// while the other outputs have not received all records yet.
    fn finish(
        mut self,
        stages: Option<ScopedJoinHandle<'_, ()>>,
        outputs: Vec<ScopedJoinHandle<'_, OutputEnd>>,
        watch: &mut dyn Watch,
    ) -> Totals {
        let mut end = Instant::now() + OUTPUTS_END;
        self.report(&self.totals(Vec::new()), WhenFull::WaitUntil(end));
        self.reports = None;
        if let Some(stages) = stages {
            join(stages);
            end = Instant::now() + OUTPUTS_END;
        }
        while !outputs.iter().all(ScopedJoinHandle::is_finished) {
            if Instant::now() >= end {
                ending::hurry();
            }
            if Instant::now() >= end + HURRIED_END {
                watch.stuck(&self.totals_when_stuck());
            }
            thread::sleep(LOOK);
        }
        let outputs = outputs.into_iter().map(join).collect();
        Totals { interfaces_gone: self.ports.are_all_gone(), ..self.totals(outputs) }
    }

    fn totals(&self, outputs: Vec<OutputEnd>) -> Totals {
        let snapshot = sum(&self.shared.snapshots);
        let mut totals = Totals {
            meter: snapshot.meter,
            ended: snapshot.ended,
            flows: snapshot.flows,
            ports: self.ports.counts(&snapshot.sources),
            outputs,
            elapsed: self.begin.elapsed(),
            ..Totals::default()
        };
        self.stages.put(&mut totals);
        totals
    }

    fn outputs_so_far(&self) -> Vec<OutputEnd> {
        let parts = self.names.iter().zip(&self.shared.exports).zip(&self.dropped);
        let so_far = parts.map(|((label, published), dropped)| {
            let published = published.lock().unwrap_or_else(PoisonError::into_inner).clone();
            OutputEnd::new(label.clone(), published, dropped.tally())
        });
        so_far.collect()
    }

    /// The totals when an output hangs: records for which it has not accounted count as dropped.
    fn totals_when_stuck(&self) -> Totals {
        let mut totals = self.totals(self.outputs_so_far());
        let records = totals.ended.records();
        let outputs = totals.outputs.iter_mut().filter(|output| output.takes_records);
        for OutputEnd { counts, dropped, .. } in outputs {
            let accounted = counts.sent + counts.not_exportable + counts.failed + *dropped;
            *dropped += records - accounted;
        }
        totals
    }

    /// Sends counters of the meter to the outputs. An output with a full queue gets the next
    /// report.
    fn report(&self, totals: &Totals, when_full: WhenFull) {
        let report = MeterReport {
            ignored: totals.meter.ignored_total(),
            interfaces: self.ports.named(),
            ..MeterReport::default()
        };
        if let Some(reports) = &self.reports {
            reports.send(Delivery::Report(report), when_full);
        }
    }
}

/// Sockets that were opened later and have no worker yet.
#[derive(Default)]
struct Waiting {
    sockets: Vec<Attached>,
    /// The next worker to get a socket.
    next: usize,
}

impl Waiting {
    /// Gives sockets to the workers in turn. A socket that a worker cannot take continues to wait.
    fn hand_out(&mut self, workers: &[Sender<Attached>]) {
        for attached in std::mem::take(&mut self.sockets) {
            let Some(worker) = workers.get(self.next % workers.len().max(1)) else { return };
            self.next += 1;
            if let Err(refused) = worker.try_send(attached) {
                self.sockets.push(refused.into_inner());
            }
        }
    }
}

/// The CPU of each worker. A single worker is not pinned.
#[derive(Clone)]
struct Processors {
    allowed: Arc<[usize]>,
}

impl Processors {
    fn find(workers: usize) -> Self {
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
