//! The reader's side of several workers: blocks of observations, and of what was found in payload.

use std::slice;
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use exporter::MeterReport;
use flow::{HashSeed, KeyFields, Naming, NewClock, Observation, Sink, TableSettings, Timestamp};

use crate::pipeline::payload::{Finding, FindingSink};
use crate::pipeline::queue::clear;
use crate::pipeline::so_far::SoFar;
use crate::pipeline::worker::{Ended, Worker, spawn};

/// Packets that are copied at once to the workers' blocks.
const REST: usize = 32;

/// Blocks on the queue of a worker before the reader waits.
const QUEUE_BLOCKS: usize = 4;

/// Packets of a block for one worker.
#[derive(Debug, Default)]
struct Block {
    /// A clock that begins before the packets.
    clock: Option<NewClock>,
    /// Meaning of numbers in the packets.
    names: Vec<Naming>,
    report: Option<MeterReport>,
    packets: Vec<Observation>,
    /// What was found in payload, each before the packet with this number.
    findings: Vec<(usize, Finding)>,
    /// The clock at the end.
    now: Timestamp,
}

/// The reader's side of all workers.
pub(super) struct WorkerHandles<'scope> {
    pub(super) handles: Vec<WorkerHandle<'scope>>,
    seed: HashSeed,
    key: KeyFields,
    /// Both directions of a conversation go to the same worker.
    by_conversation: bool,
    /// Packets that are not copied yet. They were written in words and are copied in larger pieces;
    /// the CPU would stall on a copy right after the writes.
    observed: Box<[Observation; REST]>,
    count: usize,
}

impl<'scope> WorkerHandles<'scope> {
    pub(super) fn new(
        scope: &'scope Scope<'scope, '_>,
        table: &TableSettings,
        workers: Vec<Worker>,
        so_far: &'scope SoFar,
        by_conversation: bool,
    ) -> Self {
        let handle = |(index, worker)| {
            let done = move |worker: &Worker| so_far.kept(index, worker);
            WorkerHandle::new(scope, worker, done)
        };
        Self {
            handles: workers.into_iter().enumerate().map(handle).collect(),
            seed: table.seed,
            key: table.key,
            by_conversation,
            observed: Box::new([Observation::default(); REST]),
            count: 0,
        }
    }

    /// Copies each packet to the block of its worker.
    fn distribute(&mut self) {
        if self.by_conversation {
            self.distribute_conversations();
            return;
        }
        for packet in &self.observed[..self.count] {
            let worker = packet.shard(&self.seed, self.key, self.handles.len());
            self.handles[worker].block.packets.extend_from_slice(slice::from_ref(packet));
        }
        self.count = 0;
    }

    fn distribute_conversations(&mut self) {
        for packet in &self.observed[..self.count] {
            let worker = packet.shard_of_conversation(&self.seed, self.handles.len());
            self.handles[worker].block.packets.extend_from_slice(slice::from_ref(packet));
        }
        self.count = 0;
    }

    /// Reports must come before the records of a block, so the workers get them.
    pub(super) fn report(&mut self, report: &MeterReport) {
        for handle in &mut self.handles {
            handle.block.report = Some(report.clone());
        }
    }

    /// Sends the block and starts an empty one.
    pub(super) fn pass(&mut self, now: Timestamp) {
        self.distribute();
        self.handles.iter_mut().for_each(|handle| handle.pass(now));
    }
}

impl FindingSink for WorkerHandles<'_> {
    fn found(&mut self, finding: Finding) {
        self.distribute();
        let worker = finding.conversation.shard(self.handles.len());
        let block = &mut self.handles[worker].block;
        block.findings.push((block.packets.len(), finding));
    }
}

impl Sink for WorkerHandles<'_> {
    #[inline]
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.observed[self.count]
    }

    #[inline]
    fn push(&mut self) {
        self.count += 1;
        if self.count == REST {
            self.distribute();
        }
    }

    #[cold]
    fn begin_clock(&mut self, clock: NewClock) {
        self.pass(clock.now);
        for handle in &mut self.handles {
            handle.block.clock = Some(clock);
        }
    }

    #[cold]
    fn learn(&mut self, naming: Naming) {
        self.handles.iter_mut().for_each(|handle| handle.block.names.push(naming));
    }
}

/// The reader's side of a worker.
pub(super) struct WorkerHandle<'scope> {
    block: Block,
    blocks: Sender<Block>,
    /// Empty lists from the worker.
    spare: Receiver<Vec<Observation>>,
    pub(super) thread: ScopedJoinHandle<'scope, Ended>,
}

impl<'scope> WorkerHandle<'scope> {
    fn new(
        scope: &'scope Scope<'scope, '_>,
        worker: Worker,
        done: impl Fn(&Worker) + Send + 'scope,
    ) -> Self {
        let (blocks, inbox) = bounded(QUEUE_BLOCKS);
        let (give_back, spare) = bounded(QUEUE_BLOCKS + 2);
        let run = move || work(worker, &inbox, &give_back, &done);
        let thread = spawn(scope, "worker", run);
        Self { block: Block::default(), blocks, spare, thread }
    }

    /// Sends the block and starts an empty one.
    fn pass(&mut self, now: Timestamp) {
        let packets = self.spare.try_recv().unwrap_or_default();
        let next = Block { packets, ..Block::default() };
        let block = Block { now, ..std::mem::replace(&mut self.block, next) };
        self.blocks.send(block).expect("a worker takes all until the reader ends");
    }
}

/// The thread of a worker: takes blocks, sends records. It calls `done` after each block.
fn work(
    mut worker: Worker,
    inbox: &Receiver<Block>,
    give_back: &Sender<Vec<Observation>>,
    done: &dyn Fn(&Worker),
) -> Ended {
    let mut now = Timestamp::default();
    for mut block in inbox {
        if let Some(clock) = block.clock {
            worker.begin_clock(clock);
        }
        block.names.into_iter().for_each(|naming| worker.learn(naming));
        if let Some(report) = block.report {
            worker.records.report(report);
        }
        worker.process(&block.packets, block.findings);
        worker.settle(block.now);
        worker.records.end_block();
        done(&worker);
        now = block.now;
        clear(&mut block.packets);
        // A reader that has ended needs no more lists.
        drop(give_back.try_send(block.packets));
    }
    worker.finish(now)
}
