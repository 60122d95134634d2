//! Index of the batches in the spool, without their octets. Selects batches to drop when it is
//! full.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::batch::{BatchTally, RunTallies, SpooledBatch};
use super::store::Entry;

/// Maximum number of batches in a spool.
pub const BATCHES_MAX: u64 = 100_000;

/// Policy for a batch that does not fit into the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest batches that are not handed out are dropped for it. If this is not enough, it is
    /// dropped.
    DropOldest,
    /// The new batch is dropped.
    DropNewest,
}

/// A batch in the spool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) of_earlier_run: bool,
}

impl Held {
    pub(super) fn tally(&self) -> BatchTally {
        let Entry { octets, records, events, .. } = self.entry;
        BatchTally { batches: 1, octets, records, events }
    }

    /// The tally that counts the batch.
    fn place<'a>(&self, tallies: &'a mut RunTallies) -> &'a mut BatchTally {
        if self.of_earlier_run { &mut tallies.earlier_runs } else { &mut tallies.this_run }
    }
}

/// Batches in ascending order of keys.
#[derive(Default)]
struct Batches {
    by_key: BTreeMap<u64, Held>,
    tallies: RunTallies,
}

impl Batches {
    fn insert(&mut self, key: u64, held: Held) {
        *held.place(&mut self.tallies) += held.tally();
        self.by_key.insert(key, held);
    }

    fn remove(&mut self, key: u64) -> Option<Held> {
        let held = self.by_key.remove(&key)?;
        let place = held.place(&mut self.tallies);
        *place = *place - held.tally();
        Some(held)
    }
}

/// All batches in the spool.
#[derive(Default)]
pub(super) struct Index {
    waiting: Batches,
    /// Batches that are handed out: neither given back nor removed yet.
    out: Batches,
    next_key: u64,
}

/// The changes of a push.
pub(super) struct Plan<'a> {
    /// Keys of batches that are removed to make room.
    pub(super) removed: Vec<u64>,
    /// New batches with their keys.
    pub(super) added: VecDeque<(u64, Entry, &'a [u8])>,
    /// Batches removed to make room, and new ones without room.
    pub(super) dropped: RunTallies,
}

/// Batches that are only in the file, and batches that are missing in the file.
pub(super) struct Differences {
    pub(super) unknown: Vec<u64>,
    pub(super) missing: RunTallies,
}

impl Index {
    /// An index of the batches of earlier runs.
    pub(super) fn of_earlier_runs(entries: Vec<(u64, Entry)>) -> Self {
        let mut index = Self::default();
        for (key, entry) in entries {
            index.waiting.insert(key, Held { entry, of_earlier_run: true });
            index.next_key = key + 1;
        }
        index
    }

    /// Compares the index with the file, and removes batches that are not in the file.
    pub(super) fn reconcile(&mut self, entries: &[(u64, Entry)]) -> Differences {
        let in_file: BTreeMap<u64, Entry> = entries.iter().copied().collect();
        let mut differences = Differences { unknown: Vec::new(), missing: RunTallies::default() };
        for batches in [&mut self.waiting, &mut self.out] {
            let missing = batches.by_key.extract_if(.., |key, _| !in_file.contains_key(key));
            for (_, held) in missing {
                let place = held.place(&mut batches.tallies);
                *place = *place - held.tally();
                *held.place(&mut differences.missing) += held.tally();
            }
        }
        differences.unknown.extend(in_file.keys().filter(|key| !self.contains(**key)));
        let after_last = in_file.keys().next_back().map_or(0, |key| key + 1);
        self.next_key = self.next_key.max(after_last);
        differences
    }

    fn contains(&self, key: u64) -> bool {
        self.waiting.by_key.contains_key(&key) || self.out.by_key.contains_key(&key)
    }

    /// Plans a push: makes room for batches. Batches that are handed out stay.
    pub(super) fn plan<'a>(
        &self,
        batches: &'a [SpooledBatch],
        octets_max: u64,
        when_full: WhenFull,
        now: SystemTime,
    ) -> Plan<'a> {
        let mut plan = Plan {
            removed: Vec::new(),
            added: VecDeque::with_capacity(batches.len()),
            dropped: RunTallies::default(),
        };
        let fits = |tally: BatchTally| tally.batches <= BATCHES_MAX && tally.octets <= octets_max;
        let mut held_now = self.tallies().total();
        let mut oldest = self.waiting.by_key.iter();
        for (key, batch) in (self.next_key..).zip(batches) {
            let entry = Entry::new(batch, now);
            let new = Held { entry, of_earlier_run: false };
            // Checks the room beside the batches that are handed out, because those cannot be
            // removed.
            let can_fit = fits(self.out.tallies.total() + new.tally());
            while can_fit && when_full == WhenFull::DropOldest && !fits(held_now + new.tally()) {
                let old = if let Some((key, held)) = oldest.next() {
                    plan.removed.push(*key);
                    *held
                } else if let Some((_, entry, _)) = plan.added.pop_front() {
                    Held { entry, of_earlier_run: false }
                } else {
                    break;
                };
                held_now = held_now - old.tally();
                *old.place(&mut plan.dropped) += old.tally();
            }
            if fits(held_now + new.tally()) {
                held_now += new.tally();
                plan.added.push_back((key, entry, &batch.octets));
            } else {
                plan.dropped.this_run += new.tally();
            }
        }
        plan
    }

    /// Applies a plan after its commit.
    pub(super) fn apply(&mut self, plan: &Plan<'_>) {
        for key in &plan.removed {
            self.waiting.remove(*key);
        }
        for (key, entry, _) in &plan.added {
            self.waiting.insert(*key, Held { entry: *entry, of_earlier_run: false });
            self.next_key = key + 1;
        }
    }

    /// The oldest batch that is not handed out.
    pub(super) fn oldest_waiting(&self) -> Option<(u64, Held)> {
        self.waiting.by_key.first_key_value().map(|(key, held)| (*key, *held))
    }

    pub(super) fn hand_out(&mut self, key: u64) {
        if let Some(held) = self.waiting.remove(key) {
            self.out.insert(key, held);
        }
    }

    pub(super) fn give_back(&mut self, key: u64) {
        if let Some(held) = self.out.remove(key) {
            self.waiting.insert(key, held);
        }
    }

    /// A batch, if it is handed out.
    pub(super) fn handed_out(&self, key: u64) -> Option<Held> {
        self.out.by_key.get(&key).copied()
    }

    /// Replaces a batch that was handed out. The new one waits.
    pub(super) fn replace(&mut self, key: u64, entry: Entry) {
        if let Some(held) = self.out.remove(key) {
            self.waiting.insert(key, Held { entry, ..held });
        }
    }

    /// Removes a batch. Returns true if it was there.
    pub(super) fn remove(&mut self, key: u64) -> bool {
        self.out.remove(key).or_else(|| self.waiting.remove(key)).is_some()
    }

    pub(super) fn tallies(&self) -> RunTallies {
        self.waiting.tallies + self.out.tallies
    }

    pub(super) fn waiting_tallies(&self) -> RunTallies {
        self.waiting.tallies
    }

    /// Time at which the oldest batch was pushed.
    pub(super) fn oldest_pushed(&self) -> Option<SystemTime> {
        let first = |batches: &Batches| {
            batches.by_key.first_key_value().map(|(key, held)| (*key, held.entry.pushed))
        };
        let (_, pushed) = [&self.waiting, &self.out].into_iter().filter_map(first).min()?;
        Some(pushed)
    }
}
