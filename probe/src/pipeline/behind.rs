//! The threads behind the queues of a replay: stages and outputs.

use std::sync::atomic::AtomicUsize;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use exporter::Exporter;

use crate::pipeline::merge::Merge;
use crate::pipeline::output::{Clock, Output, OutputEnd, OutputLoop, Ticks};
use crate::pipeline::queue::Pool;
use crate::pipeline::queues::StageQueues;
use crate::pipeline::so_far::SoFar;
use crate::pipeline::stages::{Mode, StageList, StageLoop};
use crate::pipeline::worker::spawn;

/// Records from a pipe leave each second, even if a message is not full.
const PIPE_TICKS: Ticks = Ticks { period: Duration::from_secs(1), clock: Clock::Records };

/// Stages, outputs and their queues.
pub(super) struct Behind<'run> {
    pub(super) outputs: Vec<Output<'run>>,
    /// For each output, where its records come from.
    pub(super) merges: Vec<Merge>,
    pub(super) pool: Pool,
    pub(super) stages: StageList,
    pub(super) later_stages: StageList,
    /// `None` if no thread is needed for stages.
    pub(super) queues: Option<StageQueues>,
    /// The input is a pipe.
    pub(super) is_pipe: bool,
}

impl<'run> Behind<'run> {
    /// Starts the threads. Returns those of the outputs.
    pub(super) fn start<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        so_far: &'scope SoFar,
        outputs_left: &'scope AtomicUsize,
    ) -> Vec<ScopedJoinHandle<'scope, (OutputEnd, Box<dyn Exporter + 'run>)>>
    where
        'run: 'scope,
    {
        let Self { outputs, merges, pool, stages, later_stages, queues, is_pipe } = self;
        let ticks = is_pipe.then_some(PIPE_TICKS);
        let threads = outputs
            .into_iter()
            .zip(merges)
            .zip(&so_far.exports)
            .map(|((output, merge), published)| {
                let (pool, so_far) = (pool.clone(), published.clone());
                let output = OutputLoop::new(output, merge, pool, ticks, so_far, outputs_left);
                spawn(scope, "output", move || output.run())
            })
            .collect();
        let start = |stages: StageLoop<'scope>| spawn(scope, "stages", move || stages.run());
        match queues {
            Some(queues) if later_stages.is_empty() => {
                start(StageLoop::new(stages, queues, Mode::Replay));
            }
            Some(queues) => {
                let (queues, later) = queues.split();
                start(StageLoop::new(stages, queues, Mode::Replay).before_others());
                start(StageLoop::new(later_stages, later, Mode::Replay));
            }
            None => {}
        }
        threads
    }
}
