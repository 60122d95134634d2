//! What a script is made of: packets described by what they mean, and the frames that say it.

use flow::{IpVersion, KeyField, KeyFields, ObservationPoint};

use crate::support::packet;

/// Packets and the settings under which they are metered. The seed tells how to get it again.
#[derive(Clone, Debug)]
pub struct Script {
    pub seed: u64,
    pub settings: Settings,
    pub packets: Vec<Packet>,
}

/// Settings of metering that change the records.
#[derive(Clone, Debug)]
pub struct Settings {
    pub idle_ms: u32,
    pub active_ms: u32,
    /// Idle timeouts of protocols that have one of their own.
    pub idle_ms_of: Vec<(u8, u32)>,
    pub key: Vec<KeyField>,
    /// One of so many frames is metered.
    pub sampling: u32,
}

impl Settings {
    /// The idle timeout of a protocol, in milliseconds.
    pub fn idle_ms(&self, protocol: u8) -> u32 {
        let own = self.idle_ms_of.iter().find(|(number, _)| *number == protocol);
        own.map_or(self.idle_ms, |(_, idle_ms)| *idle_ms)
    }

    /// The longest idle timeout of all protocols, in milliseconds.
    pub fn longest_idle_ms(&self) -> u32 {
        self.idle_ms_of.iter().fold(self.idle_ms, |longest, it| longest.max(it.1))
    }

    pub fn key_fields(&self) -> KeyFields {
        KeyFields::new(self.key.iter().copied())
    }
}

/// A packet as the script has it.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Milliseconds since the epoch.
    pub time: i64,
    /// Where it is seen.
    pub point: ObservationPoint,
    /// Tag control information of the VLAN tags, the outer one first.
    pub tags: Vec<u16>,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Arp,
    Ip(Ip),
}

/// An IP packet between two hosts that are known by numbers.
#[derive(Clone, Debug)]
pub struct Ip {
    pub version: IpVersion,
    pub source: u8,
    pub destination: u8,
    pub type_of_service: u8,
    pub ttl: u8,
    pub transport: Transport,
    pub part: Part,
    pub length: Length,
    /// How many octets the capture kept from the IP header on; `None`: all.
    pub captured: Option<usize>,
}

/// What the IP packet carries. In ICMP the destination port is type and code.
#[derive(Clone, Debug)]
pub struct Transport {
    pub protocol: u8,
    pub source_port: u16,
    pub destination_port: u16,
    pub tcp_control_bits: u8,
    pub payload: usize,
}

/// Part of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// IPv6: a Fragment header with offset 0 and nothing to follow, which is no fragment.
    Atomic(u16),
    First(u16),
    Later(u16),
}

/// What the IP header says about the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    True,
    /// 0 in the header's field.
    Zero,
    /// So many octets after the header, whatever there is.
    Says(u16),
    /// IPv4: less than the header itself has.
    BelowHeader,
}

/// The least that Ethernet carries; shorter packets are padded.
const ETHERNET_PAYLOAD_MIN: usize = 46;

impl Packet {
    /// A TCP packet over IPv4 from a port.
    pub fn of_tcp(time: i64, source_port: u16, tcp_control_bits: u8) -> Self {
        let transport = Transport {
            protocol: TCP,
            source_port,
            destination_port: 443,
            tcp_control_bits,
            payload: 0,
        };
        let ip = Ip {
            version: IpVersion::V4,
            source: 1,
            destination: 2,
            type_of_service: 0,
            ttl: 64,
            transport,
            part: Part::Whole,
            length: Length::True,
            captured: None,
        };
        Self {
            time,
            point: ObservationPoint::ingress(1),
            tags: Vec::new(),
            content: Content::Ip(ip),
        }
    }

    /// The octets that the capture has of the frame, and the frame's length on the wire.
    pub fn frame(&self) -> (Vec<u8>, u32) {
        let untagged = match &self.content {
            Content::Arp => arp(),
            Content::Ip(ip) => packet::ethernet(&ip.octets()),
        };
        let mut frame = untagged;
        for (depth, &tag) in self.tags.iter().rev().enumerate() {
            frame = packet::tagged(&frame, if depth == 0 { 0x8100 } else { 0x88a8 }, tag);
        }
        let wire_length = frame.len();
        if let Content::Ip(Ip { captured: Some(captured), .. }) = &self.content {
            frame.truncate(14 + 4 * self.tags.len() + captured);
        }
        (frame, wire_length.try_into().unwrap())
    }
}

impl Ip {
    pub fn header(&self) -> usize {
        match self.version {
            IpVersion::V4 => 20,
            IpVersion::V6 => 40,
        }
    }

    /// Octets of the IPv6 Fragment header.
    pub fn extension(&self) -> usize {
        if self.version == IpVersion::V6 && self.part != Part::Whole { 8 } else { 0 }
    }

    /// Octets that follow the IP header.
    pub fn carried(&self) -> usize {
        self.extension() + self.transport.octets(self.part).len()
    }

    /// Octets that the wire has from the IP header on, padding included.
    pub fn on_wire(&self) -> usize {
        (self.header() + self.carried()).max(ETHERNET_PAYLOAD_MIN)
    }

    fn octets(&self) -> Vec<u8> {
        match self.version {
            IpVersion::V4 => self.ipv4(),
            IpVersion::V6 => self.ipv6(),
        }
    }

    fn ipv4(&self) -> Vec<u8> {
        let (source, destination) = (ipv4_address(self.source), ipv4_address(self.destination));
        let payload = self.transport.octets(self.part);
        let mut octets = packet::ipv4(source, destination, self.transport.protocol, &payload);
        let (identification, fragment): (u16, u16) = match self.part {
            Part::Whole => (7, 0x4000),
            Part::Atomic(_) => unreachable!("there is no such thing in IPv4"),
            Part::First(id) => (id, 0x2000),
            Part::Later(id) => (id, 185),
        };
        let total_length = match self.length {
            Length::True => octets.len().try_into().unwrap(),
            Length::Zero => 0,
            Length::Says(length) => 20 + length,
            Length::BelowHeader => 19_u16,
        };
        octets[1] = self.type_of_service;
        octets[2..4].copy_from_slice(&total_length.to_be_bytes());
        octets[4..6].copy_from_slice(&identification.to_be_bytes());
        octets[6..8].copy_from_slice(&fragment.to_be_bytes());
        octets[8] = self.ttl;
        octets
    }

    fn ipv6(&self) -> Vec<u8> {
        let transport = self.transport.octets(self.part);
        let fragment: Option<(u16, u16)> = match self.part {
            Part::Whole => None,
            Part::Atomic(id) => Some((id, 0)),
            Part::First(id) => Some((id, 1)),
            Part::Later(id) => Some((id, 185 << 3)),
        };
        let (next_header, payload) = match fragment {
            None => (self.transport.protocol, transport),
            Some((id, offset)) => {
                // Next header, reserved, offset and flags, identification (RFC 8200 section 4.5).
                let mut header = vec![self.transport.protocol, 0];
                header.extend(offset.to_be_bytes());
                header.extend(u32::from(id).to_be_bytes());
                (44, [header, transport].concat())
            }
        };
        let [source, destination] = [self.source, self.destination]
            .map(|host| std::net::Ipv6Addr::from(ipv6_address(host)).to_string());
        let mut octets = packet::ipv6(&source, &destination, next_header, &payload);
        octets[0] = 0x60 | self.type_of_service >> 4;
        octets[1] = self.type_of_service << 4;
        match self.length {
            Length::True => {}
            Length::Zero => octets[4..6].fill(0),
            Length::Says(length) => octets[4..6].copy_from_slice(&length.to_be_bytes()),
            Length::BelowHeader => unreachable!("there is no such thing in IPv6"),
        }
        octets[7] = self.ttl;
        octets
    }
}

impl Transport {
    /// What is in this part of the datagram. A later one has no header, only octets that are no
    /// port that a script uses.
    fn octets(&self, part: Part) -> Vec<u8> {
        let Self { source_port, destination_port, payload, .. } = *self;
        if matches!(part, Part::Later(_)) {
            return vec![0xee; 8 + payload];
        }
        match self.protocol {
            TCP => packet::tcp(source_port, destination_port, self.tcp_control_bits, payload),
            // The ports of SCTP, DCCP and UDP-Lite stand where those of UDP do.
            UDP | SCTP | DCCP | UDP_LITE => packet::udp(source_port, destination_port, payload),
            ICMP | ICMPV6 => {
                let [kind, code] = destination_port.to_be_bytes();
                packet::icmp(kind, code, payload)
            }
            _ => vec![0xee; 8 + payload],
        }
    }
}

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const DCCP: u8 = 33;
pub const GRE: u8 = 47;
pub const ESP: u8 = 50;
pub const AH: u8 = 51;
pub const ICMPV6: u8 = 58;
pub const SCTP: u8 = 132;
pub const UDP_LITE: u8 = 136;

pub fn ipv4_address(host: u8) -> [u8; 4] {
    [10, 0, 0, host]
}

pub fn ipv6_address(host: u8) -> [u8; 16] {
    [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]
}

fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.resize(60, 0);
    frame
}
