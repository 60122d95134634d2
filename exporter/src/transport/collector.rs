//! The collector's addresses, and sockets to it.

use std::fmt::{self, Display};
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::str::FromStr;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use flow::Conversation;
use flow::number::protocol;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::answer::{answer_of, wait_for};
use crate::error::sentence;

/// Time that the start of a live run waits for the lookup of the collector's name.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(2);

/// A host that messages are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name or an address; a link-local IPv6 address with its zone, as in `fe80::1%eth0`.
    pub(crate) name: String,
    /// The port; not 0.
    pub(crate) port: u16,
}

/// As in URLs: `HOST:PORT`, with an IPv6 address in brackets.
impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// Source of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An address of this host, with port 0 and, for link-local addresses, a zone.
    Address(SocketAddr),
    /// An interface of this host.
    Interface(String),
}

/// An error of a source, which names it.
fn source_error(source: &dyn Display, error: &io::Error) -> io::Error {
    let no_interface = error.raw_os_error() == Some(libc::ENODEV);
    let why = if no_interface { "no such interface".to_owned() } else { sentence(error) };
    io::Error::other(format!("source={source}: {why}"))
}

/// The longest name of an interface.
const INTERFACE_NAME_MAX: usize = 15;

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, zone) = text.split_once('%').unwrap_or((text, ""));
        if let Ok(address) = address.parse::<IpAddr>() {
            let bound = match (address, zone) {
                (_, "") => Some(SocketAddr::from((address, 0))),
                (IpAddr::V4(_), _) => None,
                (IpAddr::V6(_), _) => (text, 0).to_socket_addrs().ok().and_then(|mut it| it.next()),
            };
            return bound
                .map(Self::Address)
                .ok_or_else(|| format!("there is no interface for the zone {zone}"));
        }
        let is_name = |octet: u8| !octet.is_ascii_whitespace() && octet != b'/' && octet != 0;
        if text.is_empty() || text.len() > INTERFACE_NAME_MAX || !text.bytes().all(is_name) {
            return Err("it is neither an address nor the name of an interface".to_owned());
        }
        Ok(Self::Interface(text.to_owned()))
    }
}

/// A collector, and the source of packets to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector {
    pub(crate) host: Host,
    /// `None`: the source address of the route.
    pub(crate) source: Option<Source>,
}

impl Collector {
    /// Its addresses that can be reached from the source, at least one.
    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>, Unreachable> {
        let Host { name, port } = &self.host;
        let found = (name.as_str(), *port).to_socket_addrs();
        let found = found.map_err(|error| {
            // The resolver does not report that it could not open its files.
            let error = File::open("/dev/null").err().unwrap_or(error);
            Unreachable(format!("{name}: {}", sentence(&error)))
        })?;
        let mut addresses = Vec::new();
        for address in found.filter(|address| self.can_reach(address)) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let why = if self.source.is_some() {
                "has no address that the one of source= can reach"
            } else {
                "has no address"
            };
            return Err(Unreachable(format!("{name} {why}")));
        }
        Ok(addresses)
    }

    /// Looks up its addresses in a thread that ends with the answer.
    pub(super) fn look_up(&self) -> Receiver<Result<Vec<SocketAddr>, Unreachable>> {
        let collector = self.clone();
        answer_of("resolve", move || collector.addresses())
    }

    /// Its addresses, looked up with a short wait at the start of the program. Empty if not found.
    pub(super) fn addresses_at_start(&self) -> Vec<SocketAddr> {
        let answer = wait_for(&self.look_up(), START_PATIENCE);
        answer.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// The TCP conversations with these hosts whose addresses are found. All lookups run at the
    /// same time, with one short wait.
    pub(crate) fn tcp_conversations(hosts: &[Host]) -> Vec<Conversation> {
        let end = Instant::now() + START_PATIENCE;
        let collectors = hosts.iter().map(|host| Self { host: host.clone(), source: None });
        let asked: Vec<_> = collectors.map(|it| (it.look_up(), it)).collect();
        let conversations = asked.iter().flat_map(|(answer, collector)| {
            let left = end.saturating_duration_since(Instant::now());
            let addresses = wait_for(answer, left).ok().and_then(Result::ok).unwrap_or_default();
            addresses.into_iter().filter_map(|remote| {
                let local = collector.local_address(remote).ok()?;
                Some(Conversation { protocol: protocol::TCP, local, remote })
            })
        });
        conversations.collect()
    }

    fn can_reach(&self, address: &SocketAddr) -> bool {
        match &self.source {
            Some(Source::Address(source)) => source.is_ipv4() == address.is_ipv4(),
            Some(Source::Interface(_)) | None => true,
        }
    }

    /// A socket connected to one of its addresses. For UDP this only selects a route.
    pub(super) fn udp(&self, address: SocketAddr, ttl: Option<u8>) -> io::Result<UdpSocket> {
        let socket = self.socket(address, Type::DGRAM, Protocol::UDP)?;
        if let Some(ttl) = ttl.map(u32::from) {
            if address.is_ipv4() {
                socket.set_ttl_v4(ttl)?;
                socket.set_multicast_ttl_v4(ttl)?;
            } else {
                socket.set_unicast_hops_v6(ttl)?;
                socket.set_multicast_hops_v6(ttl)?;
            }
        }
        // Without this, the system does not report hosts that are gone, and networks without a way.
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        socket.connect(&address.into())?;
        Ok(socket.into())
    }

    /// Connects to one of its addresses.
    pub(super) fn tcp(&self, address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let socket = self.socket(address, Type::STREAM, Protocol::TCP)?;
        socket.connect_timeout(&address.into(), timeout)?;
        Ok(socket.into())
    }

    fn socket(&self, to: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(to), kind, Some(protocol))?;
        match &self.source {
            None => {}
            Some(Source::Address(source)) => {
                let bound = socket.bind(&(*source).into());
                bound.map_err(|error| source_error(&source.ip(), &error))?;
            }
            Some(Source::Interface(name)) => {
                let bound = socket.bind_device(Some(name.as_bytes()));
                bound.map_err(|error| source_error(name, &error))?;
            }
        }
        Ok(socket)
    }

    /// This host's source address for packets to one of its addresses.
    pub(super) fn local_address(&self, to: SocketAddr) -> io::Result<IpAddr> {
        Ok(self.udp(to, None)?.local_addr()?.ip())
    }
}

/// Reason why a collector cannot be reached now, as text with the name or address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreachable(pub(super) String);

impl Unreachable {
    /// Error of an attempt to reach an address.
    pub(super) fn at(address: SocketAddr, error: &io::Error) -> Self {
        Self(format!("{address}: {}", sentence(error)))
    }

    /// Errors of several attempts.
    pub(super) fn all(failures: &[Self]) -> Self {
        Self(failures.iter().map(|Self(words)| words.as_str()).collect::<Vec<_>>().join(", "))
    }
}

impl Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
