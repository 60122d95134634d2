//! Messages as UDP datagrams, several per system call (UDP_SEGMENT), at a pace.
//!
//! Collectors treat another socket as another exporter, so each socket begins a session. Messages
//! for an earlier session are not sent in a new one, because the collector has no templates for
//! them.

use std::io::IoSlice;
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use flow::Conversation;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::pace::Pace;
use super::route::{IPV6_MTU_MIN, Route, RouteSettings, Router};
use super::{MESSAGE_OCTETS_MIN, Transport, TransportCounts};
use crate::content::{Content, Message};
use crate::error::{ExportError, sentence};
use crate::muted::Muted;
use crate::patience::Patience;

/// Maximum datagrams per send with segmentation (`UDP_MAX_SEGMENTS` since 2.6.18).
const SEGMENTS_MAX: usize = 64;

/// Maximum datagrams per send with a pace: a default socket buffer holds 90 full datagrams.
const PACED_SEGMENTS_MAX: usize = 16;

/// Maximum octets of a send.
const SEND_OCTETS_MAX: usize = 65_000;

/// Retries when the kernel's queue is full. The pause doubles each time.
const RETRIES_MAX: u32 = 8;
const RETRY_FIRST: Duration = Duration::from_micros(500);

/// Settings of a UDP output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UdpSettings {
    pub(crate) route: RouteSettings,
    /// Largest IP packet, in octets.
    pub(crate) mtu: usize,
    /// Datagrams per second; `None`: no limit.
    pub(crate) pace: Option<NonZeroU32>,
}

#[derive(Debug)]
pub(crate) struct UdpTransport {
    name: String,
    router: Router,
    patience: Patience,
    mtu: usize,
    limit: usize,
    segments_max: usize,
    pace: Option<Pace>,
    segmentation: bool,
    /// Waiting datagrams, back to back. All except the last have the same length.
    waiting: Vec<u8>,
    segment: usize,
    contents: Vec<Content>,
    /// Content of the last send: the next send reports if the peer refused it.
    last_sent: Content,
    /// True before the first send over this route.
    is_untried: bool,
    session_is_new: bool,
    trouble: Muted,
    counts: TransportCounts,
}

impl UdpTransport {
    pub(crate) fn open(
        name: &str,
        settings: &UdpSettings,
        patience: Patience,
    ) -> Result<Self, ExportError> {
        let mut transport = Self {
            name: name.to_owned(),
            router: Router::open(name, &settings.route, patience)?,
            patience,
            mtu: settings.mtu,
            limit: settings.mtu,
            segments_max: if settings.pace.is_some() { PACED_SEGMENTS_MAX } else { SEGMENTS_MAX },
            pace: settings.pace.map(Pace::new),
            segmentation: true,
            waiting: Vec::with_capacity(SEND_OCTETS_MAX),
            segment: 0,
            contents: Vec::with_capacity(SEGMENTS_MAX),
            last_sent: Content::default(),
            is_untried: true,
            session_is_new: true,
            trouble: Muted::default(),
            counts: TransportCounts::default(),
        };
        transport.limit = transport.path_limit(usize::MAX);
        Ok(transport)
    }

    /// Maximum octets of a message on this route; `unknown` is used for an unknown path MTU.
    fn path_limit(&self, unknown: usize) -> usize {
        let route = self.router.route();
        let headers = if route.is_some_and(|route| route.remote.is_ipv4()) { 28 } else { 48 };
        let path = route.and_then(Route::path_mtu).unwrap_or(unknown);
        self.mtu.min(path).saturating_sub(headers).max(MESSAGE_OCTETS_MIN)
    }

    /// Begins a session after a change of the route.
    fn begin(&mut self) {
        self.counts.reconnects += u64::from(self.counts.sent.messages > 0);
        self.limit = self.path_limit(usize::MAX);
        self.segmentation = true;
        self.last_sent = Content::default();
        self.is_untried = true;
        self.session_is_new = true;
    }

    /// Sends waiting datagrams.
    fn send_waiting(&mut self) -> Result<(), ExportError> {
        if self.contents.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let contents = std::mem::take(&mut self.contents);
        if self.router.route().is_none() && self.router.may_change() && self.router.renew() {
            self.begin();
        }
        if self.router.route().is_none() || self.session_is_new {
            self.counts.errors += 1;
            self.counts.failed += Content::sum(contents.iter().copied());
        } else {
            self.send_all(&waiting, &contents)?;
        }
        (self.waiting, self.contents) = (waiting, contents);
        self.waiting.clear();
        self.contents.clear();
        Ok(())
    }

    fn send_all(&mut self, waiting: &[u8], contents: &[Content]) -> Result<(), ExportError> {
        let (mut waiting, mut contents) = (waiting, contents);
        let datagrams = u32::try_from(contents.len()).unwrap_or(u32::MAX);
        if let Some(pace) = &mut self.pace
            && !pace.wait_for(datagrams)
        {
            self.counts.failed += Content::sum(contents.iter().copied());
            let problem = format!("{}: the run ended before all datagrams were sent", self.name);
            return Err(ExportError::GaveUp(problem));
        }
        if std::mem::take(&mut self.is_untried) && self.router.has_others() {
            let first = self.segment.min(waiting.len());
            self.try_out(&waiting[..first], contents[0]);
            (waiting, contents) = (&waiting[first..], &contents[1..]);
        }
        let together = self.segmentation && contents.len() > 1 && !self.session_is_new;
        let total = Content::sum(contents.iter().copied());
        if together && self.send_segments(waiting, total).is_ok() {
            return Ok(());
        }
        for (datagram, &content) in waiting.chunks(self.segment).zip(contents) {
            if self.session_is_new {
                self.counts.failed += content;
            } else {
                self.send_one(datagram, content);
            }
        }
        Ok(())
    }

    /// Sends the first datagram to the collector's addresses in turn, until one does not refuse it.
    /// The session has begun there then.
    fn try_out(&mut self, datagram: &[u8], content: Content) {
        let mut addresses_left = self.router.addresses().max(1);
        loop {
            addresses_left -= 1;
            self.send_one(datagram, content);
            let is_lost = self.session_is_new || self.last_sent != content;
            if is_lost || !self.router.route().is_some_and(Route::is_refused) {
                return;
            }
            if addresses_left == 0 || !self.router.next() {
                return self.last_was_lost("port unreachable");
            }
            self.counts.errors += 1;
            self.counts.sent = self.counts.sent - std::mem::take(&mut self.last_sent);
            self.limit = self.path_limit(usize::MAX);
        }
    }

    /// Sends several datagrams of one length in one call. Fails if segmentation is not possible.
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
                self.renew_after(error);
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
                self.renew_after(error);
            }
        }
    }

    /// After an error of the way: replaces the socket, or takes another address after a refusal.
    fn renew_after(&mut self, error: Errno) {
        if matches!(error, Errno::EMSGSIZE | Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) {
            return;
        }
        self.router.refused();
        let is_new = if error == Errno::ECONNREFUSED {
            self.router.may_change() && self.router.next()
        } else {
            self.router.renew()
        };
        if is_new {
            self.begin();
        }
    }

    /// Sends, and retries temporary errors.
    fn send_patiently(
        &mut self,
        octets: &[u8],
        control: &[ControlMessage<'_>],
    ) -> Result<(), Errno> {
        let mut pause = RETRY_FIRST;
        let mut retries = 0;
        loop {
            let Some(route) = self.router.route() else { return Err(Errno::ENETUNREACH) };
            let (slices, flags) = ([IoSlice::new(octets)], MsgFlags::empty());
            let sent = sendmsg::<()>(route.socket.as_raw_fd(), &slices, control, flags, None);
            let Err(error) = sent else { return Ok(()) };
            retries += 1;
            if retries > RETRIES_MAX {
                return Err(error);
            }
            if error == Errno::ECONNREFUSED {
                // The error is about an earlier datagram; this one was not sent.
                self.last_was_lost("port unreachable");
                if self.router.has_others() && self.router.may_change() {
                    return Err(error);
                }
            } else if matches!(error, Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) {
                self.counts.errors += 1;
                thread::sleep(pause);
                pause *= 2;
            } else if error != Errno::EINTR {
                if route.was_told(error) {
                    self.last_was_lost(error.desc());
                }
                return Err(error);
            }
        }
    }

    fn arrived(&mut self, content: Content) {
        self.counts.sent += content;
        self.last_sent = content;
        self.router.sent();
    }

    fn lost(&mut self, why: &str, content: Content) {
        self.counts.errors += 1;
        self.counts.failed += content;
        let Some(Route { remote, .. }) = self.router.route() else { return };
        self.trouble.warn(format_args!("{}: datagrams to {remote} are lost: {why}", self.name));
    }

    /// Counts the last send as failed: its datagrams did not arrive.
    fn last_was_lost(&mut self, why: &str) {
        self.router.refused();
        let content = std::mem::take(&mut self.last_sent);
        self.counts.sent = self.counts.sent - content;
        self.lost(why, content);
    }

    /// Shortens later datagrams: the route does not accept this length.
    fn shorten(&mut self) {
        let limit = self.path_limit(IPV6_MTU_MIN);
        if limit < self.limit {
            let path = self.router.route().and_then(Route::path_mtu).unwrap_or(IPV6_MTU_MIN);
            self.trouble.warn(format_args!("{}: the path takes only {path} octets", self.name));
            self.limit = limit;
        }
    }

    /// Asks for a report about the last send, and does not wait for it.
    fn take_refusal(&mut self) {
        let route = self.router.route();
        if let Some(Ok(Some(error))) = route.map(|route| route.socket.take_error()) {
            self.last_was_lost(&sentence(&error));
        }
    }

    /// For live runs, between messages: checks for a change of the collector's address or the
    /// route.
    fn maintain(&mut self) {
        if self.patience == Patience::GoOn && self.router.maintain() {
            self.begin();
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
        self.send_waiting()?;
        if self.router.was_refused() {
            self.take_refusal();
        }
        self.maintain();
        Ok(())
    }

    /// Sends waiting datagrams, and checks whether the last ones were refused.
    fn finish(&mut self) -> Result<(), ExportError> {
        self.send_waiting()?;
        let Some(route) = self.router.route() else { return Ok(()) };
        route.wait_for_last_word();
        self.take_refusal();
        Ok(())
    }

    /// True if a session began since the last call. Waiting datagrams of the old session are lost
    /// then.
    fn session_began(&mut self) -> bool {
        if self.contents.is_empty() {
            self.maintain();
        }
        if !std::mem::take(&mut self.session_is_new) {
            return false;
        }
        self.counts.failed += Content::sum(self.contents.drain(..));
        self.waiting.clear();
        true
    }

    fn message_limit(&self) -> usize {
        self.limit
    }

    fn is_ready(&self) -> bool {
        self.router.route().is_some()
    }

    fn is_answering(&self) -> bool {
        self.is_ready() && !self.router.was_refused()
    }

    /// Empty without a route.
    fn conversations(&self) -> Vec<Conversation> {
        self.router.route().map(Route::conversation).into_iter().collect()
    }

    fn counts(&self) -> TransportCounts {
        self.counts
    }
}
