//! The counts of a running replay, for totals on request.
//!
//! Each thread publishes a copy of its counts after each block or batch. So totals are available
//! even while the thread waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use flow::MeterCounts;

use crate::capture::file::InputReport;
use crate::host::signals;
use crate::pipeline::dropped::DroppedOnWay;
use crate::pipeline::output::{Label, Output, OutputEnd, Published};
use crate::pipeline::stages::StageCounts;
use crate::pipeline::worker::{Ended, Worker};
use crate::report::collected::CollectReport;
use crate::report::totals::Totals;
use crate::report::workers;

/// Time between two checks for a request.
const LOOK: Duration = Duration::from_millis(100);

/// Counts so far.
pub(crate) struct SoFar {
    begin: Instant,
    reader: Mutex<(MeterCounts, InputReport)>,
    /// `None` if packets are metered.
    collected: Mutex<Option<CollectReport>>,
    /// By worker: ended flows, and the number of flows in the table.
    workers: Vec<Mutex<(Ended, u32)>>,
    /// By output.
    names: Vec<Label>,
    stages: StageCounts,
    pub(crate) exports: Vec<Arc<Mutex<Published>>>,
}

impl SoFar {
    pub(crate) fn new(workers: usize, outputs: &[Output<'_>], stages: StageCounts) -> Self {
        Self {
            begin: Instant::now(),
            reader: Mutex::default(),
            collected: Mutex::default(),
            workers: (0..workers).map(|_| Mutex::default()).collect(),
            names: outputs.iter().map(Output::label).collect(),
            stages,
            exports: outputs.iter().map(|_| Arc::default()).collect(),
        }
    }

    /// Called after the reader has read a block.
    pub(crate) fn read(&self, meter: MeterCounts, input: InputReport) {
        set(&self.reader, (meter, input));
    }

    /// Called after a block of datagrams of other exporters.
    pub(crate) fn collected(&self, report: CollectReport, input: InputReport) {
        set(&self.collected, Some(report));
        set(&self.reader, (MeterCounts::default(), input));
    }

    /// Called after a worker has processed a block.
    pub(crate) fn kept(&self, index: usize, worker: &Worker) {
        set(&self.workers[index], (worker.ended(), worker.flows()));
    }

    /// Gives totals to `wanted` when a signal requests them, and to `second` once a second, until
    /// the channel is closed.
    pub(crate) fn watch(
        &self,
        end: &Receiver<()>,
        wanted: &dyn Fn(&Totals),
        second: Option<&(dyn Fn(&Totals) + Sync)>,
    ) {
        let mut next = Instant::now();
        while end.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if signals::take_totals_wanted() {
                wanted(&self.totals());
            }
            if let Some(second) = second
                && Instant::now() >= next
            {
                next = Instant::now() + Duration::from_secs(1);
                second(&self.totals());
            }
        }
    }

    fn totals(&self) -> Totals {
        let (meter, input) = get(&self.reader);
        let mut totals =
            Totals { meter, input, elapsed: self.begin.elapsed(), ..Totals::default() };
        let workers: Vec<_> = self.workers.iter().map(get).collect();
        for (ended, flows) in &workers {
            totals.ended += *ended;
            totals.flows += flows;
        }
        totals.workers = workers::of_replay(&workers, &totals.meter);
        let outputs = self.names.iter().zip(&self.exports).map(|(label, published)| {
            OutputEnd::new(label.clone(), get(published), &DroppedOnWay::default())
        });
        totals.outputs = outputs.collect();
        totals.collected = get(&self.collected);
        self.stages.put(&mut totals);
        totals
    }
}

fn set<T>(place: &Mutex<T>, value: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

fn get<T: Clone>(place: &Mutex<T>) -> T {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
