//! The one place of this program where the compiler's checks end: what libc offers and no safe
//! library does.

#![allow(unsafe_code, reason = "the one place in this crate")]

pub(crate) mod ethtool;
pub(crate) mod libpcap;
pub(crate) mod mapping;
mod option;
pub(crate) mod packet_ring;
pub(crate) mod promiscuous;
mod ring;
pub(crate) mod schedule;
pub(crate) mod signal;
pub(crate) mod support;
pub(crate) mod xsk;

use std::io;

use log::debug;

/// Has all threads allocate from one heap. Otherwise each has one of its own, which reserves 64 MiB
/// of addresses. To be called before there are other threads.
pub(crate) fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call sets a number, and no other thread is in the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Asks for huge pages behind memory that is about to be used. Without them all works, slower.
pub(crate) fn advise_huge_pages(memory: &[u8]) {
    if let Err(problem) = advise(memory, libc::MADV_HUGEPAGE) {
        debug!("no huge pages: {problem}");
    }
}

/// Has the kernel put pages behind memory now: the first touch of each costs more than a packet
/// may. Before Linux 5.14, which cannot, that happens as the memory is used.
pub(crate) fn populate(memory: &[u8]) {
    if let Err(problem) = advise(memory, libc::MADV_POPULATE_WRITE) {
        debug!("memory comes as it is used: {problem}");
    }
}

/// Only for advice that changes what backs memory and never what it holds.
fn advise(memory: &[u8], advice: libc::c_int) -> io::Result<()> {
    const PAGE: usize = 4096;
    let range = memory.as_ptr_range();
    let begin = range.start.addr().next_multiple_of(PAGE);
    let length = range.end.addr().saturating_sub(begin) / PAGE * PAGE;
    if length == 0 {
        return Ok(());
    }
    let begin = range.start.with_addr(begin);
    // SAFETY: the pages lie within memory that is borrowed here, and what they hold stays.
    let result = unsafe { libc::madvise(begin.cast_mut().cast(), length, advice) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
