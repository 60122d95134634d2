//! The packet of a flow sample as a flow record.

use element::Element;
use flow::frame::{Packet, dissect_tagged};
use flow::{
    Collected, Details, DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, Frame,
    Ignored, KeyFields, LinkType, ObservationPoint, Tags, Timestamp, Tpids,
};

use super::facts::{Facts, RawHeader};
use super::{FlowSample, Sources};
use crate::counts::Counts;
use crate::message::Header;
use crate::record::Places;

/// An Ethernet header in front of MPLS labels.
const BEFORE_MPLS: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x47];

/// What all samples say.
const FIELDS: u128 = Element::OctetDeltaCount.bit()
    | Element::PacketDeltaCount.bit()
    | Element::ProtocolIdentifier.bit()
    | Element::IpClassOfService.bit()
    | Element::TcpControlBits.bit()
    | Element::SourceTransportPort.bit()
    | Element::DestinationTransportPort.bit()
    | Element::SourceIpv4Address.bit()
    | Element::DestinationIpv4Address.bit()
    | Element::SourceIpv6Address.bit()
    | Element::DestinationIpv6Address.bit()
    | Element::IngressInterface.bit()
    | Element::EgressInterface.bit();

/// What the samples of a datagram have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common<'a> {
    pub(crate) header: &'a Header,
    pub(crate) received: Timestamp,
    /// Further tag protocols in sampled frames.
    pub(crate) tpids: Tpids,
}

/// Makes a flow record of one packet. `None`: the cause is counted.
pub(crate) fn record(
    sample: &FlowSample<'_>,
    common: Common<'_>,
    (places, sources): (&mut Places, &mut Sources),
    counts: &mut Counts,
) -> Option<(FlowRecord, Details)> {
    counts.sflow_samples += 1;
    sources.check(common.header.domain, sample, counts);
    let facts = Facts::of(sample, counts);
    let read = facts.header.map(|header| header.packet(common));
    let (packet, has_ttl) = match (read, facts.packet) {
        (Some(Ok(packet)), _) => (packet, true),
        (_, Some(packet)) => (packet, false),
        (Some(Err(cause)), None) => {
            match cause {
                NoPacket::OtherProtocol => counts.sflow_other_headers += 1,
                NoPacket::Ignored(Ignored::NotIp) => counts.sflow_not_ip += 1,
                NoPacket::Ignored(_) => counts.sflow_unreadable += 1,
            }
            return None;
        }
        (None, None) => {
            counts.unmeterable += 1;
            return None;
        }
    };
    let record = flow_record(&packet, sample, &facts, common.received);
    let mut fields = FIELDS;
    if has_ttl {
        fields |= Element::MinimumTtl.bit() | Element::MaximumTtl.bit();
    }
    if record.vlan_id != 0 {
        fields |= Element::VlanId.bit();
    }
    if sample.forwarding_status.is_some() {
        fields |= Element::ForwardingStatus.bit();
    }
    let macs = facts.header.and_then(RawHeader::macs).or(facts.macs);
    let collected = Collected {
        fields,
        key: KeyFields::SEVEN,
        export_time: common.header.export_time,
        uptime_ms: common.header.uptime_ms,
        ingress_interface: sample.input,
        egress_interface: sample.output,
        next_hop: facts.next_hop,
        bgp_next_hop: facts.bgp_next_hop,
        source_mac: macs.map(|[source, _]| source),
        destination_mac: macs.map(|[_, destination]| destination),
        forwarding_status: sample.forwarding_status.unwrap_or(0),
        tcp_control_bits: record.tcp_control_bits.into(),
        sampling_interval: sample.sampling_rate,
        ..Collected::default()
    };
    let details = Details {
        source: places.of(facts.source),
        destination: places.of(facts.destination),
        collected: Some(Box::new(collected)),
        ..Details::default()
    };
    Some((record, details))
}

fn flow_record(
    packet: &Packet,
    sample: &FlowSample<'_>,
    facts: &Facts<'_>,
    received: Timestamp,
) -> FlowRecord {
    FlowRecord {
        key: FlowKey {
            ip_version: packet.ip_version,
            source: packet.source.octets(),
            destination: packet.destination.octets(),
            source_port: packet.ports.source(),
            destination_port: packet.ports.destination(),
            protocol: packet.protocol,
            type_of_service: packet.type_of_service,
            interface: sample.input,
        },
        octets: packet.octets.into(),
        packets: 1,
        start: received,
        end: received,
        exported: received,
        vlan_id: if packet.vlan_id == 0 { facts.vlan_id } else { packet.vlan_id },
        direction: FlowDirection::Ingress,
        tcp_control_bits: packet.tcp_control_bits,
        minimum_ttl: packet.ttl,
        maximum_ttl: packet.ttl,
        end_reason: FlowEndReason::Unknown,
        tags: Tags::NONE,
        details: DetailsIndex::NONE,
    }
}

/// Why a header has no packet.
#[derive(Clone, Copy, Debug)]
enum NoPacket {
    /// It begins with a protocol that is not read.
    OtherProtocol,
    Ignored(Ignored),
}

impl RawHeader<'_> {
    /// Reads the IP packet in the header, as in a frame that the capture cut short.
    fn packet(&self, common: Common<'_>) -> Result<Packet, NoPacket> {
        let with_labels;
        let (link_type, data) = match self.protocol {
            ETHERNET => (LinkType::Ethernet, self.octets),
            11 => (LinkType::Ipv4, self.octets),
            12 => (LinkType::Ipv6, self.octets),
            13 => {
                with_labels = [&BEFORE_MPLS, self.octets].concat();
                (LinkType::Ethernet, &with_labels[..])
            }
            _ => return Err(NoPacket::OtherProtocol),
        };
        let added = data.len() - self.octets.len();
        let octets = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let on_wire = self.frame_length.saturating_sub(self.stripped);
        let frame = Frame {
            data,
            wire_length: on_wire.saturating_add(octets(added)).max(octets(data.len())),
            time: common.received,
            point: ObservationPoint::default(),
            link_type,
        };
        dissect_tagged(&frame, common.tpids).map_err(NoPacket::Ignored)
    }

    /// Source and destination address of an Ethernet frame.
    fn macs(self) -> Option<[[u8; 6]; 2]> {
        let (destination, rest) = self.octets.split_first_chunk()?;
        let source = rest.first_chunk()?;
        (self.protocol == ETHERNET).then_some([*source, *destination])
    }
}

/// The number of Ethernet as the protocol of a header.
const ETHERNET: u32 = 1;
