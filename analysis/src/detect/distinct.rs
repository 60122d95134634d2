//! Estimated number of different things: a bitmap of 512 bits (linear counting).
//!
//! Each thing sets the bit that its hash names. Neither the order of things nor repetitions change
//! the result. The number of things follows from the number of bits: 25 things set 24 or 25 bits,
//! 1,000 set 440. An estimate is at most a few hundredths wrong up to 2,000 things.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bits of a bitmap.
const BITS: usize = 512;

/// Largest estimate: nearly all bits are set with this number of things.
const COUNT_MAX: u16 = 3000;

/// A set. Only its size can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub(super) struct Distinct([u64; BITS / 64]);

impl Distinct {
    /// Adds the thing with this hash. Returns whether this set a new bit.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64) -> bool {
        let word = &mut self.0[(hash >> 6) as usize % (BITS / 64)];
        let before = *word;
        *word |= 1 << (hash & 63);
        *word != before
    }

    /// Things whose bits are not in the other set.
    pub(super) fn without(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    /// Union of both sets.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// Estimated number of things. It is N or more exactly if the number of set bits is at least
    /// the average for N things.
    pub(super) fn count(&self) -> u64 {
        let bits: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        count_of(bits as usize)
    }

    /// The numbers of the bits that are set.
    pub(super) fn bits(&self) -> impl Iterator<Item = usize> {
        (0..BITS / 64).flat_map(|word| {
            let mut rest = self.0[word];
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest.checked_sub(1)?;
                Some(word * 64 + bit)
            })
        })
    }
}

/// Estimated number of things that set this number of bits.
pub(super) fn count_of(bits: usize) -> u64 {
    COUNTS[bits].into()
}

/// Estimated number of things from two sets: one of all things, and one of those whose hash begins
/// with eight zero bits (see [`is_sampled`]). The second is for numbers beyond the reach of the
/// first.
pub(super) fn count_of_many(all: &Distinct, sampled: &Distinct) -> u64 {
    let count = all.count();
    if count < 1000 { count } else { count.max(256 * sampled.count()) }
}

/// True if a thing with this hash belongs to the second set of [`count_of_many`].
#[inline]
pub(super) fn is_sampled(hash: u64) -> bool {
    hash >> 56 == 0
}

/// Index: number of bits. Value: the largest number of things that sets no more bits on average,
/// rounded up.
const COUNTS: [u16; BITS + 1] = {
    const ONE: u64 = 1 << 40;
    let mut counts = [COUNT_MAX; BITS + 1];
    let (mut count, mut unset) = (0, ONE);
    let mut bits = 0;
    while bits < BITS {
        // Number of things that set at most this number of bits.
        while count < COUNT_MAX {
            let next = unset * (BITS as u64 - 1) / BITS as u64;
            let set = ((ONE - next) * BITS as u64).div_ceil(ONE);
            if set > bits as u64 {
                break;
            }
            (count, unset) = (count + 1, next);
        }
        counts[bits] = count;
        bits += 1;
    }
    counts
};

#[cfg(test)]
mod tests {
    use flow::HashSeed;

    use super::*;

    fn set(seed: u64, things: u64) -> Distinct {
        let seed = HashSeed::new(seed);
        let mut set = Distinct::default();
        for thing in 0..things {
            set.insert(seed.hash([thing, 0, 0, 0, 0, 0]));
        }
        set
    }

    #[test]
    fn thresholds_are_numbers_of_bits() {
        let cases = [(10, 10), (25, 25), (50, 48), (100, 91), (250, 198), (256, 202), (500, 320)];
        for (count, bits) in cases {
            assert!(count_of(bits) >= count && count_of(bits - 1) < count, "{count}");
        }
        assert!(count_of(440) >= 1000 && count_of(439) < 1000);
        assert_eq!(count_of(0), 0);
        assert_eq!(count_of(512), COUNT_MAX.into());
    }

    #[test]
    fn a_tenth_more_or_less_decides_for_nearly_every_key() {
        for threshold in [25_u64, 100, 250, 1000] {
            let below = threshold * 85 / 100;
            let above = threshold * 115 / 100;
            let over =
                |things| (0..300).filter(|&seed| set(seed, things).count() >= threshold).count();
            assert!(over(below) <= 3, "{threshold}: {} of 300 at {below}", over(below));
            assert!(over(above) >= 297, "{threshold}: {} of 300 at {above}", over(above));
        }
    }

    #[test]
    fn many_are_estimated_by_a_sample() {
        let seed = HashSeed::new(1);
        let (mut all, mut sampled) = (Distinct::default(), Distinct::default());
        for thing in 0..100_000_u64 {
            let hash = seed.hash([thing, 0, 0, 0, 0, 0]);
            all.insert(hash);
            if is_sampled(hash) {
                sampled.insert(hash);
            }
        }
        let count = count_of_many(&all, &sampled);
        assert!((80_000..120_000).contains(&count), "{count}");
    }

    #[test]
    fn what_answered_is_taken_away() {
        let (asked, answered) = (set(1, 50), set(1, 30));
        assert!((15..=25).contains(&asked.without(&answered).count()));
        assert_eq!(answered.without(&asked).count(), 0);
        let ones: u32 = answered.0.iter().map(|word| word.count_ones()).sum();
        assert_eq!(answered.bits().count(), ones as usize);
    }
}
