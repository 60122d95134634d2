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
    subject: Subject,
    measured: Measured,
}

/// What finds an entry or makes room for one, in a cache line: entries are large, and a flood of
/// new subjects would read all those of a group each time.
#[derive(Clone, Copy, Debug, FromZeros)]
#[repr(C, align(64))]
struct Group {
    /// Bits of the hash, not 0 where the entry is in use.
    tags: [u32; GROUP],
    /// Records that came to each entry.
    records: [u32; GROUP],
}

/// Subjects with what was measured of them, by window.
pub(super) struct Table {
    groups: Vec<Group>,
    /// [`GROUP`] for each group. The system gives memory when an entry is used for the first time.
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
            groups: Group::new_vec_zeroed(groups).expect("memory for the tables of rules"),
            entries: Entry::new_vec_zeroed(entries).expect("memory for the tables of rules"),
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

    /// The measure of a subject in a window.
    pub(super) fn at(&mut self, seed: &HashSeed, subject: Subject, window: u64) -> &mut Measured {
        let hash = subject.hash(seed, window);
        #[expect(clippy::cast_possible_truncation, reason = "it is below the number of groups")]
        let group = ((u128::from(hash) * self.groups.len() as u128) >> 64) as usize;
        let tag = u32::try_from(hash & 0xffff_ffff).unwrap_or_default() | 1;
        let lane = self.find(group, tag, &subject, window).unwrap_or_else(|| {
            let lane = self.room(group);
            self.groups[group].tags[lane] = tag;
            self.groups[group].records[lane] = 0;
            self.oldest = Some(self.oldest.map_or(window, |oldest| oldest.min(window)));
            let entry = &mut self.entries[group * GROUP + lane];
            (entry.window, entry.subject) = (window, subject);
            entry.measured.zero();
            lane
        });
        let records = &mut self.groups[group].records[lane];
        *records = records.saturating_add(1);
        &mut self.entries[group * GROUP + lane].measured
    }

    fn find(&self, group: usize, tag: u32, subject: &Subject, window: u64) -> Option<usize> {
        let tags = &self.groups[group].tags;
        (0..GROUP).find(|&lane| {
            let entry = &self.entries[group * GROUP + lane];
            tags[lane] == tag && entry.window == window && entry.subject == *subject
        })
    }

    /// A free lane of a group, or that of the entry with the fewest records. Among equals the tag
    /// decides, so that the order of records does not.
    fn room(&mut self, group: usize) -> usize {
        let Group { tags, records } = self.groups[group];
        if let Some(lane) = (0..GROUP).find(|&lane| tags[lane] == 0) {
            let place = u32::try_from(group * GROUP + lane).expect("tables are small");
            self.used.push(place);
            return lane;
        }
        self.evicted += 1;
        (0..GROUP).min_by_key(|&lane| (records[lane], tags[lane])).expect("a group has entries")
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
            groups[place / GROUP].tags[place % GROUP] = 0;
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
