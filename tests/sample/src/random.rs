//! Randomness that is the same for ever: the samples are compared octet for octet.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each name, so that a change of one part of a sample does not
    /// shift the others.
    pub fn named(name: &str) -> Self {
        // FNV-1a.
        let mix = |hash: u64, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// The sequence of a number.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number less than the bound. A few are more likely than others by less than 2^-32.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(((self.word() >> 32) * u64::from(bound)) >> 32).expect("less than the bound")
    }

    /// A number from the first to the one before the last.
    pub fn between(&mut self, first: u32, last: u32) -> u32 {
        first + self.below(last - first)
    }

    /// Microseconds around a mean, from half to one and a half of it.
    pub fn around(&mut self, mean_us: u64) -> u64 {
        let spread = u32::try_from(mean_us).expect("less than an hour");
        mean_us / 2 + u64::from(self.below(spread.max(1)))
    }

    /// 16 bits.
    pub fn u16(&mut self) -> u16 {
        self.word().to_le_bytes().first_chunk().copied().map(u16::from_le_bytes).expect("two of 8")
    }

    /// 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.word().to_le_bytes().first_chunk().copied().map(u32::from_le_bytes).expect("4 of 8")
    }

    /// A port that clients use.
    pub fn port(&mut self) -> u16 {
        49_152 + self.u16() % 16_384
    }

    /// A message that begins so, and has so many octets.
    pub fn message(&mut self, head: &[u8], length: usize) -> Vec<u8> {
        let mut message = head.to_vec();
        while message.len() < length {
            message.extend(self.word().to_le_bytes());
        }
        message.truncate(length.max(head.len()));
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_is_that_of_the_paper() {
        // The first outputs of the reference implementation for the seed 1234567.
        let mut random = Random(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.word(), random.word()], expected);
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let mut random = Random::named("bounds");
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            assert!((5..7).contains(&random.between(5, 7)));
            assert!((500..1500).contains(&random.around(1000)));
            assert!(random.port() >= 49_152);
        }
    }
}
