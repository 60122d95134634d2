//! The stages between workers and outputs, on one thread.
//!
//! The thread takes the batches of all workers in turn, gives each to every stage, and sends it to
//! every output. It runs only if there are stages or several outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use analysis::tags::{TagCounts, TagStage, Tagger};
use crossbeam_channel::RecvTimeoutError;
use exporter::MeterReport;
use flow::{Batch, RecordTally, Stage, Tag, Timestamp};

use crate::pipeline::queue::{Delivery, StageQueues, WhenFull};
use crate::pipeline::worker::wall_clock;
use crate::places::Places;
use crate::settings::config::Config;

/// Time between two ticks of a stage.
const TICK: Duration = Duration::from_secs(1);

/// The stages of a run.
#[derive(Default)]
pub(crate) struct Stages {
    /// In the order in which they see a batch.
    pub(crate) list: Vec<Box<dyn Stage>>,
    pub(crate) counts: StageCounts,
}

/// What stages count, for totals.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageCounts {
    /// `None` if records get no tags.
    tags: Option<TagCounts>,
}

impl StageCounts {
    /// Each tag, and the records that have it, so far; nothing if records get no tags.
    pub(crate) fn tags(&self) -> Vec<(Tag, RecordTally)> {
        self.tags.as_ref().map(TagCounts::so_far).unwrap_or_default()
    }
}

/// The stages that are configured. To add a stage, push it here.
pub(crate) fn configured(config: &Config, places: Option<&Places>) -> Stages {
    let mut stages = Stages::default();
    if config.has_tags {
        let tagger = Tagger::new(config.site.clone(), config.table.key);
        let counts = stages.counts.tags.insert(TagCounts::default());
        stages.list.push(Box::new(TagStage::new(tagger, counts.clone())));
    }
    if let Some(places) = places {
        stages.list.push(Box::new(places.stage(config.observer.key)));
    }
    stages
}

/// Which clock ticks, and what a full queue of an output means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode<'run> {
    /// The export times of records are the clock. A full queue makes the stages wait.
    Replay,
    /// The time of day is the clock. A full queue drops until this flag says that capture has
    /// ended.
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
}

impl<'run> StageLoop<'run> {
    pub(crate) fn new(stages: Vec<Box<dyn Stage>>, queues: StageQueues, mode: Mode<'run>) -> Self {
        let when_full = match mode {
            Mode::Replay => WhenFull::Wait,
            Mode::Live(_) => WhenFull::Drop,
        };
        let (now, last_tick) = (Timestamp::default(), Timestamp::default());
        Self { stages, queues, mode, when_full, now, last_tick, interfaces: 0 }
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

    /// Tells the stages the time. Their events go to the outputs in a batch without records.
    fn tick(&mut self, now: Timestamp) {
        self.last_tick = now;
        let mut events = Vec::new();
        self.stages.iter_mut().for_each(|stage| stage.tick(now, &mut events));
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
