//! A worker: keeps flows in a table of its own and sends the records of those that ended.
//!
//! It takes frames straight from the source, or, in a replay with several workers, observations
//! from the one thread that reads. Read this first, then output.rs, and then the loop that feeds
//! workers: replay.rs or live.rs.

use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::SystemTime;

use flow::{
    FlowEndReason, FlowTable, NewClock, Observation, RecordTally, Sink, TableSettings, Timestamp,
};

use crate::pipeline::queue::RecordQueue;
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
    pub(crate) records: RecordQueue,
}

impl Worker {
    pub(crate) fn new(table: FlowTable, records: RecordQueue) -> Self {
        Self { table, records }
    }

    /// Adds packets that were observed elsewhere to their flows.
    pub(crate) fn process(&mut self, packets: &[Observation]) {
        self.table.process(packets, &mut |record| self.records.push(record));
        self.table.settle(&mut |record| self.records.push(record));
    }

    /// Live: ends expired flows when no packet comes.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.table.tick(now, &mut |record| self.records.push(record));
    }

    pub(crate) fn flows(&self) -> u32 {
        self.table.flows()
    }

    pub(crate) fn ended(&self) -> Ended {
        self.table.ended()
    }

    /// Ends all flows and closes the queue.
    pub(crate) fn finish(mut self, now: Timestamp) -> Ended {
        self.table.finish(now, &mut |record| self.records.push(record));
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
        self.table.push(&mut |record| self.records.push(record));
    }

    #[cold]
    fn begin_clock(&mut self, clock: NewClock) {
        self.table.begin_clock(clock, &mut |record| self.records.push(record));
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
