//! A window on a stream: what was read of it and not yet used, in one piece.

use std::io::{self, ErrorKind, Read};

/// Read at once, where a file is the only one open.
const CHUNK: usize = 384 * 1024;

/// The longest piece that can be asked for: the longest packet, and a block around it.
pub(super) const PIECE_MAX: usize = 320 * 1024;

const _: () = assert!(PIECE_MAX <= CHUNK, "the buffer holds any piece");

pub(super) struct Window {
    stream: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets of the stream before the buffer.
    passed: u64,
    cut: bool,
}

impl Window {
    pub(super) fn new(stream: Box<dyn Read + Send>) -> Self {
        Self { stream, buffer: vec![0; CHUNK], start: 0, end: 0, passed: 0, cut: false }
    }

    /// How far the stream was used, in octets.
    pub(super) fn position(&self) -> u64 {
        self.passed + self.start as u64
    }

    /// Whether the stream ended before its compression did.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// What is there, from where the stream was last used to.
    #[inline]
    pub(super) fn octets(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Makes sure that so many octets are there. Short of that, the stream has ended.
    #[inline]
    pub(super) fn need(&mut self, count: usize) -> io::Result<bool> {
        if self.end - self.start >= count {
            return Ok(true);
        }
        self.fill(count)
    }

    /// Uses octets that are there.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "only what is there is used");
    }

    /// Skips octets, whether they are there or not. `false` when the stream ends before.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<bool> {
        let mut rest = count;
        loop {
            let here = (self.end - self.start).min(usize::try_from(rest).unwrap_or(usize::MAX));
            self.advance(here);
            rest -= here as u64;
            if rest == 0 {
                return Ok(true);
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
    }

    #[cold]
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        assert!(count <= PIECE_MAX, "no piece is longer");
        self.buffer.copy_within(self.start..self.end, 0);
        self.passed += self.start as u64;
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < count {
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
        }
        Ok(true)
    }
}
