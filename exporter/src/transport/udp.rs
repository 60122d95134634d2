//! Messages as UDP datagrams, several to a system call (UDP_SEGMENT), at a pace.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use flow::Conversation;
use flow::number::protocol;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt};

use super::pace::Pace;
use super::{Host, Transport, TransportCounts};
use crate::content::Content;
use crate::error::{ExportError, sentence};
use crate::message::{MESSAGE_OCTETS_MIN, Message};
use crate::muted::Muted;

/// The kernel cuts one send into at most this many datagrams (`UDP_MAX_SEGMENTS` since 2.6.18).
const SEGMENTS_MAX: usize = 64;

/// With a pace, so many at once: a default socket buffer holds 90 full datagrams.
const PACED_SEGMENTS_MAX: usize = 16;

/// A send carries at most this many octets.
const SEND_OCTETS_MAX: usize = 65_000;

/// A full queue in the kernel is tried again so often, each time after twice the time before.
const RETRIES_MAX: u32 = 8;
const RETRY_FIRST: Duration = Duration::from_micros(500);

/// How long the last datagrams may take to come back as unreachable.
const LAST_WORD: Duration = Duration::from_millis(50);

/// Where datagrams go and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UdpSettings {
    pub(crate) host: Host,
    /// Largest IP packet, in octets.
    pub(crate) mtu: usize,
    /// Datagrams per second; no limit without.
    pub(crate) pace: Option<NonZeroU32>,
}

#[derive(Debug)]
pub(crate) struct UdpTransport {
    name: String,
    socket: UdpSocket,
    /// Octets of the IP and UDP headers.
    headers: usize,
    limit: usize,
    segments_max: usize,
    pace: Option<Pace>,
    segmentation: bool,
    /// Datagrams that wait, back to back; all have the length of the first but the last.
    waiting: Vec<u8>,
    segment: usize,
    contents: Vec<Content>,
    /// What the last send carried: if nobody listens, the next one says so.
    last_sent: Content,
    trouble: Muted,
    counts: TransportCounts,
}

impl UdpTransport {
    pub(crate) fn open(name: &str, settings: &UdpSettings) -> Result<Self, ExportError> {
        let connect_to_one = || {
            let mut failure = None;
            for address in settings.host.addresses()? {
                match connect(address) {
                    Ok(socket) => return Ok((socket, address)),
                    Err(error) => failure = Some(error),
                }
            }
            Err(failure.expect("there is an address, and none was good"))
        };
        let (socket, address) = connect_to_one().map_err(|error: io::Error| {
            ExportError::NotOpened(format!("cannot send to {name}: {}", sentence(&error)))
        })?;
        Ok(Self::new(name, settings, socket, address))
    }

    fn new(name: &str, settings: &UdpSettings, socket: UdpSocket, address: SocketAddr) -> Self {
        let headers = if address.is_ipv4() { 28 } else { 48 };
        let path = path_mtu(&socket).unwrap_or(usize::MAX);
        let limit = settings.mtu.min(path).saturating_sub(headers).max(MESSAGE_OCTETS_MIN);
        Self {
            name: name.to_owned(),
            socket,
            headers,
            limit,
            segments_max: if settings.pace.is_some() { PACED_SEGMENTS_MAX } else { SEGMENTS_MAX },
            pace: settings.pace.map(Pace::new),
            segmentation: true,
            waiting: Vec::with_capacity(SEND_OCTETS_MAX),
            segment: 0,
            contents: Vec::with_capacity(SEGMENTS_MAX),
            last_sent: Content::default(),
            trouble: Muted::default(),
            counts: TransportCounts::default(),
        }
    }

    /// Sends what waits.
    fn send_waiting(&mut self) -> Result<(), ExportError> {
        if self.contents.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let contents = std::mem::take(&mut self.contents);
        let total = Content::sum(contents.iter().copied());
        let datagrams = u32::try_from(contents.len()).unwrap_or(u32::MAX);
        if let Some(pace) = &mut self.pace
            && !pace.wait_for(datagrams)
        {
            self.counts.failed += total;
            let problem = format!("{}: the run ended before its pace let all leave", self.name);
            return Err(ExportError::GaveUp(problem));
        }
        let together = self.segmentation && contents.len() > 1;
        if !together || self.send_segments(&waiting, total).is_err() {
            for (datagram, &content) in waiting.chunks(self.segment).zip(&contents) {
                self.send_one(datagram, content);
            }
        }
        (self.waiting, self.contents) = (waiting, contents);
        self.waiting.clear();
        self.contents.clear();
        Ok(())
    }

    /// Several datagrams of one length in one call. Fails if the kernel or the route cannot cut.
    fn send_segments(&mut self, waiting: &[u8], content: Content) -> Result<(), Errno> {
        let Ok(segment) = u16::try_from(self.segment) else { return Err(Errno::EMSGSIZE) };
        let cut = ControlMessage::UdpGsoSegments(&segment);
        match self.send_patiently(waiting, &[cut]) {
            Ok(()) => {
                self.arrived(content);
                Ok(())
            }
            Err(error @ (Errno::EMSGSIZE | Errno::EINVAL | Errno::EIO | Errno::EOPNOTSUPP)) => {
                self.segmentation = false;
                self.shorten();
                Err(error)
            }
            Err(error) => {
                self.lost(error.desc(), content);
                Ok(())
            }
        }
    }

    fn send_one(&mut self, datagram: &[u8], content: Content) {
        match self.send_patiently(datagram, &[]) {
            Ok(()) => self.arrived(content),
            Err(error) => {
                if error == Errno::EMSGSIZE {
                    self.shorten();
                }
                self.lost(error.desc(), content);
            }
        }
    }

    /// Sends, and tries again where that can help.
    fn send_patiently(
        &mut self,
        octets: &[u8],
        control: &[ControlMessage<'_>],
    ) -> Result<(), Errno> {
        let mut pause = RETRY_FIRST;
        let mut retries = 0;
        loop {
            let slices = [IoSlice::new(octets)];
            let socket = self.socket.as_raw_fd();
            let sent = sendmsg::<()>(socket, &slices, control, MsgFlags::empty(), None);
            let Err(error) = sent else { return Ok(()) };
            retries += 1;
            if retries > RETRIES_MAX {
                return Err(error);
            }
            if error == Errno::ECONNREFUSED {
                // This is about an earlier datagram; this one was not tried.
                self.last_was_lost("nobody listens there");
            } else if matches!(error, Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) {
                self.counts.errors += 1;
                thread::sleep(pause);
                pause *= 2;
            } else if error != Errno::EINTR {
                return Err(error);
            }
        }
    }

    fn arrived(&mut self, content: Content) {
        self.counts.sent += content;
        self.last_sent = content;
    }

    fn lost(&mut self, why: &str, content: Content) {
        self.counts.errors += 1;
        self.counts.failed += content;
        self.trouble.warn(format_args!("{}: datagrams are lost: {why}", self.name));
    }

    /// The datagrams of the last send did not arrive after all.
    fn last_was_lost(&mut self, why: &str) {
        let content = std::mem::take(&mut self.last_sent);
        self.counts.sent = self.counts.sent - content;
        self.lost(why, content);
    }

    /// The route takes no datagrams of this length: later ones are shorter.
    fn shorten(&mut self) {
        let path = path_mtu(&self.socket).unwrap_or(IPV6_MTU_MIN);
        let limit = path.saturating_sub(self.headers).max(MESSAGE_OCTETS_MIN);
        if limit < self.limit {
            self.trouble.warn(format_args!("{}: the path takes only {path} octets", self.name));
            self.limit = limit;
        }
    }
}

impl Transport for UdpTransport {
    fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
        let length = message.octets.len();
        let joins = self.contents.len() < self.segments_max
            && length <= self.segment
            && self.waiting.len() + length <= SEND_OCTETS_MAX;
        if !joins && let Err(error) = self.send_waiting() {
            self.counts.failed += message.content();
            return Err(error);
        }
        if self.contents.is_empty() {
            self.segment = length;
        }
        self.waiting.extend_from_slice(message.octets);
        self.contents.push(message.content());
        if length < self.segment {
            // A shorter datagram can only be the last.
            self.send_waiting()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.send_waiting()
    }

    /// Sends what waits, and hears whether the last datagrams were unwanted.
    fn finish(&mut self) -> Result<(), ExportError> {
        self.send_waiting()?;
        let remote = self.socket.peer_addr().is_ok_and(|peer| !peer.ip().is_loopback());
        if remote {
            thread::sleep(LAST_WORD);
        }
        if let Ok(Some(error)) = self.socket.take_error() {
            self.last_was_lost(&sentence(&error));
        }
        Ok(())
    }

    fn message_limit(&self) -> usize {
        self.limit
    }

    fn conversations(&self) -> Vec<Conversation> {
        let ends = self.socket.local_addr().and_then(|ours| Ok((ours, self.socket.peer_addr()?)));
        ends.map_or_else(
            |_error| Vec::new(),
            |(ours, remote)| {
                vec![Conversation { protocol: protocol::UDP, local: ours.ip(), remote }]
            },
        )
    }

    fn counts(&self) -> TransportCounts {
        self.counts
    }
}

/// What any IPv6 link takes.
const IPV6_MTU_MIN: usize = 1280;

pub(super) fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}

/// What the kernel knows of the path; of IPv4 only.
fn path_mtu(socket: &UdpSocket) -> Option<usize> {
    usize::try_from(getsockopt(socket, sockopt::IpMtu).ok()?).ok()
}
