//! Unfinished openings, in bounded memory.

use core::hash::{BuildHasherDefault, Hash, Hasher};
use std::collections::{HashMap, VecDeque};

use crate::pieces::Pieces;
use crate::quic::{ConnectionId, Version};

/// An opening that is not finished after this time of packets is forgotten.
const WAIT_MS: u64 = 5000;

/// Memory of an opening besides its pieces.
const OPENING_OCTETS: usize = 640;

/// An unfinished opening.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) pieces: Pieces,
    /// Of TCP: number of the first octet.
    pub(super) sequence: u32,
    /// HTTP in place of TLS.
    pub(super) is_request: bool,
    /// Version, and the connection id that the keys are from.
    pub(super) quic: Option<(Version, ConnectionId)>,
    pub(super) datagrams: u8,
    is_forward: bool,
    number: u64,
}

impl Hello {
    pub(super) fn tls(sequence: u32) -> Self {
        Self {
            pieces: Pieces::default(),
            sequence,
            is_request: false,
            quic: None,
            datagrams: 1,
            is_forward: false,
            number: 0,
        }
    }

    pub(super) fn request(sequence: u32) -> Self {
        Self { is_request: true, ..Self::tls(sequence) }
    }

    pub(super) fn quic(version: Version, id: ConnectionId, pieces: Pieces) -> Self {
        Self { quic: Some((version, id)), pieces, ..Self::tls(0) }
    }

    fn memory(&self) -> usize {
        OPENING_OCTETS + self.pieces.memory()
    }
}

/// Openings that went before they were finished.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gone {
    pub(super) timed_out: u64,
    pub(super) evicted: u64,
    pub(super) replaced: u64,
}

/// The key has its hash in it.
type Openings<K> = HashMap<K, Hello, BuildHasherDefault<Kept>>;

/// Bits of [`Marks`].
const MARKS: usize = 1 << 16;

/// Bits that are set before those of openings that went are cleared.
const MARKED_MAX: usize = 1 << 12;

/// A bit for each of a few thousand hashes. Most others have none.
#[derive(Debug)]
pub(super) struct Marks {
    bits: Box<[u64; MARKS / 64]>,
    /// Bits that were set since all were cleared.
    marked: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self { bits: Box::new([0; MARKS / 64]), marked: 0 }
    }
}

impl Marks {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.marked == 0
    }

    /// True if too many others have a bit too.
    pub(super) fn is_full(&self) -> bool {
        self.marked >= MARKS / 4
    }

    fn of(hash: u64) -> (usize, u64) {
        let bit = usize::from(u16::try_from(hash >> 48).unwrap_or_default());
        (bit / 64, 1 << (bit % 64))
    }

    #[inline]
    pub(super) fn has(&self, hash: u64) -> bool {
        let (word, bit) = Self::of(hash);
        self.bits[word] & bit != 0
    }

    pub(super) fn set(&mut self, hash: u64) {
        let (word, bit) = Self::of(hash);
        self.bits[word] |= bit;
        self.marked += 1;
    }

    pub(super) fn clear(&mut self) {
        self.bits.fill(0);
        self.marked = 0;
    }
}

/// The word that a key hashes.
pub(super) fn hash_of(key: &impl Hash) -> u64 {
    let mut kept = Kept::default();
    key.hash(&mut kept);
    kept.finish()
}

/// All unfinished openings.
#[derive(Debug)]
pub(super) struct Hellos<K> {
    openings: Openings<K>,
    marks: Marks,
    /// In the order in which they began: key, number, and time. Those that were finished are in it
    /// until their turn comes.
    order: VecDeque<(K, u64, u64)>,
    memory: usize,
    memory_max: usize,
    next: u64,
    gone: Gone,
}

impl<K: Copy + Eq + Hash> Hellos<K> {
    pub(super) fn new(memory_max: usize) -> Self {
        Self {
            openings: Openings::default(),
            marks: Marks::default(),
            order: VecDeque::new(),
            memory: 0,
            memory_max,
            next: 0,
            gone: Gone::default(),
        }
    }

    pub(super) fn counts(&self) -> Gone {
        self.gone
    }

    /// Octets of memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.memory + self.order.len() * size_of::<(K, u64, u64)>()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.openings.is_empty()
    }

    /// Whether a conversation with this hash may have an unfinished opening.
    #[inline]
    pub(super) fn may_have(&self, hash: impl FnOnce() -> u64) -> bool {
        !self.openings.is_empty() && self.marks.has(hash())
    }

    /// Whether this direction of a conversation has an unfinished opening.
    pub(super) fn has(&self, key: &K, is_forward: bool) -> bool {
        self.openings.get(key).is_some_and(|hello| hello.is_forward == is_forward)
    }

    pub(super) fn insert(&mut self, key: K, is_forward: bool, time_ms: u64, hello: Hello) {
        self.replace(&key);
        self.next += 1;
        let hello = Hello { is_forward, number: self.next, ..hello };
        self.order.push_back((key, self.next, time_ms));
        if self.marks.marked >= MARKED_MAX.max(2 * self.openings.len()) {
            self.marks.clear();
            self.openings.keys().for_each(|key| self.marks.set(hash_of(key)));
        }
        self.marks.set(hash_of(&key));
        self.put_back(key, hello);
    }

    /// Forgets the opening of a conversation, which begins anew.
    pub(super) fn replace(&mut self, key: &K) {
        if self.openings.contains_key(key) {
            self.forget(key);
            self.gone.replaced += 1;
        }
    }

    /// Takes an opening, to go on with it.
    pub(super) fn take(&mut self, key: &K) -> Option<Hello> {
        self.remove(key)
    }

    /// Puts back an opening that is still not finished.
    pub(super) fn put_back(&mut self, key: K, hello: Hello) {
        self.memory += hello.memory();
        self.openings.insert(key, hello);
        // What is in the order takes memory too.
        while self.memory + self.order.len() * size_of::<(K, u64, u64)>() > self.memory_max {
            let Some((key, number, _)) = self.order.pop_front() else { break };
            if self.is_current(&key, number) {
                self.forget(&key);
                self.gone.evicted += 1;
            }
        }
    }

    /// Forgets those that have waited for too long.
    pub(super) fn expire(&mut self, now_ms: u64) {
        while let Some((key, number, began_ms)) = self.order.front().copied() {
            let is_current = self.is_current(&key, number);
            if is_current && began_ms.saturating_add(WAIT_MS) >= now_ms {
                break;
            }
            self.order.pop_front();
            if is_current {
                self.forget(&key);
                self.gone.timed_out += 1;
            }
        }
    }

    fn is_current(&self, key: &K, number: u64) -> bool {
        self.openings.get(key).is_some_and(|hello| hello.number == number)
    }

    fn forget(&mut self, key: &K) {
        if let Some(mut hello) = self.remove(key) {
            hello.pieces.clear();
        }
    }

    fn remove(&mut self, key: &K) -> Option<Hello> {
        let hello = self.openings.remove(key)?;
        self.memory -= hello.memory();
        Some(hello)
    }
}

/// Passes on the hash that a key writes as one word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept(u64);

impl Hasher for Kept {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
