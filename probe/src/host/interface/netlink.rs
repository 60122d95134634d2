//! Queries to the kernel for links, addresses and routes (rtnetlink) and for driver features.
//!
//! `/proc/net` has only the main table of IPv4 routes, and getifaddrs gives labelled addresses
//! under other names. By these, an interface in use could seem unused.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use libc::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// A netlink socket.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// A query, by the family of its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// `RTM_GET...`, or the number of a generic family.
    pub(super) kind: u16,
    /// Query all entries, not one.
    pub(super) all: bool,
    /// The message after its header.
    pub(super) body: &'a [u8],
}

/// A message of an answer: its fixed part and its attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    body: &'a [u8],
}

impl Netlink {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(super) fn open() -> io::Result<Self> {
        Self::open_for(SockProtocol::NetlinkRoute)
    }

    /// Like [`Netlink::open`], for generic netlink.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(super) fn open_generic() -> io::Result<Self> {
        Self::open_for(SockProtocol::NetlinkGeneric)
    }

    /// Like [`Netlink::open`], to receive messages of these multicast groups.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(super) fn open_for_groups(groups: u32) -> io::Result<Self> {
        let netlink = Self::open()?;
        bind(netlink.socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(netlink)
    }

    /// Passes on the messages to the groups since the last call, with the type of each.
    ///
    /// # Errors
    ///
    /// The error of the system. `ENOBUFS` if messages were lost, or too many are left.
    pub(super) fn hear(&self, mut take: impl FnMut(u16, Answer<'_>)) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_OCTETS];
        for _ in 0..HEARD_MAX {
            let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(problem) => return Err(problem.into()),
            };
            let mut rest = buffer.get(..length).ok_or(ErrorKind::InvalidData)?;
            while let Some((header, message, next)) = split_message(rest) {
                rest = next;
                take(header.kind, Answer { body: message });
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENOBUFS))
    }

    fn open_for(protocol: SockProtocol) -> io::Result<Self> {
        let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_SECONDS_MAX))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends a query and passes on each message of the answer.
    ///
    /// # Errors
    ///
    /// The error of the system. `TimedOut` or `WouldBlock` if there is no answer. `Interrupted`, at
    /// the end, if the data changed between two messages of the answer.
    pub(super) fn ask(
        &mut self,
        question: Question<'_>,
        mut take: impl FnMut(Answer<'_>),
    ) -> io::Result<()> {
        self.send(question)?;
        let mut buffer = vec![0; BUFFER_OCTETS];
        let mut has_changed = false;
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)?;
            // A message longer than the buffer is cut, but its full length is returned.
            let mut rest = buffer.get(..length).ok_or(ErrorKind::InvalidData)?;
            while let Some((header, message, next)) = split_message(rest) {
                rest = next;
                if header.sequence != self.sequence {
                    continue;
                }
                has_changed |= header.is_of_changed;
                match i32::from(header.kind) {
                    NLMSG_DONE if has_changed => return Err(ErrorKind::Interrupted.into()),
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        let code = i32::from_ne_bytes(field(message, 0).unwrap_or_default());
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    _ => take(Answer { body: message }),
                }
                if !question.all {
                    return Ok(());
                }
            }
        }
    }

    /// Queries all entries, and returns the values that `read` takes from the messages of the
    /// answer.
    ///
    /// # Errors
    ///
    /// As of [`Netlink::ask`], and if the list changed during each try, so that something may be
    /// missing.
    pub(super) fn ask_for_list<T>(
        &mut self,
        question: Question<'_>,
        mut read: impl FnMut(Answer<'_>) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..LIST_TRIES {
            let mut list = Vec::new();
            match self.ask(question, |answer| list.extend(read(answer))) {
                Err(problem) if problem.kind() == ErrorKind::Interrupted => {}
                asked => return asked.map(|()| list),
            }
        }
        Err(io::Error::other("the list changed each time that it was asked for"))
    }

    /// ```text
    /// |             length            |     type      |     flags     |   struct nlmsghdr
    /// |            sequence           |              port             |
    /// ```
    fn send(&mut self, question: Question<'_>) -> io::Result<()> {
        self.sequence += 1;
        let flags = NLM_F_REQUEST | if question.all { NLM_F_DUMP } else { 0 };
        let length = HEADER_OCTETS + question.body.len();
        let mut message = Vec::with_capacity(length);
        message.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        message.extend(question.kind.to_ne_bytes());
        message.extend(u16::try_from(flags).unwrap_or_default().to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(question.body);
        send(self.socket.as_raw_fd(), &message, MsgFlags::empty())?;
        Ok(())
    }
}

impl<'a> Answer<'a> {
    /// `N` octets of the fixed part at an offset; 0 if the message is too short.
    pub(super) fn fixed<const N: usize>(&self, offset: usize) -> [u8; N] {
        field(self.body, offset).unwrap_or([0; N])
    }

    /// The attributes after a fixed part of this length.
    pub(super) fn attributes(&self, fixed_octets: usize) -> Attributes<'a> {
        Attributes(self.body.get(fixed_octets..).unwrap_or_default())
    }
}

/// Attributes: length, type, value, padding to 4 octets each (`struct rtattr`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The first attribute of a type.
    pub(super) fn find(self, kind: u16) -> Option<&'a [u8]> {
        self.into_iter().find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// The first attribute of a type, as a number.
    pub(super) fn number(self, kind: u16) -> Option<u32> {
        self.find(kind).and_then(|value| field(value, 0)).map(u32::from_ne_bytes)
    }

    /// The first attribute of a type, as text.
    pub(super) fn text(self, kind: u16) -> Option<String> {
        self.texts(kind).next()
    }

    /// All attributes of a type, as texts. A text ends before its first zero octet.
    pub(super) fn texts(self, kind: u16) -> impl Iterator<Item = String> + use<'a> {
        let values = self.filter(move |(found, _)| *found == kind);
        values.filter_map(|(_, value)| {
            let text = value.split(|&octet| octet == 0).next()?;
            Some(String::from_utf8_lossy(text).into_owned())
        })
    }

    /// The first attribute of a type, as an address of either version.
    pub(super) fn address(self, kind: u16) -> Option<IpAddr> {
        let octets = self.find(kind)?;
        match octets.len() {
            4 => Some(IpAddr::from(*octets.first_chunk::<4>()?)),
            16 => Some(IpAddr::from(*octets.first_chunk::<16>()?)),
            _ => None,
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(field(self.0, 0)?));
        let kind = u16::from_ne_bytes(field(self.0, 2)?) & KIND;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// Encodes an attribute for a query.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut octets = Vec::with_capacity(length.next_multiple_of(4));
    octets.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    octets.extend(kind.to_ne_bytes());
    octets.extend(value);
    octets.resize(length.next_multiple_of(4), 0);
    octets
}

/// Fields of a message's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u16,
    sequence: u32,
    /// The data has changed since the first message.
    is_of_changed: bool,
}

/// The first message, and the octets after it.
fn split_message(octets: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(field(octets, 0)?)).ok()?;
    let kind = u16::from_ne_bytes(field(octets, 4)?);
    let is_of_changed = i32::from(u16::from_ne_bytes(field(octets, 6)?)) & NLM_F_DUMP_INTR != 0;
    let sequence = u32::from_ne_bytes(field(octets, 8)?);
    let message = octets.get(HEADER_OCTETS..length)?;
    let next = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((Header { kind, sequence, is_of_changed }, message, next))
}

/// `N` octets at an offset.
pub(super) fn field<const N: usize>(octets: &[u8], offset: usize) -> Option<[u8; N]> {
    octets.get(offset..)?.first_chunk().copied()
}

const HEADER_OCTETS: usize = 16;
/// Bits of an attribute's type, without its flags.
const KIND: u16 = 0x3fff;
/// The kernel sends at most 32 KiB at once.
const BUFFER_OCTETS: usize = 64 * 1024;
/// Maximum number of datagrams that are received in one call.
const HEARD_MAX: u32 = 4096;
const ANSWER_SECONDS_MAX: i64 = 5;
/// Maximum number of tries to get a list that changes.
const LIST_TRIES: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written() {
        let mut octets = attribute(3, b"eth1\0");
        octets.extend(attribute(0x8000 | 4, &1500_u32.to_ne_bytes()));
        octets.extend(attribute(1, &[192, 0, 2, 1]));
        let attributes = Attributes(&octets);
        assert_eq!(attributes.text(3).unwrap(), "eth1");
        assert_eq!(attributes.number(4), Some(1500));
        assert_eq!(attributes.address(1), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(attributes.find(2), None);
    }

    #[test]
    fn cut_attributes_end_the_list() {
        let octets = attribute(3, b"eth1\0");
        for length in 0..octets.len() - 3 {
            assert_eq!(Attributes(&octets[..length]).count(), 0, "{length}");
        }
        // A length below that of the header must not cause an endless loop.
        assert_eq!(Attributes(&[0; 64]).count(), 0);
    }
}
