//! A worker and an output: the two ends of the program that never change. Read this first, then
//! the loop that feeds workers: `replay.rs` or `live.rs`.
//!
//! A worker keeps flows in a table of its own. It takes frames straight from the source, or, in a
//! replay with several, observations from the one thread that reads. Records of ended flows go on
//! bounded queues to each output, and an output has a thread of its own. In a replay a full queue
//! makes the worker wait, so that nothing is lost on our side; live, the records are dropped and
//! counted, for capture never waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use exporter::{ExportCounts, ExportError, Exporter, MeterReport};
use flow::{
    FlowEndReason, FlowTable, Observation, RecordTally, SetBack, Sink, TableSettings, Timestamp,
};
use log::error;

use crate::pipeline::queue::{Delivery, Inlet, Pool, Queues};
use crate::sys;

/// Ended flows by reason, in the order of [`FlowEndReason::ALL`].
pub(crate) type Ended = [RecordTally; FlowEndReason::ALL.len()];

/// A table, in huge pages if they can be had.
pub(crate) fn new_table(settings: &TableSettings) -> FlowTable {
    let table = FlowTable::new(settings);
    sys::advise_huge_pages(table.memory());
    table
}

/// A flow table and where its records go.
pub(crate) struct Worker {
    table: FlowTable,
    pub(crate) queues: Queues,
}

impl Worker {
    pub(crate) fn new(table: FlowTable, queues: Queues) -> Self {
        Self { table, queues }
    }

    /// Adds packets that were observed elsewhere to their flows.
    pub(crate) fn process(&mut self, packets: &[Observation]) {
        self.table.process(packets, &mut |record| self.queues.put(record));
        self.table.settle(&mut |record| self.queues.put(record));
    }

    /// Live: ends flows that are over though no packet comes.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.table.tick(now, &mut |record| self.queues.put(record));
    }

    pub(crate) fn flows(&self) -> u32 {
        self.table.flows()
    }

    pub(crate) fn ended(&self) -> Ended {
        self.table.ended()
    }

    /// Ends all flows and closes the queues.
    pub(crate) fn finish(mut self, now: Timestamp) -> Ended {
        self.table.finish(now, &mut |record| self.queues.put(record));
        self.table.ended()
    }
}

impl Sink for Worker {
    #[inline(always)]
    fn vacancy(&mut self) -> &mut Observation {
        self.table.vacancy()
    }

    #[inline(always)]
    fn push(&mut self) {
        self.table.push(&mut |record| self.queues.put(record));
    }

    #[cold]
    fn set_back(&mut self, step: SetBack) {
        self.table.set_back(step, &mut |record| self.queues.put(record));
    }
}

/// An output and its name.
pub(crate) struct Output<'a> {
    pub(crate) name: String,
    pub(crate) exporter: &'a mut dyn Exporter,
}

/// What became of an output.
#[derive(Debug)]
pub(crate) struct OutputEnd {
    pub(crate) name: String,
    pub(crate) counts: ExportCounts,
    /// What its queue did not take.
    pub(crate) dropped: RecordTally,
    pub(crate) error: Option<ExportError>,
}

/// An output's loop: records out. Where it has several inboxes it takes turns, a block each.
pub(crate) struct Drain<'output, 'run> {
    pub(crate) output: Output<'output>,
    pub(crate) inlet: Inlet,
    pub(crate) pool: Pool,
    /// Live only.
    pub(crate) ticks: Option<Ticks<'run>>,
    /// Outputs that have not given up.
    pub(crate) outputs_left: &'run AtomicUsize,
}

/// What an output does from time to time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks<'a> {
    /// How often the exporter is told that time has passed.
    pub(crate) period: Duration,
    /// Where its counts are published.
    pub(crate) published: &'a Mutex<ExportCounts>,
}

impl Drain<'_, '_> {
    pub(crate) fn run(mut self) -> OutputEnd {
        let mut lost = RecordTally::default();
        let mut failure = None;
        let mut turn = 0;
        let mut next_tick = self.ticks.map(|ticks| Instant::now() + ticks.period);
        while let Some(inbox) = self.inlet.inboxes.get(turn) {
            let result = match receive(inbox, next_tick) {
                Ok(Delivery::Batch(batch)) => {
                    let result = if failure.is_some() {
                        batch.records.iter().for_each(|record| lost.count(record));
                        Ok(())
                    } else {
                        self.output.exporter.export(&batch)
                    };
                    self.pool.give_back(batch);
                    result
                }
                Ok(Delivery::Report(report)) => {
                    let dropped = self.inlet.dropped.tally();
                    self.output.exporter.observe(&MeterReport { dropped, ..report });
                    Ok(())
                }
                Ok(Delivery::BlockEnd) => {
                    turn = (turn + 1) % self.inlet.inboxes.len();
                    Ok(())
                }
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    self.inlet.inboxes.remove(turn);
                    turn = if turn == self.inlet.inboxes.len() { 0 } else { turn };
                    Ok(())
                }
            };
            let result = result.and_then(|()| self.tick_if_due(&mut next_tick, failure.is_none()));
            if let Err(error) = result {
                failure = Some(self.give_up(error));
            }
        }
        if failure.is_none()
            && let Err(error) = self.output.exporter.finish()
        {
            failure = Some(self.give_up(error));
        }
        let mut counts = self.output.exporter.counts();
        counts.failed += lost;
        self.publish(counts);
        let dropped = self.inlet.dropped.tally();
        OutputEnd { name: self.output.name, counts, dropped, error: failure }
    }

    fn tick_if_due(&mut self, next: &mut Option<Instant>, open: bool) -> Result<(), ExportError> {
        let (Some(due), Some(ticks)) = (*next, self.ticks) else { return Ok(()) };
        let now = Instant::now();
        if now < due {
            return Ok(());
        }
        *next = Some(now + ticks.period);
        let result = if open { self.output.exporter.tick(wall_clock()) } else { Ok(()) };
        self.publish(self.output.exporter.counts());
        result
    }

    fn publish(&self, counts: ExportCounts) {
        if let Some(ticks) = self.ticks {
            *ticks.published.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        }
    }

    fn give_up(&self, error: ExportError) -> ExportError {
        if !error.is_reader_left() {
            error!("{error}");
        }
        self.outputs_left.fetch_sub(1, Ordering::Relaxed);
        error
    }
}

fn receive(
    inbox: &Receiver<Delivery>,
    until: Option<Instant>,
) -> Result<Delivery, RecvTimeoutError> {
    match until {
        Some(until) => inbox.recv_deadline(until),
        None => inbox.recv().map_err(RecvTimeoutError::from),
    }
}

/// The time of day. Live only: a replay's time is that of its packets.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, run)
        .expect("the system has a thread left at the start")
}

pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
