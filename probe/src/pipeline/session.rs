//! A live run: its threads, and its input, outputs and settings over time.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use exporter::ending;
use flow::Stage;
use log::error;

use crate::host::control::Request;
use crate::host::service::Service;
use crate::host::{priority, signals};
use crate::pipeline::dropped::QueueReport;
use crate::pipeline::feed::{Feed, LiveInput};
use crate::pipeline::live::MeterChange;
use crate::pipeline::output::{Output, OutputEnd};
use crate::pipeline::outputs::OutputSet;
use crate::pipeline::queue::{QueueItem, QueueSender, WhenFull};
use crate::pipeline::queues::QueueSet;
use crate::pipeline::reload::{Outputs, Prepared, Reloader};
use crate::pipeline::stages::{Mode, StageChange, StageCounts, StageKind, StageLoop, Stages};
use crate::pipeline::starting::Starting;
use crate::pipeline::worker::{join, spawn};
use crate::report::rates::Rates;
use crate::report::totals::Totals;
use crate::settings::config::Config;

/// Time between two checks of the main thread for a stop.
const LOOK: Duration = Duration::from_millis(50);

/// Time between two checks of the interfaces and two reports to the outputs.
const ROUND: Duration = Duration::from_secs(1);

/// Maximum number of changes that wait for the thread of the stages.
const CHANGES: usize = 2;

/// Time after the last record in which an output may wait for what it needs to end.
const OUTPUTS_END: Duration = Duration::from_secs(15);

/// Time in which an output that must not wait has to end. After that it is abandoned.
const HURRIED_END: Duration = Duration::from_secs(2);

/// The name of the queue behind the workers in totals.
const WORKERS: &str = "workers";

/// A live run, but for its input.
pub(crate) struct Session<'a> {
    pub(crate) config: &'a Config,
    /// Time between two totals; `None`: only at the end.
    pub(crate) interval: Option<Duration>,
    pub(crate) stages: Stages,
    pub(crate) outputs: Vec<Output<'a>>,
    /// Set by a signal.
    pub(crate) stop: &'a AtomicBool,
    /// The main thread has real-time priority, which workers inherit.
    pub(crate) is_real_time: bool,
    pub(crate) begin: Instant,
    /// Reads the settings again. `None` if they are on the command line alone.
    pub(crate) reloader: Option<Reloader>,
}

/// Gets the totals of a run while it continues.
pub(crate) trait Watch {
    /// Once a second.
    fn second(&mut self, totals: &Totals);

    /// Every `--stats-interval`.
    fn interval(&mut self, totals: &Totals);

    /// Whether messages wait for them.
    fn has_news(&mut self) -> bool;

    /// The next request of `flowprobe ctl`, if there is one.
    fn request(&mut self) -> Option<Request>;

    /// When somebody asks for them, or messages wait for them.
    fn wanted(&mut self, totals: &Totals);

    /// Called at the end if an output hangs, with the last totals. It must end the process.
    fn stuck(&mut self, totals: &Totals) -> !;
}

/// State that threads share with the main thread.
struct Shared {
    outputs_left: AtomicUsize,
    /// Nothing more comes in: workers give what they have and stop.
    ended: AtomicBool,
}

impl Session<'_> {
    /// Runs until a signal, or until no input or no output is left. `watch` gets the totals.
    pub(crate) fn run(self, input: impl LiveInput, watch: &mut dyn Watch) -> Totals {
        let is_real_time = self.is_real_time;
        let mut queues = self.queues(input.workers());
        let shared = Shared { outputs_left: AtomicUsize::new(0), ended: AtomicBool::new(false) };
        thread::scope(|scope| {
            let later = self.reloader.as_ref().and_then(|_| queues.later(self.flows_max()));
            let (pool, left) = (queues.pool.clone(), &shared.outputs_left);
            let mut outputs = OutputSet::new(scope, left, pool, later, is_real_time);
            let senders = match (&self.reloader, &mut queues.stages) {
                (Some(_), Some(stages)) => stages.count_offered(),
                _ => Vec::new(),
            };
            let mut senders = senders.into_iter();
            let reports = queues.sender();
            for (output, merge) in self.outputs.into_iter().zip(queues.outputs) {
                let started = outputs.start(Starting::of(output), merge, senders.next());
                started.unwrap_or_else(|problem| {
                    error!("{problem}");
                    std::process::exit(1)
                });
            }
            let (changes, for_stages) = bounded(CHANGES);
            let stages = queues.stages.map(|queues| {
                let stages = StageLoop::new(self.stages.list, queues, Mode::Live(&shared.ended));
                start_stages(scope, stages.changed_by(for_stages), is_real_time)
            });
            let feed = input.start(scope, queues.workers, &shared.ended);
            if is_real_time {
                priority::drop_real_time();
            }
            let mut supervisor = Supervisor {
                shared: &shared,
                outputs,
                reports,
                queue: None,
                feed,
                stages: self.stages.counts,
                interval: self.interval,
                reloader: self.reloader,
                changes,
                changing: None,
                service: Service::find(),
                begin: self.begin,
            };
            supervisor.service.ready();
            supervisor.supervise(self.stop, watch);
            supervisor.service.stopping();
            // From now on, outputs wait for their peers only as long as after a signal.
            ending::begin();
            supervisor.feed.end();
            supervisor.finish(stages, watch)
        })
    }

    /// With settings that may change, the thread of the stages gives records to the outputs.
    fn queues(&self, workers: usize) -> QueueSet {
        let mut needs = self.stages.needs();
        needs.exist |= self.reloader.is_some();
        QueueSet::live(workers, self.outputs.len(), &needs, self.flows_max())
    }

    fn flows_max(&self) -> usize {
        self.config.table.flows_max as usize
    }
}

/// Starts the thread of the stages. It needs neither the priority of workers nor capabilities.
fn start_stages<'scope>(
    scope: &'scope Scope<'scope, '_>,
    stages: StageLoop<'scope>,
    is_real_time: bool,
) -> ScopedJoinHandle<'scope, ()> {
    spawn(scope, "stages", move || {
        priority::begin_ordinary(is_real_time);
        stages.run();
    })
}

/// The main thread's part.
struct Supervisor<'scope, 'env> {
    shared: &'env Shared,
    outputs: OutputSet<'scope, 'env>,
    /// Queue for reports. `None` after the workers have ended.
    reports: Option<QueueSender>,
    /// The last state of the queue of the workers, after they have ended.
    queue: Option<QueueReport>,
    feed: Box<dyn Feed + 'scope>,
    stages: StageCounts,
    interval: Option<Duration>,
    /// `None`: settings stay as they are.
    reloader: Option<Reloader>,
    changes: Sender<StageChange>,
    /// New settings that not all threads have taken yet.
    changing: Option<Changing>,
    service: Service,
    begin: Instant,
}

/// New settings, and what tells when the stages have taken them.
struct Changing {
    prepared: Prepared,
    by_stages: Receiver<Infallible>,
}

impl Supervisor<'_, '_> {
    /// Watches input, outputs and settings until the run ends.
    fn supervise(&mut self, stop: &AtomicBool, watch: &mut dyn Watch) {
        let mut rates = Rates::new();
        let mut next_round = Instant::now();
        let interval = self.interval;
        let mut next_interval = interval.map(|interval| next_round + interval);
        while !stop.load(Ordering::Relaxed)
            && self.shared.outputs_left.load(Ordering::Relaxed) > 0
            && !self.feed.is_over()
        {
            thread::sleep(LOOK);
            if signals::take_totals_wanted() || watch.has_news() {
                watch.wanted(&self.so_far());
            }
            while let Some(request) = watch.request() {
                self.answer(request);
            }
            self.look_at_settings();
            let (feed, watchdog) = (&self.feed, self.service.watchdog);
            self.service.sign(|| watchdog.is_none_or(|longest| feed.is_alive(longest)));
            let now = Instant::now();
            let is_round = now >= next_round;
            self.feed.look(is_round);
            if !is_round {
                continue;
            }
            next_round = now + ROUND;
            let totals = self.so_far();
            self.report(&totals, WhenFull::Drop);
            watch.second(&totals);
            self.service.status(|| rates.line(&totals));
            if let (Some(due), Some(interval)) = (next_interval, interval)
                && now >= due
            {
                next_interval = Some(now + interval);
                watch.interval(&totals);
            }
        }
    }

    /// Does what `flowprobe ctl` asks for. Who does not wait any more needs no answer.
    fn answer(&mut self, request: Request) {
        match request {
            Request::Totals(answer) => drop(answer.try_send(self.so_far().statistics())),
            Request::Flows(order) => self.feed.order(&order),
            Request::Pause { output, pause, answer } => {
                let queues = self.outputs.pause(&output, pause);
                let done = queues.map(|queues| self.pass_on(queues, Vec::new()));
                drop(answer.try_send(done.map(drop)));
            }
        }
    }

    /// Gives the thread of the stages other outputs and stages. It drops the sender of what is
    /// returned when it has taken them.
    fn pass_on(
        &self,
        outputs: Vec<QueueSender>,
        stages: Vec<(StageKind, Option<Box<dyn Stage>>)>,
    ) -> Receiver<Infallible> {
        let (done, by_stages) = bounded(0);
        if self.changes.send(StageChange { outputs, stages, done }).is_err() {
            error!("the thread of the stages has ended");
        }
        // It also wakes the thread of the stages.
        self.report(&self.so_far(), WhenFull::Drop);
        by_stages
    }

    /// Applies new settings that are ready. They are in force when all threads have taken them.
    fn look_at_settings(&mut self) {
        let Some(reloader) = &mut self.reloader else { return };
        self.outputs.reap();
        if let Some(changing) = &self.changing {
            let by_stages = changing.by_stages.try_recv() == Err(TryRecvError::Disconnected);
            if by_stages && self.feed.is_up_to_date() {
                self.changing.take().into_iter().for_each(|it| reloader.applied(it.prepared));
                self.service.ready();
            }
            return;
        }
        if reloader.is_asked() {
            self.service.reloading();
        }
        let was_busy = reloader.is_busy();
        let outputs = || Outputs { known: self.outputs.known(), names: self.outputs.names() };
        let prepared = reloader.look(outputs, &self.stages);
        if let Some(prepared) = prepared {
            self.change(prepared);
        } else if was_busy && !reloader.is_busy() {
            // They were refused.
            self.service.ready();
        }
    }

    fn change(&mut self, mut prepared: Prepared) {
        let added = std::mem::take(&mut prepared.added);
        let queues = self.outputs.change(&prepared.removed, added);
        prepared.local_networks.iter().for_each(|it| self.outputs.set_local_networks(it));
        self.feed.change(MeterChange {
            timeouts_ms: prepared.timeouts_ms,
            wants_settle: prepared.wants_settle,
            left_out: self.outputs.conversations(),
        });
        self.stages = prepared.stage_counts.clone();
        let stages = std::mem::take(&mut prepared.stages);
        let by_stages = self.pass_on(queues, stages);
        self.changing = Some(Changing { prepared, by_stages });
    }

    /// Ends the stages and then the outputs. Called after the workers have ended.
    ///
    /// The stages end within a bounded time. Until then they may wait for an output that hangs,
    /// while the other outputs have not received all records yet.
    fn finish(mut self, stages: Option<ScopedJoinHandle<'_, ()>>, watch: &mut dyn Watch) -> Totals {
        let mut end = Instant::now() + OUTPUTS_END;
        self.report(&self.totals(Vec::new()), WhenFull::WaitUntil(end));
        let queue = self.reports.take().map(|reports| reports.report(WORKERS));
        self.queue = queue.map(|queue| QueueReport { waiting: 0, ..queue });
        self.outputs.close();
        if let Some(stages) = stages {
            join(stages);
            end = Instant::now() + OUTPUTS_END;
        }
        while !self.outputs.are_finished() {
            if Instant::now() >= end {
                ending::hurry();
            }
            if Instant::now() >= end + HURRIED_END {
                watch.stuck(&self.totals_when_stuck());
            }
            thread::sleep(LOOK);
        }
        let totals = self.totals(Vec::new());
        let outputs = self.outputs.end(totals.records());
        Totals { interfaces_gone: self.feed.is_over(), outputs, ..totals }
    }

    fn totals(&self, outputs: Vec<OutputEnd>) -> Totals {
        let queue = self.reports.as_ref().map(|reports| reports.report(WORKERS));
        let mut totals = Totals {
            queue: queue.or_else(|| self.queue.clone()),
            outputs,
            reloads: self.reloader.as_ref().map(Reloader::counts),
            elapsed: self.begin.elapsed(),
            ..Totals::default()
        };
        self.feed.put(&mut totals);
        self.stages.put(&mut totals);
        totals
    }

    /// The totals while the run goes on.
    fn so_far(&self) -> Totals {
        let totals = self.totals(Vec::new());
        let outputs = self.outputs.so_far(totals.records());
        Totals { outputs, ..totals }
    }

    /// The totals when an output hangs: records for which it has not accounted count as dropped.
    fn totals_when_stuck(&self) -> Totals {
        let mut totals = self.so_far();
        let records = totals.records();
        let outputs = totals.outputs.iter_mut().filter(|output| output.takes_records);
        for OutputEnd { counts, dropped, absent, .. } in outputs {
            let kept = counts.dead_lettered + counts.spooled;
            let accounted = counts.sent + counts.not_exportable + counts.failed + kept + *dropped;
            *dropped += records - accounted - *absent;
        }
        totals
    }

    /// Sends counters of the meter to the outputs. An output with a full queue gets the next
    /// report.
    fn report(&self, totals: &Totals, when_full: WhenFull) {
        if let Some(reports) = &self.reports {
            reports.send(QueueItem::Report(self.feed.report(totals)), when_full);
        }
    }
}
