//! Random use, compared with a list in memory.

use std::collections::VecDeque;
use std::path::Path;

use super::super::{BatchKey, Spool, SpooledBatch, WhenFull};
use super::{batch, directory_in_memory, number};

const OCTETS_MAX: u64 = 3000;

/// A batch of the model.
struct Kept {
    batch: SpooledBatch,
    of_earlier_run: bool,
    key: Option<BatchKey>,
}

/// Random numbers, the same in each run with the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % end
    }
}

/// The spool as a list, and the numbers that it has dropped.
struct Model {
    kept: VecDeque<Kept>,
    when_full: WhenFull,
}

impl Model {
    fn octets(&self) -> u64 {
        self.kept.iter().map(|kept| kept.batch.octets.len() as u64).sum()
    }

    /// The sum of the numbers of what was dropped: of this run, of earlier runs.
    fn push(&mut self, batch: &SpooledBatch) -> (u64, u64) {
        let size = batch.octets.len() as u64;
        let mut dropped = (0, 0);
        let out: u64 = self
            .kept
            .iter()
            .filter(|kept| kept.key.is_some())
            .map(|kept| kept.batch.octets.len() as u64)
            .sum();
        if self.when_full == WhenFull::DropOldest && out + size <= OCTETS_MAX {
            while self.octets() + size > OCTETS_MAX {
                let oldest = self.kept.iter().position(|kept| kept.key.is_none()).unwrap();
                let oldest = self.kept.remove(oldest).unwrap();
                let side = if oldest.of_earlier_run { &mut dropped.1 } else { &mut dropped.0 };
                *side += oldest.batch.records.packets;
            }
        }
        if self.octets() + size > OCTETS_MAX {
            dropped.0 += batch.records.packets;
        } else {
            self.kept.push_back(Kept { batch: batch.clone(), of_earlier_run: false, key: None });
        }
        dropped
    }

    /// One of the batches that are handed out.
    fn one_out(&self, random: &mut Random) -> Option<usize> {
        let out: Vec<_> = (0..self.kept.len()).filter(|at| self.kept[*at].key.is_some()).collect();
        (!out.is_empty()).then(|| out[random.below(out.len() as u64) as usize])
    }

    fn assert_same(&self, spool: &Spool) {
        let held = spool.stats().held;
        let numbers = |earlier: bool| -> u64 {
            let kept = self.kept.iter().filter(|kept| kept.of_earlier_run == earlier);
            kept.map(|kept| kept.batch.records.packets).sum()
        };
        assert_eq!(held.this_run.records.packets, numbers(false));
        assert_eq!(held.earlier_runs.records.packets, numbers(true));
        assert_eq!(held.total().batches, self.kept.len() as u64);
        assert_eq!(held.total().octets, self.octets());
    }
}

fn runs_as_the_model(directory: &Path, seed: u64, when_full: WhenFull) {
    let mut random = Random(seed);
    let mut spool = Spool::open(directory, OCTETS_MAX, when_full).unwrap();
    let mut model = Model { kept: VecDeque::new(), when_full };
    let mut next = 1;
    for _ in 0..400 {
        match random.below(11) {
            0..=2 => {
                let count = random.below(4);
                let sizes = (0..count).map(|_| random.below(900) as usize);
                let pushed: Vec<_> = (next..).zip(sizes).map(|(n, size)| batch(n, size)).collect();
                next += count;
                let dropped = spool.push_all(&pushed).unwrap();
                let expected = pushed.iter().map(|batch| model.push(batch));
                let expected = expected.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
                let dropped = [dropped.this_run, dropped.earlier_runs].map(|d| d.records.packets);
                assert_eq!(dropped, [expected.0, expected.1]);
            }
            3..=5 => {
                let taken = spool.take().unwrap();
                let expected = model.kept.iter_mut().find(|kept| kept.key.is_none());
                assert_eq!(
                    taken.as_ref().map(number),
                    expected.as_ref().map(|e| e.batch.records.packets)
                );
                if let (Some(taken), Some(expected)) = (taken, expected) {
                    assert_eq!(taken.batch, expected.batch);
                    assert_eq!(taken.of_earlier_run, expected.of_earlier_run);
                    expected.key = Some(taken.key);
                }
            }
            6 => {
                if let Some(at) = model.one_out(&mut random) {
                    spool.give_back(model.kept[at].key.take().unwrap());
                }
            }
            7 | 8 => {
                let mut keys = Vec::new();
                for _ in 0..random.below(3) {
                    if let Some(at) = model.one_out(&mut random) {
                        keys.extend(model.kept.remove(at).unwrap().key);
                    }
                }
                spool.remove(&keys).unwrap();
            }
            9 => {
                if let Some(at) = model.one_out(&mut random) {
                    let kept = &mut model.kept[at];
                    let size = kept.batch.octets.len() as u64;
                    kept.batch = batch(kept.batch.records.packets, random.below(size + 1) as usize);
                    spool.replace(kept.key.take().unwrap(), &kept.batch).unwrap();
                }
            }
            _ if random.below(3) > 0 => {}
            _ => {
                drop(spool);
                spool = Spool::open(directory, OCTETS_MAX, when_full).unwrap();
                for kept in &mut model.kept {
                    kept.key = None;
                    kept.of_earlier_run = true;
                }
            }
        }
        model.assert_same(&spool);
    }
}

#[test]
fn random_use_gives_what_a_list_gives() {
    for seed in 1..=8 {
        for when_full in [WhenFull::DropOldest, WhenFull::DropNewest] {
            let directory = directory_in_memory();
            runs_as_the_model(directory.path(), seed, when_full);
        }
    }
}
