//! The stages between workers and outputs, on one thread, or on two in a replay with detectors.
//!
//! The thread takes the batches of all workers in turn, gives each to every stage, and sends it to
//! every output. It runs only if there are stages or several outputs. With two threads, the first
//! one sends the batches to the second one.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use analysis::detect::{DetectCounts, Detectors, Part};
use analysis::tags::{TagCounts, TagStage, Tagger};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use exporter::MeterReport;
use flow::{Batch, Event, Stage, Timestamp};

use crate::pipeline::queue::{QueueItem, QueueSender, WhenFull};
use crate::pipeline::queues::{StageNeeds, StageQueues};
use crate::places::Places;
use crate::report::totals::Totals;
use crate::settings::config::Config;

/// The stages of a run.
#[derive(Default)]
pub(crate) struct Stages {
    pub(crate) list: StageList,
    /// In a replay, the stage that gives records their tags: each worker has a copy for its own
    /// records. `None` if they get no tags, or if the stage is in the list.
    pub(crate) tags: Option<TagStage>,
    /// Stages of a second thread, behind the first one. They only observe records.
    pub(crate) later: StageList,
    pub(crate) counts: StageCounts,
}

/// Stages in the order in which they get a batch.
pub(crate) type StageList = Vec<(StageKind, Box<dyn Stage>)>;

/// The kinds of stages, in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StageKind {
    Tags,
    Places,
    Detectors,
}

/// New outputs and stages for a running [`StageLoop`].
pub(crate) struct StageChange {
    /// The queues to all outputs.
    pub(crate) outputs: Vec<QueueSender>,
    /// New stages. `None`: there is no more stage of this kind.
    pub(crate) stages: Vec<(StageKind, Option<Box<dyn Stage>>)>,
    /// Dropped when all is changed.
    pub(crate) done: Sender<Infallible>,
}

/// Counts of stages, for totals.
#[derive(Clone, Default)]
pub(crate) struct StageCounts {
    /// `None` if records get no tags.
    tags: Option<TagCounts>,
    /// `None` if records get no places.
    places: Option<Arc<Places>>,
    /// Of all detectors, earlier ones included. Empty without detectors.
    detected: Vec<Arc<Mutex<DetectCounts>>>,
}

impl StageCounts {
    /// Writes what was counted so far into totals.
    pub(crate) fn put(&self, totals: &mut Totals) {
        totals.tags = self.tags.as_ref().map(TagCounts::so_far).unwrap_or_default();
        totals.places = self.places.as_deref().map(Places::report);
        totals.detected = sum(&self.detected);
    }

    /// The stage that gives records their tags.
    pub(crate) fn tag_stage(&mut self, config: &Config) -> TagStage {
        let tagger = Tagger::new(config.site.clone(), config.table.key);
        let counts = self.tags.get_or_insert_default();
        TagStage::new(tagger, counts.clone())
    }

    /// Detectors that take the place of those that run, if there are any. The counts of earlier
    /// ones are added up.
    pub(crate) fn other_detectors(&mut self, config: &Config) -> Option<Box<dyn Stage>> {
        // All but the last have ended before.
        let running = self.detected.pop();
        let ended = sum(&self.detected).map(|ended| Arc::new(Mutex::new(ended)));
        self.detected = ended.into_iter().chain(running).collect();
        self.detectors(config, Part::All)
    }

    /// The detectors of a part of the rules, if there are any.
    fn detectors(&mut self, config: &Config, part: Part) -> Option<Box<dyn Stage>> {
        let settings = config.detect.as_ref()?;
        let detectors = Detectors::new(settings, config.site.clone(), part);
        let detectors = detectors.expect("the settings were checked");
        self.detected.push(detectors.counts());
        Some(Box::new(detectors))
    }
}

/// The sum of the counts of some detectors. `None` if there are none.
fn sum(detected: &[Arc<Mutex<DetectCounts>>]) -> Option<DetectCounts> {
    let counts =
        detected.iter().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).clone());
    counts.reduce(|mut sum, later| {
        sum += later;
        sum
    })
}

impl Stages {
    /// Requirements of the stages for the queues.
    pub(crate) fn needs(&self) -> StageNeeds {
        StageNeeds {
            of_workers: self.tags.clone(),
            exist: !self.list.is_empty(),
            wants_settle: self.list.iter().any(|(_, stage)| stage.wants_settle()),
        }
    }
}

/// The configured stages of a live run. To add a stage, push it to those before the detectors.
pub(crate) fn of_live_run(config: &Config, places: Option<Arc<Places>>) -> Stages {
    let mut stages = before_detectors(config, places);
    if let Some(tags) = stages.tags.take() {
        stages.list.insert(0, (StageKind::Tags, Box::new(tags)));
    }
    let detectors = stages.counts.detectors(config, Part::All);
    stages.list.extend(detectors.map(|detectors| (StageKind::Detectors, detectors)));
    stages
}

/// The configured stages of a replay. The records of a capture of new flows come at its end, when
/// a CPU has nothing else to do: so the rules of detectors have two threads.
pub(crate) fn of_replay(config: &Config, places: Option<Arc<Places>>) -> Stages {
    let mut stages = before_detectors(config, places);
    let Stages { list, later, counts, .. } = &mut stages;
    for (list, part) in [(list, Part::Floods), (later, Part::Others)] {
        let detectors = counts.detectors(config, part);
        list.extend(detectors.map(|detectors| (StageKind::Detectors, detectors)));
    }
    stages
}

fn before_detectors(config: &Config, places: Option<Arc<Places>>) -> Stages {
    let Stages { mut list, later, mut counts, .. } = Stages::default();
    let tags = config.has_tags.then(|| counts.tag_stage(config));
    if let Some(places) = places {
        list.push((StageKind::Places, Box::new(places.stage(config.observer.key))));
        counts.places = Some(places);
    }
    Stages { list, tags, later, counts }
}

/// The reaction of the stages to a full queue of an output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode<'run> {
    /// A full queue makes the stages wait.
    Replay,
    /// A full queue drops data until this flag is set at the end of the capture.
    Live(&'run AtomicBool),
}

/// The loop of the stages.
pub(crate) struct StageLoop<'run> {
    stages: StageList,
    queues: StageQueues,
    /// Another thread of stages takes what this one sends.
    is_before_others: bool,
    /// `None` if outputs and stages do not change.
    changes: Option<Receiver<StageChange>>,
    mode: Mode<'run>,
    when_full: WhenFull,
    /// The last report. The stages know the names of its interfaces.
    report: MeterReport,
    /// By worker: all its records before this time have arrived.
    settled: Vec<Timestamp>,
    /// The earliest of them.
    settled_all: Timestamp,
}

impl<'run> StageLoop<'run> {
    pub(crate) fn new(stages: StageList, queues: StageQueues, mode: Mode<'run>) -> Self {
        let when_full = match mode {
            Mode::Replay => WhenFull::Wait,
            Mode::Live(_) => WhenFull::Drop,
        };
        let start = Timestamp::default();
        Self {
            stages,
            is_before_others: false,
            changes: None,
            mode,
            when_full,
            report: MeterReport::default(),
            settled: vec![start; queues.workers],
            settled_all: start,
            queues,
        }
    }

    /// The only output is another thread of stages.
    pub(crate) fn before_others(self) -> Self {
        Self { is_before_others: true, ..self }
    }

    /// From now on outputs and stages can change.
    pub(crate) fn changed_by(self, changes: Receiver<StageChange>) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// Runs until the queues of all workers are closed.
    pub(crate) fn run(mut self) {
        loop {
            // A report follows each change, so changes need no deadline.
            let received = self.queues.merge.receive(None);
            self.wait_if_capture_has_ended();
            self.take_changes();
            match received {
                Ok(QueueItem::Batch(batch)) => self.batch(batch),
                Ok(QueueItem::Report(report)) => {
                    self.learn_interfaces(&report);
                    self.send(&QueueItem::Report(report));
                }
                Ok(QueueItem::Settled(worker, until)) => self.settle(worker, until),
                Ok(QueueItem::StagesSettled(until, events)) => self.settle_all(until, Some(events)),
                Ok(QueueItem::BlockEnd) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.settled_all < Timestamp::MAX {
            self.settle_all(Timestamp::MAX, None);
        }
    }

    fn take_changes(&mut self) {
        while let Some(change) = self.changes.as_ref().and_then(|changes| changes.try_recv().ok()) {
            self.change(change);
        }
    }

    /// Takes other stages and outputs. Each record goes through all stages before, or through all
    /// afterwards, and so it is with outputs.
    fn change(&mut self, change: StageChange) {
        let mut events = Vec::new();
        for (kind, stage) in change.stages {
            if let Some(place) = self.stages.iter().position(|(other, _)| *other == kind) {
                let (_, mut old) = self.stages.remove(place);
                old.settle(Timestamp::MAX, &mut events);
            }
            if let Some(mut stage) = stage {
                for interface in self.report.interfaces.iter() {
                    stage.interface(interface.number, &interface.name);
                }
                let place = self.stages.partition_point(|(other, _)| *other < kind);
                self.stages.insert(place, (kind, stage));
            }
        }
        self.send_events(events);
        self.queues.outputs = change.outputs;
        // New outputs need the names of interfaces before the first record.
        self.send(&QueueItem::Report(self.report.clone()));
        drop(change.done);
    }

    fn settle(&mut self, worker: usize, until: Timestamp) {
        self.settled[worker] = until;
        let all = self.settled.iter().copied().min().unwrap_or_default();
        if all > self.settled_all {
            self.settle_all(all, None);
        }
    }

    /// Tells the stages that no more record will come whose last packet is before this time.
    /// `before` has the events of the thread before, if there is one.
    fn settle_all(&mut self, until: Timestamp, before: Option<Vec<Event>>) {
        self.settled_all = until;
        let is_after_others = before.is_some();
        let mut events = before.unwrap_or_default();
        self.stages.iter_mut().for_each(|(_, stage)| stage.settle(until, &mut events));
        if is_after_others {
            events.sort_by_key(|event| event.time);
        }
        if self.is_before_others {
            self.send(&QueueItem::StagesSettled(until, events));
        } else {
            self.send_events(events);
        }
    }

    fn batch(&mut self, mut batch: Arc<Batch>) {
        if !self.stages.is_empty() {
            let owned = Arc::get_mut(&mut batch).expect("a worker keeps no batch that it has sent");
            self.stages.iter_mut().for_each(|(_, stage)| stage.batch(owned));
        }
        match &self.queues.outputs[..] {
            // The next stages get it as their own.
            [next] if self.is_before_others => {
                next.send(QueueItem::Batch(batch), self.when_full);
            }
            _ => {
                self.send(&QueueItem::Batch(Arc::clone(&batch)));
                self.queues.pool.give_back(batch);
            }
        }
    }

    fn learn_interfaces(&mut self, report: &MeterReport) {
        let known = self.report.interfaces.len();
        for interface in report.interfaces.get(known..).unwrap_or_default() {
            for (_, stage) in &mut self.stages {
                stage.interface(interface.number, &interface.name);
            }
        }
        self.report.clone_from(report);
    }

    /// Sends events to the outputs in a batch without records.
    fn send_events(&self, events: Vec<Event>) {
        if !events.is_empty() {
            let batch = Batch { events, ..Batch::default() };
            self.send(&QueueItem::Batch(Arc::new(batch)));
        }
    }

    fn send(&self, item: &QueueItem) {
        for output in &self.queues.outputs {
            output.send(item.clone(), self.when_full);
        }
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
