//! Memory of items of whole cache lines, zeroed, and given by the system when it is used.
//!
//! It is allocated as words: the allocator writes all memory that has to be zeroed and aligned.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

/// Octets of a cache line.
const LINE: usize = 64;

const WORD: usize = size_of::<u64>();

/// A fixed number of items. The first one begins with a cache line.
pub(super) struct Lines<T> {
    words: Vec<u64>,
    /// Words before the first item.
    start: usize,
    count: usize,
    items: PhantomData<T>,
}

impl<T: FromBytes + IntoBytes + Immutable> Lines<T> {
    pub(super) fn new(count: usize) -> Self {
        const { assert!(size_of::<T>().is_multiple_of(LINE) && align_of::<T>() <= WORD) };
        let (length, spare) = (count * size_of::<T>() / WORD, LINE / WORD);
        let words = u64::new_vec_zeroed(length + spare).expect("memory for the tables of rules");
        let start = words.as_ptr().align_offset(LINE).min(spare);
        Self { words, start, count, items: PhantomData }
    }
}

impl<T: FromBytes + IntoBytes + Immutable> Deref for Lines<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let octets = self.words[self.start..].as_bytes();
        <[T]>::ref_from_prefix_with_elems(octets, self.count).expect("it was made for them").0
    }
}

impl<T: FromBytes + IntoBytes + Immutable> DerefMut for Lines<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let octets = self.words[self.start..].as_mut_bytes();
        <[T]>::mut_from_prefix_with_elems(octets, self.count).expect("it was made for them").0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_zeroed_and_begin_with_a_line() {
        let mut lines = Lines::<[u64; 16]>::new(1000);
        assert_eq!((lines.len(), lines.as_ptr() as usize % LINE), (1000, 0));
        assert!(lines.iter().all(|item| *item == [0; 16]));
        lines[999][15] = 7;
        assert_eq!(lines[999][15], 7);
    }
}
