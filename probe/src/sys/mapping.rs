//! Memory that is shared with the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A mapping of memory. Its words are atomic, because the kernel may change them at any time.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: through a shared mapping only atomic words can be reached; `octets` has its own safety
// condition.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// New memory, zeroed.
    pub(crate) fn anonymous(length: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        Self::map(length, flags, -1, 0)
    }

    /// Memory of a map or a socket, from `offset` on. Its pages are populated at once.
    pub(crate) fn shared(
        file: BorrowedFd<'_>,
        length: usize,
        offset: libc::off_t,
    ) -> io::Result<Self> {
        Self::map(length, libc::MAP_SHARED | libc::MAP_POPULATE, file.as_raw_fd(), offset)
    }

    fn map(length: usize, flags: i32, file: i32, offset: libc::off_t) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is requested, so existing mappings do not change.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, access, flags, file, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The address of the first octet, which is page-aligned.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// `count` words at an offset in octets.
    ///
    /// # Panics
    ///
    /// If they are not within the mapping, or not at a multiple of 8 octets.
    #[inline]
    pub(crate) fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        assert!(offset.is_multiple_of(8), "words are aligned");
        let end = count.checked_mul(8).and_then(|octets| octets.checked_add(offset));
        assert!(end.is_some_and(|end| end <= self.length), "words are within the mapping");
        // SAFETY: within the mapping, which lives as long as `self`; aligned, as pages are; and all
        // octet patterns are valid words.
        unsafe { slice::from_raw_parts(self.start.add(offset).cast().as_ptr(), count) }
    }

    /// A word of 32 bits at an offset, in octets.
    ///
    /// # Panics
    ///
    /// If it is not within the mapping, or not at a multiple of 4 octets.
    #[inline]
    pub(crate) fn half_word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4), "words are aligned");
        let end = offset.checked_add(4);
        assert!(end.is_some_and(|end| end <= self.length), "words are within the mapping");
        // SAFETY: as above.
        unsafe { self.start.add(offset).cast().as_ref() }
    }

    /// Prefetches the cache line of an octet that will be read soon. It affects only speed, so any
    /// offset is permitted.
    #[inline]
    pub(super) fn prefetch(&self, offset: usize) {
        let address = self.start.as_ptr().wrapping_add(offset);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, which reads nothing and cannot fault.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _unused = address;
    }

    /// Some octets, if they are within the mapping.
    ///
    /// # Safety
    ///
    /// Neither the kernel nor this process writes to them while they are borrowed.
    #[inline]
    pub(super) unsafe fn octets(&self, offset: usize, count: usize) -> Option<&[u8]> {
        if offset.checked_add(count)? > self.length {
            return None;
        }
        // SAFETY: within the mapping, which lives as long as `self`; the caller guarantees that
        // there are no writes.
        Some(unsafe { slice::from_raw_parts(self.start.add(offset).as_ptr(), count) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and no borrow of it is left.
        let result = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn words_are_within_the_mapping() {
        let mapping = Mapping::anonymous(4096).unwrap();
        mapping.words(4080, 2)[1].store(7, Ordering::Relaxed);
        assert_eq!(mapping.words(4088, 1)[0].load(Ordering::Relaxed), 7);
        let low = if cfg!(target_endian = "little") { 4088 } else { 4092 };
        assert_eq!(mapping.half_word(low).load(Ordering::Relaxed), 7);
        for (offset, count) in [(4088, 2), (4096, 1), (4, 1), (usize::MAX - 7, 1), (8, usize::MAX)]
        {
            let words = std::panic::catch_unwind(|| mapping.words(offset, count).len());
            assert!(words.is_err(), "{offset} {count}");
        }
        for offset in [4096, 2, usize::MAX - 3] {
            let word =
                std::panic::catch_unwind(|| mapping.half_word(offset).load(Ordering::SeqCst));
            assert!(word.is_err(), "{offset}");
        }
    }
}
