//! The socket of a UDP output to one of the collector's addresses, and its replacement.
//!
//! A connected socket keeps its source address. If the host loses that address, or another uplink
//! takes over, its packets no longer arrive. If the name of the collector gets another address,
//! packets still go to the old one. So the route is checked regularly, and the name is looked up
//! again in a thread that ends with the answer.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use flow::Conversation;
use flow::number::protocol;
use log::{info, warn};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, recvmsg, sockopt,
};

use super::answer::{NoAnswer, wait_for};
use super::attempts::{PAUSE_FIRST, keep_trying};
use super::collector::{Collector, START_PATIENCE, Unreachable};
use crate::error::ExportError;
use crate::patience::Patience;

/// Interval of checks of the source address, and minimum time between two new sockets.
const LOOK: Duration = Duration::from_secs(1);

/// A collector that refuses nothing of what is sent in this time is there. A host sends one refusal
/// a second.
const QUIET: Duration = Duration::from_secs(3);

/// Minimum MTU of an IPv6 link.
pub(super) const IPV6_MTU_MIN: usize = 1280;

/// Time to wait for an ICMP port unreachable message.
const LAST_WORD: Duration = Duration::from_millis(50);

/// Settings of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteSettings {
    pub(crate) collector: Collector,
    /// Hop limit of packets.
    pub(crate) ttl: Option<u8>,
    /// Interval of lookups of the name in a live run.
    pub(crate) resolve: Duration,
    /// Time that a replay waits for an unreachable collector.
    pub(crate) wait: Duration,
}

/// A socket and its addresses.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) socket: UdpSocket,
    pub(super) remote: SocketAddr,
    pub(super) local: IpAddr,
}

impl Route {
    /// The kernel's path MTU, for IPv4 only.
    pub(super) fn path_mtu(&self) -> Option<usize> {
        usize::try_from(getsockopt(&self.socket, sockopt::IpMtu).ok()?).ok()
    }

    /// True if the peer has refused a datagram. Waits a moment after the last one was sent.
    pub(super) fn is_refused(&self) -> bool {
        self.wait_for_last_word();
        let error = self.socket.take_error();
        error.is_ok_and(|error| error.is_some_and(|it| it.kind() == ErrorKind::ConnectionRefused))
    }

    /// Waits until a host that is near has refused the last datagram, if it does.
    pub(super) fn wait_for_last_word(&self) {
        if !self.remote.ip().is_loopback() {
            thread::sleep(LAST_WORD);
        }
    }

    /// The conversation of its datagrams.
    pub(super) fn conversation(&self) -> Conversation {
        Conversation { protocol: protocol::UDP, local: self.local, remote: self.remote }
    }

    /// True if a router or the link has reported this error about an earlier datagram. Forgets all
    /// reports.
    pub(super) fn was_told(&self, error: Errno) -> bool {
        let mut was_told = false;
        let mut space = cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let socket = self.socket.as_raw_fd();
        while let Ok(report) = recvmsg::<SockaddrStorage>(socket, &mut [], Some(&mut space), flags)
        {
            was_told |= report.cmsgs().into_iter().flatten().any(|message| {
                let (ControlMessageOwned::Ipv4RecvErr(told, _)
                | ControlMessageOwned::Ipv6RecvErr(told, _)) = message
                else {
                    return false;
                };
                told.ee_origin != libc::SO_EE_ORIGIN_LOCAL && told.ee_errno == error as u32
            });
        }
        was_told
    }
}

/// The route to the collector, if it is reachable.
#[derive(Debug)]
pub(super) struct Router {
    name: String,
    settings: RouteSettings,
    addresses: Vec<SocketAddr>,
    route: Option<Route>,
    /// The last logged reason of a failure.
    reason: String,
    lookup: Option<Receiver<Result<Vec<SocketAddr>, Unreachable>>>,
    next_lookup: Instant,
    pause: Duration,
    next_look: Instant,
    next_change: Instant,
    /// Whether datagrams arrive, as far as it is known.
    arrival: Arrival,
}

/// Whether datagrams arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    NotRefused,
    Refused,
    /// There was no refusal since this one was sent after the last.
    Tried(Instant),
}

impl Router {
    /// Finds the collector. In a live run, a failure is only logged.
    pub(super) fn open(
        name: &str,
        settings: &RouteSettings,
        patience: Patience,
    ) -> Result<Self, ExportError> {
        let now = Instant::now();
        let mut router = Self {
            name: name.to_owned(),
            settings: settings.clone(),
            addresses: Vec::new(),
            route: None,
            reason: String::new(),
            lookup: None,
            next_lookup: now,
            pause: PAUSE_FIRST,
            next_look: now,
            next_change: now,
            arrival: Arrival::NotRefused,
        };
        match patience {
            Patience::Wait => keep_trying(&format!("send to {name}"), settings.wait, || {
                let answer = settings.collector.look_up();
                router.addresses = wait_for(&answer, Duration::MAX)??;
                Ok(router.connect(0)?)
            })?,
            Patience::GoOn => {
                router.look_up(START_PATIENCE);
                router.look();
                if router.route.is_none() && router.reason.is_empty() {
                    router.failed("the name is not found yet");
                }
            }
        }
        Ok(router)
    }

    pub(super) fn route(&self) -> Option<&Route> {
        self.route.as_ref()
    }

    /// Notes that a datagram did not arrive.
    pub(super) fn refused(&mut self) {
        self.arrival = Arrival::Refused;
    }

    /// Notes that a datagram was sent.
    pub(super) fn sent(&mut self) {
        if self.arrival == Arrival::Refused {
            self.arrival = Arrival::Tried(Instant::now());
        }
    }

    /// True if datagrams did not arrive, and no later ones seem to.
    pub(super) fn was_refused(&self) -> bool {
        match self.arrival {
            Arrival::NotRefused => false,
            Arrival::Refused => true,
            Arrival::Tried(at) => at.elapsed() < QUIET,
        }
    }

    /// Number of the collector's addresses.
    pub(super) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// True if the collector has several addresses.
    pub(super) fn has_others(&self) -> bool {
        self.addresses() > 1
    }

    /// For live runs, called often between messages. Returns true if there is a new route.
    pub(super) fn maintain(&mut self) -> bool {
        let found = self.look_up(Duration::ZERO);
        let now = Instant::now();
        if now < self.next_look && !found {
            return false;
        }
        self.next_look = now + LOOK;
        self.look()
    }

    /// Checks the route. Returns true if it was replaced.
    fn look(&mut self) -> bool {
        let Some(route) = &self.route else { return self.change(0) };
        if !self.addresses.contains(&route.remote) {
            return self.change(0);
        }
        let local = self.settings.collector.local_address(route.remote);
        // If there is no route any more, the next send reports it.
        local.is_ok_and(|local| local != route.local) && self.change(self.position())
    }

    /// After a failed send: replaces the socket. Returns true if there is a new route.
    pub(super) fn renew(&mut self) -> bool {
        self.next_lookup = self.next_lookup.min(Instant::now());
        self.may_change() && self.change(self.position())
    }

    /// After a refusal: takes the next address. Returns true if there is a new route.
    pub(super) fn next(&mut self) -> bool {
        self.next_lookup = self.next_lookup.min(Instant::now());
        if let Some(Route { remote, .. }) = &self.route {
            info!("{}: port unreachable at {remote}", self.name);
        }
        self.has_others() && self.change(self.position() + 1)
    }

    /// True if the last change was long enough ago.
    pub(super) fn may_change(&self) -> bool {
        Instant::now() >= self.next_change
    }

    /// The index of the current address.
    fn position(&self) -> usize {
        let current = self.route.as_ref().map(|route| route.remote);
        self.addresses.iter().position(|address| Some(*address) == current).unwrap_or(0)
    }

    /// Makes a socket to the first reachable address, beginning at this index.
    fn change(&mut self, first: usize) -> bool {
        self.next_change = Instant::now() + LOOK;
        if self.addresses.is_empty() {
            return false;
        }
        match self.connect(first) {
            Ok(()) => {
                let Self { name, route: Some(Route { remote, local, .. }), .. } = &*self else {
                    return false;
                };
                info!("{name}: sending to {remote} from {local}");
                self.reason.clear();
                true
            }
            Err(Unreachable(reason)) => {
                self.route = None;
                self.failed(&reason);
                false
            }
        }
    }

    fn connect(&mut self, first: usize) -> Result<(), Unreachable> {
        let mut failures = Vec::new();
        let count = self.addresses.len();
        for remote in (first..first + count).map(|index| self.addresses[index % count]) {
            let socket = self.settings.collector.udp(remote, self.settings.ttl);
            match socket.and_then(|socket| Ok((socket.local_addr()?.ip(), socket))) {
                Ok((local, socket)) => {
                    self.route = Some(Route { socket, remote, local });
                    return Ok(());
                }
                Err(error) => failures.push(Unreachable::at(remote, &error)),
            }
        }
        Err(Unreachable::all(&failures))
    }

    /// Logs a failure, unless its reason is the same as before.
    fn failed(&mut self, reason: &str) {
        if self.reason != reason {
            warn!("cannot send to {}: {reason}; trying again", self.name);
            reason.clone_into(&mut self.reason);
        }
    }

    /// Looks up the name if that is due, and waits for the answer. Returns true if it has
    /// addresses.
    fn look_up(&mut self, wait: Duration) -> bool {
        if self.lookup.is_none() && Instant::now() >= self.next_lookup {
            self.lookup = Some(self.settings.collector.look_up());
        }
        let Some(lookup) = &self.lookup else { return false };
        let answer = match wait_for(lookup, wait) {
            Ok(answer) => answer,
            Err(NoAnswer::Late | NoAnswer::Interrupted) => return false,
            Err(reason @ NoAnswer::NoThread) => Err(Unreachable(reason.to_string())),
        };
        self.lookup = None;
        let found = match answer {
            Ok(addresses) => {
                self.addresses = addresses;
                true
            }
            Err(Unreachable(reason)) => {
                if self.route.is_none() {
                    self.failed(&reason);
                }
                false
            }
        };
        // The interval is shorter while the collector is not reachable.
        let is_well = found && self.route.is_some();
        self.pause =
            if is_well { PAUSE_FIRST } else { (self.pause * 2).min(self.settings.resolve) };
        let pause = if is_well { self.settings.resolve } else { self.pause };
        self.next_lookup = Instant::now() + pause;
        found
    }
}
