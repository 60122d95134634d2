//! Records that have the first octets of a packet in place of its addresses: each is a record of
//! that packet.

use element::{Element, Reading, SectionKind};
use flow::frame::{Packet, dissect_tagged};
use flow::{Frame, IpVersion, KeyField, KeyFields, LinkType, ObservationPoint, Timestamp, Tpids};

/// What the headers of a packet say.
const FIELDS: u128 = Element::ProtocolIdentifier.bit()
    | Element::IpClassOfService.bit()
    | Element::TcpControlBits.bit()
    | Element::SourceTransportPort.bit()
    | Element::DestinationTransportPort.bit()
    | Element::MinimumTtl.bit()
    | Element::MaximumTtl.bit();

/// Sets what the first octets of a packet say in a record without addresses. Octets and packets are
/// those of the packet if the record has none. Returns the fields that it set; `None` if there is
/// no packet.
pub(crate) fn set_packet(reading: &mut Reading, tpids: Tpids) -> Option<(u128, KeyFields)> {
    let section = reading.section.take()?;
    let packet = packet(section.kind, &section.octets, reading.frame_octets, tpids)?;
    let addresses = [Some(packet.source.octets()), Some(packet.destination.octets())];
    match packet.ip_version {
        IpVersion::V4 => reading.ipv4 = addresses,
        IpVersion::V6 => reading.ipv6 = addresses,
    }
    reading.ip_version = packet.ip_version.number();
    let record = &mut reading.record;
    record.key.source_port = packet.ports.source();
    record.key.destination_port = packet.ports.destination();
    record.key.protocol = packet.protocol;
    record.key.type_of_service = packet.type_of_service;
    record.tcp_control_bits = packet.tcp_control_bits;
    (record.minimum_ttl, record.maximum_ttl) = (packet.ttl, packet.ttl);
    reading.collected.tcp_control_bits = packet.tcp_control_bits.into();
    let mut fields = FIELDS;
    if packet.vlan_id != 0 {
        record.vlan_id = packet.vlan_id;
        fields |= Element::VlanId.bit();
    }
    // The counts of the record come first. Those of several packets are not known from one.
    let [has_octets, has_packets] = reading.has_each_count();
    if !has_octets && (!has_packets || reading.record.packets == 1) {
        reading.others.total_octets = packet.octets.into();
    }
    if !has_packets {
        reading.others.total_packets = 1;
    }
    if section.kind == SectionKind::Frame {
        let (macs, _) = section.octets.as_chunks();
        let collected = &mut reading.collected;
        collected.destination_mac = collected.destination_mac.or_else(|| macs.first().copied());
        collected.source_mac = collected.source_mac.or_else(|| macs.get(1).copied());
    }
    let key = [
        KeyField::SourcePort,
        KeyField::DestinationPort,
        KeyField::Protocol,
        KeyField::TypeOfService,
    ];
    Some((fields, KeyFields::new(key)))
}

/// Octets of a frame whose length is not sent: the IP header tells that of its packet, which has at
/// most so many.
const LONGEST: u32 = 65_600;
const LONGEST_PACKET: u32 = 65_575;

fn packet(kind: SectionKind, octets: &[u8], on_wire: u32, tpids: Tpids) -> Option<Packet> {
    let link_type = match kind {
        SectionKind::Frame => LinkType::Ethernet,
        SectionKind::Packet => LinkType::RawIp,
    };
    let captured = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    let read = |wire_length: u32| {
        let frame = Frame {
            data: octets,
            wire_length: wire_length.max(captured),
            time: Timestamp::default(),
            point: ObservationPoint::default(),
            link_type,
        };
        dissect_tagged(&frame, tpids).ok()
    };
    // The length is that of the frame, which is longer than its IP packet.
    if on_wire > 0 {
        return read(on_wire);
    }
    let packet = read(LONGEST)?;
    // An IP header may leave the length out: then it is that of the section.
    if packet.octets > LONGEST_PACKET { read(captured) } else { Some(packet) }
}
