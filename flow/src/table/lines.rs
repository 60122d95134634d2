//! A fixed array of cache lines, zeroed, and not touched before it is used.
//!
//! The allocator hands out zeroed memory for nothing when it is fresh from the kernel, but not
//! aligned to cache lines; aligned and zeroed, it writes all of it. So the array is allocated as
//! words and begins at the first word that starts a line.

use alloc::vec;
use alloc::vec::Vec;

use zerocopy::IntoBytes;

/// 64 octets.
pub(super) type Line = [u64; WORDS];

const WORDS: usize = 8;

#[derive(Debug)]
pub(super) struct Lines {
    words: Vec<u64>,
    start: usize,
}

impl Lines {
    pub(super) fn new(count: usize) -> Self {
        let words = vec![0; count * WORDS + WORDS - 1];
        let start = words.as_ptr().align_offset(size_of::<Line>());
        Self { start: start.min(WORDS - 1), words }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> &Line {
        let (line, _) = self.words[self.start + index * WORDS..]
            .split_first_chunk()
            .expect("the array ends with a whole line");
        line
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> &mut Line {
        let (line, _) = self.words[self.start + index * WORDS..]
            .split_first_chunk_mut()
            .expect("the array ends with a whole line");
        line
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.words.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_aligned_and_zero() {
        let lines = Lines::new(100);
        for index in 0..100 {
            assert_eq!(core::ptr::from_ref(lines.get(index)).addr() % 64, 0);
            assert_eq!(*lines.get(index), [0; WORDS]);
        }
    }
}
