//! An output: takes batches and gives them to its exporter, on a thread of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use exporter::{ExportCounts, ExportError, Exporter, MeterReport};
use flow::RecordTally;
use log::error;

use crate::pipeline::queue::{Delivery, Merge, Pool};
use crate::pipeline::worker::wall_clock;

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
    /// What the queues on the way to it did not take.
    pub(crate) dropped: RecordTally,
    pub(crate) error: Option<ExportError>,
}

/// The loop of an output.
pub(crate) struct OutputLoop<'output, 'run> {
    pub(crate) output: Output<'output>,
    pub(crate) merge: Merge,
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

impl OutputLoop<'_, '_> {
    /// Runs until all queues are closed.
    pub(crate) fn run(mut self) -> OutputEnd {
        let (mut lost, mut lost_events) = (RecordTally::default(), 0);
        let mut failure = None;
        let mut next_tick = self.ticks.map(|ticks| Instant::now() + ticks.period);
        loop {
            let result = match self.merge.receive(next_tick) {
                Ok(Delivery::Batch(batch)) => {
                    let result = if failure.is_some() {
                        batch.records.iter().for_each(|record| lost.count(record));
                        lost_events += batch.events.len() as u64;
                        Ok(())
                    } else {
                        self.output.exporter.export(&batch)
                    };
                    self.pool.give_back(batch);
                    result
                }
                Ok(Delivery::Report(report)) => {
                    let dropped = self.merge.dropped.tally();
                    self.output.exporter.observe(&MeterReport { dropped, ..report });
                    Ok(())
                }
                Ok(Delivery::BlockEnd) | Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break,
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
        counts.events_failed += lost_events + self.merge.dropped.events();
        self.publish(counts);
        let dropped = self.merge.dropped.tally();
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
