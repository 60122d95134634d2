//! Estimated number of different things, in 1 KiB (HyperLogLog, Flajolet et al. 2007).
//!
//! Counts up to a few hundred are nearly exact (linear counting); the standard error of larger ones
//! is 3.3 %. All calculations use integers, so that a count is the same on all machines.

/// Registers.
const REGISTERS: usize = 1024;

/// Bits of a hash that select a register.
const INDEX_BITS: u32 = REGISTERS.trailing_zeros();

/// 2.5 * [`REGISTERS`]: below it linear counting is better.
const SMALL: u64 = 5 * REGISTERS as u64 / 2;

/// Fraction bits of fixed-point sums.
const FRACTION_BITS: u32 = 48;

/// The constant of the estimate, 0.7213 / (1 + 1.079 / 1024), in millionths.
const ALPHA_MILLIONTHS: u128 = 720_541;

/// A set. Only its size can be read.
#[derive(Clone, Debug)]
pub(super) struct Cardinality {
    /// For each register, the highest rank of a hash.
    ranks: Box<[u8; REGISTERS]>,
    /// Registers without a hash.
    empty: usize,
    /// The sum of 2^-rank over all registers.
    sum: u64,
}

impl Default for Cardinality {
    fn default() -> Self {
        let sum = (REGISTERS as u64) << FRACTION_BITS;
        Self { ranks: Box::new([0; REGISTERS]), empty: REGISTERS, sum }
    }
}

impl Cardinality {
    /// Adds the thing with this hash.
    pub(super) fn insert(&mut self, hash: u64) {
        let index = usize::try_from(hash % REGISTERS as u64).unwrap_or_default();
        let zeros = (hash >> INDEX_BITS).trailing_zeros().min(FRACTION_BITS - 1);
        let rank = u8::try_from(zeros + 1).unwrap_or(u8::MAX);
        let before = self.ranks[index];
        if rank > before {
            self.ranks[index] = rank;
            self.empty -= usize::from(before == 0);
            self.sum = self.sum - (1 << (FRACTION_BITS - u32::from(before)))
                + (1 << (FRACTION_BITS - u32::from(rank)));
        }
    }

    /// Estimated number of things.
    pub(super) fn count(&self) -> u64 {
        let registers = REGISTERS as u128;
        let estimate = ((ALPHA_MILLIONTHS * registers * registers) << FRACTION_BITS)
            / (1_000_000 * u128::from(self.sum));
        let estimate = u64::try_from(estimate).unwrap_or(u64::MAX);
        if estimate <= SMALL && self.empty > 0 { LINEAR[self.empty].into() } else { estimate }
    }
}

/// Index: number of empty registers. Value: the number of things that leaves this number empty on
/// average, rounded to the nearest.
const LINEAR: [u16; REGISTERS + 1] = {
    const ONE: u64 = 1 << 40;
    let mut counts = [0; REGISTERS + 1];
    let (mut count, mut unset) = (0_u16, ONE);
    let mut empty = REGISTERS;
    while empty > 0 {
        // Compares with the part of the registers that this number of things leaves empty.
        let wanted = 2 * empty as u64 * ONE;
        loop {
            let next = unset / REGISTERS as u64 * (REGISTERS as u64 - 1);
            if (unset + next) * REGISTERS as u64 <= wanted {
                break;
            }
            (count, unset) = (count + 1, next);
        }
        counts[empty] = count;
        empty -= 1;
    }
    counts
};

#[cfg(test)]
mod tests {
    use flow::HashSeed;

    use super::*;

    fn counted(seed: u64, things: u64) -> u64 {
        let seed = HashSeed::new(seed);
        let mut set = Cardinality::default();
        for _ in 0..2 {
            (0..things).for_each(|thing| set.insert(seed.hash([thing, 0, 4, 0, 0, 0])));
        }
        set.count()
    }

    #[test]
    fn few_are_nearly_exact_and_many_are_close() {
        for (things, most_wrong) in
            [(0, 0), (1, 0), (2, 0), (10, 1), (100, 5), (1000, 100), (100_000, 12_000)]
        {
            for seed in 0..20 {
                let count = counted(seed, things);
                assert!(count.abs_diff(things) <= most_wrong, "{things}: {count}");
            }
        }
        // The mean over many seeds has no bias to speak of.
        for things in [100, 1000, 2500, 4000, 20_000_u64] {
            let sum: u64 = (100..200).map(|seed| counted(seed, things)).sum();
            let mean = sum / 100;
            assert!(mean.abs_diff(things) <= things / 40, "{things}: {mean}");
        }
    }
}
