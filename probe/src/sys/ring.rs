//! The two rings of an `AF_XDP` socket that receives. The fill ring passes empty buffers to the
//! kernel. The receive ring passes filled buffers back.
//!
//! Both are arrays in shared memory with two counters: of the entries that the producer has added,
//! and of the entries that the consumer has removed. The counters have 32 bits and wrap.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::mapping::Mapping;

/// A filled buffer: an entry of the receive ring (`struct xdp_desc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// Offset of the first octet in the memory of frames.
    pub(super) address: u64,
    pub(super) length: u32,
    pub(super) options: u32,
}

/// Offsets of the parts of a ring in its memory, in octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    producer: usize,
    consumer: usize,
    flags: usize,
    entries: usize,
}

impl TryFrom<libc::xdp_ring_offset> for Layout {
    type Error = io::Error;

    fn try_from(offsets: libc::xdp_ring_offset) -> io::Result<Self> {
        let octets = |offset| usize::try_from(offset).map_err(io::Error::other);
        Ok(Self {
            producer: octets(offsets.producer)?,
            consumer: octets(offsets.consumer)?,
            flags: octets(offsets.flags)?,
            entries: octets(offsets.desc)?,
        })
    }
}

/// The memory of a ring of either kind.
#[derive(Debug)]
struct Ring {
    memory: Mapping,
    layout: Layout,
    /// Entries; a power of two.
    size: u32,
    /// Length of an entry, in words of 64 bits.
    entry_words: usize,
}

impl Ring {
    fn map(
        socket: BorrowedFd<'_>,
        page: libc::off_t,
        layout: Layout,
        size: u32,
        entry_words: usize,
    ) -> io::Result<Self> {
        let length = layout.entries + size as usize * entry_words * 8;
        Ok(Self { memory: Mapping::shared(socket, length, page)?, layout, size, entry_words })
    }

    #[inline]
    fn producer(&self) -> &AtomicU32 {
        self.memory.half_word(self.layout.producer)
    }

    #[inline]
    fn consumer(&self) -> &AtomicU32 {
        self.memory.half_word(self.layout.consumer)
    }

    /// The words of the entry with this count.
    #[inline]
    fn entry(&self, count: u32) -> &[AtomicU64] {
        let index = (count & (self.size - 1)) as usize;
        let offset = self.layout.entries + index * self.entry_words * 8;
        self.memory.words(offset, self.entry_words)
    }
}

/// The ring from which filled buffers are taken.
#[derive(Debug)]
pub(super) struct ReceiveRing {
    ring: Ring,
    /// Count of the next entry to take.
    next: u32,
}

impl ReceiveRing {
    pub(super) fn map(socket: BorrowedFd<'_>, layout: Layout, size: u32) -> io::Result<Self> {
        let ring = Ring::map(socket, libc::XDP_PGOFF_RX_RING, layout, size, 2)?;
        Ok(Self { ring, next: 0 })
    }

    /// Number of filled buffers.
    #[inline]
    pub(super) fn available(&self) -> u32 {
        // Acquires what the kernel wrote to the buffers and entries.
        let produced = self.ring.producer().load(Ordering::Acquire);
        produced.wrapping_sub(self.next).min(self.ring.size)
    }

    /// Takes the next filled buffer, which must be available. The kernel may use its entry again
    /// after `release`.
    #[inline]
    pub(super) fn take(&mut self) -> Descriptor {
        let entry = self.ring.entry(self.next);
        self.next = self.next.wrapping_add(1);
        let address = entry[0].load(Ordering::Relaxed);
        let [a, b, c, d, e, f, g, h] = entry[1].load(Ordering::Relaxed).to_ne_bytes();
        let length = u32::from_ne_bytes([a, b, c, d]);
        Descriptor { address, length, options: u32::from_ne_bytes([e, f, g, h]) }
    }

    /// The address in the entry `distance` entries after the next one. The entry may be stale.
    #[inline]
    pub(super) fn address_ahead(&self, distance: u32) -> u64 {
        self.ring.entry(self.next.wrapping_add(distance))[0].load(Ordering::Relaxed)
    }

    /// Gives the entries of the taken buffers back to the kernel.
    #[inline]
    pub(super) fn release(&self) {
        self.ring.consumer().store(self.next, Ordering::Release);
    }
}

/// The ring into which empty buffers are put.
#[derive(Debug)]
pub(super) struct FillRing {
    ring: Ring,
    /// Count of the next entry to put.
    next: u32,
}

impl FillRing {
    pub(super) fn map(socket: BorrowedFd<'_>, layout: Layout, size: u32) -> io::Result<Self> {
        let page =
            libc::off_t::try_from(libc::XDP_UMEM_PGOFF_FILL_RING).map_err(io::Error::other)?;
        Ok(Self { ring: Ring::map(socket, page, layout, size, 1)?, next: 0 })
    }

    /// Fills the ring, as far as there are empty buffers.
    #[inline]
    pub(super) fn put(&mut self, empty: &mut Vec<u64>) {
        let taken = self.ring.consumer().load(Ordering::Acquire);
        let inside = self.next.wrapping_sub(taken).min(self.ring.size);
        let room = (self.ring.size - inside) as usize;
        if room == 0 || empty.is_empty() {
            return;
        }
        for address in empty.drain(empty.len().saturating_sub(room)..) {
            self.ring.entry(self.next)[0].store(address, Ordering::Relaxed);
            self.next = self.next.wrapping_add(1);
        }
        // Releases the entries to the kernel.
        self.ring.producer().store(self.next, Ordering::Release);
    }

    /// Whether the kernel needs a wake-up call.
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        let flags = self.ring.memory.half_word(self.ring.layout.flags).load(Ordering::Relaxed);
        flags & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { producer: 0, consumer: 64, flags: 128, entries: 192 };

    const SIZE: u32 = 8;

    /// A ring with all counters at `start`. The test acts as the kernel.
    fn ring(entry_words: usize, start: u32) -> Ring {
        let memory = Mapping::anonymous(4096).unwrap();
        let ring = Ring { memory, layout: LAYOUT, size: SIZE, entry_words };
        ring.producer().store(start, Ordering::Relaxed);
        ring.consumer().store(start, Ordering::Relaxed);
        ring
    }

    /// The second word of a descriptor in the layout of the kernel.
    fn second_word(length: u32, options: u32) -> u64 {
        let mut octets = [0; 8];
        octets[..4].copy_from_slice(&length.to_ne_bytes());
        octets[4..].copy_from_slice(&options.to_ne_bytes());
        u64::from_ne_bytes(octets)
    }

    #[test]
    fn buffers_are_received_in_order_also_when_counters_wrap() {
        for start in [0, 5, u32::MAX - 2] {
            let mut receive = ReceiveRing { ring: ring(2, start), next: start };
            assert_eq!(receive.available(), 0);
            for round in 0..10u32 {
                let produced = receive.next;
                for index in 0..SIZE {
                    let entry = receive.ring.entry(produced.wrapping_add(index));
                    entry[0].store(u64::from(round * 100 + index) << 33, Ordering::Relaxed);
                    entry[1].store(second_word(index + 60, index % 2), Ordering::Relaxed);
                }
                receive.ring.producer().store(produced.wrapping_add(SIZE), Ordering::Release);
                assert_eq!(receive.available(), SIZE);
                for index in 0..SIZE {
                    let address = u64::from(round * 100 + index) << 33;
                    let expected = Descriptor { address, length: index + 60, options: index % 2 };
                    assert_eq!(receive.take(), expected);
                }
                assert_eq!(receive.available(), 0);
                assert_eq!(receive.ring.consumer().load(Ordering::Relaxed), produced);
                receive.release();
                let consumed = receive.ring.consumer().load(Ordering::Relaxed);
                assert_eq!(consumed, produced.wrapping_add(SIZE));
            }
        }
    }

    #[test]
    fn the_fill_ring_takes_as_many_as_it_has_room_for() {
        for start in [0, u32::MAX - 3] {
            let mut fill = FillRing { ring: ring(1, start), next: start };
            let mut empty: Vec<u64> = (0..12).collect();
            fill.put(&mut empty);
            assert_eq!(empty, [0, 1, 2, 3]);
            let produced = fill.ring.producer().load(Ordering::Relaxed);
            assert_eq!(produced, start.wrapping_add(SIZE));
            let put: Vec<u64> = (0..SIZE)
                .map(|index| fill.ring.entry(start.wrapping_add(index))[0].load(Ordering::Relaxed))
                .collect();
            assert_eq!(put, [4, 5, 6, 7, 8, 9, 10, 11]);
            fill.put(&mut empty);
            assert_eq!(empty.len(), 4);
            // The kernel takes six, but there are only four.
            fill.ring.consumer().store(start.wrapping_add(6), Ordering::Relaxed);
            fill.put(&mut empty);
            assert_eq!(empty.len(), 0);
            let produced = fill.ring.producer().load(Ordering::Relaxed);
            assert_eq!(produced, start.wrapping_add(SIZE + 4));
            assert!(!fill.needs_wakeup());
            let flags = fill.ring.memory.half_word(LAYOUT.flags);
            flags.store(libc::XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
            assert!(fill.needs_wakeup());
        }
    }
}
