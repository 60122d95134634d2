//! A worker: keeps flows in its own table and sends the records of ended flows.
//!
//! It takes frames straight from the source, or, in a replay with several workers, observations
//! from the one thread that reads. Read this first, then output.rs, and then the loop that feeds
//! workers: replay.rs or live.rs.

use std::ops::AddAssign;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::SystemTime;

use exporter::{Context, sentence};
use flow::words::counted;
use flow::{
    ConversationKeys, FlowEndReason, FlowTable, Naming, NewClock, NoMemory, Observation,
    RecordTally, Sink, TableSettings, Timestamp,
};
use log::error;

use crate::host::memory::{self, MemoryOwner};
use crate::pipeline::closed::ClosedTunnels;
use crate::pipeline::facts::{FactTable, FactTimeouts};
use crate::pipeline::payload::{Finding, FindingSink};
use crate::pipeline::queue::RecordQueue;
use crate::pipeline::table_order::TableWalk;
use crate::pipeline::transactions::{TransactionCounts, Transactions};
use crate::report::units;
use crate::settings::config::{Config, table_share};
use crate::sys;

/// Records of ended flows, of a worker or of all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    /// In the order of [`FlowEndReason::ALL`].
    pub(crate) by_reason: [RecordTally; FlowEndReason::ALL.len()],
    /// The earliest and the latest time of their packets.
    pub(crate) period: Option<(Timestamp, Timestamp)>,
    /// Packets of tunnels that are not opened.
    pub(crate) closed: ClosedTunnels,
    /// Conversations whose names gave their memory to others.
    pub(crate) facts_evicted: u64,
    /// Conversations with names of which all records so far are of one direction.
    pub(crate) facts_one_sided: u64,
    /// What became of DNS questions. `None` if no output wants to know.
    pub(crate) transactions: Option<TransactionCounts>,
    /// Packets that another thread observed and that are in flows now.
    pub(crate) taken: u64,
    /// Records for which the queue behind the workers had no room.
    pub(crate) dropped: RecordTally,
}

impl Ended {
    /// All records.
    pub(crate) fn records(&self) -> RecordTally {
        self.by_reason.iter().copied().fold(RecordTally::default(), |sum, one| sum + one)
    }
}

impl AddAssign for Ended {
    fn add_assign(&mut self, other: Self) {
        for (sum, one) in self.by_reason.iter_mut().zip(other.by_reason) {
            *sum += one;
        }
        let periods = self.period.into_iter().chain(other.period);
        self.period = periods.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        self.closed += other.closed;
        self.facts_evicted += other.facts_evicted;
        self.facts_one_sided += other.facts_one_sided;
        if let Some(other) = other.transactions {
            *self.transactions.get_or_insert_default() += other;
        }
        self.taken += other.taken;
        self.dropped += other.dropped;
    }
}

/// Memory of a worker besides its table: its stack, and the records in queues.
const WORKER_OCTETS: u64 = 4 << 20;

/// Octets of memory of so many workers, whose tables have room for this number of flows together.
pub(crate) fn octets_for(flows_max: u32, workers: usize) -> u64 {
    let share = table_share(flows_max, workers);
    (TableSettings::octets_for(share) + WORKER_OCTETS) * workers as u64
}

/// Time between two checks of a worker's flows, in milliseconds, so that stages know which records
/// are still to come. A check takes 0.4 ms in a table for a million flows.
const SETTLE_MS: u64 = 1000;

/// A table for each worker, in huge pages if the system provides them.
///
/// # Errors
///
/// There is not enough memory; in one sentence.
pub(crate) fn new_tables(config: &Config, workers: usize) -> Result<Vec<FlowTable>, String> {
    let settings = config.table(workers);
    let octets = octets_for(config.table.flows_max, workers);
    let flows = counted(config.table.flows_max.into(), "flow", "flows");
    let threads = counted(workers as u64, "worker", "workers");
    let what = format!("a table of {flows} (--max-flows), {threads}");
    memory::check(&what, octets, MemoryOwner::Own)?;
    let new = |_| {
        let mut table = FlowTable::new(&settings).map_err(|NoMemory| {
            format!("{what}: {} of memory asked, the system refuses it", units::octets(octets))
        })?;
        for &(protocol, idle_ms) in &config.idle_ms_of {
            table.set_idle_timeout_of(protocol, idle_ms);
        }
        sys::advise_huge_pages(table.memory());
        Ok(table)
    };
    (0..workers).map(new).collect()
}

/// A flow table and the queue of its records.
pub(crate) struct Worker {
    table: FlowTable,
    pub(crate) records: RecordQueue,
    /// Time of the next settle message.
    settle_at: Timestamp,
    /// Packets that another thread observed.
    taken: u64,
}

impl Worker {
    /// One of `workers`, which share the memory for payload.
    pub(crate) fn new(
        table: FlowTable,
        mut records: RecordQueue,
        config: &Config,
        workers: usize,
    ) -> Self {
        let decap = &config.observer.decap;
        if let Some(payload) = &config.payload {
            let timeouts = FactTimeouts {
                idle_ms: config.table.idle_timeout_ms,
                active_ms: config.table.active_timeout_ms,
                idle_ms_of: config.idle_ms_of.clone(),
            };
            let (keys, memory) = (ConversationKeys::new(&config.observer), payload.facts(workers));
            records.expect_facts(FactTable::new(keys, payload.telling, memory, timeouts));
            if let Some(memory) = payload.transactions(workers) {
                let Context { name, version, .. } = &config.context;
                let transactions = Transactions::new(payload.telling, memory, name, version);
                records.expect_transactions(transactions);
            }
        }
        if decap.opens_any() {
            records.expect_names();
        }
        records.closed.opened = decap.kinds;
        Self { table, records, settle_at: Timestamp::default(), taken: 0 }
    }

    /// Adds packets that were observed elsewhere to their flows. Each finding comes before the
    /// packet with its number.
    pub(crate) fn process(&mut self, packets: &[Observation], findings: Vec<(usize, Finding)>) {
        self.taken += packets.len() as u64;
        let mut done = 0;
        for (at, finding) in findings {
            self.table.process(&packets[done..at], &mut |record| self.records.push(record));
            self.records.learn_fact(&finding);
            done = at;
        }
        self.table.process(&packets[done..], &mut |record| self.records.push(record));
        self.table.settle(&mut |record| self.records.push(record));
    }

    /// Live, and in a pipe: ends expired flows even if no packet comes.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.table.tick(now, &mut |record| self.records.push(record));
        self.records.transactions(|transactions, events| transactions.expire(now, events));
        self.settle(now);
    }

    /// If stages need it: sends the trace time before which all records have been sent. At most
    /// once in each [`SETTLE_MS`].
    pub(crate) fn settle(&mut self, now: Timestamp) {
        if !self.records.wants_settle() || now < self.settle_at {
            return;
        }
        self.settle_at = now.plus_millis(SETTLE_MS);
        let age_ms = self.table.end_idle(now, &mut |record| self.records.push(record));
        self.records.settle(now.minus_millis(age_ms));
    }

    /// Changes the timeouts, in milliseconds. Returns the longest idle timeout of all protocols.
    pub(crate) fn set_timeouts(&mut self, idle_ms: u32, active_ms: u32, now: Timestamp) -> u32 {
        self.table.set_timeouts(idle_ms, active_ms, now, &mut |record| self.records.push(record));
        self.records.set_timeouts_of_facts(idle_ms, active_ms);
        self.table.longest_idle_timeout_ms()
    }

    /// Does a piece of an order about its flows. Returns true after the last piece.
    pub(crate) fn step(&mut self, walk: &mut TableWalk) -> bool {
        walk.step(&mut self.table, &mut self.records)
    }

    pub(crate) fn flows(&self) -> u32 {
        self.table.flows()
    }

    pub(crate) fn ended(&self) -> Ended {
        let (by_reason, period) = (self.table.ended(), self.table.period());
        Ended {
            by_reason,
            period,
            closed: self.records.closed,
            facts_evicted: self.records.facts_evicted(),
            facts_one_sided: self.records.facts_one_sided(),
            transactions: self.records.transaction_counts(),
            taken: self.taken,
            dropped: self.records.dropped,
        }
    }

    /// Ends all flows and closes the queue.
    pub(crate) fn finish(mut self, now: Timestamp) -> Ended {
        self.table.finish(now, &mut |record| self.records.push(record));
        self.records.transactions(|transactions, events| transactions.finish(now, events));
        self.records.flush();
        self.ended()
    }
}

impl FindingSink for Worker {
    fn found(&mut self, finding: Finding) {
        self.records.learn_fact(&finding);
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
        self.records.begin_clock(clock);
    }

    #[cold]
    fn learn(&mut self, naming: Naming) {
        self.records.learn(naming);
    }
}

/// The time of day. Live only: a replay uses the time of its packets.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Starts a thread. If that fails, the program ends: it has just started, so nothing is lost.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    try_spawn(scope, name, run).unwrap_or_else(|problem| {
        error!("{problem}");
        std::process::exit(1)
    })
}

/// Starts a thread.
///
/// # Errors
///
/// The system does not start one; in one sentence.
pub(crate) fn try_spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, String> {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run).map_err(|problem| {
        format!(
            "cannot start a thread: {}; limits are ulimit -u, ulimit -v and those of the control \
             group",
            sentence(&problem)
        )
    })
}

pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
