//! The meaning of a packet, from what tshark says of its outermost IP header.
//!
//! This is written from the definition of a flow alone, and shares nothing with the program.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::sums::{Key, Sum, Sums};
use crate::support::time;
use crate::tshark::{Dissection, Row};

/// The sums of all packets that have an IP header.
pub fn sums(dissection: &Dissection) -> Sums {
    let mut sums = Sums::default();
    let mut first_fragments = HashMap::new();
    for row in dissection.rows() {
        let Some(Packet { mut key, sum, fragment }) = packet(&row) else { continue };
        match fragment {
            Fragment::Whole => {}
            Fragment::First(datagram) => {
                first_fragments.insert(datagram, key);
            }
            Fragment::Later(datagram) => {
                if let Some(first) = first_fragments.get(&datagram) {
                    key.protocol = first.protocol;
                    key.source_port = first.source_port;
                    key.destination_port = first.destination_port;
                }
            }
        }
        sums.add(key, sum);
    }
    sums
}

struct Packet {
    key: Key,
    sum: Sum,
    fragment: Fragment,
}

/// Addresses, identification, and for IPv4 the protocol.
type Datagram = (IpAddr, IpAddr, u64, Option<u8>);

#[derive(PartialEq, Eq)]
enum Fragment {
    Whole,
    First(Datagram),
    Later(Datagram),
}

impl Fragment {
    fn new(offset: u64, more: u64, datagram: Datagram) -> Self {
        match (offset, more) {
            (0, 0) => Self::Whole,
            (0, _) => Self::First(datagram),
            _ => Self::Later(datagram),
        }
    }
}

fn packet(row: &Row<'_>) -> Option<Packet> {
    let version = row.protocols().find(|name| matches!(*name, "ip" | "ipv6"))?;
    let address = |side: &str| row.text(&format!("{version}.{side}"))?.parse().ok();
    // Without addresses tshark gave up on the header: its length is too small.
    let (source, destination): (IpAddr, IpAddr) = (address("src")?, address("dst")?);
    let network = match version {
        "ip" => ipv4(row, source, destination),
        _ => ipv6(row, source, destination),
    };
    let is_later = matches!(network.fragment, Fragment::Later(_));
    let ports = if is_later { Ports::default() } else { ports(row, version, network.protocol) };
    let seconds = row.text("frame.time_epoch").expect("a frame has a time");
    // A fraction of more than a second is no time for tshark.
    let millis = time::millis_of_seconds(seconds).unwrap_or(0);
    Some(Packet {
        key: Key {
            source,
            destination,
            protocol: network.protocol,
            source_port: ports.source,
            destination_port: ports.destination,
            type_of_service: network.type_of_service,
        },
        sum: Sum {
            packets: 1,
            octets: octets_on_the_wire(row, version)
                .map_or(network.octets, |most| network.octets.min(most)),
            tcp_control_bits: ports.tcp_control_bits,
            lowest_ttl: network.ttl,
            highest_ttl: network.ttl,
            first: millis,
            last: millis,
            vlan: outer_vlan(row),
        },
        fragment: network.fragment,
    })
}

/// What the wire had behind the headers of the link layer, where their lengths are known.
fn octets_on_the_wire(row: &Row<'_>, version: &str) -> Option<u64> {
    let mut link_octets = 0;
    for name in row.protocols().take_while(|name| *name != version) {
        link_octets += match name {
            "ethertype" | "raw" => 0,
            "eth" => 14,
            "sll" => 16,
            "vlan" | "mpls" => 4,
            "pppoes" => 6,
            "ppp" if link_octets > 0 => 2,
            _ => return None,
        };
    }
    Some(row.number("frame.len")?.saturating_sub(link_octets))
}

/// What the IP header says besides addresses.
struct Network {
    octets: u64,
    protocol: u8,
    type_of_service: u8,
    ttl: u8,
    fragment: Fragment,
}

fn ipv4(row: &Row<'_>, source: IpAddr, destination: IpAddr) -> Network {
    let number = |field| row.number(field).unwrap_or_else(|| panic!("IPv4 without {field}"));
    let protocol = octet(number("ip.proto"));
    let datagram = (source, destination, number("ip.id"), Some(protocol));
    Network {
        octets: number("ip.len"),
        protocol,
        type_of_service: octet(number("ip.dsfield")),
        ttl: octet(number("ip.ttl")),
        fragment: Fragment::new(number("ip.frag_offset"), number("ip.flags.mf"), datagram),
    }
}

fn ipv6(row: &Row<'_>, source: IpAddr, destination: IpAddr) -> Network {
    let number = |field| row.number(field).unwrap_or_else(|| panic!("IPv6 without {field}"));
    let mut protocol = number("ipv6.nxt");
    let mut fragment = Fragment::Whole;
    let mut met = HashMap::new();
    loop {
        let field = match protocol {
            0 => "ipv6.hopopts.nxt",
            43 => "ipv6.routing.nxt",
            44 => "ipv6.fraghdr.nxt",
            51 => "ah.next_header",
            60 => "ipv6.dstopts.nxt",
            _ => break,
        };
        let index = met.entry(protocol).or_insert(0);
        // Absent where the capture ends before.
        let Some(next) = row.nth_number(field, *index) else { break };
        *index += 1;
        if protocol == 44 && fragment == Fragment::Whole {
            let (offset, more) = (number("ipv6.fraghdr.offset"), number("ipv6.fraghdr.more"));
            let datagram = (source, destination, number("ipv6.fraghdr.ident"), None);
            fragment = Fragment::new(offset, more, datagram);
        }
        protocol = next;
        if matches!(fragment, Fragment::Later(_)) {
            break;
        }
    }
    Network {
        octets: 40 + row.number("ipv6.opt.jumbo").unwrap_or_else(|| number("ipv6.plen")),
        protocol: octet(protocol),
        type_of_service: octet(number("ipv6.tclass")),
        ttl: octet(number("ipv6.hlim")),
        fragment,
    }
}

#[derive(Default)]
struct Ports {
    source: u16,
    destination: u16,
    tcp_control_bits: u8,
}

/// Ports of the outermost header's protocol; those of another may belong to a packet inside.
fn ports(row: &Row<'_>, version: &str, protocol: u8) -> Ports {
    let number = |field: &str| row.number(field).unwrap_or(0);
    let port = |field: String| u16::try_from(number(&field)).expect("a port has 16 bits");
    let transport = match (version, protocol) {
        (_, 6) => "tcp",
        // UDP-Lite is shown in the fields of UDP.
        (_, 17 | 136) => "udp",
        (_, 33) => "dccp",
        (_, 132) => "sctp",
        ("ip", 1) | ("ipv6", 58) => {
            let name = if version == "ip" { "icmp" } else { "icmpv6" };
            let [kind, code] = ["type", "code"].map(|field| port(format!("{name}.{field}")));
            return Ports { destination: kind * 256 + code, ..Ports::default() };
        }
        _ => return Ports::default(),
    };
    Ports {
        source: port(format!("{transport}.srcport")),
        destination: port(format!("{transport}.dstport")),
        // tshark has more than the octet of the eight.
        tcp_control_bits: if protocol == 6 { octet(number("tcp.flags") & 0xff) } else { 0 },
    }
}

fn outer_vlan(row: &Row<'_>) -> u16 {
    let link_layers = row.protocols().take_while(|name| !matches!(*name, "ip" | "ipv6"));
    let id = link_layers.filter_map(|name| match name {
        "vlan" => row.number("vlan.id"),
        "ieee8021ad" => row.number("ieee8021ad.id").or_else(|| row.number("ieee8021ad.svid")),
        _ => None,
    });
    id.take(1).map(|id| u16::try_from(id).expect("a VLAN id has 12 bits")).sum()
}

fn octet(value: u64) -> u8 {
    u8::try_from(value).expect("the field has 8 bits")
}
