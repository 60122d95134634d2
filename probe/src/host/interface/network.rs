//! All links, addresses and routes of a network namespace, so that three queries to the kernel are
//! enough for many interfaces.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::links::{self, Link};
use super::netlink::{Answer, Netlink, Question, field};
use super::{FindError, Interface, ROUTE_OCTETS, Route};

/// The links, addresses and routes of a network namespace at one time.
#[derive(Debug)]
pub(crate) struct Network {
    links: Vec<Link>,
    /// Each with the index of its interface.
    addresses: Vec<(u32, IpAddr)>,
    /// Each with the indexes of the interfaces that it uses.
    routes: Vec<(Vec<u32>, Route)>,
}

impl Network {
    /// Queries the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// The error of the kernel: `EMFILE` if no more descriptors may be opened.
    pub(crate) fn look() -> io::Result<Self> {
        let mut netlink = Netlink::open()?;
        let links = links::ask(&mut netlink)?;
        let all = Question { kind: libc::RTM_GETADDR, all: true, body: &[0; ADDRESS_OCTETS] };
        let addresses = netlink.ask_for_list(all, address)?;
        let all = Question { kind: libc::RTM_GETROUTE, all: true, body: &[0; ROUTE_OCTETS] };
        let routes = netlink.ask_for_list(all, route)?;
        Ok(Self { links, addresses, routes })
    }

    /// Like [`Network::look`], with the error in one sentence.
    pub(crate) fn look_or_say() -> Result<Self, String> {
        Self::look().map_err(|error| links::unknown(&error))
    }

    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The interface of this name.
    ///
    /// # Errors
    ///
    /// There is no such interface.
    pub(crate) fn interface(&self, name: &str) -> Result<Interface, FindError> {
        let missing = || FindError::NoSuchInterface { name: name.to_owned() };
        let link = self.links.iter().find(|link| link.is_named(name)).ok_or_else(missing)?;
        let mut interface = self.interface_of(link);
        interface.read_sysfs();
        Ok(interface)
    }

    fn interface_of(&self, link: &Link) -> Interface {
        let Link { index, .. } = *link;
        let name_of = |index: u32| {
            let link = self.links.iter().find(|link| link.index == index);
            link.map_or_else(|| index.to_string(), |link| link.name.clone())
        };
        let uppers = self.links.iter().filter(|link| link.is_on(index));
        let addresses = self.addresses.iter().filter(|(owner, _)| *owner == index);
        let routes = self.routes.iter().filter(|(over, _)| over.contains(&index));
        Interface {
            name: link.name.clone(),
            index,
            driver: link.kind.clone(),
            mtu: link.mtu,
            hardware: link.hardware,
            flags: link.flags,
            addresses: addresses.map(|(_, address)| *address).collect(),
            routes: routes.map(|(_, route)| *route).collect(),
            master: link.master.map(name_of),
            uppers: uppers.map(|link| link.name.clone()).collect(),
            rx_queues: link.rx_queues,
            xdp: link.xdp,
        }
    }
}

/// The interface index of an address (`struct ifaddrmsg`).
pub(super) fn address_index(answer: Answer<'_>) -> u32 {
    u32::from_ne_bytes(answer.fixed(4))
}

fn address(answer: Answer<'_>) -> Option<(u32, IpAddr)> {
    // On a point-to-point link IFA_ADDRESS is the address of the other end.
    let attributes = answer.attributes(ADDRESS_OCTETS);
    let own = attributes.address(libc::IFA_LOCAL);
    let address = own.or_else(|| attributes.address(libc::IFA_ADDRESS))?;
    Some((address_index(answer), address))
}

/// The route of a message, except a cached one (`struct rtmsg`: family, length of the destination's
/// prefix, ... flags at 8).
fn route(answer: Answer<'_>) -> Option<(Vec<u32>, Route)> {
    let [family, prefix] = answer.fixed(0);
    if u32::from_ne_bytes(answer.fixed(8)) & libc::RTM_F_CLONED != 0 {
        return None;
    }
    let any = match libc::c_int::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let network = answer.attributes(ROUTE_OCTETS).address(libc::RTA_DST).unwrap_or(any);
    Some((route_indexes(answer), Route { network, prefix }))
}

/// The interface indexes of a route.
pub(super) fn route_indexes(answer: Answer<'_>) -> Vec<u32> {
    let attributes = answer.attributes(ROUTE_OCTETS);
    let mut indexes = Vec::from_iter(attributes.number(libc::RTA_OIF));
    // Next hops: length, flags, hops, interface, attributes (`struct rtnexthop`).
    let mut hops = attributes.find(libc::RTA_MULTIPATH).unwrap_or_default();
    while let Some(hop) = field(hops, 4) {
        indexes.push(u32::from_ne_bytes(hop));
        let length = u16::from_ne_bytes(field(hops, 0).unwrap_or_default());
        hops = hops.get(usize::from(length.max(8)).next_multiple_of(4)..).unwrap_or_default();
    }
    indexes
}

/// `struct ifaddrmsg`.
const ADDRESS_OCTETS: usize = 8;
