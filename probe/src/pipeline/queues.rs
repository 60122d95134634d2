//! All queues of a run, and those of outputs that come later.

use std::sync::Arc;

use analysis::tags::TagStage;
use flow::{BATCH_RECORDS, FlowRecord};

use crate::pipeline::dropped::DroppedOnWay;
use crate::pipeline::merge::Merge;
use crate::pipeline::queue::{Pool, QueueSender, RecordQueue, WhenFull};

/// Maximum number of batches on a queue, above which the worker of a replay waits.
const REPLAY_BATCHES: usize = 64;

/// Minimum and maximum number of batches on a live queue. The maximum holds a million records,
/// which may end together. The minimum holds batches that are not full, a few a second from each
/// worker, while a collector is slow.
const LIVE_BATCHES: (usize, usize) = (1024, 4096);

/// Maximum octets of records that wait for an output on the queues of a live run, from the number
/// of flows.
pub(crate) fn live_memory(flows_max: usize) -> u64 {
    let batch = BATCH_RECORDS * size_of::<FlowRecord>();
    live_batches(flows_max) as u64 * batch as u64
}

fn live_batches(flows_max: usize) -> usize {
    (flows_max / BATCH_RECORDS).clamp(LIVE_BATCHES.0, LIVE_BATCHES.1)
}

/// Requirements of stages for the queues.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageNeeds {
    /// The stage that workers run on their own records.
    pub(crate) of_workers: Option<TagStage>,
    /// There are stages.
    pub(crate) exist: bool,
    /// A stage needs to know which records are still to come.
    pub(crate) wants_settle: bool,
}

/// All queues of a run.
pub(crate) struct QueueSet {
    pub(crate) workers: Vec<RecordQueue>,
    /// Only if there are stages or several outputs.
    pub(crate) stages: Option<StageQueues>,
    pub(crate) outputs: Vec<Merge>,
    pub(crate) pool: Pool,
}

/// The queues of the thread of the stages.
pub(crate) struct StageQueues {
    /// Number of workers.
    pub(crate) workers: usize,
    pub(crate) merge: Merge,
    pub(crate) outputs: Vec<QueueSender>,
    pub(crate) pool: Pool,
}

impl QueueSet {
    /// One queue for each worker.
    pub(crate) fn replay(workers: usize, outputs: usize, stages: &StageNeeds) -> Self {
        let pool = Pool::new(REPLAY_BATCHES * workers);
        let mut merge = Merge::new(DroppedOnWay::default());
        let queue = |worker| {
            let sender = merge.add(REPLAY_BATCHES);
            let wants_settle = stages.wants_settle;
            let mut queue = RecordQueue::new(sender, &pool, WhenFull::Wait, worker, wants_settle);
            queue.tags.clone_from(&stages.of_workers);
            queue
        };
        let workers = (0..workers).map(queue).collect();
        Self::new(workers, merge, pool, outputs, stages.exist, REPLAY_BATCHES)
    }

    /// One queue for all workers. It has room for as many records as all tables hold, within
    /// limits.
    pub(crate) fn live(
        workers: usize,
        outputs: usize,
        stages: &StageNeeds,
        flows_max: usize,
    ) -> Self {
        let batches = live_batches(flows_max);
        let pool = Pool::new(batches);
        let mut merge = Merge::new(DroppedOnWay::default());
        let sender = merge.add(batches);
        let queue = |worker| {
            RecordQueue::new(sender.clone(), &pool, WhenFull::Drop, worker, stages.wants_settle)
        };
        let workers = (0..workers).map(queue).collect();
        Self::new(workers, merge, pool, outputs, stages.exist, batches)
    }

    fn new(
        workers: Vec<RecordQueue>,
        merge: Merge,
        pool: Pool,
        outputs: usize,
        has_stages: bool,
        batches: usize,
    ) -> Self {
        if outputs == 1 && !has_stages {
            return Self { workers, stages: None, outputs: vec![merge], pool };
        }
        let mut merges = Vec::with_capacity(outputs);
        let mut senders = Vec::with_capacity(outputs);
        for _ in 0..outputs {
            let mut behind = Merge::behind_stages(merge.dropped.clone());
            senders.push(behind.add(batches));
            merges.push(behind);
        }
        let stages =
            StageQueues { workers: workers.len(), merge, outputs: senders, pool: pool.clone() };
        Self { workers, stages: Some(stages), outputs: merges, pool }
    }

    /// For outputs that come later. `None` if no thread of stages takes the records.
    pub(crate) fn later(&self, flows_max: usize) -> Option<LaterQueues> {
        let before = self.stages.as_ref()?.merge.dropped.clone();
        Some(LaterQueues { before, batches: live_batches(flows_max) })
    }

    /// For reports about all workers. Only in a live run, where the workers share a queue.
    pub(crate) fn sender(&self) -> Option<QueueSender> {
        self.workers.first().map(|queue| queue.sender.clone())
    }
}

impl StageQueues {
    /// The queues of two threads of stages in a replay, one after the other.
    pub(crate) fn split(self) -> (Self, Self) {
        let mut merge = Merge::behind_stages(self.merge.dropped.clone());
        let outputs = vec![merge.add(REPLAY_BATCHES)];
        let later = Self { workers: 0, merge, outputs: self.outputs, pool: self.pool.clone() };
        (Self { outputs, ..self }, later)
    }

    /// From now on counts what each output is offered. Returns the queues to the outputs.
    pub(crate) fn count_offered(&mut self) -> Vec<QueueSender> {
        self.outputs.iter_mut().for_each(|output| output.offered = Some(Arc::default()));
        self.outputs.clone()
    }
}

/// Makes the queues of outputs that come while a live run goes on.
pub(crate) struct LaterQueues {
    /// The queue of the stages.
    before: DroppedOnWay,
    batches: usize,
}

impl LaterQueues {
    /// A queue from the stages to another output.
    pub(crate) fn add(&self) -> (QueueSender, Merge) {
        let mut merge = Merge::behind_stages(self.before.for_another());
        let mut sender = merge.add(self.batches);
        sender.offered = Some(Arc::default());
        (sender, merge)
    }
}
