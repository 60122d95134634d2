//! Sources with one record in a window. They are most of the sources of a flood or of a port scan
//! from made-up addresses, and none of them can be over a threshold.
//!
//! Rules about the host at one end count its first record late: with its second record, or when the
//! window closes. Until then the record is kept here, in one cache line, and not in the table of
//! each rule. When there is no room, the host with the fewest records gives its place. If it had
//! one record, that one is lost, as in the tables, and counted.

use flow::{HashSeed, prefetch};

use super::group::{GROUP, Group, place};
use super::kept::{Kept, Released, WINDOW_MS};
use super::lines::Lines;
use super::seen::{Class, Role, Seen};
use super::subject::hash_of_host;
use super::watch::AHEAD;

/// Most hosts that have one record in a window.
pub(super) const ENTRIES: usize = 65_536;

/// Hosts and their first records.
pub(super) struct Newcomers {
    groups: Lines<Group>,
    /// [`GROUP`] for each group. A host with more than one record has none here any more.
    entries: Lines<Kept>,
    /// Entries in use.
    used: Vec<u32>,
    /// The first window that has an entry.
    oldest: Option<u64>,
    /// The last window that was closed.
    closed: Option<u64>,
    /// Records that were lost, by class.
    lost: [u64; Class::ALL.len()],
}

impl Newcomers {
    /// Room for at most this number of hosts.
    pub(super) fn new(entries: usize) -> Self {
        let groups = (entries / GROUP).max(1);
        let entries = groups * GROUP;
        Self {
            groups: Lines::new(groups),
            entries: Lines::new(entries),
            used: Vec::with_capacity(entries),
            oldest: None,
            closed: None,
            lost: [0; Class::ALL.len()],
        }
    }

    /// Octets of so many entries.
    pub(super) const fn octets(entries: usize) -> usize {
        entries * (size_of::<Kept>() + size_of::<Group>() / GROUP + size_of::<u32>())
    }

    /// The first window that has a host.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.oldest
    }

    /// Total number of records of these classes that were lost.
    pub(super) fn lost(&self, classes: &[Class]) -> u64 {
        classes.iter().map(|class| self.lost[*class as usize]).sum()
    }

    /// Takes some records. Records of hosts that had one before are in `active`, with the role of
    /// these hosts; first records that were kept until now are in `released`.
    pub(super) fn take<'a>(
        &mut self,
        seen: &[Seen<'a>],
        seed: &HashSeed,
        active: &mut Vec<Seen<'a>>,
        released: &mut Vec<Released>,
    ) {
        let mut roles = [0; AHEAD];
        self.take_role(seen, Role::Sender, seed, &mut roles, released);
        if seen.iter().any(|seen| seen.class.counts_receiver()) {
            self.take_role(seen, Role::Receiver, seed, &mut roles, released);
        }
        let counted = seen.iter().zip(roles).filter(|(_, roles)| *roles != 0);
        active.extend(counted.map(|(seen, roles)| Seen { roles, ..*seen }));
    }

    /// Adds this role to those of records that are to be counted now.
    fn take_role(
        &mut self,
        seen: &[Seen<'_>],
        role: Role,
        seed: &HashSeed,
        roles: &mut [u8; AHEAD],
        released: &mut Vec<Released>,
    ) {
        let mut hashes = [0; AHEAD];
        let is_meant = |seen: &Seen<'_>| role == Role::Sender || seen.class.counts_receiver();
        for (seen, hash) in seen.iter().zip(&mut hashes) {
            *hash = hash_of_host(seed, seen.host(role), seen.end_ms / WINDOW_MS, role as u8);
            prefetch(&raw const self.groups[place(*hash, self.groups.len()).0]);
        }
        for hash in hashes.iter().take(seen.len()) {
            let (group, tag) = place(*hash, self.groups.len());
            let lane = self.groups[group].lane(tag);
            prefetch(&raw const self.entries[group * GROUP + lane]);
        }
        for ((seen, hash), roles) in seen.iter().zip(hashes).zip(roles) {
            if is_meant(seen) && self.meet(seen, role, hash, released) {
                *roles |= role as u8;
            }
        }
    }

    /// Returns true if the record is to be counted now.
    fn meet(
        &mut self,
        seen: &Seen<'_>,
        role: Role,
        hash: u64,
        released: &mut Vec<Released>,
    ) -> bool {
        let (group, tag) = place(hash, self.groups.len());
        let window = seen.end_ms / WINDOW_MS;
        let (host, version) = (seen.host(role), seen.key().ip_version.number());
        let found = self.groups[group].find(tag, |lane| {
            let kept = &self.entries[group * GROUP + lane];
            kept.window() == window && kept.is_of(role, version, &host)
        });
        if let Some(lane) = found {
            let records = &mut self.groups[group].records[lane];
            if *records == 1 {
                released.push(self.entries[group * GROUP + lane].release());
            }
            *records = records.saturating_add(1);
            return true;
        }
        let is_late = self.closed.is_some_and(|closed| closed >= window);
        if is_late || !Kept::holds(seen) {
            return true;
        }
        let lane = self.groups[group].room();
        let index = group * GROUP + lane;
        if self.groups[group].tags[lane] == 0 {
            self.used.push(u32::try_from(index).expect("tables are small"));
        } else if self.groups[group].records[lane] == 1 {
            self.lost[usize::from(self.entries[index].class())] += 1;
        }
        self.groups[group].tags[lane] = tag;
        self.groups[group].records[lane] = 1;
        self.entries[index].keep(seen, role);
        self.oldest = Some(self.oldest.map_or(window, |oldest| oldest.min(window)));
        false
    }

    /// Removes the hosts of a window and of those before, and releases their only records.
    pub(super) fn close(&mut self, window: u64, mut release: impl FnMut(Released)) {
        let Self { groups, entries, used, oldest, closed, .. } = self;
        if oldest.is_none_or(|oldest| oldest > window) {
            *closed = (*closed).max(Some(window));
            return;
        }
        *oldest = None;
        *closed = (*closed).max(Some(window));
        used.retain(|&index| {
            let index = index as usize;
            let (group, lane) = (&mut groups[index / GROUP], index % GROUP);
            let of = entries[index].window();
            if of > window {
                *oldest = Some(oldest.map_or(of, |oldest| oldest.min(of)));
                return true;
            }
            if group.records[lane] == 1 {
                release(entries[index].release());
            }
            group.free(lane);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use flow::FlowRecord;

    use super::super::tests::{SYN, T0, inside, outside, tcp, udp};
    use super::*;

    fn seen(record: &FlowRecord) -> Seen<'_> {
        Seen::of(&flow::Batch::default(), record).unwrap()
    }

    /// The number of records that are counted now, and of those that were kept until now.
    fn take(newcomers: &mut Newcomers, records: &[FlowRecord]) -> (usize, usize) {
        let (mut active, mut released) = (Vec::new(), Vec::new());
        for some in records.chunks(64) {
            let seen: Vec<_> = some.iter().map(seen).collect();
            newcomers.take(&seen, &HashSeed::new(1), &mut active, &mut released);
        }
        (active.len(), released.len())
    }

    fn left(newcomers: &mut Newcomers, window: u64) -> usize {
        let mut count = 0;
        newcomers.close(window, |_| count += 1);
        count
    }

    #[test]
    fn a_first_record_is_counted_with_the_second_or_at_the_end() {
        let mut newcomers = Newcomers::new(1024);
        let syn = |at, source| tcp(at, SYN, (outside(source), 1), (inside(1), 2));
        assert_eq!(take(&mut newcomers, &[syn(0, 1), syn(0, 2)]), (0, 0));
        assert_eq!(take(&mut newcomers, &[syn(9, 2)]), (1, 1));
        assert_eq!(take(&mut newcomers, &[syn(9, 2), syn(60_000, 2)]), (1, 0), "a window later");
        let window = T0 / WINDOW_MS;
        assert_eq!(newcomers.oldest(), Some(window));
        assert_eq!(left(&mut newcomers, window), 1);
        assert_eq!(newcomers.oldest(), Some(window + 1));
        assert_eq!(left(&mut newcomers, window + 1), 1);
        assert_eq!((newcomers.oldest(), newcomers.used.len()), (None, 0));
        assert_eq!(take(&mut newcomers, &[syn(0, 3)]), (1, 0), "it came late");
    }

    #[test]
    fn both_hosts_of_a_datagram_are_newcomers() {
        let mut newcomers = Newcomers::new(1024);
        let ask = udp(0, (inside(1), 4000), (outside(1), 53));
        let answer = udp(0, (outside(1), 53), (inside(1), 4000));
        assert_eq!(take(&mut newcomers, &[ask, answer]), (0, 0));
        assert_eq!(take(&mut newcomers, &[ask]), (1, 2));
        assert_eq!(left(&mut newcomers, u64::MAX), 2);
    }

    #[test]
    fn who_has_many_records_stays_and_what_is_lost_is_counted() {
        let mut newcomers = Newcomers::new(64);
        let syn = |source| tcp(0, SYN, (outside(source), 1), (inside(1), 2));
        assert_eq!(take(&mut newcomers, &[syn(1), syn(1), syn(1)]), (2, 1));
        let many: Vec<_> = (2..10_002).map(syn).collect();
        assert_eq!(take(&mut newcomers, &many), (0, 0));
        assert_eq!(take(&mut newcomers, &[syn(1)]), (1, 0));
        let lost = newcomers.lost(&[Class::Failed]);
        assert_eq!(newcomers.lost(&Class::ALL), lost);
        assert_eq!(lost + left(&mut newcomers, u64::MAX) as u64, 10_000);
    }
}
