//! An output: takes batches and gives them to its exporter, on its own thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, never};
use exporter::{CollectorCounts, Destination, ExportCounts, ExportError, Exporter, MeterReport};
use flow::{Batch, NetworkSet, RecordTally, Timestamp};
use log::error;

use crate::host::signals;
use crate::pipeline::dropped::DroppedOnWay;
use crate::pipeline::merge::Merge;
use crate::pipeline::opened::Target;
use crate::pipeline::queue::{Pool, QueueItem};
use crate::pipeline::worker::wall_clock;

/// An output and its name.
pub(crate) struct Output<'a> {
    pub(crate) name: String,
    pub(crate) exporter: Box<dyn Exporter + 'a>,
    /// It gets records too, not only alerts.
    pub(crate) takes_records: bool,
    /// Its settings. `None` for the table and the page, which are there as long as the run.
    pub(crate) target: Option<Target>,
    /// Requests to reopen files that came before it was opened.
    pub(crate) reopenings: usize,
}

/// The name of an output, and whether it takes records.
pub(crate) type Label = (String, bool);

impl Output<'_> {
    pub(crate) fn label(&self) -> Label {
        (self.name.clone(), self.takes_records)
    }
}

/// Outcome of an output.
#[derive(Clone, Debug)]
pub(crate) struct OutputEnd {
    pub(crate) name: String,
    /// It gets records too, not only alerts.
    pub(crate) takes_records: bool,
    pub(crate) counts: ExportCounts,
    /// The collectors of a group.
    pub(crate) collectors: Vec<CollectorCounts>,
    /// Records that the queues on the way dropped because they were full.
    pub(crate) dropped: RecordTally,
    /// The part of them that the queues before its own one dropped.
    pub(crate) dropped_before: RecordTally,
    /// Messages that wait in its own queue, and the most that this takes. `None` if it takes from
    /// the queue of the workers.
    pub(crate) waiting: Option<(usize, usize)>,
    /// Records that were not for it, because it was not among the outputs when they came.
    pub(crate) absent: RecordTally,
    /// It is not among the outputs any more.
    pub(crate) is_removed: bool,
    /// The user has paused it.
    pub(crate) is_paused: bool,
    pub(crate) error: Option<ExportError>,
}

impl OutputEnd {
    /// The outcome from the published state. An output without records cannot drop any.
    pub(crate) fn new(
        (name, takes_records): Label,
        Published { counts, collectors, waiting, error }: Published,
        dropped: &DroppedOnWay,
    ) -> Self {
        let (before, own) = if takes_records { dropped.parts() } else { Default::default() };
        Self {
            name,
            takes_records,
            counts,
            collectors,
            dropped: before + own,
            dropped_before: before,
            waiting,
            absent: RecordTally::default(),
            is_removed: false,
            is_paused: false,
            error,
        }
    }

    /// The sum with the outcome of the same output after it was opened again.
    pub(crate) fn then(self, later: Self) -> Self {
        Self {
            counts: self.counts.then(later.counts),
            collectors: CollectorCounts::then(self.collectors, later.collectors),
            dropped: self.dropped + later.dropped,
            dropped_before: self.dropped_before + later.dropped_before,
            ..later
        }
    }

    /// The outcome of an output that got no data.
    pub(crate) fn of_nothing(output: Output<'_>) -> Self {
        let counts = output.exporter.counts();
        let collectors = output.exporter.collectors();
        let published = Published { counts, collectors, waiting: None, error: None };
        Self::new(output.label(), published, &DroppedOnWay::default())
    }
}

/// State of an output that others can read while it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    pub(crate) counts: ExportCounts,
    /// The collectors of a group.
    pub(crate) collectors: Vec<CollectorCounts>,
    /// Messages that wait in its own queue, and the most that this takes.
    pub(crate) waiting: Option<(usize, usize)>,
    /// The error after which it gave up.
    pub(crate) error: Option<ExportError>,
}

/// The loop of an output.
pub(crate) struct OutputLoop<'output, 'run> {
    output: Output<'output>,
    merge: Merge,
    pool: Pool,
    /// `None` in a replay of files: records leave when a message or buffer is full.
    ticks: Option<Ticks>,
    next_tick: Option<Instant>,
    published: Arc<Mutex<Published>>,
    networks: Receiver<NetworkSet>,
    /// Outputs that have not given up.
    outputs_left: &'run AtomicUsize,
    /// The latest export time of a record.
    exported: Timestamp,
    /// Requests to reopen files that were heeded.
    reopenings: usize,
    /// The error after which the exporter gave up.
    failure: Option<ExportError>,
    /// What came after that.
    lost: RecordTally,
    lost_events: u64,
}

/// Timing of the ticks of an output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    /// Time between two ticks of the exporter.
    pub(crate) period: Duration,
    pub(crate) clock: Clock,
}

/// The clock of an exporter's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Live.
    TimeOfDay,
    /// In a replay of a pipe: the latest export time of a record.
    Records,
}

impl<'output, 'run> OutputLoop<'output, 'run> {
    /// An output that goes on with the same settings.
    pub(crate) fn new(
        output: Output<'output>,
        merge: Merge,
        pool: Pool,
        ticks: Option<Ticks>,
        published: Arc<Mutex<Published>>,
        outputs_left: &'run AtomicUsize,
    ) -> Self {
        Self {
            reopenings: output.reopenings,
            output,
            merge,
            pool,
            ticks,
            next_tick: ticks.map(|ticks| Instant::now() + ticks.period),
            published,
            networks: never(),
            outputs_left,
            exported: Timestamp::default(),
            failure: None,
            lost: RecordTally::default(),
            lost_events: 0,
        }
    }

    /// With new networks inside the perimeter, in a live run whose settings change.
    pub(crate) fn with_networks(self, networks: Receiver<NetworkSet>) -> Self {
        Self { networks, ..self }
    }

    /// Runs until all queues are closed. The exporter has ended, but its files count as in use
    /// until it is dropped.
    pub(crate) fn run(mut self) -> (OutputEnd, Box<dyn Exporter + 'output>) {
        loop {
            let received = self.merge.receive(self.next_tick);
            for networks in self.networks.try_iter() {
                self.output.exporter.set_local_networks(&networks);
            }
            let result = match received {
                Ok(item) => self.take(item),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let result = result.and_then(|()| self.tick_if_due());
            let result = result.and_then(|()| self.reopen_if_asked());
            self.give_up_after(result);
            self.publish(self.counts());
        }
        if self.failure.is_none() {
            let result = self.output.exporter.finish();
            self.give_up_after(result);
        }
        let mut counts = self.counts();
        counts.events_failed += self.merge.dropped.events();
        self.publish(counts);
        let collectors = self.output.exporter.collectors();
        let waiting = self.merge.waiting();
        let ended = Published { counts, collectors, waiting, error: self.failure };
        let end = OutputEnd::new(self.output.label(), ended, &self.merge.dropped);
        (end, self.output.exporter)
    }

    fn take(&mut self, item: QueueItem) -> Result<(), ExportError> {
        match item {
            QueueItem::Batch(batch) => {
                let last = batch.records.last().map(|record| record.exported);
                self.exported = self.exported.max(last.unwrap_or_default());
                let result = if self.failure.is_none() {
                    self.output.exporter.export(&batch)
                } else {
                    self.lose(&batch);
                    Ok(())
                };
                self.pool.give_back(batch);
                result
            }
            QueueItem::Report(report) => {
                let dropped = self.merge.dropped.tally();
                self.output.exporter.observe(&MeterReport { dropped, ..report });
                Ok(())
            }
            QueueItem::BlockEnd | QueueItem::Settled(..) | QueueItem::StagesSettled(..) => Ok(()),
        }
    }

    /// Counts what comes after the exporter has given up.
    fn lose(&mut self, batch: &Batch) {
        if self.output.takes_records {
            batch.records.iter().for_each(|record| self.lost.count(record));
        }
        self.lost_events += batch.events.len() as u64;
    }

    /// The counts, with records and events that came after the exporter had given up.
    fn counts(&self) -> ExportCounts {
        let mut counts = self.output.exporter.counts();
        let destination = self.output.target.as_ref().and_then(Target::destination);
        if destination.is_some_and(Destination::writes_documents) {
            counts.lose_documents(self.lost, self.lost_events);
        } else {
            counts.failed += self.lost;
            counts.events_failed += self.lost_events;
        }
        counts
    }

    fn tick_if_due(&mut self) -> Result<(), ExportError> {
        let (Some(due), Some(ticks)) = (self.next_tick, self.ticks) else { return Ok(()) };
        let now = Instant::now();
        if now < due {
            return Ok(());
        }
        self.next_tick = Some(now + ticks.period);
        let time = match ticks.clock {
            Clock::TimeOfDay => wall_clock(),
            Clock::Records => self.exported,
        };
        // Before the first record, a replay has no time.
        let has_time = time > Timestamp::default();
        if self.failure.is_none() && has_time { self.output.exporter.tick(time) } else { Ok(()) }
    }

    fn reopen_if_asked(&mut self) -> Result<(), ExportError> {
        let asked = signals::reopenings();
        let is_asked = std::mem::replace(&mut self.reopenings, asked) != asked;
        if is_asked && self.failure.is_none() { self.output.exporter.reopen() } else { Ok(()) }
    }

    fn publish(&self, counts: ExportCounts) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.counts = counts;
        published.collectors = self.output.exporter.collectors();
        published.waiting = self.merge.waiting();
        if published.error.is_none() {
            published.error.clone_from(&self.failure);
        }
    }

    fn give_up_after(&mut self, result: Result<(), ExportError>) {
        let Err(error) = result else { return };
        if !error.is_reader_left() {
            error!("{error}");
        }
        self.outputs_left.fetch_sub(1, Ordering::Relaxed);
        self.failure = Some(error);
    }
}
