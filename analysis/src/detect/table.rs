//! The subjects of a rule in the windows that are not closed yet: a fixed amount of memory.
//!
//! The hash of subject and window selects a group of eight entries. When a group is full, the entry
//! with the fewest records is replaced: an active subject stays, even if an attacker makes up a
//! million subjects. Such a loss is counted.

use flow::HashSeed;
use zerocopy::FromZeros;

use super::subject::{Measured, Subject};

/// Entries of a group.
const GROUP: usize = 8;

#[derive(Clone, Copy, Debug, FromZeros)]
#[repr(C)]
struct Entry {
    window: u64,
    /// Records that were counted in this entry.
    records: u64,
    subject: Subject,
    measured: Measured,
}

/// Subjects with their measures, by window.
pub(super) struct Table {
    /// Bits of the hash for each entry; 0 if the entry is free.
    tags: Vec<[u32; GROUP]>,
    /// The entries of all groups. The kernel allocates memory at the first use of an entry.
    entries: Vec<Entry>,
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
            tags: vec![[0; GROUP]; groups],
            entries: Entry::new_vec_zeroed(entries).expect("memory for the tables of rules"),
            used: Vec::with_capacity(entries),
            oldest: None,
            evicted: 0,
        }
    }

    /// Octets of a table of this number of entries.
    pub(super) const fn octets(entries: usize) -> usize {
        entries * (size_of::<Entry>() + 2 * size_of::<u32>())
    }

    /// The first window that has an entry.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.oldest
    }

    /// The measure of a subject in a window.
    pub(super) fn at(&mut self, seed: &HashSeed, subject: Subject, window: u64) -> &mut Measured {
        let hash = subject.hash(seed, window);
        #[expect(clippy::cast_possible_truncation, reason = "it is below the number of groups")]
        let group = ((u128::from(hash) * self.tags.len() as u128) >> 64) as usize;
        let tag = u32::try_from(hash & 0xffff_ffff).unwrap_or_default() | 1;
        let place = self.find(group, tag, &subject, window).unwrap_or_else(|| {
            let lane = self.room(group);
            self.tags[group][lane] = tag;
            self.oldest = Some(self.oldest.map_or(window, |oldest| oldest.min(window)));
            let place = group * GROUP + lane;
            let measured = Measured::default();
            self.entries[place] = Entry { window, records: 0, subject, measured };
            place
        });
        let entry = &mut self.entries[place];
        entry.records += 1;
        &mut entry.measured
    }

    fn find(&self, group: usize, tag: u32, subject: &Subject, window: u64) -> Option<usize> {
        let lanes = (0..GROUP).filter(|&lane| self.tags[group][lane] == tag);
        lanes.map(|lane| group * GROUP + lane).find(|&place| {
            self.entries[place].window == window && self.entries[place].subject == *subject
        })
    }

    /// A free lane of a group, or else the lane of the entry with the fewest records.
    fn room(&mut self, group: usize) -> usize {
        if let Some(lane) = (0..GROUP).find(|&lane| self.tags[group][lane] == 0) {
            let place = u32::try_from(group * GROUP + lane).expect("tables are small");
            self.used.push(place);
            return lane;
        }
        self.evicted += 1;
        let entry = |lane: usize| &self.entries[group * GROUP + lane];
        (0..GROUP)
            .min_by_key(|&lane| (entry(lane).records, entry(lane).window, entry(lane).subject))
            .expect("a group has entries")
    }

    /// Removes the subjects of a window from the table, in no order.
    pub(super) fn close(&mut self, window: u64, mut take: impl FnMut(&Subject, &Measured)) {
        let Self { tags, entries, used, oldest, .. } = self;
        *oldest = None;
        used.retain(|&place| {
            let place = place as usize;
            let entry = &entries[place];
            if entry.window > window {
                *oldest = Some(oldest.map_or(entry.window, |oldest| oldest.min(entry.window)));
                return true;
            }
            take(&entry.subject, &entry.measured);
            tags[place / GROUP][place % GROUP] = 0;
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(table: &mut Table, window: u64) -> Vec<(u32, u64)> {
        let mut closed = Vec::new();
        table.close(window, |subject, measured| closed.push((subject.number, measured.packets)));
        closed.sort_unstable();
        closed
    }

    #[test]
    fn a_window_closes_and_later_ones_stay() {
        let (seed, mut table) = (HashSeed::new(1), Table::new(64));
        for (number, window) in [(1, 5), (2, 5), (1, 6), (1, 5)] {
            table.at(&seed, Subject::number(number), window).packets += 1;
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
            table.at(&seed, Subject::number(7), 1).packets += 1;
        }
        for number in 1000..1_001_000 {
            table.at(&seed, Subject::number(number), 1).packets += 1;
        }
        assert!(table.evicted > 900_000);
        let closed = packets(&mut table, 1);
        assert_eq!(closed.len(), 64);
        assert_eq!(closed[0], (7, 10));
    }
}
