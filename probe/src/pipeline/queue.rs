//! The bounded queues between workers, stages and outputs.
//!
//! In a replay each worker has its own queue, so that records are taken in a fixed order. A full
//! queue makes the worker wait. In a live run the workers share one queue. Data for which it has no
//! room is counted as dropped.
//!
//! If there is only one output and no stage, the output takes from the workers' queues itself.
//! Otherwise the thread of the stages takes from them, and each output has another queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use exporter::MeterReport;
use flow::{BATCH_RECORDS, Batch, FlowRecord, Names, Naming, NewClock, Timestamp};

use crate::pipeline::closed::ClosedTunnels;
use crate::pipeline::dropped::{Dropped, DroppedOnWay};

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

/// Longest time that a thread waits for room in a queue at the end of a live run.
const END_WAIT: Duration = Duration::from_secs(20);

/// A message from a worker to the outputs.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    /// Ended flows.
    Batch(Arc<Batch>),
    /// Counters of the meter.
    Report(MeterReport),
    /// The records of a block are complete. Those of the next worker follow.
    BlockEnd,
    /// For stages: all records of this worker before this trace time have been sent.
    Settled(usize, Timestamp),
}

/// Collects the records of one worker in batches and sends them on.
pub(crate) struct RecordQueue {
    sender: QueueSender,
    pub(super) batch: Batch,
    pool: Pool,
    when_full: WhenFull,
    /// The number of the worker.
    worker: usize,
    /// Whether stages need to know which records are still to come.
    wants_settle: bool,
    /// Trace time less the time of each clock, in milliseconds.
    clock_offsets: ClockOffsets,
    /// Meaning of numbers in records, if tunnels are decapsulated.
    names: Option<Box<Names>>,
    /// Packets of tunnels that are not.
    pub(crate) closed: ClosedTunnels,
}

type ClockOffsets = [i64; 8];

/// Reaction of a sender to a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Wait for room. A replay loses nothing.
    Wait,
    /// Drop and count. Capture never waits.
    Drop,
    /// Wait until this time, then drop and count. Used at the end of a live run.
    WaitUntil(Instant),
}

impl WhenFull {
    /// At the end of a live run the capture is over, so a thread may wait.
    pub(crate) fn at_end() -> Self {
        Self::WaitUntil(Instant::now() + END_WAIT)
    }
}

/// The sending end of a queue.
#[derive(Clone)]
pub(crate) struct QueueSender {
    sender: Sender<Delivery>,
    dropped: Arc<Dropped>,
}

/// The receiving end of one queue, or of a queue for each worker. It takes a block of the first
/// worker, then the same block of the second worker, and so on.
pub(crate) struct Merge {
    receivers: Vec<Receiver<Delivery>>,
    turn: usize,
    pub(crate) dropped: DroppedOnWay,
}

/// Empty batches, to be filled again.
#[derive(Clone)]
pub(crate) struct Pool {
    give: Sender<Batch>,
    take: Receiver<Batch>,
}

impl Pool {
    fn new(batches: usize) -> Self {
        let (give, take) = bounded(batches);
        Self { give, take }
    }

    fn take(&self) -> Batch {
        self.take.try_recv().unwrap_or_else(|_| Batch::with_capacity())
    }

    /// Takes back a batch if no other output uses it any more.
    pub(crate) fn give_back(&self, batch: Arc<Batch>) {
        if let Some(mut batch) = Arc::into_inner(batch) {
            clear(&mut batch.records);
            batch.details.clear();
            batch.events.clear();
            // A full pool needs no more batches.
            drop(self.give.try_send(batch));
        }
    }
}

/// Clears a list that another thread has filled and will fill again.
///
/// All of it is overwritten first. The other CPU takes up to 37 ns to write a cache line that this
/// CPU has only read, and 3 ns if both have written to it.
pub(crate) fn clear<T: Copy>(list: &mut Vec<T>) {
    if let Some(first) = list.first().copied() {
        list.fill(first);
    }
    list.clear();
}

/// Requirements of stages for the queues.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StageNeeds {
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
    pub(crate) fn replay(workers: usize, outputs: usize, stages: StageNeeds) -> Self {
        let pool = Pool::new(REPLAY_BATCHES * workers);
        let mut merge = Merge::new(DroppedOnWay::default());
        let queue = |worker| {
            let sender = merge.add(REPLAY_BATCHES);
            RecordQueue::new(sender, &pool, WhenFull::Wait, worker, stages.wants_settle)
        };
        let workers = (0..workers).map(queue).collect();
        Self::new(workers, merge, pool, outputs, stages.exist, REPLAY_BATCHES)
    }

    /// One queue for all workers. It has room for as many records as all tables hold, within
    /// limits.
    pub(crate) fn live(
        workers: usize,
        outputs: usize,
        stages: StageNeeds,
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
            let mut behind = Merge::new(merge.dropped.clone());
            senders.push(behind.add(batches));
            merges.push(behind);
        }
        let stages =
            StageQueues { workers: workers.len(), merge, outputs: senders, pool: pool.clone() };
        Self { workers, stages: Some(stages), outputs: merges, pool }
    }

    /// For reports about all workers. Only in a live run, where the workers share a queue.
    pub(crate) fn sender(&self) -> Option<QueueSender> {
        self.workers.first().map(|queue| queue.sender.clone())
    }
}

impl Merge {
    /// A merge without queues. Data that `before` dropped does not arrive here either.
    fn new(mut before: DroppedOnWay) -> Self {
        before.0.push(Arc::default());
        Self { receivers: Vec::new(), turn: 0, dropped: before }
    }

    /// Adds a queue with room for this number of batches.
    fn add(&mut self, batches: usize) -> QueueSender {
        let (sender, receiver) = bounded(batches);
        self.receivers.push(receiver);
        let dropped = self.dropped.0.last().expect("a merge has a tally of its own");
        QueueSender { sender, dropped: Arc::clone(dropped) }
    }

    /// The next delivery. Waits for it, until the deadline if there is one.
    ///
    /// # Errors
    ///
    /// `Timeout` at the deadline, `Disconnected` when all queues are closed and empty.
    pub(crate) fn receive(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Delivery, RecvTimeoutError> {
        while let Some(receiver) = self.receivers.get(self.turn) {
            let received = match deadline {
                Some(deadline) => receiver.recv_deadline(deadline),
                None => receiver.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(Delivery::BlockEnd) => self.turn = (self.turn + 1) % self.receivers.len(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.receivers.remove(self.turn);
                    self.turn = if self.turn == self.receivers.len() { 0 } else { self.turn };
                }
                Ok(Delivery::Batch(_) | Delivery::Report(_) | Delivery::Settled(..))
                | Err(RecvTimeoutError::Timeout) => {
                    return received;
                }
            }
        }
        Err(RecvTimeoutError::Disconnected)
    }
}

impl RecordQueue {
    fn new(
        sender: QueueSender,
        pool: &Pool,
        when_full: WhenFull,
        worker: usize,
        wants_settle: bool,
    ) -> Self {
        Self {
            sender,
            batch: Batch::with_capacity(),
            pool: pool.clone(),
            when_full,
            worker,
            wants_settle,
            clock_offsets: ClockOffsets::default(),
            names: None,
            closed: ClosedTunnels::default(),
        }
    }

    /// Whether stages need to know which records are still to come.
    pub(crate) fn wants_settle(&self) -> bool {
        self.wants_settle
    }

    /// Starts a new batch, because the next records may be of this clock.
    pub(crate) fn begin_clock(&mut self, clock: NewClock) {
        self.flush();
        self.clock_offsets[usize::from(clock.number)] = clock.offset_ms;
        self.batch.clock_offsets = self.clock_offsets;
    }

    /// Tells stages that all records before this trace time have been pushed.
    pub(crate) fn settle(&mut self, until: Timestamp) {
        self.flush();
        self.sender.send(Delivery::Settled(self.worker, until), self.when_full);
    }

    pub(crate) fn set_when_full(&mut self, when_full: WhenFull) {
        self.when_full = when_full;
    }

    /// Adds a record to the batch, which is sent when it is full.
    #[inline]
    pub(crate) fn push(&mut self, record: FlowRecord) {
        self.closed.count(&record);
        self.batch.records.push(record);
        if let Some(names) = &self.names {
            names.restore_last(&mut self.batch);
        }
        if self.batch.records.len() == BATCH_RECORDS {
            self.flush();
        }
    }

    /// From now on, records have numbers in place of interfaces and VLANs.
    pub(crate) fn expect_names(&mut self) {
        self.names = Some(Box::default());
    }

    /// Learns the meaning of a number in later records.
    pub(crate) fn learn(&mut self, naming: Naming) {
        if let Some(names) = &mut self.names {
            names.learn(naming);
        }
    }

    /// Sends counters of the meter, after the records before them.
    pub(crate) fn report(&mut self, report: MeterReport) {
        self.flush();
        self.sender.send(Delivery::Report(report), self.when_full);
    }

    /// Tells that the records of a block are complete.
    pub(crate) fn end_block(&mut self) {
        self.flush();
        self.sender.send(Delivery::BlockEnd, self.when_full);
    }

    /// Sends a batch that is not full.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            let next = Batch { clock_offsets: self.clock_offsets, ..self.pool.take() };
            let batch = std::mem::replace(&mut self.batch, next);
            self.sender.send(Delivery::Batch(Arc::new(batch)), self.when_full);
        }
    }
}

impl QueueSender {
    /// Sends a delivery. Records that are dropped because the queue is full are counted.
    pub(crate) fn send(&self, delivery: Delivery, when_full: WhenFull) {
        let refused = match when_full {
            WhenFull::Wait => {
                self.sender.send(delivery).expect("the receiver takes all until the senders end");
                return;
            }
            WhenFull::Drop => self.sender.try_send(delivery).err().map(|error| error.into_inner()),
            WhenFull::WaitUntil(end) => {
                let result = self.sender.send_deadline(delivery, end);
                result.err().map(|error| error.into_inner())
            }
        };
        if let Some(Delivery::Batch(batch)) = refused {
            self.dropped.count(&batch);
        }
    }
}

impl Drop for RecordQueue {
    /// Sends the rest. Then the queue closes.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.flush();
        }
    }
}
