//! A window on a stream: the octets that were read and not used yet, in one piece.

use std::io::{self, ErrorKind};

use super::decompress::Stream;

/// Octets that are read at once.
const CHUNK: usize = 384 * 1024;

/// The longest piece that can be requested: the longest packet and the block around it.
pub(super) const PIECE_MAX: usize = 320 * 1024;

const _: () = assert!(PIECE_MAX <= CHUNK, "the buffer holds any piece");

pub(super) struct Window {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets of the stream before the buffer.
    passed: u64,
    /// Octets to skip that have not come yet.
    pending: u64,
    cut: bool,
}

impl Window {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, buffer: vec![0; CHUNK], start: 0, end: 0, passed: 0, pending: 0, cut: false }
    }

    /// Octets of the stream that were used.
    pub(super) fn position(&self) -> u64 {
        self.passed + self.start as u64
    }

    /// Whether the stream ended within octets to skip.
    pub(super) fn ends_in_skipped(&self) -> bool {
        self.pending > 0
    }

    /// Whether the stream ended before its compression did.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Octets that were read and not used yet.
    #[inline]
    pub(super) fn octets(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads until this number of octets is there. `false` if the stream ends before.
    #[inline]
    pub(super) fn need(&mut self, count: usize) -> io::Result<bool> {
        if self.end - self.start >= count {
            return Ok(true);
        }
        self.fill(count)
    }

    /// Like [`Window::need`], but waits for a pipe that is empty now.
    pub(super) fn wait(&mut self, count: usize) -> io::Result<bool> {
        loop {
            match self.need(count) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Uses octets that are there.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "only what is there is used");
    }

    /// Skips octets, even if they were not read yet. The next `need` tells if the stream ends
    /// before.
    #[inline]
    pub(super) fn skip(&mut self, count: u64) {
        let here = (self.end - self.start).min(usize::try_from(count).unwrap_or(usize::MAX));
        self.advance(here);
        self.pending += count - here as u64;
    }

    /// Skips zeros. Returns whether the stream ends after them.
    pub(super) fn skip_zeros(&mut self) -> io::Result<bool> {
        while self.need(1)? {
            let zeros = self.octets().iter().take_while(|octet| **octet == 0).count();
            self.advance(zeros);
            if self.start < self.end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[cold]
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        assert!(count <= PIECE_MAX, "no piece is longer");
        self.compact();
        while self.end < count || self.pending > 0 {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.cut = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            if self.pending > 0 {
                let pending = std::mem::take(&mut self.pending);
                self.skip(pending);
                self.compact();
            }
        }
        Ok(true)
    }

    /// Moves the unused octets to the beginning of the buffer.
    fn compact(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.passed += self.start as u64;
        (self.start, self.end) = (0, self.end - self.start);
    }
}
