//! Who is in the office network, and the frames that carry a packet from one to another.
//!
//! The capture is the mirror of all that enters the core switch, which also routes: a packet is
//! in it once, with the VLAN of the port that it came in by (or of the port that an answer of the
//! switch itself leaves by). What comes from the Internet has no
//! tag, what comes from the branch office has two.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A tag of a frame: protocol and VLAN.
pub(crate) type Tag = (u16, u16);

/// Where packets come from or go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    pub(crate) mac: [u8; 6],
    pub(crate) address: IpAddr,
    /// Of frames from here, the outer one first.
    pub(crate) tags: &'static [Tag],
    /// What is left of it where the capture is made.
    pub(crate) ttl: u8,
}

impl Host {
    /// The same with another time to live.
    pub(crate) fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }
}

/// The VLAN of the people.
const STAFF: &[Tag] = &[(0x8100, 10)];

/// The VLAN of servers that the Internet can reach.
const SERVERS: &[Tag] = &[(0x8100, 20)];

/// The VLAN of telephones and meeting rooms.
const VOICE: &[Tag] = &[(0x8100, 30)];

/// The branch office: a provider's VLAN around its own.
const BRANCH: &[Tag] = &[(0x88a8, 300), (0x8100, 40)];

/// The core switch, gateway of all networks.
pub(crate) const SWITCH: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// The router to the Internet.
const ROUTER: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];

pub(crate) fn staff(number: u8) -> Host {
    let address = Ipv4Addr::new(10, 10, 0, number).into();
    Host { mac: [0x02, 0, 0, 10, 0, number], address, tags: STAFF, ttl: 128 }
}

pub(crate) fn staff6(number: u8) -> Host {
    Host { address: site(0x10, number), ttl: 64, ..staff(number) }
}

pub(crate) fn server(number: u8) -> Host {
    let address = Ipv4Addr::new(192, 0, 2, number).into();
    Host { mac: [0x02, 0, 0, 20, 0, number], address, tags: SERVERS, ttl: 64 }
}

pub(crate) fn server6(number: u8) -> Host {
    Host { address: site(0x20, number), ..server(number) }
}

pub(crate) fn phone(number: u8) -> Host {
    let address = Ipv4Addr::new(10, 30, 0, number).into();
    Host { mac: [0x02, 0, 0, 30, 0, number], address, tags: VOICE, ttl: 64 }
}

pub(crate) fn branch(number: u8) -> Host {
    let address = Ipv4Addr::new(10, 40, 0, number).into();
    Host { mac: [0x02, 0, 0, 40, 0, number], address, tags: BRANCH, ttl: 127 }
}

/// A network of the site, 2001:db8:NETWORK::/64.
fn site(network: u16, number: u8) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, 0, number.into()).into()
}

/// The address that a host has on its own link.
pub(crate) fn link_local(host: Host) -> Host {
    let [a, b, c, d, e, f] = host.mac;
    let parts = [[a ^ 2, b], [c, 0xff], [0xfe, d], [e, f]].map(u16::from_be_bytes);
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, parts[0], parts[1], parts[2], parts[3]);
    Host { address: address.into(), ttl: 255, ..host }
}

/// The switch as a host of another's network.
pub(crate) fn gateway(of: Host, address: IpAddr) -> Host {
    Host { mac: SWITCH, address, tags: of.tags, ttl: 255 }
}

/// A host of the Internet, some hops away.
pub(crate) fn outside(address: IpAddr) -> Host {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    Host { mac: ROUTER, address, tags: &[], ttl: 58 - last % 13 }
}

/// A web site or other service, 198.51.100.NUMBER.
pub(crate) fn service(number: u8) -> Host {
    outside(Ipv4Addr::new(198, 51, 100, number).into())
}

/// The same with IPv6, 2001:db8:ffff::NUMBER.
pub(crate) fn service6(number: u8) -> Host {
    outside(site(0xffff, number))
}

/// Somebody at 203.0.113.NUMBER.
pub(crate) fn stranger(number: u8) -> Host {
    outside(Ipv4Addr::new(203, 0, 113, number).into())
}

/// All hosts of a link, or those of a multicast group.
pub(crate) fn group(address: IpAddr) -> Host {
    let mac = match address {
        IpAddr::V4(address) if address.is_multicast() => {
            let [_, b, c, d] = address.octets();
            [0x01, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V4(_) => [0xff; 6],
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [0x33, 0x33, a, b, c, d]
        }
    };
    Host { mac, address, tags: &[], ttl: 1 }
}

/// The frame of a packet. Another network is reached through the switch.
pub(crate) fn ip_frame(from: &Host, to: &Host, packet: &[u8]) -> Vec<u8> {
    let is_group = to.mac[0] & 1 == 1;
    let mac = if is_group || from.tags == to.tags { to.mac } else { SWITCH };
    let ethertype = if from.address.is_ipv4() { 0x0800 } else { 0x86dd };
    frame(from, mac, ethertype, packet)
}

/// A frame with the tags of the sender's port, padded as hosts pad it.
pub(crate) fn frame(from: &Host, to: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to, from.mac].concat();
    for (protocol, vlan) in from.tags {
        frame.extend(protocol.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}
