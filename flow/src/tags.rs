//! Tags: what can be said of a flow in a word.

use core::ops::{BitOr, BitOrAssign};

/// A set of at most 16 tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags(u16);

impl Tags {
    /// No tag.
    pub const NONE: Self = Self(0);

    /// The set of the one tag with this number.
    ///
    /// # Panics
    ///
    /// When the number is not below 16.
    pub const fn of(number: u8) -> Self {
        assert!(number < 16, "there are 16 tags at most");
        Self(1 << number)
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers of the tags, the lowest first.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |number| self.0 & 1 << number != 0)
    }
}

impl BitOr for Tags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Tags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
