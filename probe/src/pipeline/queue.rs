//! The bounded queues between workers and outputs.
//!
//! In a replay each worker has a queue of its own to each output, so that an output can take their
//! records in a fixed order, and a full queue makes the worker wait. Live, the workers share the
//! queue of an output, and what a full one does not take is counted as dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use exporter::MeterReport;
use flow::{BATCH_RECORDS, Batch, FlowRecord, RecordTally};

/// Batches on a queue before the worker of a replay waits.
const REPLAY_BATCHES: usize = 64;

/// Live, so many batches: what ends together is not lost together, up to a million records; and
/// batches that are not full, a few a second from each worker, can wait for a collector.
const LIVE_BATCHES: (usize, usize) = (1024, 4096);

/// What goes from a worker to an output.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    /// Ended flows.
    Batch(Arc<Batch>),
    /// What the meter says of itself.
    Report(MeterReport),
    /// The records of a block are complete: those of the next worker follow.
    BlockEnd,
}

/// The queues of one worker, one to each output.
pub(crate) struct Queues {
    outlets: Vec<Outlet>,
    batch: Batch,
    pool: Pool,
    when_full: WhenFull,
}

/// What a worker does when an output is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Replay: nothing is lost on our side.
    Wait,
    /// Live: capture never waits.
    Drop,
    /// Live, at the end: waits until then.
    WaitUntil(Instant),
}

/// Where the records of a worker go to an output.
#[derive(Clone)]
pub(crate) struct Outlet {
    sender: Sender<Delivery>,
    dropped: Arc<Dropped>,
}

/// What the queue of an output did not take.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    records: AtomicU64,
    packets: AtomicU64,
    octets: AtomicU64,
}

/// Where the records of an output come from: the queue of each worker, or the one that they share.
pub(crate) struct Inlet {
    pub(crate) inboxes: Vec<Receiver<Delivery>>,
    pub(crate) dropped: Arc<Dropped>,
}

/// Batches that every output is done with, to be filled again.
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

    /// Takes back a batch if no other output has it any more.
    pub(crate) fn give_back(&self, batch: Arc<Batch>) {
        if let Some(mut batch) = Arc::into_inner(batch) {
            clear(&mut batch.records);
            batch.details.clear();
            batch.events.clear();
            // A full pool needs no more.
            drop(self.give.try_send(batch));
        }
    }
}

/// Clears a list that another thread has filled and will fill again.
///
/// The other CPU is slow to write where this one has only read: up to 37 ns for each line of the
/// cache, and 3 where both have written. So all is overwritten.
pub(crate) fn clear<T: Copy>(list: &mut Vec<T>) {
    if let Some(first) = list.first().copied() {
        list.fill(first);
    }
    list.clear();
}

impl Dropped {
    fn count(&self, records: &[FlowRecord]) {
        let mut tally = RecordTally::default();
        records.iter().for_each(|record| tally.count(record));
        self.records.fetch_add(tally.records, Ordering::Relaxed);
        self.packets.fetch_add(tally.packets, Ordering::Relaxed);
        self.octets.fetch_add(tally.octets, Ordering::Relaxed);
    }

    pub(crate) fn tally(&self) -> RecordTally {
        RecordTally {
            records: self.records.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            octets: self.octets.load(Ordering::Relaxed),
        }
    }
}

/// All queues: of the workers to the outputs.
pub(crate) struct Wiring {
    pub(crate) workers: Vec<Queues>,
    pub(crate) outputs: Vec<Inlet>,
    pub(crate) pool: Pool,
}

impl Wiring {
    /// A queue from each worker to each output.
    pub(crate) fn replay(workers: usize, outputs: usize) -> Self {
        let pool = Pool::new(REPLAY_BATCHES * workers);
        let mut inlets: Vec<_> = (0..outputs).map(|_| Inlet::new(workers)).collect();
        let queues = |_| {
            let outlets = inlets.iter_mut().map(|inlet| inlet.add(REPLAY_BATCHES)).collect();
            Queues::new(outlets, &pool, WhenFull::Wait)
        };
        Self { workers: (0..workers).map(queues).collect(), outputs: inlets, pool }
    }

    /// A queue to each output, as long as all tables together have records, to a limit.
    pub(crate) fn live(workers: usize, outputs: usize, flows_max: usize) -> Self {
        let batches = (flows_max / BATCH_RECORDS).clamp(LIVE_BATCHES.0, LIVE_BATCHES.1);
        let pool = Pool::new(batches);
        let mut inlets: Vec<_> = (0..outputs).map(|_| Inlet::new(1)).collect();
        let outlets: Vec<_> = inlets.iter_mut().map(|inlet| inlet.add(batches)).collect();
        let queues = |_| Queues::new(outlets.clone(), &pool, WhenFull::Drop);
        Self { workers: (0..workers).map(queues).collect(), outputs: inlets, pool }
    }

    /// The ways to the outputs, for reports about all workers.
    pub(crate) fn outlets(&self) -> Vec<Outlet> {
        self.workers.first().map_or_else(Vec::new, |queues| queues.outlets.clone())
    }
}

impl Inlet {
    fn new(inboxes: usize) -> Self {
        Self { inboxes: Vec::with_capacity(inboxes), dropped: Arc::default() }
    }

    fn add(&mut self, batches: usize) -> Outlet {
        let (sender, receiver) = bounded(batches);
        self.inboxes.push(receiver);
        Outlet { sender, dropped: Arc::clone(&self.dropped) }
    }
}

impl Queues {
    fn new(outlets: Vec<Outlet>, pool: &Pool, when_full: WhenFull) -> Self {
        let batch = Batch::with_capacity();
        Self { outlets, batch, pool: pool.clone(), when_full }
    }

    pub(crate) fn set_when_full(&mut self, when_full: WhenFull) {
        self.when_full = when_full;
    }

    /// Puts a record on its way.
    #[inline]
    pub(crate) fn put(&mut self, record: FlowRecord) {
        self.batch.records.push(record);
        if self.batch.records.len() == BATCH_RECORDS {
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

    /// Puts a batch on its way that is not full.
    pub(crate) fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            let batch = std::mem::replace(&mut self.batch, self.pool.take());
            self.send(&Delivery::Batch(Arc::new(batch)));
        }
    }

    fn send(&self, delivery: &Delivery) {
        for outlet in &self.outlets {
            outlet.send(delivery.clone(), self.when_full);
        }
    }
}

impl Outlet {
    /// Puts a delivery on its way. Records that find no place are counted as dropped.
    pub(crate) fn send(&self, delivery: Delivery, when_full: WhenFull) {
        let refused = match when_full {
            WhenFull::Wait => {
                self.sender.send(delivery).expect("an output takes all until the workers end");
                return;
            }
            WhenFull::Drop => self.sender.try_send(delivery).err().map(|error| error.into_inner()),
            WhenFull::WaitUntil(end) => {
                let result = self.sender.send_deadline(delivery, end);
                result.err().map(|error| error.into_inner())
            }
        };
        if let Some(Delivery::Batch(batch)) = refused {
            self.dropped.count(&batch.records);
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
