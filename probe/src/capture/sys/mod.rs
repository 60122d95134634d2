//! The one place of this program where the compiler's checks end: what libc offers and no safe
//! library does.

#![allow(unsafe_code, reason = "the one place in this crate")]

pub(crate) mod mapping;
mod option;
pub(crate) mod packet_ring;
pub(crate) mod promiscuous;
mod ring;
pub(crate) mod xsk;

use log::debug;

/// Asks for huge pages behind memory that is about to be used. Without them all works, slower.
pub(crate) fn advise_huge_pages(memory: &[u8]) {
    const PAGE: usize = 4096;
    let range = memory.as_ptr_range();
    let begin = range.start.addr().next_multiple_of(PAGE);
    let length = range.end.addr().saturating_sub(begin) / PAGE * PAGE;
    if length == 0 {
        return;
    }
    let begin = range.start.with_addr(begin);
    // SAFETY: the pages lie within memory that is borrowed here; MADV_HUGEPAGE changes what backs
    // them and never what they hold.
    let result = unsafe { libc::madvise(begin.cast_mut().cast(), length, libc::MADV_HUGEPAGE) };
    if result != 0 {
        debug!("no huge pages: {}", std::io::Error::last_os_error());
    }
}
