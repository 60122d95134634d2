//! Decision whether the kernel cuts packets to their headers.
//!
//! Octets that are cut off are not copied and take no room in the ring. But a filter costs time for
//! each packet, which is wasted in a flood of short ones.

use super::filter::CAPTURED_OCTETS;

/// Blocks between two decisions: a new filter is work for all processors.
const BLOCKS: u32 = 64;

/// Octets that the kernel copies in the time that a filter takes: 15 ns on an Intel Xeon.
const FILTER_OCTETS: u64 = 100;

/// Counts since the last decision.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trim {
    blocks: u32,
    packets: u64,
    /// Octets after the headers, cut off or not.
    behind: u64,
}

impl Trim {
    /// Counts a packet with this length on the wire.
    #[inline]
    pub(super) fn note(&mut self, length: u32) {
        self.packets += 1;
        self.behind += u64::from(length.saturating_sub(CAPTURED_OCTETS));
    }

    /// Called after each block. Every 64 blocks, returns whether cutting such packets pays.
    pub(super) fn decide(&mut self) -> Option<bool> {
        self.blocks += 1;
        (self.blocks >= BLOCKS).then(|| {
            let seen = std::mem::take(self);
            seen.behind > FILTER_OCTETS * seen.packets
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decisions after `blocks` blocks, each with packets of these lengths.
    fn decisions(blocks: u32, lengths: &[u32]) -> Vec<bool> {
        let mut trim = Trim::default();
        let read = |_| {
            lengths.iter().for_each(|&length| trim.note(length));
            trim.decide()
        };
        (0..blocks).filter_map(read).collect()
    }

    #[test]
    fn cutting_pays_where_much_is_behind_the_headers() {
        assert_eq!(decisions(BLOCKS, &[60, 60, 512]), [false]);
        assert_eq!(decisions(BLOCKS, &[512 + 100]), [false]);
        assert_eq!(decisions(BLOCKS, &[512 + 101]), [true]);
        // 1002 octets of ten packets.
        assert_eq!(decisions(BLOCKS, &[[60; 9].as_slice(), &[1514]].concat()), [true]);
        assert_eq!(decisions(BLOCKS, &[[60; 10].as_slice(), &[1514]].concat()), [false]);
        assert_eq!(decisions(BLOCKS, &[65_000]), [true]);
    }

    #[test]
    fn decisions_are_seldom_and_forget_what_was_before() {
        assert_eq!(decisions(BLOCKS - 1, &[1514]), [true; 0]);
        assert_eq!(decisions(3 * BLOCKS, &[1514]), [true; 3]);
        let mut trim = Trim::default();
        let mut decision = |length| {
            trim.note(length);
            (0..BLOCKS).find_map(|_| trim.decide())
        };
        assert_eq!([decision(1514), decision(60)], [Some(true), Some(false)]);
    }
}
