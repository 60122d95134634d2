//! Choices by random numbers.

use crate::random::Random;

/// Choices among a few things.
pub(crate) trait Choose {
    /// A place in so many, which are not 0.
    fn index(&mut self, count: usize) -> usize;

    fn octet(&mut self) -> u8;

    /// One of these; `None` if there are none.
    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T>;
}

impl Choose for Random {
    fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap_or(0)
    }

    fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.index(of.len())) }
    }
}

/// The numbers of a case of a run.
pub(crate) fn of_case(seed: u64, number: u64) -> Random {
    Random::new(Random::new(seed).next() ^ number)
}
