//! The kernel's data on a network interface, and whether the host still needs the interface.
//!
//! Facts are gathered first. Decisions are computed from the facts alone.

pub(crate) mod changes;
mod features;
pub(crate) mod links;
mod netlink;
pub(crate) mod network;
pub(crate) mod nic;
pub(crate) mod sysfs;

use std::fmt;
use std::io;
use std::net::IpAddr;

use exporter::sentence;
use libc::{IFF_LOOPBACK, IFF_RUNNING, IFF_UP};

pub(crate) use features::{XdpFeatures, xdp_features};
use netlink::{Netlink, Question, attribute};
use network::Network;
use sysfs::Sysfs;

/// An interface at the time of the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The kernel's name, even if it was found by another name.
    pub(crate) name: String,
    /// The interface index of the kernel.
    pub(crate) index: u32,
    /// Name of the kernel module that drives it, or of its kind: `ixgbe`, `veth`.
    pub(crate) driver: Option<String>,
    /// Octets of the largest packet, without the link layer's header.
    pub(crate) mtu: u32,
    /// `ARPHRD_` number: 1 is Ethernet, 772 loopback.
    pub(crate) hardware: u16,
    /// `IFF_` flags.
    flags: u32,
    /// Addresses of its own, of both versions.
    pub(crate) addresses: Vec<IpAddr>,
    /// Routes over it, of all tables and both versions.
    pub(crate) routes: Vec<Route>,
    /// The bond, bridge or other device of which it is a part.
    pub(crate) master: Option<String>,
    /// Devices on top of it: VLAN, macvlan and the like.
    pub(crate) uppers: Vec<String>,
    /// Receive queues in use.
    pub(crate) rx_queues: u32,
    /// The XDP program on it.
    pub(crate) xdp: Option<AttachedXdp>,
}

/// The destination of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// First address of the network.
    pub(crate) network: IpAddr,
    /// Length of the network's part in bits.
    pub(crate) prefix: u8,
}

/// An XDP program that is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttachedXdp {
    /// Number of the program; 0 if there are several.
    pub(crate) program: u32,
    /// Mode of attachment: `driver`, `generic`, `hardware`, `several`.
    pub(crate) mode: &'static str,
}

/// Reason why the host would miss the packets of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is the loopback interface.
    Loopback,
    /// The host has this address, which is not link-local.
    Address(IpAddr),
    /// The host sends over it.
    Route(Route),
    /// It is part of this device.
    Master(String),
    /// This device is on top of it.
    Upper(String),
    /// An output sends over it.
    Output,
}

/// Reason why there is no data on an interface.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FindError {
    /// There is no interface of this name. It may come later.
    #[error("cannot find interface {name}: no such device; `ip link` lists those there are")]
    NoSuchInterface { name: String },
    /// The kernel returned an error.
    #[error("cannot learn about interface {name} from the kernel: {problem}")]
    Unknown { name: String, problem: String },
}

impl Interface {
    /// Queries the interface of this name, in the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// There is no such interface, or the kernel returned an error.
    pub(crate) fn find(name: &str) -> Result<Self, FindError> {
        Network::look()
            .map_err(|problem| FindError::Unknown {
                name: name.to_owned(),
                problem: sentence(&problem),
            })?
            .interface(name)
    }

    /// Adds facts that netlink does not have.
    fn read_sysfs(&mut self) {
        let Some(sysfs) = Sysfs::of(&self.name, self.index) else { return };
        if let Some(driver) = sysfs.driver() {
            self.driver = Some(driver);
        }
        self.rx_queues = sysfs.rx_queues().unwrap_or(self.rx_queues);
        for upper in sysfs.uppers() {
            if self.master.as_ref() != Some(&upper) && !self.uppers.contains(&upper) {
                self.uppers.push(upper);
            }
        }
    }

    /// Whether it was set up by the administrator.
    pub(crate) fn is_up(&self) -> bool {
        links::has(self.flags, IFF_UP)
    }

    /// Whether it is up and has a carrier.
    pub(crate) fn is_running(&self) -> bool {
        links::has(self.flags, IFF_RUNNING)
    }

    /// Whether it is the loopback interface.
    pub(crate) fn is_loopback(&self) -> bool {
        links::has(self.flags, IFF_LOOPBACK)
    }

    /// Its link-local addresses, by which neighbours reach the host. Every interface that is up has
    /// some, so they are no reason for the host to need it.
    pub(crate) fn link_local(&self) -> Vec<IpAddr> {
        self.addresses.iter().copied().filter(|address| is_link_local(*address)).collect()
    }

    /// The first reasons why the host would miss the packets of this interface, as text.
    pub(crate) fn needed(&self, outputs: &[u32]) -> Option<String> {
        let reasons = self.consumable(outputs).err()?;
        let mut text: Vec<String> =
            reasons.iter().take(LISTED_MAX).map(Reason::to_string).collect();
        if reasons.len() > LISTED_MAX {
            text.push(format!("and {} more reasons", reasons.len() - LISTED_MAX));
        }
        Some(text.join(", "))
    }

    /// Whether its packets may bypass the network stack without the host missing them. `outputs`
    /// are the interfaces over which the outputs send.
    ///
    /// # Errors
    ///
    /// All reasons against it.
    fn consumable(&self, outputs: &[u32]) -> Result<(), Vec<Reason>> {
        let mut reasons = Vec::new();
        if self.is_loopback() {
            reasons.push(Reason::Loopback);
        }
        let addresses = self.addresses.iter().filter(|address| !is_link_local(**address));
        reasons.extend(addresses.map(|address| Reason::Address(*address)));
        let routes = self.routes.iter().filter(|route| !route.comes_with_link_local());
        reasons.extend(routes.map(|route| Reason::Route(*route)));
        reasons.extend(self.master.clone().map(Reason::Master));
        reasons.extend(self.uppers.iter().cloned().map(Reason::Upper));
        if outputs.contains(&self.index) {
            reasons.push(Reason::Output);
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

/// For tests of decisions from facts.
#[cfg(test)]
impl Interface {
    /// An ideal mirror port: up, with no address except those that IPv6 gives automatically.
    pub(crate) fn made_up(name: &str) -> Self {
        let route = |network: &str, prefix| Route { network: network.parse().unwrap(), prefix };
        Self {
            name: name.to_owned(),
            index: 3,
            hardware: libc::ARPHRD_ETHER,
            flags: (IFF_UP | IFF_RUNNING).unsigned_abs(),
            mtu: 1500,
            rx_queues: 4,
            addresses: vec!["fe80::1".parse().unwrap()],
            routes: vec![route("fe80::", 64), route("fe80::1", 128), route("ff00::", 8)],
            ..Self::default()
        }
    }

    pub(crate) fn set_down(&mut self) {
        self.flags = 0;
    }
}

/// The interface over which packets to an address leave; `None` if there is no route.
///
/// # Errors
///
/// The error of the kernel.
pub(crate) fn towards(address: IpAddr) -> io::Result<Option<u32>> {
    let (family, octets) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let mut body = vec![0; ROUTE_OCTETS];
    body[0] = u8::try_from(family).unwrap_or_default();
    body[1] = u8::try_from(octets.len() * 8).unwrap_or_default();
    body.extend(attribute(libc::RTA_DST, &octets));
    let mut index = None;
    let one = Question { kind: libc::RTM_GETROUTE, all: false, body: &body };
    let asked = Netlink::open()?.ask(one, |answer| {
        index = answer.attributes(ROUTE_OCTETS).number(libc::RTA_OIF);
    });
    match asked.err().and_then(|problem| problem.raw_os_error()) {
        None => Ok(index),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL) => Ok(None),
        Some(code) => Err(io::Error::from_raw_os_error(code)),
    }
}

impl Route {
    /// Whether every interface with a link-local address has this route.
    fn comes_with_link_local(&self) -> bool {
        match self.network {
            IpAddr::V4(network) => network.is_link_local() && self.prefix >= 16,
            IpAddr::V6(network) => {
                network.is_unicast_link_local() && self.prefix >= 10
                    || network.is_multicast() && self.prefix >= 8
            }
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == 0 {
            f.write_str("the default route")
        } else {
            write!(f, "the route to {}/{}", self.network, self.prefix)
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("it is the loopback interface"),
            Self::Address(address) => write!(f, "it has the address {address}"),
            Self::Route(route) => write!(f, "{route} leads over it"),
            Self::Master(master) => write!(f, "it is part of {master}"),
            Self::Upper(upper) => write!(f, "{upper} is on top of it"),
            Self::Output => f.write_str("an output sends over it"),
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Maximum number of reasons in a text.
const LISTED_MAX: usize = 2;

/// `struct rtmsg`.
const ROUTE_OCTETS: usize = 12;

#[cfg(test)]
mod tests;
