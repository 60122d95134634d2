//! What the records of a flow sample say about its packet.

use std::net::IpAddr;

use element::Route;
use flow::frame::{Fragment, Packet};
use flow::number::protocol::has_ports;
use flow::{Address, IpVersion, Ports};

use super::octets::Octets;
use super::{FlowSample, Record};
use crate::counts::Counts;
use crate::message::Malformed;

/// VLAN ids have 12 bits.
const VLAN_MAX: u32 = 0xfff;

/// Facts about the packet of a flow sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'a> {
    /// Its first octets.
    pub(super) header: Option<RawHeader<'a>>,
    /// What the agent read of its IP header. The TTL is not in it.
    pub(super) packet: Option<Packet>,
    /// Source and destination address of its Ethernet frame.
    pub(super) macs: Option<[[u8; 6]; 2]>,
    /// VLAN id of the incoming frame; 0 if it is not known.
    pub(super) vlan_id: u16,
    pub(super) next_hop: Option<IpAddr>,
    pub(super) bgp_next_hop: Option<IpAddr>,
    pub(super) source: Route,
    pub(super) destination: Route,
}

/// The first octets of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawHeader<'a> {
    /// The protocol that they begin with.
    pub(super) protocol: u32,
    /// Octets of the frame on the wire, with those that were removed.
    pub(super) frame_length: u32,
    /// Octets that were removed before, such as the frame check sequence.
    pub(super) stripped: u32,
    pub(super) octets: &'a [u8],
}

impl<'a> Facts<'a> {
    /// Reads the records of a sample. Of two of a kind the first one counts.
    pub(super) fn of(sample: &FlowSample<'a>, counts: &mut Counts) -> Self {
        let mut facts = Self::default();
        for record in sample.records() {
            match facts.add(record) {
                Ok(true) => {}
                Ok(false) => counts.sflow_other_records += 1,
                Err(Malformed) => counts.sflow_cut_records += 1,
            }
        }
        facts
    }

    /// Reads a record. False if it is of another kind.
    fn add(&mut self, record: Record<'a>) -> Result<bool, Malformed> {
        let mut rest = Octets(record.content);
        match record.format {
            1 => {
                let [protocol, frame_length, stripped] = rest.numbers()?;
                let octets = rest.opaque()?;
                let header = RawHeader { protocol, frame_length, stripped, octets };
                self.header.get_or_insert(header);
            }
            2 => self.ethernet(rest)?,
            3 => {
                let packet = sampled_ipv4(rest)?;
                self.packet.get_or_insert(packet);
            }
            4 => {
                let packet = sampled_ipv6(rest)?;
                self.packet.get_or_insert(packet);
            }
            1001 => {
                let [vlan, _priority, _outgoing_vlan, _outgoing_priority] = rest.numbers()?;
                if let (1..=VLAN_MAX, Ok(vlan_id)) = (vlan, u16::try_from(vlan)) {
                    self.vlan_id = vlan_id;
                }
            }
            1002 => self.router(rest)?,
            1003 => self.gateway(rest)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The length of the frame, addresses with 2 octets of padding each, and the Ethertype.
    fn ethernet(&mut self, mut rest: Octets<'_>) -> Result<(), Malformed> {
        let _length = rest.u32()?;
        let [a, b, c, d, e, f, _, _] = rest.array()?;
        let source = [a, b, c, d, e, f];
        let [a, b, c, d, e, f, _, _] = rest.array()?;
        self.macs.get_or_insert([source, [a, b, c, d, e, f]]);
        Ok(())
    }

    /// The next router, and the lengths of the prefixes.
    fn router(&mut self, mut rest: Octets<'_>) -> Result<(), Malformed> {
        let next_hop = rest.address()?;
        let [source, destination] = rest.numbers()?;
        let length = |length: u32| u8::try_from(length).ok().filter(|it| *it <= 128).unwrap_or(0);
        self.next_hop = next_hop;
        self.source.prefix_length = length(source);
        self.destination.prefix_length = length(destination);
        Ok(())
    }

    /// The next router by BGP, the Autonomous Systems of router, source and neighbour, and the path
    /// to the destination in segments: its last one is that of the destination.
    fn gateway(&mut self, mut rest: Octets<'_>) -> Result<(), Malformed> {
        let next_hop = rest.address()?;
        let [_own, source, _neighbour, segments] = rest.numbers()?;
        let mut destination = 0;
        for _ in 0..segments {
            let [_kind, length] = rest.numbers()?;
            for _ in 0..length {
                destination = rest.u32()?;
            }
        }
        self.bgp_next_hop = next_hop;
        self.source.as_number = source;
        self.destination.as_number = destination;
        Ok(())
    }
}

/// ```text
/// | IP length | Protocol | Source (4) | Destination (4) | Source port | Destination port |
/// | TCP control bits | Type of service |
/// ```
fn sampled_ipv4(mut rest: Octets<'_>) -> Result<Packet, Malformed> {
    let lengths = rest.numbers()?;
    let (source, destination) = (Address::v4(rest.array()?), Address::v4(rest.array()?));
    Ok(packet(IpVersion::V4, lengths, [source, destination], rest.numbers()?))
}

/// As IPv4, with addresses of 16 octets.
fn sampled_ipv6(mut rest: Octets<'_>) -> Result<Packet, Malformed> {
    let lengths = rest.numbers()?;
    let (source, destination) = (Address::v6(rest.array()?), Address::v6(rest.array()?));
    Ok(packet(IpVersion::V6, lengths, [source, destination], rest.numbers()?))
}

fn packet(
    ip_version: IpVersion,
    [octets, protocol]: [u32; 2],
    [source, destination]: [Address; 2],
    [source_port, destination_port, control_bits, type_of_service]: [u32; 4],
) -> Packet {
    let octet = |number: u32| number.to_be_bytes()[3];
    let port = |number: u32| u16::try_from(number).unwrap_or(0);
    let protocol = octet(protocol);
    let ports = match has_ports(protocol) {
        true => Ports::new(port(source_port), port(destination_port)),
        false => Ports::default(),
    };
    Packet {
        ip_version,
        source,
        destination,
        ports,
        protocol,
        type_of_service: octet(type_of_service),
        ttl: 0,
        tcp_control_bits: octet(control_bits),
        vlan_id: 0,
        octets,
        exceeds_wire: false,
        fragment: Fragment::Whole,
    }
}
