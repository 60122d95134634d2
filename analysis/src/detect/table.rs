//! The subjects of a rule in the windows that are not closed yet: a fixed amount of memory.
//!
//! The hash of subject and window selects a group of eight entries. When a group is full, the entry
//! with the fewest records is replaced: an active subject stays, even if an attacker makes up a
//! million subjects. Such a loss is counted.

use flow::prefetch;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::group::{GROUP, Group, place};
use super::lines::Lines;
use super::subject::{Measured, Subject};

/// It begins with a cache line, and so do the parts of its measure.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Entry {
    window: u64,
    subject: Subject,
    measured: Measured,
}

const _: () = assert!(size_of::<Entry>() == 5 * 64);

/// Entries in use that the first cache of a CPU holds besides those of other rules.
const SMALL: usize = 64;

/// Subjects with what was measured of them, by window.
pub(super) struct Table {
    groups: Lines<Group>,
    /// [`GROUP`] for each group. The system gives memory when an entry is used for the first time.
    entries: Lines<Entry>,
    /// Entries in use, in the order of their creation.
    used: Vec<u32>,
    /// The first window that has an entry.
    oldest: Option<u64>,
    /// Total number of entries that were replaced.
    pub(super) evicted: u64,
}

impl Table {
    /// A table of at most this number of entries.
    pub(super) fn new(entries: usize) -> Self {
        let groups = (entries / GROUP).max(1);
        let entries = groups * GROUP;
        Self {
            groups: Lines::new(groups),
            entries: Lines::new(entries),
            used: Vec::with_capacity(entries),
            oldest: None,
            evicted: 0,
        }
    }

    /// Octets of a table of this number of entries.
    pub(super) const fn octets(entries: usize) -> usize {
        entries * (size_of::<Entry>() + size_of::<Group>() / GROUP + size_of::<u32>())
    }

    /// The first window that has an entry.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.oldest
    }

    /// True if its entries in use are probably not in the cache of the CPU.
    pub(super) fn is_large(&self) -> bool {
        self.used.len() > SMALL
    }

    /// Prefetches what finds the subject with this hash.
    #[inline]
    pub(super) fn prefetch_group(&self, hash: u64) {
        let (group, _) = place(hash, self.groups.len());
        prefetch(&raw const self.groups[group]);
    }

    /// Prefetches the first cache lines of the subject with this hash. What finds it is prefetched.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u64, lines: usize) {
        let (group, tag) = place(hash, self.groups.len());
        let lane = self.groups[group].lane(tag);
        let entry = (&raw const self.entries[group * GROUP + lane]).cast::<[u8; 64]>();
        (0..lines).for_each(|line| prefetch(entry.wrapping_add(line)));
    }

    /// The measure of a subject in a window, by its hash.
    #[inline]
    pub(super) fn at(&mut self, hash: u64, subject: Subject, window: u64) -> &mut Measured {
        let (group, tag) = place(hash, self.groups.len());
        let lane = self.find(group, tag, &subject, window).unwrap_or_else(|| {
            let lane = self.room(group);
            self.groups[group].tags[lane] = tag;
            self.groups[group].records[lane] = 0;
            self.oldest = Some(self.oldest.map_or(window, |oldest| oldest.min(window)));
            let entry = &mut self.entries[group * GROUP + lane];
            (entry.window, entry.subject) = (window, subject);
            entry.measured.clear();
            lane
        });
        let records = &mut self.groups[group].records[lane];
        *records = records.saturating_add(1);
        &mut self.entries[group * GROUP + lane].measured
    }

    fn find(&self, group: usize, tag: u32, subject: &Subject, window: u64) -> Option<usize> {
        self.groups[group].find(tag, |lane| {
            let entry = &self.entries[group * GROUP + lane];
            entry.window == window && entry.subject == *subject
        })
    }

    fn room(&mut self, group: usize) -> usize {
        let lane = self.groups[group].room();
        if self.groups[group].tags[lane] == 0 {
            let place = u32::try_from(group * GROUP + lane).expect("tables are small");
            self.used.push(place);
        } else {
            self.evicted += 1;
        }
        lane
    }

    /// Removes the subjects of a window from the table, in no order.
    pub(super) fn close(&mut self, window: u64, mut take: impl FnMut(&Subject, &Measured)) {
        let Self { groups, entries, used, oldest, .. } = self;
        *oldest = None;
        used.retain(|&place| {
            let place = place as usize;
            let entry = &entries[place];
            if entry.window > window {
                *oldest = Some(oldest.map_or(entry.window, |oldest| oldest.min(entry.window)));
                return true;
            }
            take(&entry.subject, &entry.measured);
            groups[place / GROUP].free(place % GROUP);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use flow::HashSeed;

    use super::*;

    fn packets(table: &mut Table, window: u64) -> Vec<(u32, u64)> {
        let mut closed = Vec::new();
        table.close(window, |subject, measured| closed.push((subject.number, measured.packets)));
        closed.sort_unstable();
        closed
    }

    fn count(table: &mut Table, seed: &HashSeed, number: u32, window: u64) {
        let subject = Subject::number(number);
        table.at(subject.hash(seed, window), subject, window).packets += 1;
    }

    #[test]
    fn a_window_closes_and_later_ones_stay() {
        let (seed, mut table) = (HashSeed::new(1), Table::new(64));
        for (number, window) in [(1, 5), (2, 5), (1, 6), (1, 5)] {
            count(&mut table, &seed, number, window);
        }
        assert_eq!(table.oldest(), Some(5));
        assert_eq!(packets(&mut table, 5), [(1, 2), (2, 1)]);
        assert_eq!(table.oldest(), Some(6));
        assert_eq!(packets(&mut table, 6), [(1, 1)]);
        assert_eq!((table.oldest(), table.used.len()), (None, 0));
    }

    #[test]
    fn who_does_much_stays_in_a_full_table() {
        let (seed, mut table) = (HashSeed::new(1), Table::new(64));
        for _ in 0..10 {
            count(&mut table, &seed, 7, 1);
        }
        for number in 1000..1_001_000 {
            count(&mut table, &seed, number, 1);
        }
        assert!(table.evicted > 900_000);
        let closed = packets(&mut table, 1);
        assert_eq!(closed.len(), 64);
        assert_eq!(closed[0], (7, 10));
    }
}
