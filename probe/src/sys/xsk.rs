//! An `AF_XDP` socket that only receives, and its memory of frames.
//!
//! The memory is divided into chunks. Each chunk is always in one place: in the fill ring or in
//! use, then it belongs to the kernel; in the receive ring; lent; or in the list of empty ones.
//! This process only reads chunks that came from the kernel through the receive ring.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::mapping::Mapping;
use super::option::{self, Plain, SocketOption};
use super::ring::{FillRing, Layout, ReceiveRing};

/// Number of buffers after which the fill ring is filled again.
const BATCH: u32 = 64;

/// Distance, in buffers, from the lent one to the prefetched one.
const AHEAD: u32 = 8;

/// The kernel requires this ring too. Nothing is sent, so it stays empty.
const COMPLETION_RING: u32 = 2;

// SAFETY: 64-bit integers only.
unsafe impl Plain for libc::xdp_mmap_offsets {}
// SAFETY: 64-bit integers only.
unsafe impl Plain for libc::xdp_statistics {}
// SAFETY: one integer.
unsafe impl Plain for libc::xdp_options {}
// SAFETY: two 64-bit integers and four of 32 bits.
unsafe impl Plain for libc::xdp_umem_reg {}

/// Sizes of a socket's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct XskSizes {
    /// Entries of each ring; a power of two.
    pub(crate) ring: u32,
    /// Number of chunks of memory.
    pub(crate) frames: u32,
    /// Octets of a chunk: 2048 or 4096.
    pub(crate) chunk: u32,
}

impl XskSizes {
    /// Octets of the memory of frames.
    pub(crate) fn memory(&self) -> u64 {
        u64::from(self.frames) * u64::from(self.chunk)
    }
}

/// The queue to which a socket is bound, and flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct XskBinding {
    pub(crate) ifindex: u32,
    pub(crate) queue: u32,
    /// Whether frames must be copied, because the program runs after the driver.
    pub(crate) copies: bool,
    /// Whether a frame may be in several buffers.
    pub(crate) segments: bool,
}

/// The failed step in opening a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum XskStep {
    /// Creation of the socket.
    Socket,
    /// Registration of the memory of frames, which the kernel pins.
    Memory,
    /// Creation of the rings.
    Rings,
}

/// The socket, before and after it is bound.
#[derive(Debug)]
pub(crate) struct Xsk {
    receive: ReceiveRing,
    fill: FillRing,
    /// Addresses of empty chunks that belong to this process.
    empty: Vec<u64>,
    /// Closed before the memory is unmapped.
    socket: OwnedFd,
    memory: Mapping,
    chunk: u64,
    /// Descriptors that point outside of the memory: 0, unless the kernel has a bug.
    invalid_descriptors: u64,
}

/// A buffer that is lent for one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer<'a> {
    pub(crate) data: &'a [u8],
    /// Whether the frame continues in the next buffer.
    pub(crate) continues: bool,
}

impl Xsk {
    /// Creates a socket, its memory and its rings. All chunks are available to the kernel.
    pub(crate) fn new(sizes: &XskSizes) -> Result<Self, (XskStep, io::Error)> {
        let at = |step| move |error| (step, error);
        let socket = socket().map_err(at(XskStep::Socket))?;
        let memory = memory(socket.as_fd(), sizes).map_err(at(XskStep::Memory))?;
        let rings = rings(socket.as_fd(), sizes.ring).map_err(at(XskStep::Rings))?;
        let (receive, fill) = rings;
        let chunk = u64::from(sizes.chunk);
        let empty = (0..u64::from(sizes.frames)).map(|index| index * chunk).collect();
        let mut xsk = Self { receive, fill, empty, socket, memory, chunk, invalid_descriptors: 0 };
        xsk.refill();
        Ok(xsk)
    }

    /// Binds the socket to a queue. After an error it may be tried again.
    pub(crate) fn bind(&self, binding: &XskBinding) -> io::Result<()> {
        let mut flags = libc::XDP_USE_NEED_WAKEUP;
        if binding.copies {
            flags |= libc::XDP_COPY;
        }
        if binding.segments {
            flags |= libc::XDP_USE_SG;
        }
        let address = libc::sockaddr_xdp {
            sxdp_family: u16::try_from(libc::AF_XDP).expect("a small number"),
            sxdp_flags: flags,
            sxdp_ifindex: binding.ifindex,
            sxdp_queue_id: binding.queue,
            sxdp_shared_umem_fd: 0,
        };
        let length = libc::socklen_t::try_from(size_of_val(&address)).expect("a few octets");
        let address = ptr::from_ref(&address).cast();
        // SAFETY: the kernel reads `length` octets of the address.
        let result = unsafe { libc::bind(self.socket.as_raw_fd(), address, length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Whether the driver writes directly to the memory of frames (zero copy).
    pub(crate) fn is_zero_copy(&self) -> io::Result<bool> {
        let options: libc::xdp_options = self.get(libc::XDP_OPTIONS)?;
        Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }

    /// The counters of the kernel.
    pub(crate) fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        self.get(libc::XDP_STATISTICS)
    }

    fn get<T: Plain>(&self, name: libc::c_int) -> io::Result<T> {
        option::get(self.socket.as_fd(), SocketOption { level: libc::SOL_XDP, name })
    }

    /// Descriptors that point outside of the memory. Their frames are lost.
    pub(crate) fn invalid_descriptors(&self) -> u64 {
        self.invalid_descriptors
    }

    /// Number of buffers that can be received now.
    #[inline]
    pub(crate) fn available(&self) -> u32 {
        self.receive.available()
    }

    /// Lends this number of the available buffers. Empty chunks go back to the kernel before each
    /// batch, so that it always has some while frames are processed.
    #[inline]
    pub(crate) fn receive(&mut self, count: u32, mut take: impl FnMut(Buffer<'_>)) {
        let mut left = count.min(self.receive.available());
        while left > 0 {
            self.refill();
            let batch = left.min(BATCH);
            for _ in 0..batch {
                self.lend_next(&mut take);
            }
            self.receive.release();
            left -= batch;
        }
        self.refill();
    }

    #[inline]
    fn lend_next(&mut self, take: &mut impl FnMut(Buffer<'_>)) {
        let ahead = self.receive.address_ahead(AHEAD);
        if let Ok(offset) = usize::try_from(ahead) {
            self.memory.prefetch(offset);
        }
        let descriptor = self.receive.take();
        let (Ok(offset), Ok(length)) =
            (usize::try_from(descriptor.address), usize::try_from(descriptor.length))
        else {
            self.invalid_descriptors += 1;
            return;
        };
        // SAFETY: the kernel gave this buffer back through the receive ring. Its chunk is in none
        // of the other places, and is added to the list of empty ones only after the call.
        let Some(data) = (unsafe { self.memory.octets(offset, length) }) else {
            self.invalid_descriptors += 1;
            return;
        };
        take(Buffer { data, continues: descriptor.options & libc::XDP_PKT_CONTD != 0 });
        self.empty.push(descriptor.address - descriptor.address % self.chunk);
    }

    /// Gives empty chunks to the kernel.
    #[inline]
    pub(crate) fn refill(&mut self) {
        self.fill.put(&mut self.empty);
    }

    /// Whether the kernel waits for [`Xsk::wake`].
    #[inline]
    pub(crate) fn needs_wakeup(&self) -> bool {
        self.fill.needs_wakeup()
    }

    /// Tells the kernel that there are empty chunks. Fails with `ENETDOWN` while the interface is
    /// down, and with `ENXIO` always after it is gone.
    pub(crate) fn wake(&self) -> io::Result<()> {
        // SAFETY: no data is read, and no address is requested.
        let result = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for Xsk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let socket = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the socket is new; no other code has its descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

/// Memory for frames, which the kernel pins from now on.
fn memory(socket: BorrowedFd<'_>, sizes: &XskSizes) -> io::Result<Mapping> {
    let length = usize::try_from(sizes.memory()).map_err(io::Error::other)?;
    let memory = Mapping::anonymous(length)?;
    // SAFETY: the memory is new; no other code has its address.
    if let Some(octets) = unsafe { memory.octets(0, length) } {
        super::advise_huge_pages(octets);
    }
    let registration = libc::xdp_umem_reg {
        addr: u64::try_from(memory.start().addr().get()).map_err(io::Error::other)?,
        len: sizes.memory(),
        chunk_size: sizes.chunk,
        headroom: 0,
        flags: 0,
        tx_metadata_len: 0,
    };
    set(socket, libc::XDP_UMEM_REG, &registration)?;
    Ok(memory)
}

fn rings(socket: BorrowedFd<'_>, size: u32) -> io::Result<(ReceiveRing, FillRing)> {
    set(socket, libc::XDP_UMEM_FILL_RING, &size)?;
    set(socket, libc::XDP_UMEM_COMPLETION_RING, &COMPLETION_RING)?;
    set(socket, libc::XDP_RX_RING, &size)?;
    let option = SocketOption { level: libc::SOL_XDP, name: libc::XDP_MMAP_OFFSETS };
    let offsets: libc::xdp_mmap_offsets = option::get(socket, option)?;
    let receive = ReceiveRing::map(socket, Layout::try_from(offsets.rx)?, size)?;
    let fill = FillRing::map(socket, Layout::try_from(offsets.fr)?, size)?;
    Ok((receive, fill))
}

fn set<T: Plain>(socket: BorrowedFd<'_>, name: libc::c_int, value: &T) -> io::Result<()> {
    option::set(socket, SocketOption { level: libc::SOL_XDP, name }, value)
}
