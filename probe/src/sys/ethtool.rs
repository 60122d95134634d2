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

/// Kinds of packets of which a card may hash different fields (linux/ethtool.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashedPackets {
    TcpV4 = 1,
    UdpV4 = 2,
    TcpV6 = 5,
    UdpV6 = 6,
}

impl HashedPackets {
    pub(crate) const ALL: [Self; 4] = [Self::TcpV4, Self::UdpV4, Self::TcpV6, Self::UdpV6];

    /// The word of the tool ethtool.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TcpV4 => "tcp4",
            Self::UdpV4 => "udp4",
            Self::TcpV6 => "tcp6",
            Self::UdpV6 => "udp6",
        }
    }
}

/// How a card spreads packets over its queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiveHash {
    /// One of [`functions`]; 0 if the driver does not tell.
    pub(crate) function: u8,
    /// What is done to the fields before they are hashed: a sum of [`transforms`].
    pub(crate) transform: u8,
    /// The queue of each value of the lowest bits of the hash.
    pub(crate) table: Vec<u32>,
    /// Empty if the driver does not tell.
    pub(crate) key: Vec<u8>,
}

/// Hash functions (linux/ethtool.h).
pub(crate) mod functions {
    pub(crate) const TOEPLITZ: u8 = 1;
    pub(crate) const XOR: u8 = 2;
    pub(crate) const CRC32: u8 = 4;
}

/// Transforms of the fields that are hashed (linux/ethtool.h). Linux has the first since 6.8, the
/// second since 6.15.
pub(crate) mod transforms {
    /// Source XOR destination, twice.
    pub(crate) const SYMMETRIC_XOR: u8 = 1;
    /// Source OR destination, source XOR destination.
    pub(crate) const SYMMETRIC_OR_XOR: u8 = 2;
}

/// Fields of a packet (linux/ethtool.h).
pub(crate) mod fields {
    pub(crate) const VLAN: u64 = 1 << 2;
    pub(crate) const PROTOCOL: u64 = 1 << 3;
    pub(crate) const SOURCE: u64 = 1 << 4;
    pub(crate) const DESTINATION: u64 = 1 << 5;
    pub(crate) const SOURCE_PORT: u64 = 1 << 6;
    pub(crate) const DESTINATION_PORT: u64 = 1 << 7;
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

    /// Fields of a packet of this kind whose hash chooses the queue: a sum of [`fields`].
    ///
    /// # Errors
    ///
    /// The errno of the driver: `EOPNOTSUPP` if it has no such setting.
    pub(crate) fn hash_fields(&mut self, packets: HashedPackets) -> io::Result<u64> {
        // Command, kind of packets, 64 bits of fields: the low half comes first or last.
        let [_, _, first, last] = self.ask([GET_HASH_FIELDS, packets as u32, 0, 0])?;
        let (first, last) = (u64::from(first), u64::from(last));
        Ok(if cfg!(target_endian = "little") { first | last << 32 } else { first << 32 | last })
    }

    /// How the card computes the hash of a packet, and which queue it chooses by it.
    ///
    /// # Errors
    ///
    /// The errno of the driver: `EOPNOTSUPP` if it has no such setting; `EMSGSIZE` if its table or
    /// key is longer than that of any known card.
    pub(crate) fn receive_hash(&mut self) -> io::Result<ReceiveHash> {
        // Command, context 0, entries of the table, octets of the key, function, reserved.
        let [_, _, entries, key_octets, _, _] = self.ask([GET_HASH, 0, 0, 0, 0, 0])?;
        let (table, key) = (entries as usize, key_octets as usize);
        if table > TABLE_MAX || key > KEY_MAX {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let mut data = vec![0; HASH_WORDS + table + key.div_ceil(size_of::<u32>())];
        data[..4].copy_from_slice(&[GET_HASH, 0, entries, key_octets]);
        self.exchange(&mut data)?;
        let [function, transform, _, _] = data[4].to_ne_bytes();
        let (table, key_words) = data[HASH_WORDS..].split_at(table);
        let key = key_words.iter().flat_map(|word| word.to_ne_bytes()).take(key).collect();
        Ok(ReceiveHash { function, transform, table: table.to_vec(), key })
    }

    /// Sends a query. The answer has the same length.
    fn ask<const N: usize>(&mut self, question: [u32; N]) -> io::Result<[u32; N]> {
        // More than any of these commands writes.
        let mut data = [0_u32; DATA_WORDS];
        data.iter_mut().zip(question).for_each(|(to, from)| *to = from);
        self.exchange(&mut data)?;
        Ok(std::array::from_fn(|index| data[index]))
    }

    /// Sends a query. The answer takes its place.
    fn exchange(&mut self, data: &mut [u32]) -> io::Result<()> {
        self.request.ifr_ifru.ifru_data = data.as_mut_ptr().cast();
        let socket = self.socket.as_raw_fd();
        // SAFETY: the request has a name that ends with 0 and a pointer to data that live here and
        // are longer than what the kernel writes for the commands above. The table and the key of
        // a hash are only written if they are as long as the query says.
        let result = unsafe { libc::ioctl(socket, SIOCETHTOOL, &raw mut self.request) };
        self.request.ifr_ifru.ifru_data = std::ptr::null_mut();
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
const GET_HASH: u32 = 0x46;
const FLAG_RXVLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;

/// Words before the table of a hash.
const HASH_WORDS: usize = 6;

/// Entries of a table, octets of a key: more than any card has.
const TABLE_MAX: usize = 65_536;
const KEY_MAX: usize = 4096;
