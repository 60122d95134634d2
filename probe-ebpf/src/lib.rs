//! What the XDP programs of this package share with the probe that loads them: names, numbers, the
//! layout of counters, and the compiled programs themselves.
//!
//! An object holds its programs and their maps. It is loaded once for each interface, so that each
//! has maps of its own: a socket in the map of another interface would lose every frame unseen.

#![no_std]

/// Program that redirects frames of one buffer.
pub const REDIRECT: &str = "redirect";

/// Program that redirects frames of one or more buffers (Linux 6.6).
pub const REDIRECT_FRAGS: &str = "redirect_frags";

/// Map of sockets (`BPF_MAP_TYPE_XSKMAP`): the index is that of the receive queue.
pub const SOCKETS: &str = "SOCKETS";

/// Map of [`QueueCounters`] (`BPF_MAP_TYPE_ARRAY`, `BPF_F_MMAPABLE`): the index is that of the
/// receive queue; queues from [`QUEUES_MAX`] on share the last.
pub const COUNTERS: &str = "COUNTERS";

/// Receive queues that can have a socket.
pub const QUEUES_MAX: u32 = 1024;

/// Counters of a receive queue: octet for octet an element of the map [`COUNTERS`], 64 octets, so
/// that queues do not share a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct QueueCounters {
    /// Frames handed to the queue's socket.
    pub redirected: u64,
    /// Frames of a queue without a socket, left to the host.
    pub passed: u64,
    /// Frames that the kernel would not redirect, for another reason than a missing socket.
    pub refused: u64,
    reserved: [u64; 5],
}

const _: () = assert!(size_of::<QueueCounters>() == 64);

/// The object of [`REDIRECT`] and [`REDIRECT_FRAGS`].
#[cfg(not(target_arch = "bpf"))]
pub static REDIRECT_OBJECT: &[u8] = {
    static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!("bin/redirect.bpf.o"));
    &OBJECT.0
};

/// An ELF file is read in words.
#[cfg(not(target_arch = "bpf"))]
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);
