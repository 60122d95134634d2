//! The keyed hash of flows, fragments, conversations and tunnels.
//!
//! Folded multiplication: two words are XORed with secret words and multiplied to 128 bits; the
//! halves are XORed. Without the seed, an attacker cannot choose addresses and ports that collide.
//! A fixed seed gives the same output for the same input. Equal hashes do not mean equal keys.

/// The secret words. The seed is random for live capture, and fixed for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeed([u64; 7]);

impl HashSeed {
    /// Expands a seed to the secret words (SplitMix64).
    pub const fn new(seed: u64) -> Self {
        let mut words = [0; 7];
        let mut state = seed;
        let mut index = 0;
        while index < words.len() {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            words[index] = word ^ (word >> 31);
            index += 1;
        }
        Self(words)
    }

    /// Hashes six words.
    #[inline]
    pub fn hash(&self, words: [u64; 6]) -> u64 {
        let secret = &self.0;
        let source = fold(words[0] ^ secret[0], words[1] ^ secret[1]);
        let destination = fold(words[2] ^ secret[2], words[3] ^ secret[3]);
        let rest = fold(words[4] ^ secret[4], words[5] ^ secret[5]);
        fold(source ^ destination, rest ^ secret[6])
    }

    /// Hashes two ends, in any order, and what else there is.
    #[inline]
    pub(crate) fn hash_pair(&self, one: [u64; 2], other: [u64; 2], rest: [u64; 2]) -> u64 {
        let secret = &self.0;
        let end = |words: [u64; 2]| fold(words[0] ^ secret[0], words[1] ^ secret[1]);
        let rest = fold(rest[0] ^ secret[4], rest[1] ^ secret[5]);
        fold(end(one).wrapping_add(end(other)), rest ^ secret[6])
    }
}

/// Multiplies to 128 bits and XORs the halves.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let (low, high) = halves(product);
    low ^ high
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
#[inline]
pub(crate) fn halves(product: u128) -> (u64, u64) {
    (product as u64, (product >> 64) as u64)
}

/// Maps a hash to `0..count` by its upper 32 bits, for any count, without a division.
#[inline]
pub(crate) fn pick(hash: u64, count: u32) -> u32 {
    let product = (hash >> 32) * u64::from(count);
    (product >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that differ as flows do: a few low bits of an address or a port.
    fn buckets(change: impl Fn(&mut [u64; 6], u64)) -> (u32, u32) {
        let seed = HashSeed::new(1);
        let mut counts = [0_u32; 256];
        for n in 0..256 * 64 {
            let mut words = [0; 6];
            change(&mut words, n);
            counts[pick(seed.hash(words), 256) as usize] += 1;
        }
        (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
    }

    #[test]
    fn neighbouring_keys_spread_evenly() {
        let cases: [fn(&mut [u64; 6], u64); 6] = [
            |words, n| words[0] = n,
            |words, n| words[0] = n.swap_bytes(),
            |words, n| words[2] = n << 32,
            |words, n| words[4] = n & 0xffff | 53 << 16,
            |words, n| (words[0], words[2]) = (n, n),
            |words, n| (words[1], words[5]) = (n >> 7, n & 127),
        ];
        for (index, case) in cases.iter().enumerate() {
            let (low, high) = buckets(case);
            assert!(low > 24 && high < 112, "case {index}: {low}..{high} where 64 are expected");
        }
    }

    #[test]
    fn directions_and_seeds_hash_differently() {
        let (forward, back) = ([1, 0, 2, 0, 3, 4], [2, 0, 1, 0, 3, 4]);
        let seed = HashSeed::new(1);
        assert_ne!(seed.hash(forward), seed.hash(back));
        assert_ne!(seed.hash(forward), HashSeed::new(2).hash(forward));
    }

    #[test]
    fn pick_stays_below_the_count() {
        for count in [1, 2, 3, 1000, u32::MAX] {
            assert_eq!(pick(0, count), 0);
            assert_eq!(pick(u64::MAX, count), count - 1);
        }
    }
}
