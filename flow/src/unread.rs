//! Content of ignored frames in place of IP, counted by kind.

use crate::frame::Unread;
use crate::record::Tally;

/// Frames that are not IP or of an unsupported link type, by kind, with their octets on the wire.
/// The first [`UnreadCounts::MAX`] kinds have separate counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadCounts {
    kinds: [(Unread, Tally); Self::MAX],
    /// Frames of all further kinds.
    others: Tally,
}

impl UnreadCounts {
    /// Maximum number of kinds with separate counts.
    pub const MAX: usize = 16;

    /// Counts a frame, unless its kind is unknown.
    pub fn count(&mut self, kind: Unread, octets: u32) {
        self.add(kind, Tally { packets: 1, octets: octets.into() });
    }

    fn add(&mut self, kind: Unread, tally: Tally) {
        if kind == Unread::Unknown {
            return;
        }
        let found = self.kinds.iter_mut().find(|(one, _)| [kind, Unread::Unknown].contains(one));
        match found {
            Some(place) => *place = (kind, place.1 + tally),
            None => self.others += tally,
        }
    }

    /// Kinds with their frames, the most frequent first.
    pub fn most_frequent(&self) -> impl Iterator<Item = (Unread, Tally)> {
        let mut kinds = self.kinds;
        kinds.sort_by_key(|(_, tally)| core::cmp::Reverse(tally.packets));
        kinds.into_iter().filter(|(kind, _)| *kind != Unread::Unknown)
    }

    /// Frames of kinds without separate counts.
    pub fn others(&self) -> Tally {
        self.others
    }
}

impl core::ops::AddAssign for UnreadCounts {
    fn add_assign(&mut self, other: Self) {
        for (kind, tally) in other.kinds {
            self.add(kind, tally);
        }
        self.others += other.others;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn kinds_beyond_the_limit_are_counted_together() {
        let mut counts = UnreadCounts::default();
        counts.count(Unread::Unknown, 60);
        for ethertype in 1..=20 {
            for _ in 0..ethertype {
                counts.count(Unread::Ethertype(ethertype), 60);
            }
        }
        let kinds: Vec<_> = counts.most_frequent().collect();
        assert_eq!(kinds.len(), UnreadCounts::MAX);
        assert_eq!(kinds[0], (Unread::Ethertype(16), Tally { packets: 16, octets: 960 }));
        assert_eq!(counts.others().packets, 17 + 18 + 19 + 20);
        let mut sum = counts;
        sum += counts;
        assert_eq!(sum.most_frequent().next().unwrap().1.packets, 32);
        assert_eq!(sum.others().packets, 2 * counts.others().packets);
    }
}
