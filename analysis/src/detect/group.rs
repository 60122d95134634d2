//! Groups of eight entries: what finds an entry, and which one gives its place.

use flow::lanes_with;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Entries of a group.
pub(super) const GROUP: usize = 8;

/// What finds an entry or makes room for one, in a cache line: entries are large, and a flood of
/// new subjects would read all those of a group each time.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Group {
    /// Bits of the hash; 0 where the entry is not in use.
    pub(super) tags: [u32; GROUP],
    /// Records that came to each entry; 0 where it is not in use.
    pub(super) records: [u32; GROUP],
}

/// The group for this hash, of so many, and the tag of its entry.
#[inline]
pub(super) fn place(hash: u64, groups: usize) -> (usize, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "it is below the number of groups")]
    let group = ((u128::from(hash) * groups as u128) >> 64) as usize;
    (group, u32::try_from(hash & 0xffff_ffff).unwrap_or_default() | 1)
}

impl Group {
    /// The first lane with this tag whose entry is the one.
    #[inline]
    pub(super) fn find(&self, tag: u32, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut lanes = lanes_with(&self.tags, tag);
        while lanes != 0 {
            let lane = lanes.trailing_zeros() as usize;
            if is_it(lane) {
                return Some(lane);
            }
            lanes &= lanes - 1;
        }
        None
    }

    /// A free lane, or that of the entry with the fewest records. Among equals the tag decides, so
    /// that the order of records does not.
    #[inline]
    pub(super) fn room(&self) -> usize {
        let rank = |lane: usize| u64::from(self.records[lane]) << 32 | u64::from(self.tags[lane]);
        // In pairs: the CPU predicts no branch that way.
        let less =
            |one: (u64, usize), other: (u64, usize)| if other.0 < one.0 { other } else { one };
        let pair = |lane: usize| less((rank(lane), lane), (rank(lane + 1), lane + 1));
        less(less(pair(0), pair(2)), less(pair(4), pair(6))).1
    }

    /// Frees a lane.
    pub(super) fn free(&mut self, lane: usize) {
        (self.tags[lane], self.records[lane]) = (0, 0);
    }

    /// The lane with this tag, or the one that a new entry would get.
    #[inline]
    pub(super) fn lane(&self, tag: u32) -> usize {
        self.find(tag, |_| true).unwrap_or_else(|| self.room())
    }
}
