//! The bounded queues between workers and outputs.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use exporter::MeterReport;
use flow::FlowRecord;

/// Records of a batch.
const BATCH_RECORDS: usize = 256;

/// Batches on a queue before the worker waits.
const QUEUE_BATCHES: usize = 64;

/// What goes from a worker to an output.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    /// Ended flows.
    Records(Arc<Vec<FlowRecord>>),
    /// What the meter says of itself.
    Report(MeterReport),
    /// The records of a block are complete: those of the next worker follow.
    BlockEnd,
}

/// The queues of one worker, one to each output.
pub(crate) struct Queues {
    outputs: Vec<Sender<Delivery>>,
    batch: Vec<FlowRecord>,
    pool: Pool,
}

/// Batches that every output is done with, to be filled again.
#[derive(Clone)]
pub(crate) struct Pool {
    give: Sender<Vec<FlowRecord>>,
    take: Receiver<Vec<FlowRecord>>,
}

impl Pool {
    fn new(batches: usize) -> Self {
        let (give, take) = bounded(batches);
        Self { give, take }
    }

    fn take(&self) -> Vec<FlowRecord> {
        self.take.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_RECORDS))
    }

    /// Takes back a batch if no other output has it any more.
    pub(crate) fn give_back(&self, batch: Arc<Vec<FlowRecord>>) {
        if let Some(mut batch) = Arc::into_inner(batch) {
            batch.clear();
            // A full pool needs no more.
            drop(self.give.try_send(batch));
        }
    }
}

/// All queues: of each worker to each output.
pub(crate) struct Wiring {
    pub(crate) workers: Vec<Queues>,
    /// The queues of an output, one from each worker.
    pub(crate) outputs: Vec<Vec<Receiver<Delivery>>>,
    pub(crate) pool: Pool,
}

impl Wiring {
    pub(crate) fn new(workers: usize, outputs: usize) -> Self {
        let pool = Pool::new(QUEUE_BATCHES * workers);
        let mut wiring = Self {
            workers: Vec::with_capacity(workers),
            outputs: (0..outputs).map(|_| Vec::with_capacity(workers)).collect(),
            pool: pool.clone(),
        };
        for _ in 0..workers {
            let mut senders = Vec::with_capacity(outputs);
            for inboxes in &mut wiring.outputs {
                let (sender, receiver) = bounded(QUEUE_BATCHES);
                senders.push(sender);
                inboxes.push(receiver);
            }
            let batch = Vec::with_capacity(BATCH_RECORDS);
            wiring.workers.push(Queues { outputs: senders, batch, pool: pool.clone() });
        }
        wiring
    }
}

impl Queues {
    /// Puts a record on its way. Waits where an output is behind.
    #[inline]
    pub(crate) fn put(&mut self, record: FlowRecord) {
        self.batch.push(record);
        if self.batch.len() == BATCH_RECORDS {
            self.hand_over();
        }
    }

    /// Puts what the meter says of itself on its way, behind the records before it.
    pub(crate) fn report(&mut self, report: MeterReport) {
        self.hand_over();
        self.send(&Delivery::Report(report));
    }

    /// The records of a block are complete.
    pub(crate) fn end_block(&mut self) {
        self.hand_over();
        self.send(&Delivery::BlockEnd);
    }

    fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            let batch = std::mem::replace(&mut self.batch, self.pool.take());
            self.send(&Delivery::Records(Arc::new(batch)));
        }
    }

    fn send(&self, delivery: &Delivery) {
        for output in &self.outputs {
            output.send(delivery.clone()).expect("an output takes all until the workers end");
        }
    }
}

impl Drop for Queues {
    /// What is left goes on its way; then the queues close.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.hand_over();
        }
    }
}
