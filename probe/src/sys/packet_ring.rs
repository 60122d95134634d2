//! A packet socket, and the ring to which the kernel writes its packets (packet(7), `TPACKET_V3`).
//!
//! The ring consists of blocks. A status word in each tells whether the kernel or this process owns
//! the block. Another module parses the content of a block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{c_int, sock_filter, sockaddr_ll};

use super::option::{self, Plain, SocketOption, check, length_of};

/// Size of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingSize {
    /// A multiple of the page size.
    pub(crate) block_octets: u32,
    /// At least 1.
    pub(crate) blocks: u32,
    /// Time after which the kernel passes on a block that is not full.
    pub(crate) block_timeout_ms: u32,
}

/// A packet socket with its ring.
#[derive(Debug)]
pub(crate) struct PacketRing {
    socket: OwnedFd,
    memory: NonNull<u8>,
    size: RingSize,
    /// Index of the next block.
    current: u32,
}

/// Sockets that share the packets of an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The request to join it: the method to spread packets, and the group number.
    request: u32,
}

/// Capture of the packets that the host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Taken,
    Ignored,
}

/// The interface to which a socket is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// `None` after the interface is gone.
    pub(crate) index: Option<u32>,
    /// Its `ARPHRD_` number.
    pub(crate) hardware: u16,
}

/// Counts of a socket since the last query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RingCounts {
    /// Packets that passed the filter, including dropped ones.
    pub(crate) packets: u32,
    /// Packets among them that were dropped because no block was free.
    pub(crate) drops: u32,
    /// Times that no block was free.
    pub(crate) freezes: u32,
}

// SAFETY: the mapping belongs to this value alone and does not depend on the thread.
unsafe impl Send for PacketRing {}

impl PacketRing {
    /// A socket that is bound to no interface, with a virtio-net header before each packet.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`, `ENOMEM` if the ring is too large.
    pub(crate) fn open(size: RingSize) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers. Protocol 0 receives nothing until the socket is bound.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        let socket = check(socket)?;
        // SAFETY: the descriptor is new; no other code owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        set(&socket, libc::PACKET_VERSION, &VERSION_3)?;
        set(&socket, libc::PACKET_VNET_HDR, &1_i32)?;
        let request = libc::tpacket_req3 {
            tp_block_size: size.block_octets,
            tp_block_nr: size.blocks,
            // Only for checks of the kernel: packets have variable lengths.
            tp_frame_size: size.block_octets,
            tp_frame_nr: size.blocks,
            tp_retire_blk_tov: size.block_timeout_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::PACKET_RX_RING, &request)?;
        let memory = map(socket.as_raw_fd(), size.octets())?;
        Ok(Self { socket, memory, size, current: 0 })
    }

    /// Captures packets of all protocols that arrive or leave on an interface.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn bind(&self, index: u32) -> io::Result<()> {
        let address = sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
            sll_protocol: ALL_PROTOCOLS.to_be(),
            sll_ifindex: c_int::try_from(index).unwrap_or(c_int::MAX),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let (pointer, length) = ((&raw const address).cast(), length_of::<sockaddr_ll>());
        // SAFETY: the pointer is to an address of that length.
        check(unsafe { libc::bind(self.socket.as_raw_fd(), pointer, length) })?;
        Ok(())
    }

    /// The interface to which the socket is bound.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn bound(&self) -> io::Result<Bound> {
        // SAFETY: all octets 0 are a valid address.
        let mut address: sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut length = length_of::<sockaddr_ll>();
        let pointer = (&raw mut address).cast();
        // SAFETY: the pointer is to an address of that length, and the kernel writes an address to
        // it.
        check(unsafe { libc::getsockname(self.socket.as_raw_fd(), pointer, &raw mut length) })?;
        let index = u32::try_from(address.sll_ifindex).ok().filter(|&index| index > 0);
        Ok(Bound { index, hardware: address.sll_hatype })
    }

    /// Replaces the filter, which packets must pass before they get into the ring.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn set_filter(&self, program: &[sock_filter]) -> io::Result<()> {
        option::attach(self.socket.as_fd(), libc::SO_ATTACH_FILTER, program)
    }

    /// Removes the filter: all packets get into the ring, uncut. Fails if there is no filter.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn remove_filter(&self) -> io::Result<()> {
        let name = libc::SO_DETACH_FILTER;
        // The value is ignored.
        option::set(self.socket.as_fd(), SocketOption { level: libc::SOL_SOCKET, name }, &0_i32)
    }

    /// Excludes the packets that the host sends. Kernels before 4.20 cannot do this.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn ignore_outgoing(&self) -> io::Result<()> {
        set(&self.socket, libc::PACKET_IGNORE_OUTGOING, &1_i32)
    }

    /// Makes the interface promiscuous until this socket is closed for any reason.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn be_promiscuous(&self, index: u32) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: c_int::try_from(index).unwrap_or(c_int::MAX),
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or_default(),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(&self.socket, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Creates a group of sockets. Packets are spread over them by the hash of their flow. The
    /// group decides about packets that the host sends, regardless of the settings of its sockets.
    /// Old kernels cannot exclude them, and return no error.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn create_group(&self, outgoing: Outgoing) -> io::Result<Group> {
        let flags = match outgoing {
            Outgoing::Taken => 0,
            Outgoing::Ignored => libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING,
        };
        // By hash only. The kernel could also reassemble fragments first
        // (PACKET_FANOUT_FLAG_DEFRAG), but each of them must be counted as a packet. They stay
        // together without that, because the hash of a fragment does not use the ports.
        let kind = libc::PACKET_FANOUT_HASH | flags;
        // The group number must not be in use by another program.
        let request = (kind | libc::PACKET_FANOUT_FLAG_UNIQUEID) << 16;
        set(&self.socket, libc::PACKET_FANOUT, &request)?;
        let number: u32 = get(&self.socket, libc::PACKET_FANOUT)?;
        Ok(Group { request: kind << 16 | number & 0xffff })
    }

    /// Joins a group.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn join_group(&self, group: Group) -> io::Result<()> {
        set(&self.socket, libc::PACKET_FANOUT, &group.request)
    }

    /// Counts since the last call.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn counts(&self) -> io::Result<RingCounts> {
        let counts: [u32; 3] = get(&self.socket, libc::PACKET_STATISTICS)?;
        let [packets, drops, freezes] = counts;
        Ok(RingCounts { packets, drops, freezes })
    }

    /// The pending error of the socket: `ENETDOWN` when its interface went down.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        let option = SocketOption { level: libc::SOL_SOCKET, name: libc::SO_ERROR };
        let code: c_int = option::get(self.socket.as_fd(), option)?;
        Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
    }

    /// The next block, if the kernel has passed it on. This process owns it until
    /// [`PacketRing::release`].
    #[inline]
    pub(crate) fn block(&mut self) -> Option<&mut [u8]> {
        if self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let block = self.block_pointer();
        // SAFETY: the block is within the mapping, which lives as long as this value, which is
        // borrowed mutably. The kernel does not access it before `release` gives it back.
        Some(unsafe {
            std::slice::from_raw_parts_mut(block.as_ptr(), self.size.block_octets as usize)
        })
    }

    /// Gives the block of [`PacketRing::block`] back, if there is one, and moves to the next.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.status().load(Ordering::Relaxed) & libc::TP_STATUS_USER == 0 {
            return;
        }
        self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.current = (self.current + 1) % self.size.blocks;
    }

    /// Size of the ring in octets.
    pub(crate) fn octets(&self) -> usize {
        self.size.octets()
    }

    fn block_pointer(&self) -> NonNull<u8> {
        let offset = self.current as usize * self.size.block_octets as usize;
        // SAFETY: `current` is below the number of blocks, so the block is within the mapping.
        unsafe { self.memory.add(offset) }
    }

    /// The word that tells the owner of the current block.
    fn status(&self) -> &AtomicU32 {
        let word = self.block_pointer().cast::<libc::tpacket_block_desc>();
        // SAFETY: a block begins with a descriptor of version 1, is aligned to a page, and both
        // sides access this word as a whole. No slice of the block lives while `self` is borrowed.
        unsafe { AtomicU32::from_ptr(&raw mut (*word.as_ptr()).hdr.bh1.block_status) }
    }
}

impl AsFd for PacketRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: the mapping has this size, and there is no reference to it any more.
        let result = unsafe { libc::munmap(self.memory.as_ptr().cast(), self.size.octets()) };
        debug_assert_eq!(result, 0, "a mapping can be given back");
    }
}

impl RingSize {
    fn octets(self) -> usize {
        self.block_octets as usize * self.blocks as usize
    }
}

fn map(socket: RawFd, octets: usize) -> io::Result<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let nowhere = std::ptr::null_mut();
    // SAFETY: the kernel chooses the address. The ring of this socket is mapped.
    let memory = unsafe { libc::mmap(nowhere, octets, protection, libc::MAP_SHARED, socket, 0) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(memory.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// Sets an option of a packet socket.
fn set<T: Plain>(socket: &OwnedFd, name: c_int, value: &T) -> io::Result<()> {
    option::set(socket.as_fd(), SocketOption { level: libc::SOL_PACKET, name }, value)
}

/// Gets an option of a packet socket.
fn get<T: Plain>(socket: &OwnedFd, name: c_int) -> io::Result<T> {
    option::get(socket.as_fd(), SocketOption { level: libc::SOL_PACKET, name })
}

// SAFETY: integers of 32 bits.
unsafe impl Plain for libc::tpacket_req3 {}

/// `TPACKET_V3`.
const VERSION_3: c_int = 2;
/// `ETH_P_ALL`.
const ALL_PROTOCOLS: u16 = 3;
