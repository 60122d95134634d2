//! The stages between workers and outputs, on one thread.
//!
//! The thread takes the batches of all workers in turn, gives each to every stage, and sends it to
//! every output. It runs only if there are stages or several outputs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use analysis::detect::{DetectCounts, Detectors};
use analysis::tags::{TagCounts, TagStage, Tagger};
use crossbeam_channel::RecvTimeoutError;
use exporter::MeterReport;
use flow::{Batch, Event, Stage, Timestamp};

use crate::pipeline::queue::{Delivery, StageNeeds, StageQueues, WhenFull};
use crate::pipeline::worker::wall_clock;
use crate::places::Places;
use crate::report::totals::Totals;
use crate::settings::config::Config;

/// Time between two ticks of a stage.
const TICK: Duration = Duration::from_secs(1);

/// The stages of a run.
#[derive(Default)]
pub(crate) struct Stages {
    /// In the order in which they get a batch.
    pub(crate) list: Vec<Box<dyn Stage>>,
    pub(crate) counts: StageCounts,
}

/// Counts of stages, for totals.
#[derive(Clone, Default)]
pub(crate) struct StageCounts {
    /// `None` if records get no tags.
    tags: Option<TagCounts>,
    /// `None` if records get no places.
    places: Option<Arc<Places>>,
    /// `None` without detectors.
    detected: Option<Arc<Mutex<DetectCounts>>>,
}

impl StageCounts {
    /// Writes what was counted so far into totals.
    pub(crate) fn put(&self, totals: &mut Totals) {
        totals.tags = self.tags.as_ref().map(TagCounts::so_far).unwrap_or_default();
        totals.places = self.places.as_deref().map(Places::report);
        totals.detected = self
            .detected
            .as_ref()
            .map(|counts| counts.lock().unwrap_or_else(PoisonError::into_inner).clone());
    }
}

impl Stages {
    /// Requirements of the stages for the queues.
    pub(crate) fn needs(&self) -> StageNeeds {
        StageNeeds {
            exist: !self.list.is_empty(),
            wants_settle: self.list.iter().any(|stage| stage.wants_settle()),
        }
    }
}

/// The configured stages. To add a stage, push it here.
pub(crate) fn configured(config: &Config, places: Option<Arc<Places>>) -> Stages {
    let mut stages = Stages::default();
    if config.has_tags {
        let tagger = Tagger::new(config.site.clone(), config.table.key);
        let counts = stages.counts.tags.insert(TagCounts::default());
        stages.list.push(Box::new(TagStage::new(tagger, counts.clone())));
    }
    if let Some(places) = places {
        stages.list.push(Box::new(places.stage(config.observer.key)));
        stages.counts.places = Some(places);
    }
    if let Some(settings) = &config.detect {
        let detectors = Detectors::new(settings, config.site.clone());
        let detectors = detectors.expect("the settings were checked");
        stages.counts.detected = Some(detectors.counts());
        stages.list.push(Box::new(detectors));
    }
    stages
}

/// The clock of the stages, and their reaction to a full queue of an output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode<'run> {
    /// The export times of records are the clock. A full queue makes the stages wait.
    Replay,
    /// The time of day is the clock. A full queue drops data until this flag is set at the end of
    /// the capture.
    Live(&'run AtomicBool),
}

/// The loop of the stages.
pub(crate) struct StageLoop<'run> {
    stages: Vec<Box<dyn Stage>>,
    queues: StageQueues,
    mode: Mode<'run>,
    when_full: WhenFull,
    /// The trace clock: the latest export time of a record.
    now: Timestamp,
    last_tick: Timestamp,
    /// Number of interfaces whose names the stages know.
    interfaces: usize,
    /// By worker: all its records before this time have arrived.
    settled: Vec<Timestamp>,
    /// The earliest of them.
    settled_all: Timestamp,
}

impl<'run> StageLoop<'run> {
    pub(crate) fn new(stages: Vec<Box<dyn Stage>>, queues: StageQueues, mode: Mode<'run>) -> Self {
        let when_full = match mode {
            Mode::Replay => WhenFull::Wait,
            Mode::Live(_) => WhenFull::Drop,
        };
        let start = Timestamp::default();
        Self {
            stages,
            mode,
            when_full,
            now: start,
            last_tick: start,
            interfaces: 0,
            settled: vec![start; queues.workers],
            settled_all: start,
            queues,
        }
    }

    /// Runs until the queues of all workers are closed.
    pub(crate) fn run(mut self) {
        let mut next_tick = self.next_live_tick();
        loop {
            let received = self.queues.merge.receive(next_tick);
            self.wait_if_capture_has_ended();
            match received {
                Ok(Delivery::Batch(batch)) => self.batch(batch),
                Ok(Delivery::Report(report)) => {
                    self.learn_interfaces(&report);
                    self.send(&Delivery::Report(report));
                }
                Ok(Delivery::Settled(worker, until)) => self.settle(worker, until),
                Ok(Delivery::BlockEnd) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if next_tick.is_some_and(|due| Instant::now() >= due) {
                next_tick = self.next_live_tick();
                self.tick(wall_clock());
            }
        }
        match self.mode {
            Mode::Replay => self.tick(self.now),
            Mode::Live(_) => self.tick(wall_clock()),
        }
        self.settle_all(Timestamp::MAX);
    }

    fn settle(&mut self, worker: usize, until: Timestamp) {
        self.settled[worker] = until;
        let all = self.settled.iter().copied().min().unwrap_or_default();
        if all > self.settled_all {
            self.settle_all(all);
        }
    }

    /// Tells the stages that no more record will come whose last packet is before this time.
    fn settle_all(&mut self, until: Timestamp) {
        self.settled_all = until;
        let mut events = Vec::new();
        self.stages.iter_mut().for_each(|stage| stage.settle(until, &mut events));
        self.send_events(events);
    }

    fn batch(&mut self, mut batch: Arc<Batch>) {
        if !self.stages.is_empty() {
            let owned = Arc::get_mut(&mut batch).expect("a worker keeps no batch that it has sent");
            self.stages.iter_mut().for_each(|stage| stage.batch(owned));
        }
        let exported = match self.mode {
            Mode::Replay => batch.records.iter().map(|record| record.exported).max(),
            Mode::Live(_) => None,
        };
        self.send(&Delivery::Batch(Arc::clone(&batch)));
        self.queues.pool.give_back(batch);
        if let Some(exported) = exported {
            self.now = self.now.max(exported);
            if u128::from(self.now.millis_since(self.last_tick)) >= TICK.as_millis() {
                self.tick(self.now);
            }
        }
    }

    fn learn_interfaces(&mut self, report: &MeterReport) {
        let new = report.interfaces.get(self.interfaces..).unwrap_or_default();
        for interface in new {
            for stage in &mut self.stages {
                stage.interface(interface.number, &interface.name);
            }
        }
        self.interfaces += new.len();
    }

    /// Tells the stages the time.
    fn tick(&mut self, now: Timestamp) {
        self.last_tick = now;
        let mut events = Vec::new();
        self.stages.iter_mut().for_each(|stage| stage.tick(now, &mut events));
        self.send_events(events);
    }

    /// Sends events to the outputs in a batch without records.
    fn send_events(&self, events: Vec<Event>) {
        if !events.is_empty() {
            let batch = Batch { events, ..Batch::default() };
            self.send(&Delivery::Batch(Arc::new(batch)));
        }
    }

    fn send(&self, delivery: &Delivery) {
        for output in &self.queues.outputs {
            output.send(delivery.clone(), self.when_full);
        }
    }

    fn next_live_tick(&self) -> Option<Instant> {
        matches!(self.mode, Mode::Live(_)).then(|| Instant::now() + TICK)
    }

    /// Live: after the end of capture this thread may wait, because no packet can be lost.
    fn wait_if_capture_has_ended(&mut self) {
        if let Mode::Live(ended) = self.mode
            && self.when_full == WhenFull::Drop
            && ended.load(Ordering::Relaxed)
        {
            self.when_full = WhenFull::at_end();
        }
    }
}
