//! The bounded queues between workers, stages and outputs.
//!
//! In a replay each worker has its own queue, so that records are taken in a fixed order. A full
//! queue makes the worker wait. In a live run the workers share one queue. Data for which it has no
//! room is counted as dropped.
//!
//! If there is only one output and no stage, the output takes from the workers' queues itself.
//! Otherwise the thread of the stages takes from them, and each output has another queue.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use analysis::tags::TagStage;
use crossbeam_channel::{Receiver, Sender, bounded};
use exporter::MeterReport;
use flow::{
    BATCH_RECORDS, Batch, Event, FlowRecord, Names, Naming, NewClock, RecordTally, Stage, Timestamp,
};

use crate::pipeline::closed::ClosedTunnels;
use crate::pipeline::dropped::{QueueCounts, QueueReport};
use crate::pipeline::facts::FactTable;
use crate::pipeline::payload::Finding;
use crate::pipeline::transactions::{TransactionCounts, Transactions};

/// Longest time that a thread waits for room in a queue at the end of a live run.
const END_WAIT: Duration = Duration::from_secs(20);

/// A message from a worker to the outputs.
#[derive(Clone, Debug)]
pub(crate) enum QueueItem {
    /// Ended flows.
    Batch(Arc<Batch>),
    /// Counters of the meter.
    Report(MeterReport),
    /// The records of a block are complete. Those of the next worker follow.
    BlockEnd,
    /// For stages: all records of this worker before this trace time have been sent.
    Settled(usize, Timestamp),
    /// For later stages: all records before this trace time have been sent, and the stages before
    /// have found these events in them.
    StagesSettled(Timestamp, Vec<Event>),
}

/// Collects the records of one worker in batches and sends them on.
pub(crate) struct RecordQueue {
    pub(super) sender: QueueSender,
    pub(super) batch: Batch,
    pool: Pool,
    when_full: WhenFull,
    /// The number of the worker.
    worker: usize,
    /// Whether stages need to know which records are still to come.
    wants_settle: bool,
    /// Trace time less the time of each clock, in milliseconds.
    clock_offsets: ClockOffsets,
    /// Gives records their tags. `None` if they get none, or get them from the thread of the
    /// stages.
    pub(super) tags: Option<TagStage>,
    /// What is added to records. `None` if nothing is.
    additions: Option<Box<Additions>>,
    /// Packets of tunnels that are not opened.
    pub(crate) closed: ClosedTunnels,
    /// Records of this worker for which there was no room.
    pub(crate) dropped: RecordTally,
}

type ClockOffsets = [i64; 8];

/// What is added to records.
#[derive(Default)]
struct Additions {
    /// Meaning of numbers in records, if tunnels are decapsulated.
    names: Option<Names>,
    /// What was found in payload, if that is read.
    facts: Option<FactTable>,
    /// DNS transactions, if an output wants them.
    transactions: Option<Transactions>,
}

impl Additions {
    /// Whether there is anything that a record may get.
    #[inline]
    fn have_any(&self) -> bool {
        self.names.is_some() || self.facts.as_ref().is_some_and(|facts| !facts.is_empty())
    }

    #[cold]
    fn add_to_last(&mut self, batch: &mut Batch) {
        if let Some(names) = &self.names {
            names.restore_last(batch);
        }
        if let Some(facts) = &mut self.facts {
            facts.attach_last(batch);
        }
    }
}

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
    pub(super) sender: Sender<QueueItem>,
    pub(super) dropped: Arc<QueueCounts>,
    /// What was sent or dropped. `None` if nobody asks.
    pub(crate) offered: Option<Arc<QueueCounts>>,
}

/// Empty batches, to be filled again.
#[derive(Clone)]
pub(crate) struct Pool {
    give: Sender<Batch>,
    take: Receiver<Batch>,
}

impl Pool {
    pub(super) fn new(batches: usize) -> Self {
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

impl RecordQueue {
    pub(super) fn new(
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
            tags: None,
            additions: None,
            closed: ClosedTunnels::default(),
            dropped: RecordTally::default(),
        }
    }

    /// Whether stages need to know which records are still to come.
    pub(crate) fn wants_settle(&self) -> bool {
        self.wants_settle
    }

    /// The stages have changed.
    pub(crate) fn set_wants_settle(&mut self, wants_settle: bool) {
        self.wants_settle = wants_settle;
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
        self.sender.send(QueueItem::Settled(self.worker, until), self.when_full);
    }

    pub(crate) fn set_when_full(&mut self, when_full: WhenFull) {
        self.when_full = when_full;
    }

    /// Adds a record to the batch, which is sent when it is full.
    #[inline]
    pub(crate) fn push(&mut self, record: FlowRecord) {
        self.closed.count(&record);
        self.batch.records.push(record);
        if let Some(additions) = &mut self.additions
            && additions.have_any()
        {
            additions.add_to_last(&mut self.batch);
        }
        if self.batch.records.len() == BATCH_RECORDS {
            self.flush();
        }
    }

    /// From now on, records have numbers in place of interfaces and VLANs.
    pub(crate) fn expect_names(&mut self) {
        self.additions.get_or_insert_default().names = Some(Names::default());
    }

    /// From now on, records get what was found in the payload of their conversations.
    pub(crate) fn expect_facts(&mut self, facts: FactTable) {
        self.additions.get_or_insert_default().facts = Some(facts);
    }

    /// From now on, DNS transactions are events.
    pub(crate) fn expect_transactions(&mut self, transactions: Transactions) {
        self.additions.get_or_insert_default().transactions = Some(transactions);
    }

    /// Learns what was found in payload.
    pub(crate) fn learn_fact(&mut self, finding: &Finding) {
        self.transactions(|transactions, events| transactions.learn(finding, events));
        if let Some(facts) = self.additions.as_mut().and_then(|it| it.facts.as_mut()) {
            facts.learn(finding);
        }
    }

    /// Does something with DNS transactions, if they are kept, and adds their events to the batch.
    pub(crate) fn transactions(&mut self, each: impl FnOnce(&mut Transactions, &mut Vec<Event>)) {
        let Some(additions) = self.additions.as_mut() else { return };
        let Some(transactions) = additions.transactions.as_mut() else { return };
        each(transactions, &mut self.batch.events);
        if self.batch.events.len() >= BATCH_RECORDS {
            self.flush();
        }
    }

    /// What became of DNS questions. `None` if nobody wants to know.
    pub(crate) fn transaction_counts(&self) -> Option<TransactionCounts> {
        let transactions = self.additions.as_ref().and_then(|it| it.transactions.as_ref());
        transactions.map(Transactions::counts)
    }

    /// Changes the timeouts of the flows that have facts, in milliseconds.
    pub(crate) fn set_timeouts_of_facts(&mut self, idle_ms: u32, active_ms: u32) {
        if let Some(facts) = self.additions.as_mut().and_then(|it| it.facts.as_mut()) {
            facts.set_timeouts(idle_ms, active_ms);
        }
    }

    /// Conversations with names of which all records so far are of one direction.
    pub(crate) fn facts_one_sided(&self) -> u64 {
        let facts = self.additions.as_ref().and_then(|it| it.facts.as_ref());
        facts.map_or(0, FactTable::one_sided)
    }

    /// Conversations whose names gave their memory to others.
    pub(crate) fn facts_evicted(&self) -> u64 {
        let facts = self.additions.as_ref().and_then(|it| it.facts.as_ref());
        facts.map_or(0, FactTable::evicted)
    }

    /// Learns the meaning of a number in later records.
    pub(crate) fn learn(&mut self, naming: Naming) {
        if let Some(names) = self.additions.as_mut().and_then(|it| it.names.as_mut()) {
            names.learn(naming);
        }
    }

    /// Puts interfaces and VLANs in flows that are shown, as [`Self::push`] does in records.
    pub(crate) fn restore(&self, flows: &mut [FlowRecord]) {
        if let Some(names) = self.additions.as_ref().and_then(|it| it.names.as_ref()) {
            for flow in flows {
                names.restore(flow);
            }
        }
    }

    /// Sends counters of the meter, after the records before them. All workers of a replay get the
    /// same report, and the first one sends it.
    pub(crate) fn report(&mut self, report: MeterReport) {
        self.flush();
        if let Some(tags) = &mut self.tags {
            for interface in report.interfaces.iter() {
                tags.interface(interface.number, &interface.name);
            }
        }
        if self.worker == 0 {
            self.sender.send(QueueItem::Report(report), self.when_full);
        }
    }

    /// Tells that the records of a block are complete.
    pub(crate) fn end_block(&mut self) {
        self.flush();
        self.sender.send(QueueItem::BlockEnd, self.when_full);
    }

    /// Sends a batch that is not full.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            let next = Batch { clock_offsets: self.clock_offsets, ..self.pool.take() };
            let mut batch = std::mem::replace(&mut self.batch, next);
            // This CPU has just written the records.
            if let Some(tags) = &mut self.tags {
                tags.batch(&mut batch);
            }
            self.dropped += self.sender.send(QueueItem::Batch(Arc::new(batch)), self.when_full);
        }
    }
}

impl QueueSender {
    /// Sends an item. Records that are dropped because the queue is full are counted, and their
    /// sum is returned.
    pub(crate) fn send(&self, item: QueueItem, when_full: WhenFull) -> RecordTally {
        if let (Some(offered), QueueItem::Batch(batch)) = (&self.offered, &item) {
            offered.count(batch);
        }
        let refused = match when_full {
            WhenFull::Wait => {
                self.sender.send(item).expect("the receiver takes all until the senders end");
                return RecordTally::default();
            }
            WhenFull::Drop => self.sender.try_send(item).err().map(|error| error.into_inner()),
            WhenFull::WaitUntil(end) => {
                let result = self.sender.send_deadline(item, end);
                result.err().map(|error| error.into_inner())
            }
        };
        match refused {
            Some(QueueItem::Batch(batch)) => self.dropped.count(&batch),
            _ => RecordTally::default(),
        }
    }

    /// Its state, under this name.
    pub(crate) fn report(&self, name: &str) -> QueueReport {
        let (waiting, room) = (self.sender.len(), self.sender.capacity().unwrap_or(usize::MAX));
        QueueReport { name: name.to_owned(), dropped: self.dropped.tally(), waiting, room }
    }
}

impl Drop for RecordQueue {
    /// Sends the rest. Then the queue closes.
    fn drop(&mut self) {
        if !thread::panicking() {
            self.flush();
        }
    }
}
