//! Settings of a network card's driver (`SIOCETHTOOL`, the interface of the tool ethtool).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Queries the driver of an interface.
#[derive(Debug)]
pub(crate) struct Ethtool {
    socket: OwnedFd,
    request: libc::ifreq,
}

/// A number that the administrator can set in the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) current: u32,
    pub(crate) max: u32,
}

/// Offloads that merge or change packets before a capture on the host sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offloads {
    /// The card merges TCP segments, and their headers are lost.
    pub(crate) lro: bool,
    /// The kernel merges packets in a way that can be undone.
    pub(crate) gro: bool,
    /// The card removes the outer VLAN tag from the frame.
    pub(crate) rxvlan: bool,
}

impl Ethtool {
    /// Opens a socket for queries about the interface of this name, in the network namespace of
    /// this thread.
    ///
    /// # Errors
    ///
    /// The errno of the system call.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let (family, kind) = (AddressFamily::Inet, SockType::Datagram);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        // SAFETY: all octets 0 are a valid request: an empty name, a null pointer.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let (_, room) = request.ifr_name.split_last_mut().expect("a name has room");
        if name.len() > room.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in room.iter_mut().zip(name.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        Ok(Self { socket, request })
    }

    /// Offloads that are on.
    ///
    /// # Errors
    ///
    /// The errno of the driver.
    pub(crate) fn offloads(&mut self) -> io::Result<Offloads> {
        let [_, flags] = self.ask([GET_FLAGS, 0])?;
        let [_, gro] = self.ask([GET_GRO, 0])?;
        let (lro, rxvlan) = (flags & FLAG_LRO != 0, flags & FLAG_RXVLAN != 0);
        Ok(Offloads { lro, gro: gro != 0, rxvlan })
    }

    /// Receive queues: those that only receive, and combined ones.
    ///
    /// # Errors
    ///
    /// The errno of the driver: `EOPNOTSUPP` if it has no such setting.
    pub(crate) fn queues(&mut self) -> io::Result<Setting> {
        // Command, maxima of rx, tx, other, combined, then the current numbers in the same order.
        let mut question = [0; 9];
        question[0] = GET_CHANNELS;
        let [_, rx_max, _, _, both_max, rx, _, _, both] = self.ask(question)?;
        Ok(Setting { current: rx.saturating_add(both), max: rx_max.max(both_max) })
    }

    /// Size of the card's receive ring in frames.
    ///
    /// # Errors
    ///
    /// The errno of the driver: `EOPNOTSUPP` if it has no such setting.
    pub(crate) fn rx_ring(&mut self) -> io::Result<Setting> {
        // Command, maxima of rx, mini, jumbo, tx, then the current numbers in the same order.
        let mut question = [0; 9];
        question[0] = GET_RING;
        let [_, max, _, _, _, current, _, _, _] = self.ask(question)?;
        Ok(Setting { current, max })
    }

    /// Whether the queue of a UDP packet of IPv4 depends on its ports.
    ///
    /// # Errors
    ///
    /// The errno of the driver: `EOPNOTSUPP` if it has no such setting.
    pub(crate) fn spreads_udp_by_ports(&mut self) -> io::Result<bool> {
        // Command, kind of flow, 64 bits of fields: the low half comes first or last.
        let answer = self.ask([GET_HASH_FIELDS, UDP_V4, 0, 0])?;
        Ok((answer[2] | answer[3]) & HASHES_PORTS != 0)
    }

    /// Sends a query. The answer has the same length.
    fn ask<const N: usize>(&mut self, question: [u32; N]) -> io::Result<[u32; N]> {
        // More than any of these commands writes.
        let mut data = [0_u32; DATA_WORDS];
        data.iter_mut().zip(question).for_each(|(to, from)| *to = from);
        self.request.ifr_ifru.ifru_data = data.as_mut_ptr().cast();
        let socket = self.socket.as_raw_fd();
        // SAFETY: the request has a name that ends with 0 and a pointer to data that live here and
        // are longer than what the kernel writes for the commands above.
        let result = unsafe { libc::ioctl(socket, SIOCETHTOOL, &raw mut self.request) };
        self.request.ifr_ifru.ifru_data = std::ptr::null_mut();
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(std::array::from_fn(|index| data[index]))
    }
}

const DATA_WORDS: usize = 256;

/// linux/sockios.h. The type of the same constant of `libc` is not that of a request in every libc.
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// linux/ethtool.h.
const GET_RING: u32 = 0x10;
const GET_FLAGS: u32 = 0x25;
const GET_HASH_FIELDS: u32 = 0x29;
const GET_GRO: u32 = 0x2b;
const GET_CHANNELS: u32 = 0x3c;
const FLAG_RXVLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;
const UDP_V4: u32 = 2;
/// Octets 0 to 3 of the UDP header.
const HASHES_PORTS: u32 = 1 << 6 | 1 << 7;
