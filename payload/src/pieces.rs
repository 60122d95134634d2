//! A stream whose octets arrive in pieces: in any order, more than once, with gaps.

/// Octets of a stream that are kept, from its beginning on.
pub const PIECES_OCTETS: usize = 16 << 10;

/// Pieces with gaps between them that are kept.
const RANGES_MAX: usize = 16;

/// The beginning of a stream, put together from pieces. The first copy of an octet stays.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Octets from the beginning on. Those in gaps are 0.
    octets: Vec<u8>,
    /// What is there: first octet and the one behind the last, in order, with gaps between them.
    ranges: [(usize, usize); RANGES_MAX],
    count: usize,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// All of it is there.
    Whole,
    /// All of it is there, but octets that were there before differ from those of this piece.
    Differs,
    /// It ends beyond [`PIECES_OCTETS`], or has too many gaps before it. Nothing was kept.
    TooLong,
}

impl Pieces {
    /// Adds a piece that begins `offset` octets behind the beginning of the stream.
    pub fn insert(&mut self, offset: u64, piece: &[u8]) -> Inserted {
        let end = usize::try_from(offset).ok().and_then(|start| start.checked_add(piece.len()));
        let Some(end) = end.filter(|end| *end <= PIECES_OCTETS) else { return Inserted::TooLong };
        let start = end - piece.len();
        if piece.is_empty() {
            return Inserted::Whole;
        }
        let ranges = self.ranges.get(..self.count).unwrap_or_default();
        // Ranges that the piece touches become one with it.
        let first = ranges.partition_point(|(_, behind)| *behind < start);
        let behind = ranges.partition_point(|(begin, _)| *begin <= end);
        if first == behind && self.count == RANGES_MAX {
            return Inserted::TooLong;
        }
        if self.octets.len() < end {
            self.octets.resize(end, 0);
        }
        let differs = self.fill(start, piece, first, behind);
        self.join(start, end, first, behind);
        if differs { Inserted::Differs } else { Inserted::Whole }
    }

    /// Writes the octets of a piece that are not there. True if one that is there differs.
    fn fill(&mut self, start: usize, piece: &[u8], first: usize, behind: usize) -> bool {
        let end = start + piece.len();
        let touched = self.ranges.get(first..behind).unwrap_or_default();
        let (mut differs, mut at) = (false, start);
        for (from, to) in touched.iter().copied().chain([(end, end)]) {
            let (from, to) = (from.clamp(at, end), to.clamp(at, end));
            if let (Some(gap), Some(new)) =
                (self.octets.get_mut(at..from), piece.get(at - start..from - start))
            {
                gap.copy_from_slice(new);
            }
            differs |= self.octets.get(from..to) != piece.get(from - start..to - start);
            at = to;
        }
        differs
    }

    /// Puts one range in the place of those with the indices from `first` to before `behind`.
    fn join(&mut self, start: usize, end: usize, first: usize, behind: usize) {
        let mut joined = (start, end);
        for (from, to) in self.ranges.get(first..behind).unwrap_or_default() {
            joined = (joined.0.min(*from), joined.1.max(*to));
        }
        if first == behind {
            self.ranges.copy_within(first..self.count, first + 1);
            self.count += 1;
        } else {
            self.ranges.copy_within(behind..self.count, first + 1);
            self.count -= behind - first - 1;
        }
        if let Some(range) = self.ranges.get_mut(first) {
            *range = joined;
        }
    }

    /// The octets from the beginning up to the first gap.
    pub fn beginning(&self) -> &[u8] {
        let ranges = self.ranges.get(..self.count).unwrap_or_default();
        match ranges.first() {
            Some((0, end)) => self.octets.get(..*end).unwrap_or_default(),
            Some(_) | None => &[],
        }
    }

    /// Octets of memory besides the value itself.
    pub fn memory(&self) -> usize {
        self.octets.capacity()
    }

    /// Forgets all octets, and overwrites them. The memory is kept.
    pub fn clear(&mut self) {
        self.octets.fill(0);
        self.octets.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"the quick brown fox jumps over the lazy dog";

    #[test]
    fn pieces_in_any_order_are_the_stream() {
        for first in 0..STREAM.len() {
            for second in first..STREAM.len() {
                let cuts = [0, first, second, STREAM.len()];
                for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                    let mut pieces = Pieces::default();
                    for index in order {
                        let (from, to) = (cuts[index], cuts[index + 1]);
                        // With an octet of the next piece, and twice.
                        let to = (to + 1).min(STREAM.len());
                        let piece = &STREAM[from..to];
                        assert_eq!(pieces.insert(from as u64, piece), Inserted::Whole);
                        assert_eq!(pieces.insert(from as u64, piece), Inserted::Whole);
                    }
                    assert_eq!(pieces.beginning(), STREAM, "{cuts:?} {order:?}");
                }
            }
        }
    }

    #[test]
    fn a_gap_hides_what_is_behind_it() {
        let mut pieces = Pieces::default();
        pieces.insert(2, b"cd");
        assert_eq!(pieces.beginning(), b"");
        pieces.insert(0, b"a");
        assert_eq!(pieces.beginning(), b"a");
        pieces.insert(1, b"b");
        assert_eq!(pieces.beginning(), b"abcd");
    }

    #[test]
    fn the_first_copy_stays() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.insert(1, b"bc"), Inserted::Whole);
        assert_eq!(pieces.insert(0, b"AXCD"), Inserted::Differs);
        assert_eq!(pieces.beginning(), b"AbcD");
        assert_eq!(pieces.insert(0, b"AbcD"), Inserted::Whole);
    }

    #[test]
    fn length_and_gaps_are_bounded() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.insert(PIECES_OCTETS as u64 - 1, b"a"), Inserted::Whole);
        assert_eq!(pieces.insert(PIECES_OCTETS as u64, b"a"), Inserted::TooLong);
        assert_eq!(pieces.insert(u64::MAX, b"a"), Inserted::TooLong);
        for index in 1..RANGES_MAX {
            assert_eq!(pieces.insert(index as u64 * 2, b"a"), Inserted::Whole);
        }
        assert_eq!(pieces.insert(100, b"a"), Inserted::TooLong);
        assert_eq!(pieces.insert(3, b"a"), Inserted::Whole);
        assert_eq!(pieces.insert(100, b"a"), Inserted::Whole);
        pieces.clear();
        assert_eq!(pieces.beginning(), b"");
        pieces.insert(0, b"new");
        assert_eq!(pieces.beginning(), b"new");
    }

    /// Pieces of random places against a plain map of octets.
    #[test]
    fn octets_are_those_of_a_plain_map() {
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..2000 {
            let mut pieces = Pieces::default();
            let mut plain = [None; 40];
            for _ in 0..12 {
                let (offset, length) = (random(30), random(8));
                let piece: Vec<u8> = (0..length).map(|_| b"abc"[random(3)]).collect();
                if pieces.insert(offset as u64, &piece) != Inserted::TooLong {
                    for (octet, place) in piece.iter().zip(&mut plain[offset..]) {
                        place.get_or_insert(*octet);
                    }
                }
                let expected: Vec<u8> = plain.iter().map_while(|octet| *octet).collect();
                assert_eq!(pieces.beginning(), expected);
            }
        }
    }
}
