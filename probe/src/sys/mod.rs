//! The only unsafe code of this crate: functions of libc for which there is no safe library.

#![allow(unsafe_code, reason = "the one place in this crate")]

pub(crate) mod datagrams;
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

/// Makes all threads allocate from one heap. Otherwise each thread has its own heap, which reserves
/// 64 MiB of addresses. Must be called before other threads start.
pub(crate) fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call sets a number, and no other thread is in the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Asks for huge pages for memory that is about to be used. Without them the program is slower.
pub(crate) fn advise_huge_pages(memory: &[u8]) {
    if let Err(problem) = advise(memory, libc::MADV_HUGEPAGE) {
        debug!("no huge pages: {problem}");
    }
}

/// Populates the pages of memory now, because the first write to each page costs more time than a
/// packet may take. Before Linux 5.14, which cannot do this, pages are populated when they are
/// used.
pub(crate) fn populate(memory: &[u8]) {
    if let Err(problem) = advise(memory, libc::MADV_POPULATE_WRITE) {
        debug!("memory comes as it is used: {problem}");
    }
}

/// Only for advice that never changes the content of memory.
fn advise(memory: &[u8], advice: libc::c_int) -> io::Result<()> {
    const PAGE: usize = 4096;
    let range = memory.as_ptr_range();
    let begin = range.start.addr().next_multiple_of(PAGE);
    let length = range.end.addr().saturating_sub(begin) / PAGE * PAGE;
    if length == 0 {
        return Ok(());
    }
    let begin = range.start.with_addr(begin);
    // SAFETY: the pages are within memory that is borrowed here, and their content does not change.
    let result = unsafe { libc::madvise(begin.cast_mut().cast(), length, advice) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
