//! The largest of very many subjects, in bounded memory (Space-Saving, Metwally et al. 2005).
//!
//! Each of the first 1,024 subjects gets a counter. A later subject takes over the counter with the
//! lowest count and continues from that count. So no count is too low. A subject whose true count
//! is above the sum divided by 1,024 always has a counter, and no count is too high by more than
//! that.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

/// Subjects that have a counter.
pub(super) const ROOM: usize = 1024;

/// Bounds of a subject's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Upper bound of the count.
    pub most: u64,
    /// Lower bound of the count.
    pub least: u64,
}

/// Counters of the largest subjects.
#[derive(Debug)]
pub(super) struct SpaceSaving<S, T> {
    /// The index of each subject's counter. The iteration order is not used.
    places: HashMap<S, usize>,
    counters: Vec<Counter<S, T>>,
    /// The indexes of all counters, as a heap: each count is at least that of its parent.
    heap: Vec<usize>,
    /// The position of each counter in the heap.
    positions: Vec<usize>,
    whole: u64,
    has_replaced: bool,
}

#[derive(Debug)]
struct Counter<S, T> {
    subject: S,
    count: u64,
    /// The count when the subject took the counter over.
    error: u64,
    /// State of a count that is not a plain sum.
    state: T,
}

impl<S, T> Default for SpaceSaving<S, T> {
    fn default() -> Self {
        Self {
            places: HashMap::with_capacity(ROOM),
            counters: Vec::with_capacity(ROOM),
            heap: Vec::with_capacity(ROOM),
            positions: Vec::with_capacity(ROOM),
            whole: 0,
            has_replaced: false,
        }
    }
}

impl<S: Copy + Ord + Hash, T: Default> SpaceSaving<S, T> {
    /// Adds to the count of a subject.
    pub(super) fn add(&mut self, subject: S, number: u64) {
        self.whole = self.whole.saturating_add(number);
        let place = self.place(subject);
        let counter = &mut self.counters[place];
        counter.count = counter.count.saturating_add(number);
        self.sink(place);
    }

    /// Changes the state of a subject's counter. The function returns the count since the subject
    /// took the counter over.
    pub(super) fn update(&mut self, subject: S, change: impl FnOnce(&mut T) -> u64) {
        let place = self.place(subject);
        let counter = &mut self.counters[place];
        let count = counter.error.saturating_add(change(&mut counter.state));
        // Estimates may decrease by one.
        counter.count = counter.count.max(count);
        self.sink(place);
    }

    pub(super) fn largest(&self, rows: usize) -> Vec<(S, Counted)> {
        let mut order: Vec<_> = self.counters.iter().collect();
        order.sort_unstable_by_key(|counter| (Reverse(counter.count), counter.subject));
        order.truncate(rows);
        let counted = |counter: &Counter<S, T>| Counted {
            most: counter.count,
            least: counter.count - counter.error,
        };
        order.into_iter().map(|counter| (counter.subject, counted(counter))).collect()
    }

    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// The largest possible count of a subject without a counter; `None` if no counter was taken
    /// over.
    pub(super) fn missing_at_most(&self) -> Option<u64> {
        self.has_replaced.then(|| self.counters[self.heap[0]].count)
    }

    /// The index of a subject's counter. A subject without a counter gets one.
    fn place(&mut self, subject: S) -> usize {
        if let Some(place) = self.places.get(&subject) {
            return *place;
        }
        let place =
            if self.counters.len() < ROOM { self.grow(subject) } else { self.replace(subject) };
        self.places.insert(subject, place);
        place
    }

    fn grow(&mut self, subject: S) -> usize {
        let place = self.counters.len();
        self.counters.push(Counter { subject, count: 0, error: 0, state: T::default() });
        self.heap.push(place);
        self.positions.push(place);
        self.rise(place);
        place
    }

    fn replace(&mut self, subject: S) -> usize {
        let place = self.heap[0];
        let count = self.counters[place].count;
        let counter = Counter { subject, count, error: count, state: T::default() };
        let before = std::mem::replace(&mut self.counters[place], counter);
        self.places.remove(&before.subject);
        self.has_replaced = true;
        place
    }

    /// The order of two counters. If counts are equal, the larger subject is lower.
    fn rank(&self, position: usize) -> (u64, Reverse<S>) {
        let counter = &self.counters[self.heap[position]];
        (counter.count, Reverse(counter.subject))
    }

    /// Moves a counter up that is lower than its parents.
    fn rise(&mut self, place: usize) {
        let mut position = self.positions[place];
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.rank(parent) <= self.rank(position) {
                return;
            }
            self.swap(parent, position);
            position = parent;
        }
    }

    /// Moves a counter down that is higher than its children.
    fn sink(&mut self, place: usize) {
        let mut position = self.positions[place];
        loop {
            let children = [2 * position + 1, 2 * position + 2];
            let there = children.into_iter().filter(|child| *child < self.heap.len());
            let Some(child) = there.min_by_key(|child| self.rank(*child)) else { return };
            if self.rank(position) <= self.rank(child) {
                return;
            }
            self.swap(position, child);
            position = child;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.positions[self.heap[one]] = one;
        self.positions[self.heap[other]] = other;
    }
}
