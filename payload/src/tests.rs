//! What tests of several modules use.

/// Random numbers that depend on their seed only (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn octet(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// `true` once in `count` calls on average.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of these.
    pub(crate) fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }

    /// Changes octets, takes some out, adds some, or cuts the end off.
    pub(crate) fn damage(&mut self, octets: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if octets.is_empty() {
                return;
            }
            let at = self.below(octets.len());
            match self.below(8) {
                0 => octets.truncate(at),
                1 => drop(octets.remove(at)),
                2 => octets.insert(at, self.octet()),
                3 => octets[at] = self.of(&[0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff]),
                4 => octets[at] ^= 1 << self.below(8),
                5 => octets[at] = octets[at].wrapping_add(1),
                6 => octets[at] = octets[at].wrapping_sub(1),
                _ => octets[at] = self.octet(),
            }
        }
    }
}
