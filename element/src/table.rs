//! The table: a row for each element.
//!
//! A row has, in this order, the number, the name in the registry, the name in documents and the
//! form. Optional parts follow: the field of the flow key that the element contains, its value for
//! a flow, and its value for the Exporting Process.

use flow::{FlowRecord, IpVersion, KeyField, Place};

use crate::octets::saturate32;
use crate::rows::{elements, is_present, optional};
use crate::source::{ExporterState, Flow};
use crate::tunnel;
use crate::value::{Form, Value};

/// The Private Enterprise Number of ntop.
const NTOP: u32 = 35_632;

/// The Private Enterprise Number of VMware, whose elements of tunnels are those of Open vSwitch.
const VMWARE: u32 = 6876;

elements! {
    OctetDeltaCount = 1, "octetDeltaCount", "octet_delta_count", Unsigned64,
        flow |flow| flow.record.octets;

    PacketDeltaCount = 2, "packetDeltaCount", "packet_delta_count", Unsigned64,
        flow |flow| flow.record.packets;

    ProtocolIdentifier = 4, "protocolIdentifier", "protocol_identifier", Unsigned8,
        flow_key Protocol, flow |flow| flow.record.key.protocol;

    IpClassOfService = 5, "ipClassOfService", "ip_class_of_service", Unsigned8,
        flow_key TypeOfService, flow |flow| flow.record.key.type_of_service;

    /// One octet: collectors read 0 from two octets.
    TcpControlBits = 6, "tcpControlBits", "tcp_control_bits", Unsigned8,
        flow |flow| flow.record.tcp_control_bits;

    SourceTransportPort = 7, "sourceTransportPort", "source_transport_port", Unsigned16,
        flow_key SourcePort, flow |flow| flow.record.key.source_port;

    SourceIpv4Address = 8, "sourceIPv4Address", "source_ipv4_address", Ipv4Address,
        flow_key Source, flow |flow| first_four(flow.record.key.source);

    /// 0 if it is not known, and for IPv6. The other lengths and the AS numbers are 0 if not known.
    SourceIpv4PrefixLength =
        9, "sourceIPv4PrefixLength", "source_ipv4_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.source(), IpVersion::V4);

    IngressInterface = 10, "ingressInterface", "ingress_interface", Unsigned32,
        flow_key Interface, flow |flow| flow.record.ingress_interface(),
        exporter |state| state.interface_number;

    DestinationTransportPort =
        11, "destinationTransportPort", "destination_transport_port", Unsigned16,
        flow_key DestinationPort, flow |flow| flow.record.key.destination_port;

    DestinationIpv4Address = 12, "destinationIPv4Address", "destination_ipv4_address", Ipv4Address,
        flow_key Destination, flow |flow| first_four(flow.record.key.destination);

    DestinationIpv4PrefixLength =
        13, "destinationIPv4PrefixLength", "destination_ipv4_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.destination(), IpVersion::V4);

    EgressInterface = 14, "egressInterface", "egress_interface", Unsigned32,
        flow_key Interface, flow |flow| flow.record.egress_interface();

    BgpSourceAsNumber = 16, "bgpSourceAsNumber", "bgp_source_as_number", Unsigned32,
        flow |flow| as_number(flow.source());

    BgpDestinationAsNumber =
        17, "bgpDestinationAsNumber", "bgp_destination_as_number", Unsigned32,
        flow |flow| as_number(flow.destination());

    FlowEndSysUpTime = 21, "flowEndSysUpTime", "flow_end_sys_up_time", Unsigned32,
        flow |flow| flow.uptime_base.of(flow.record.end);

    FlowStartSysUpTime = 22, "flowStartSysUpTime", "flow_start_sys_up_time", Unsigned32,
        flow |flow| flow.uptime_base.of(flow.record.start);

    SourceIpv6Address = 27, "sourceIPv6Address", "source_ipv6_address", Ipv6Address,
        flow_key Source, flow |flow| flow.record.key.source;

    DestinationIpv6Address = 28, "destinationIPv6Address", "destination_ipv6_address", Ipv6Address,
        flow_key Destination, flow |flow| flow.record.key.destination;

    SourceIpv6PrefixLength =
        29, "sourceIPv6PrefixLength", "source_ipv6_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.source(), IpVersion::V6);

    DestinationIpv6PrefixLength =
        30, "destinationIPv6PrefixLength", "destination_ipv6_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.destination(), IpVersion::V6);

    IcmpTypeCodeIpv4 = 32, "icmpTypeCodeIPv4", "icmp_type_code_ipv4", Unsigned16,
        flow_key DestinationPort, flow |flow| icmp_type_code(flow.record, IpVersion::V4);

    SamplingInterval = 34, "samplingInterval", "sampling_interval", Unsigned32,
        exporter |state| state.sampling_interval;

    /// Always 1: every n-th packet.
    SamplingAlgorithm = 35, "samplingAlgorithm", "sampling_algorithm", Unsigned8,
        exporter |_state| 1;

    ExportedOctetTotalCount =
        40, "exportedOctetTotalCount", "exported_octet_total_count", Unsigned64,
        exporter |state| state.exported_octets;

    ExportedMessageTotalCount =
        41, "exportedMessageTotalCount", "exported_message_total_count", Unsigned64,
        exporter |state| state.exported_messages;

    ExportedFlowRecordTotalCount =
        42, "exportedFlowRecordTotalCount", "exported_flow_record_total_count", Unsigned64,
        exporter |state| state.exported_records;

    MinimumTtl = 52, "minimumTTL", "minimum_ttl", Unsigned8,
        flow |flow| flow.record.minimum_ttl;

    MaximumTtl = 53, "maximumTTL", "maximum_ttl", Unsigned8,
        flow |flow| flow.record.maximum_ttl;

    VlanId = 58, "vlanId", "vlan_id", Unsigned16,
        flow |flow| flow.record.vlan_id;

    IpVersion = 60, "ipVersion", "ip_version", Unsigned8,
        flow |flow| flow.record.key.ip_version.number();

    FlowDirection = 61, "flowDirection", "flow_direction", Unsigned8,
        flow |flow| flow.record.direction.number();

    /// Cut or padded with zeros to `IFNAMSIZ`, the maximum of Linux. Names in a capture file may be
    /// longer, and some collectors do not read a variable length.
    InterfaceName = 82, "interfaceName", "interface_name", String[16],
        exporter |state| state.interface_name;

    FlowEndReason = 136, "flowEndReason", "flow_end_reason", Unsigned8,
        flow |flow| flow.record.end_reason.number();

    IcmpTypeCodeIpv6 = 139, "icmpTypeCodeIPv6", "icmp_type_code_ipv6", Unsigned16,
        flow_key DestinationPort, flow |flow| icmp_type_code(flow.record, IpVersion::V6);

    ExportingProcessId = 144, "exportingProcessId", "exporting_process_id", Unsigned32,
        exporter |state| state.observation_domain_id;

    ObservationDomainId = 149, "observationDomainId", "observation_domain_id", Unsigned32,
        exporter |state| state.observation_domain_id;

    FlowStartMilliseconds =
        152, "flowStartMilliseconds", "flow_start_milliseconds", DateTimeMilliseconds,
        flow |flow| flow.record.start;

    FlowEndMilliseconds =
        153, "flowEndMilliseconds", "flow_end_milliseconds", DateTimeMilliseconds,
        flow |flow| flow.record.end;

    FlowDurationMilliseconds =
        161, "flowDurationMilliseconds", "flow_duration_milliseconds", Unsigned32,
        flow |flow| saturate32(flow.duration_ms());

    ObservedFlowTotalCount =
        163, "observedFlowTotalCount", "observed_flow_total_count", Unsigned64,
        exporter |state| state.observed_flows;

    IgnoredPacketTotalCount =
        164, "ignoredPacketTotalCount", "ignored_packet_total_count", Unsigned64,
        exporter |state| state.ignored.packets;

    IgnoredOctetTotalCount =
        165, "ignoredOctetTotalCount", "ignored_octet_total_count", Unsigned64,
        exporter |state| state.ignored.octets;

    NotSentFlowTotalCount =
        166, "notSentFlowTotalCount", "not_sent_flow_total_count", Unsigned64,
        exporter |state| state.not_sent.records;

    NotSentPacketTotalCount =
        167, "notSentPacketTotalCount", "not_sent_packet_total_count", Unsigned64,
        exporter |state| state.not_sent.packets;

    NotSentOctetTotalCount =
        168, "notSentOctetTotalCount", "not_sent_octet_total_count", Unsigned64,
        exporter |state| state.not_sent.octets;

    /// 0 without a GRE tunnel, or without a key.
    GreKey = 296, "greKey", "gre_key", Unsigned32,
        flow |flow| flow.tunnel().map_or(0, tunnel::gre_key);

    /// First octet: kind of the overlay network. Last octets: its number. 0 without an overlay
    /// network.
    Layer2SegmentId = 351, "layer2SegmentId", "layer2_segment_id", Unsigned64,
        flow |flow| flow.tunnel().map_or(0, tunnel::segment);

    /// 0 without a tunnel, or for a kind that has no number.
    TunnelType = 891 of VMWARE, "tunnelType", "tunnel_type", Unsigned8,
        flow |flow| flow.tunnel().map_or(0, tunnel::number);

    TunnelKey = 892 of VMWARE, "tunnelKey", "tunnel_key", Unsigned64,
        flow |flow| flow.tunnel().map_or(0, |tunnel| tunnel.id.into());

    /// 0.0.0.0 without a tunnel over IPv4. The same applies to the other end.
    TunnelSourceIpv4Address =
        893 of VMWARE, "tunnelSourceIPv4Address", "tunnel_source_ipv4_address", Ipv4Address,
        flow |flow| tunnel::ipv4(flow.tunnel(), |tunnel| tunnel.source);

    TunnelDestinationIpv4Address =
        894 of VMWARE, "tunnelDestinationIPv4Address", "tunnel_destination_ipv4_address",
        Ipv4Address,
        flow |flow| tunnel::ipv4(flow.tunnel(), |tunnel| tunnel.destination);

    TunnelProtocolIdentifier =
        895 of VMWARE, "tunnelProtocolIdentifier", "tunnel_protocol_identifier", Unsigned8,
        flow |flow| flow.tunnel().map_or(0, |tunnel| tunnel.protocol);

    /// Empty if it is not known.
    TlsServerName = 188 of NTOP, "TLS_SERVER_NAME", "tls_server_name", String,
        flow |flow| flow.details.and_then(|it| it.server_name.as_deref()).unwrap_or_default();
}

/// Type * 256 + code of an ICMP flow of that IP version, else 0.
#[inline]
fn icmp_type_code(record: &FlowRecord, version: IpVersion) -> u16 {
    let key = &record.key;
    if key.ip_version == version && key.is_icmp() { key.destination_port } else { 0 }
}

/// The number of the Autonomous System, or 0.
#[inline]
fn as_number(place: Option<&Place>) -> u32 {
    place.and_then(|place| place.as_number).unwrap_or(0)
}

/// The length of the network's prefix for a flow of that IP version, else 0.
#[inline]
fn prefix_length(flow: &Flow<'_>, place: Option<&Place>, version: IpVersion) -> u8 {
    let place = place.filter(|_| flow.record.key.ip_version == version);
    place.and_then(|place| place.prefix_length).unwrap_or(0)
}

/// The octets of an IPv4 address.
#[inline(always)]
const fn first_four(address: [u8; 16]) -> [u8; 4] {
    let [a, b, c, d, ..] = address;
    [a, b, c, d]
}
