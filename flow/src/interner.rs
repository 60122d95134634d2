//! Interner: gives things numbers of 16 bits, in the order of their first use.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::hash::{HashSeed, pick};

/// A limited number of things. Memory is reserved at the start.
#[derive(Debug)]
pub(crate) struct Interner {
    seed: HashSeed,
    /// Hash table with linear probing: index of the thing plus one, or 0 for a free slot.
    slots: Box<[u16]>,
    things: Vec<Identity>,
    max: usize,
}

/// Words that identify a thing.
pub(crate) type Identity = [u64; 6];

/// The number of a thing, from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interned {
    Known(u16),
    New(u16),
    /// There is no room for another thing.
    Full,
}

/// Twice the number of things, so that searches are short.
const SLOTS: u32 = 1 << 17;

impl Interner {
    /// Room for `max` things, at most 65,534.
    pub(crate) fn new(seed: HashSeed, max: u16) -> Self {
        let max = usize::from(max.min(u16::MAX - 1));
        let slots = vec![0; SLOTS as usize].into_boxed_slice();
        Self { seed, slots, things: Vec::with_capacity(max), max }
    }

    /// Finds a thing that has a number.
    #[inline(always)]
    pub(crate) fn find(&self, thing: &Identity) -> Option<u16> {
        self.search(thing).ok()
    }

    /// The number of a thing, or the free slot for it.
    #[inline(always)]
    fn search(&self, thing: &Identity) -> Result<u16, usize> {
        let mut slot = pick(self.seed.hash(*thing), SLOTS) as usize;
        while let Some(index) = self.slots[slot].checked_sub(1) {
            if is_equal(&self.things[usize::from(index)], thing) {
                return Ok(index);
            }
            slot = (slot + 1) % SLOTS as usize;
        }
        Err(slot)
    }

    pub(crate) fn number(&mut self, thing: Identity) -> Interned {
        let slot = match self.search(&thing) {
            Ok(index) => return Interned::Known(index),
            Err(slot) => slot,
        };
        match u16::try_from(self.things.len()) {
            Ok(index) if self.things.len() < self.max => {
                self.slots[slot] = index + 1;
                self.things.push(thing);
                Interned::New(index)
            }
            _ => Interned::Full,
        }
    }
}

/// Without a branch for each word.
#[inline(always)]
pub(crate) fn is_equal(one: &Identity, other: &Identity) -> bool {
    let words = one.iter().zip(other);
    words.fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_numbered_until_there_is_no_room() {
        let mut interner = Interner::new(HashSeed::new(1), u16::MAX);
        let thing = |number: u64| [number, 0, 0, 0, 0, 0];
        for number in 0..65_534 {
            let expected = Interned::New(u16::try_from(number).unwrap());
            assert_eq!(interner.number(thing(number * 7)), expected);
        }
        assert_eq!(interner.number(thing(1)), Interned::Full);
        assert_eq!(interner.number(thing(65_533 * 7)), Interned::Known(65_533));
        assert_eq!(interner.number(thing(0)), Interned::Known(0));
    }
}
