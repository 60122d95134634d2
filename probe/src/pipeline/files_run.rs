//! A run that reads capture files: the queues, and the threads behind the one that reads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Scope};

use crossbeam_channel::bounded;

use crate::capture::file::{FileSource, Input};
use crate::pipeline::behind::Behind;
use crate::pipeline::output::{Output, OutputEnd};
use crate::pipeline::queue::RecordQueue;
use crate::pipeline::queues::QueueSet;
use crate::pipeline::so_far::SoFar;
use crate::pipeline::stages::Stages;
use crate::pipeline::worker::{join, spawn};
use crate::report::totals::Totals;
use crate::settings::config::{Config, Source};

/// Callbacks of a run that reads files.
pub(crate) struct Watch<'a> {
    /// Called after each block.
    pub(crate) progress: &'a mut dyn FnMut(&FileSource),
    /// Gets the totals so far when a signal requests them.
    pub(crate) wanted: &'a (dyn Fn(&Totals) + Sync),
    /// Gets the totals so far once a second.
    pub(crate) second: Option<&'a (dyn Fn(&Totals) + Sync)>,
}

/// What is behind the thread that reads files.
pub(super) struct FilesRun<'a, 'out> {
    pub(super) stages: Stages,
    pub(super) outputs: Vec<Output<'out>>,
    /// Workers with tables. 0: the thread that reads sends records itself, by one queue.
    pub(super) workers: usize,
    /// The input is a pipe.
    pub(super) is_pipe: bool,
    pub(super) stop: &'a AtomicBool,
    pub(super) wanted: &'a (dyn Fn(&Totals) + Sync),
    pub(super) second: Option<&'a (dyn Fn(&Totals) + Sync)>,
}

/// What the thread that reads knows of its run.
#[derive(Clone, Copy)]
pub(super) struct Running<'run> {
    pub(super) so_far: &'run SoFar,
    outputs_left: &'run AtomicUsize,
    stop: &'run AtomicBool,
}

impl Running<'_> {
    /// Whether the user has ended the run, or no output is left.
    pub(super) fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.outputs_left.load(Ordering::Relaxed) == 0
    }
}

impl FilesRun<'_, '_> {
    /// Starts stages and outputs, calls `read` with the queue of each worker, and waits until the
    /// outputs have ended.
    pub(super) fn run<R>(
        self,
        read: impl for<'scope, 'run> FnOnce(
            &'scope Scope<'scope, 'run>,
            Vec<RecordQueue>,
            Running<'run>,
        ) -> R,
    ) -> (R, Vec<OutputEnd>) {
        let Self { stages, outputs, workers, is_pipe, stop, wanted, second } = self;
        let queues = QueueSet::replay(workers.max(1), outputs.len(), &stages.needs());
        let outputs_left = AtomicUsize::new(outputs.len());
        let so_far = SoFar::new(workers, &outputs, stages.counts);
        let (running, end) = bounded(0);
        thread::scope(|scope| {
            spawn(scope, "totals", || so_far.watch(&end, wanted, second));
            let behind = Behind {
                outputs,
                merges: queues.outputs,
                pool: queues.pool,
                stages: stages.list,
                later_stages: stages.later,
                queues: queues.stages,
                is_pipe,
            };
            let threads = behind.start(scope, &so_far, &outputs_left);
            let run = Running { so_far: &so_far, outputs_left: &outputs_left, stop };
            let result = read(scope, queues.workers, run);
            let (outputs, _in_use): (_, Vec<_>) = threads.into_iter().map(join).unzip();
            drop(running);
            (result, outputs)
        })
    }
}

/// Whether records should leave as soon as they come.
pub(super) fn reads_pipe(config: &Config) -> bool {
    match &config.source {
        Source::Files(files) | Source::Datagrams(files) => files.iter().any(Input::is_pipe),
        Source::Listen(_) | Source::Live(_) => false,
    }
}
