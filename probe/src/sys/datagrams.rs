//! UDP sockets of a collector: many datagrams with each system call (recvmmsg(2)), and an
//! exporter's datagrams always at the same socket.

use std::io;
use std::mem::{self, MaybeUninit, offset_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use super::option::{self, Plain, SocketOption, length_of};

/// Maximum number of datagrams of a system call.
const BATCH: usize = 64;

/// Octets between two buffers. Each has room for the longest datagram. The rest keeps the first
/// octets of different datagrams in different sets of a cache.
const STRIDE: usize = 65_536 + 9216;

/// A datagram.
pub(crate) struct Datagram<'a> {
    /// An address of IPv4 that was mapped to IPv6 is one of IPv4 again.
    pub(crate) from: SocketAddr,
    /// When the kernel received it, since 1970. `None` if the kernel does not tell.
    pub(crate) received: Option<Duration>,
    pub(crate) octets: &'a [u8],
}

/// Buffers for the datagrams of a system call: 4.8 MB.
pub(crate) struct DatagramBuffers(Box<[u8]>);

/// Room for a control message with the time.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

impl DatagramBuffers {
    pub(crate) fn new() -> Self {
        Self(vec![0; BATCH * STRIDE].into_boxed_slice())
    }

    /// Takes the datagrams that a socket has, up to [`BATCH`]. Does not wait. Returns whether more
    /// may be there.
    ///
    /// # Errors
    ///
    /// The errno of the system call. `EAGAIN` is none: there are no datagrams.
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut take: impl FnMut(&Datagram<'_>),
    ) -> io::Result<bool> {
        // SAFETY: zeros are a valid value of both: null pointers and lengths of 0.
        let mut slices: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let mut names = [MaybeUninit::<libc::sockaddr_storage>::zeroed(); BATCH];
        let mut controls = [Control([0; 64]); BATCH];
        let buffers = self.0.chunks_exact_mut(STRIDE);
        for ((((buffer, slice), message), name), control) in
            buffers.zip(&mut slices).zip(&mut messages).zip(&mut names).zip(&mut controls)
        {
            slice.iov_base = buffer.as_mut_ptr().cast();
            slice.iov_len = buffer.len();
            let header = &mut message.msg_hdr;
            header.msg_iov = ptr::from_mut(slice);
            header.msg_iovlen = 1;
            header.msg_name = name.as_mut_ptr().cast();
            header.msg_namelen = length_of::<libc::sockaddr_storage>();
            header.msg_control = ptr::from_mut(control).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: all pointers of the messages are to memory of the given lengths, which lives
        // longer than the call and is not used otherwise.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                libc::c_uint::try_from(messages.len()).unwrap_or(0),
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let problem = io::Error::last_os_error();
            let is_usual =
                matches!(problem.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            return if is_usual { Ok(false) } else { Err(problem) };
        };
        let buffers = self.0.chunks_exact(STRIDE);
        for ((message, buffer), name) in messages.iter().zip(buffers).zip(&names).take(received) {
            // SAFETY: it was zeroed, which is a valid value, and the kernel has written a part.
            let name = unsafe { name.assume_init_ref() };
            let octets = buffer.get(..message.msg_len as usize).unwrap_or_default();
            if let Some(from) = address(name) {
                take(&Datagram { from, received: time(&message.msg_hdr), octets });
            }
        }
        Ok(received == BATCH)
    }
}

/// The address that the kernel has written.
fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name_at = ptr::from_ref(name);
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: a `sockaddr_storage` of this family has a `sockaddr_in` at its begin, and is
            // large enough and aligned for it.
            let name = unsafe { name_at.cast::<libc::sockaddr_in>().read() };
            let address = Ipv4Addr::from_bits(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::new(address.into(), u16::from_be(name.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { name_at.cast::<libc::sockaddr_in6>().read() };
            let address = IpAddr::V6(Ipv6Addr::from(name.sin6_addr.s6_addr)).to_canonical();
            Some(SocketAddr::new(address, u16::from_be(name.sin6_port)))
        }
        _ => None,
    }
}

/// The time of a datagram, by its first control message.
fn time(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel has written control messages of this length.
    let control = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() }?;
    let length = size_of::<libc::timespec>();
    // SAFETY: no memory is accessed.
    let whole = unsafe { libc::CMSG_LEN(u32::try_from(length).ok()?) };
    let is_time = (control.cmsg_level, control.cmsg_type)
        == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS)
        && control.cmsg_len as u64 >= u64::from(whole);
    if !is_time {
        return None;
    }
    // SAFETY: a control message of this type and length has a `timespec`.
    let time = unsafe { libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned() };
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

/// Datagrams for which the socket had no room, since it was opened (modulo 2^32). Before Linux 4.12
/// the kernel does not tell.
///
/// # Errors
///
/// The errno of the system call.
pub(crate) fn dropped(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let option = SocketOption { level: libc::SOL_SOCKET, name: libc::SO_MEMINFO };
    option::get::<MemoryInfo>(socket, option).map(|info| info.drops)
}

/// What `SO_MEMINFO` gives.
#[repr(C)]
#[derive(Clone, Copy)]
struct MemoryInfo {
    others: [u32; 8],
    /// `SK_MEMINFO_DROPS`.
    drops: u32,
}

const _: () = assert!(offset_of!(MemoryInfo, drops) == 32);

// SAFETY: integers without gaps.
unsafe impl Plain for MemoryInfo {}

/// Lets the source address of a datagram decide which of the sockets of its port gets it. The
/// sockets count in the order in which they were bound.
///
/// # Errors
///
/// The errno of the system call.
pub(crate) fn share_by_source(socket: BorrowedFd<'_>, sockets: u32) -> io::Result<()> {
    option::attach(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &by_source(sockets))
}

/// The number, below `sockets`, of the socket that gets the datagrams from this address.
pub(crate) fn socket_of(source: IpAddr, sockets: usize) -> usize {
    let words = match source {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let words = octets.chunks_exact(4).filter_map(|word| word.try_into().ok());
            words.map(u32::from_be_bytes).fold(0, |all, word| all ^ word)
        }
    };
    let product = words.wrapping_mul(MULTIPLIER);
    (product ^ product >> 16) as usize % sockets.max(1)
}

/// Of a hash in which each bit of an address changes the upper half of the word.
const MULTIPLIER: u32 = 0x9e37_79b1;

/// `SKF_NET_OFF`: offsets from here on are in the IP header.
const NETWORK: u32 = 0xfff0_0000;

/// The program: it hashes the source address, and takes the remainder.
fn by_source(sockets: u32) -> [libc::sock_filter; 21] {
    const LOAD_OCTET: u16 = 0x30;
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const AND: u16 = 0x54;
    const TO_X: u16 = 0x07;
    const XOR_X: u16 = 0xac;
    const MULTIPLY: u16 = 0x24;
    const SHIFT_RIGHT: u16 = 0x74;
    const REMAINDER: u16 = 0x94;
    const JUMP: u16 = 0x05;
    const RETURN_A: u16 = 0x16;
    let operation = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let word = |offset: u32| operation(LOAD_WORD, NETWORK + offset);
    let (to_x, xor) = (operation(TO_X, 0), operation(XOR_X, 0));
    [
        operation(LOAD_OCTET, NETWORK),
        operation(AND, 0xf0),
        // IPv4 has one word, IPv6 has four.
        libc::sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 2, k: 0x40 },
        word(12),
        operation(JUMP, 10),
        word(8),
        to_x,
        word(12),
        xor,
        to_x,
        word(16),
        xor,
        to_x,
        word(20),
        xor,
        operation(MULTIPLY, MULTIPLIER),
        to_x,
        operation(SHIFT_RIGHT, 16),
        xor,
        operation(REMAINDER, sockets.max(1)),
        operation(RETURN_A, 0),
    ]
}
