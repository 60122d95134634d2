//! The outputs of a live run: a thread for each. With `--config` they can change while it goes on.
//!
//! An output that was removed empties its queue and ends, while the others go on. Its counts stay
//! in the totals. If it comes back, its counts go on from there.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use exporter::Exporter;
use flow::{Conversation, NetworkSet, RecordTally};
use log::error;

use crate::host::priority;
use crate::pipeline::dropped::{DroppedOnWay, QueueCounts};
use crate::pipeline::merge::Merge;
use crate::pipeline::opened::Target;
use crate::pipeline::output::{Clock, Label, Output, OutputEnd, OutputLoop, Published, Ticks};
use crate::pipeline::queue::{Pool, QueueSender};
use crate::pipeline::queues::LaterQueues;
use crate::pipeline::starting::{Known, Opening, Starting};
use crate::pipeline::worker::{join, try_spawn};

/// Time between two ticks of an exporter, so that gathered records leave within a second.
const EXPORT_TICK: Duration = Duration::from_millis(500);

/// Maximum number of outputs of a run over time, by name.
pub(crate) const NAMES_MAX: usize = 1000;

/// Maximum number of outputs that were removed and have not ended yet.
pub(crate) const LEAVING_MAX: usize = 16;

/// All outputs of a run.
pub(crate) struct OutputSet<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    /// Outputs that have not given up.
    left: &'env AtomicUsize,
    pool: Pool,
    /// The main thread has real-time priority, which threads inherit.
    is_real_time: bool,
    /// `None`: the outputs do not change.
    later: Option<LaterQueues>,
    slots: Vec<Slot<'scope>>,
}

/// An output by its name, over all times that it was opened.
struct Slot<'scope> {
    label: Label,
    /// The outcome of those that have ended.
    past: Option<OutputEnd>,
    /// What they were offered.
    offered: RecordTally,
    running: Vec<Running<'scope>>,
    /// It was not there at some time.
    has_gap: bool,
    is_removed: bool,
    /// The user has paused it: records go past it.
    is_paused: bool,
}

/// An output that runs.
struct Running<'scope> {
    target: Option<Target>,
    thread: ScopedJoinHandle<'scope, Finished<'scope>>,
    published: Arc<Mutex<Published>>,
    dropped: DroppedOnWay,
    offered: Option<Arc<QueueCounts>>,
    /// The queue to it. `None` if it was removed, or if outputs do not change.
    sender: Option<QueueSender>,
    networks: Sender<NetworkSet>,
    conversations: Vec<Conversation>,
    ended: Receiver<Infallible>,
    is_leaving: Arc<AtomicBool>,
}

/// The outcome of an output, and its exporter, whose files are in use until all outputs have ended.
/// `None` if it was removed.
type Finished<'a> = (OutputEnd, Option<Box<dyn Exporter + 'a>>);

impl<'scope, 'env> OutputSet<'scope, 'env> {
    pub(crate) fn new(
        scope: &'scope Scope<'scope, 'env>,
        left: &'env AtomicUsize,
        pool: Pool,
        later: Option<LaterQueues>,
        is_real_time: bool,
    ) -> Self {
        Self { scope, left, pool, is_real_time, later, slots: Vec::new() }
    }

    /// Starts an output with its queue.
    ///
    /// # Errors
    ///
    /// The system does not start a thread; in one sentence.
    pub(crate) fn start(
        &mut self,
        Starting { label, target, opening, conversations }: Starting<'env>,
        merge: Merge,
        sender: Option<QueueSender>,
    ) -> Result<(), String> {
        let (networks, new_networks) = unbounded();
        let (running, ended) = bounded(0);
        let published = Arc::<Mutex<Published>>::default();
        let (dropped, for_loop) = (merge.dropped.clone(), Arc::clone(&published));
        let (pool, outputs_left, is_real_time) = (self.pool.clone(), self.left, self.is_real_time);
        let ((name, takes_records), of_output) = (label.clone(), target.clone());
        let is_leaving = Arc::<AtomicBool>::default();
        let leaves = Arc::clone(&is_leaving);
        let run = move || {
            let _running: Sender<Infallible> = running;
            priority::begin_ordinary(is_real_time);
            let (exporter, reopenings) = match opening {
                Opening::Open(exporter, reopenings) => (exporter, reopenings),
                Opening::Later(open) => open(),
            };
            let output = Output { name, exporter, takes_records, target: of_output, reopenings };
            let ticks = Some(Ticks { period: EXPORT_TICK, clock: Clock::TimeOfDay });
            let all = OutputLoop::new(output, merge, pool, ticks, for_loop, outputs_left);
            let (end, exporter) = all.with_networks(new_networks).run();
            let is_kept = !leaves.load(Ordering::Relaxed);
            (end, is_kept.then_some(exporter))
        };
        self.left.fetch_add(1, Ordering::Relaxed);
        let thread = try_spawn(self.scope, "output", run).inspect_err(|_problem| {
            self.left.fetch_sub(1, Ordering::Relaxed);
        })?;
        let offered = sender.as_ref().and_then(|sender| sender.offered.clone());
        self.slot(label).running.push(Running {
            target,
            thread,
            published,
            dropped,
            offered,
            sender,
            networks,
            conversations,
            ended,
            is_leaving,
        });
        Ok(())
    }

    /// The place for an output of this name: that of an earlier one, or a new one.
    fn slot(&mut self, label: Label) -> &mut Slot<'scope> {
        let is_free =
            |slot: &Slot<'_>| slot.label == label && slot.running.iter().all(Running::is_leaving);
        let index = self.slots.iter().position(is_free).unwrap_or_else(|| {
            self.slots.push(Slot {
                label,
                past: None,
                offered: RecordTally::default(),
                running: Vec::new(),
                has_gap: false,
                is_removed: false,
                is_paused: false,
            });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        (slot.is_removed, slot.is_paused) = (false, false);
        slot
    }

    /// Removes outputs and starts others. Returns the queues to all.
    pub(crate) fn change(
        &mut self,
        removed: &[Target],
        added: Vec<Starting<'env>>,
    ) -> Vec<QueueSender> {
        for target in removed {
            let is_meant =
                |it: &Running<'_>| !it.is_leaving() && it.target.as_ref() == Some(target);
            let slot = self.slots.iter_mut().find(|slot| slot.running.iter().any(is_meant));
            let Some(slot) = slot else { continue };
            (slot.has_gap, slot.is_removed) = (true, true);
            for running in slot.running.iter_mut().filter(|running| is_meant(running)) {
                // Before its queue closes.
                running.is_leaving.store(true, Ordering::Relaxed);
                running.sender = None;
            }
        }
        for starting in added {
            let Some((sender, merge)) = self.later.as_ref().map(LaterQueues::add) else { continue };
            let label = starting.label.clone();
            if let Err(problem) = self.start(starting, merge, Some(sender)) {
                error!("output {}: {problem}", label.0);
                continue;
            }
            let named = self.slots.iter_mut().filter(|slot| slot.label == label);
            named.for_each(|slot| slot.has_gap = true);
        }
        self.queues()
    }

    /// The queues to all outputs that are not paused.
    fn queues(&self) -> Vec<QueueSender> {
        let running = self.slots.iter().filter(|slot| !slot.is_paused);
        running.flat_map(|slot| &slot.running).filter_map(|it| it.sender.clone()).collect()
    }

    /// Pauses the outputs of this name, or lets them go on. Returns the queues to all that are not
    /// paused.
    ///
    /// # Errors
    ///
    /// There is no such output, or outputs cannot change; in one sentence.
    pub(crate) fn pause(&mut self, name: &str, pause: bool) -> Result<Vec<QueueSender>, String> {
        if self.later.is_none() {
            return Err("the outputs of a run without --config stay as they are".to_owned());
        }
        let mut named =
            self.slots.iter_mut().filter(|it| it.label.0 == name && !it.is_removed).peekable();
        if named.peek().is_none() {
            return Err(format!("{name} is no output of this run"));
        }
        for slot in named {
            slot.is_paused = pause;
            slot.has_gap |= pause;
        }
        Ok(self.queues())
    }

    /// Changes the networks inside the perimeter of all documents.
    pub(crate) fn set_local_networks(&self, networks: &NetworkSet) {
        for running in self.running() {
            // One that has ended writes no more documents.
            drop(running.networks.send(networks.clone()));
        }
    }

    /// The outputs of settings that run.
    pub(crate) fn known(&self) -> Vec<Known> {
        let known = self.running().filter_map(|running| {
            Some(Known {
                target: running.target.clone()?,
                conversations: running.conversations.clone(),
                ended: running.ended.clone(),
                is_leaving: running.is_leaving(),
            })
        });
        known.collect()
    }

    /// The conversations of all outputs.
    pub(crate) fn conversations(&self) -> Vec<Conversation> {
        self.running().flat_map(|running| running.conversations.clone()).collect()
    }

    /// The number of names so far.
    pub(crate) fn names(&self) -> usize {
        self.slots.len()
    }

    /// Takes the counts of removed outputs that have ended. Returns the number of the others.
    pub(crate) fn reap(&mut self) -> usize {
        let mut leaving = 0;
        for slot in &mut self.slots {
            let (ended, others) = std::mem::take(&mut slot.running)
                .into_iter()
                .partition(|running| running.is_leaving() && running.thread.is_finished());
            slot.running = others;
            let ended: Vec<Running<'_>> = ended;
            for running in ended {
                if slot.end(running).is_sound {
                    self.left.fetch_sub(1, Ordering::Relaxed);
                }
            }
            leaving += slot.running.iter().filter(|running| running.is_leaving()).count();
        }
        leaving
    }

    /// Gives up the queues to all outputs, so that they end when the other senders have ended.
    pub(crate) fn close(&mut self) {
        for running in self.slots.iter_mut().flat_map(|slot| &mut slot.running) {
            running.sender = None;
        }
    }

    /// Whether all threads have ended.
    pub(crate) fn are_finished(&self) -> bool {
        self.running().all(|running| running.thread.is_finished())
    }

    /// The outcome of each output, after all have ended and these records have left the tables.
    pub(crate) fn end(mut self, ended: RecordTally) -> Vec<OutputEnd> {
        let changes = self.later.is_some();
        for slot in &mut self.slots {
            for running in std::mem::take(&mut slot.running) {
                slot.end(running);
            }
            slot.has_gap |= changes;
        }
        self.so_far(ended)
    }

    /// The outcome of each output so far, after these records have left the tables.
    pub(crate) fn so_far(&self, ended: RecordTally) -> Vec<OutputEnd> {
        self.slots.iter().map(|slot| slot.so_far(ended)).collect()
    }

    fn running(&self) -> impl Iterator<Item = &Running<'scope>> {
        self.slots.iter().flat_map(|slot| &slot.running)
    }
}

impl Running<'_> {
    fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }
}

/// What is left of an output that has ended.
struct Remains<'a> {
    /// It had not given up.
    is_sound: bool,
    _in_use: Option<Box<dyn Exporter + 'a>>,
}

impl Slot<'_> {
    /// Adds the counts of an output that has ended.
    fn end<'a>(&mut self, running: Running<'a>) -> Remains<'a> {
        let offered = running.offered.as_ref().map(|offered| offered.tally());
        let (end, in_use) = join(running.thread);
        let is_sound = end.error.is_none();
        self.offered += offered.unwrap_or_default();
        self.past = Some(match self.past.take() {
            Some(past) => past.then(end),
            None => end,
        });
        Remains { is_sound, _in_use: in_use }
    }

    fn so_far(&self, ended: RecordTally) -> OutputEnd {
        let mut offered = self.offered;
        let running = self.running.iter().map(|running| {
            let published = running.published.lock().unwrap_or_else(PoisonError::into_inner);
            offered += running.offered.as_ref().map(|it| it.tally()).unwrap_or_default();
            OutputEnd::new(self.label.clone(), published.clone(), &running.dropped)
        });
        let all = self.past.clone().into_iter().chain(running);
        let sum = all.reduce(OutputEnd::then).unwrap_or_else(|| {
            let nothing = DroppedOnWay::default();
            OutputEnd::new(self.label.clone(), Published::default(), &nothing)
        });
        let is_counted = self.has_gap && sum.takes_records;
        let was_there = offered + sum.dropped_before;
        let absent = if is_counted { less(ended, was_there) } else { RecordTally::default() };
        let (is_removed, is_paused) = (self.is_removed, self.is_paused);
        OutputEnd { absent, is_removed, is_paused, ..sum }
    }
}

/// The difference. While packets come, the counts are not of the same moment.
fn less(all: RecordTally, part: RecordTally) -> RecordTally {
    RecordTally {
        records: all.records.saturating_sub(part.records),
        packets: all.packets.saturating_sub(part.packets),
        octets: all.octets.saturating_sub(part.octets),
    }
}
