//! The table: a row for each element.
//!
//! A row has, in this order, the number, the name in the registry, the name in documents and the
//! form. Optional parts follow: the field of the flow key that the element contains, its value for
//! a flow, its value for the Exporting Process, and what a collector does with a received value, of
//! any record or of options only. Rows are in the order of their numbers, those of enterprises
//! behind those of IANA.

use flow::{FlowEndReason, IpVersion, KeyField};

use crate::enterprise::{CERT, CESNET, FLOWMON, NTOP, VMWARE};
use crate::names;
use crate::octets::saturate32;
use crate::reading::{Reading, SectionKind, TimeForm};
use crate::received::Received;
use crate::rows::{elements, is_present, optional};
use crate::source::{
    ExporterState, Flow, as_number, first_four, icmp_type_code, ipv4, ipv6, prefix_length,
};
use crate::tunnel;
use crate::value::{Form, Value};

elements! {
    OctetDeltaCount = 1, "octetDeltaCount", "octet_delta_count", Unsigned64,
        flow |flow| flow.record.octets,
        read |into, value| into.record.octets = value.number();

    PacketDeltaCount = 2, "packetDeltaCount", "packet_delta_count", Unsigned64,
        flow |flow| flow.record.packets,
        read |into, value| into.record.packets = value.number();

    ProtocolIdentifier = 4, "protocolIdentifier", "protocol_identifier", Unsigned8,
        flow_key Protocol, flow |flow| flow.record.key.protocol,
        read |into, value| into.record.key.protocol = value.low8();

    IpClassOfService = 5, "ipClassOfService", "ip_class_of_service", Unsigned8,
        flow_key TypeOfService, flow |flow| flow.record.key.type_of_service,
        read |into, value| into.record.key.type_of_service = value.low8();

    /// One octet: collectors read 0 from two octets.
    TcpControlBits = 6, "tcpControlBits", "tcp_control_bits", Unsigned8,
        flow |flow| flow.record.tcp_control_bits,
        read |into, value| into.tcp_control_bits(value);

    SourceTransportPort = 7, "sourceTransportPort", "source_transport_port", Unsigned16,
        flow_key SourcePort, flow |flow| flow.record.key.source_port,
        read |into, value| into.record.key.source_port = value.low16();

    SourceIpv4Address = 8, "sourceIPv4Address", "source_ipv4_address", Ipv4Address,
        flow_key Source, flow |flow| first_four(flow.record.key.source),
        read |into, value| into.ipv4[0] = value.ipv4();

    /// 0 if it is not known, and for IPv6. The other lengths and the AS numbers are 0 if not known.
    SourceIpv4PrefixLength =
        9, "sourceIPv4PrefixLength", "source_ipv4_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.source(), IpVersion::V4),
        read |into, value| into.source.prefix_length = value.low8();

    IngressInterface = 10, "ingressInterface", "ingress_interface", Unsigned32,
        flow_key Interface, flow |flow| flow.ingress_interface(),
        exporter |state| state.interface_number,
        read |into, value| into.collected.ingress_interface = value.number32();

    DestinationTransportPort =
        11, "destinationTransportPort", "destination_transport_port", Unsigned16,
        flow_key DestinationPort, flow |flow| flow.record.key.destination_port,
        read |into, value| into.record.key.destination_port = value.low16();

    DestinationIpv4Address = 12, "destinationIPv4Address", "destination_ipv4_address", Ipv4Address,
        flow_key Destination, flow |flow| first_four(flow.record.key.destination),
        read |into, value| into.ipv4[1] = value.ipv4();

    DestinationIpv4PrefixLength =
        13, "destinationIPv4PrefixLength", "destination_ipv4_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.destination(), IpVersion::V4),
        read |into, value| into.destination.prefix_length = value.low8();

    EgressInterface = 14, "egressInterface", "egress_interface", Unsigned32,
        flow_key Interface, flow |flow| flow.egress_interface(),
        read |into, value| into.collected.egress_interface = value.number32();

    IpNextHopIpv4Address = 15, "ipNextHopIPv4Address", "ip_next_hop_ipv4_address", Ipv4Address,
        flow |flow| flow.known_ipv4(|it| it.next_hop),
        read |into, value| into.collected.next_hop = value.address();

    BgpSourceAsNumber = 16, "bgpSourceAsNumber", "bgp_source_as_number", Unsigned32,
        flow |flow| as_number(flow.source()),
        read |into, value| into.source.as_number = value.number32();

    BgpDestinationAsNumber =
        17, "bgpDestinationAsNumber", "bgp_destination_as_number", Unsigned32,
        flow |flow| as_number(flow.destination()),
        read |into, value| into.destination.as_number = value.number32();

    BgpNextHopIpv4Address = 18, "bgpNextHopIPv4Address", "bgp_next_hop_ipv4_address", Ipv4Address,
        flow |flow| flow.known_ipv4(|it| it.bgp_next_hop),
        read |into, value| into.collected.bgp_next_hop = value.address();

    FlowEndSysUpTime = 21, "flowEndSysUpTime", "flow_end_sys_up_time", Unsigned32,
        flow |flow| flow.uptime_base.of(flow.record.end),
        read |into, value| into.end.uptime_ms = Some(value.number32());

    FlowStartSysUpTime = 22, "flowStartSysUpTime", "flow_start_sys_up_time", Unsigned32,
        flow |flow| flow.uptime_base.of(flow.record.start),
        read |into, value| into.start.uptime_ms = Some(value.number32());

    PostOctetDeltaCount = 23, "postOctetDeltaCount", "post_octet_delta_count", Unsigned64,
        read |into, value| into.others.post_octets = value.number();

    PostPacketDeltaCount = 24, "postPacketDeltaCount", "post_packet_delta_count", Unsigned64,
        read |into, value| into.others.post_packets = value.number();

    SourceIpv6Address = 27, "sourceIPv6Address", "source_ipv6_address", Ipv6Address,
        flow_key Source, flow |flow| flow.record.key.source,
        read |into, value| into.ipv6[0] = value.ipv6();

    DestinationIpv6Address = 28, "destinationIPv6Address", "destination_ipv6_address", Ipv6Address,
        flow_key Destination, flow |flow| flow.record.key.destination,
        read |into, value| into.ipv6[1] = value.ipv6();

    SourceIpv6PrefixLength =
        29, "sourceIPv6PrefixLength", "source_ipv6_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.source(), IpVersion::V6),
        read |into, value| into.source.prefix_length = value.low8();

    DestinationIpv6PrefixLength =
        30, "destinationIPv6PrefixLength", "destination_ipv6_prefix_length", Unsigned8,
        flow |flow| prefix_length(flow, flow.destination(), IpVersion::V6),
        read |into, value| into.destination.prefix_length = value.low8();

    IcmpTypeCodeIpv4 = 32, "icmpTypeCodeIPv4", "icmp_type_code_ipv4", Unsigned16,
        flow_key DestinationPort, flow |flow| icmp_type_code(flow.record, IpVersion::V4),
        read |into, value| into.icmp.learn(value);

    SamplingInterval = 34, "samplingInterval", "sampling_interval", Unsigned32,
        flow |flow| flow.sampling_interval(),
        exporter |state| state.sampling_interval,
        read |into, value| into.sampling.interval = value.number32();

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

    SamplerId = 48, "samplerId", "sampler_id", Unsigned8,
        read |into, value| into.sampling.selector = Some(value.number());

    SamplerRandomInterval = 50, "samplerRandomInterval", "sampler_random_interval", Unsigned32,
        read |into, value| into.sampling.interval = value.number32();

    MinimumTtl = 52, "minimumTTL", "minimum_ttl", Unsigned8,
        flow |flow| flow.record.minimum_ttl,
        read |into, value| into.record.minimum_ttl = value.low8();

    MaximumTtl = 53, "maximumTTL", "maximum_ttl", Unsigned8,
        flow |flow| flow.record.maximum_ttl,
        read |into, value| into.record.maximum_ttl = value.low8();

    SourceMacAddress = 56, "sourceMacAddress", "source_mac_address", MacAddress,
        flow |flow| flow.known(|it| it.source_mac.unwrap_or_default()),
        read |into, value| into.collected.source_mac = value.mac();

    PostDestinationMacAddress =
        57, "postDestinationMacAddress", "post_destination_mac_address", MacAddress,
        read |into, value| into.post_destination_mac(value);

    VlanId = 58, "vlanId", "vlan_id", Unsigned16,
        flow |flow| flow.record.vlan_id,
        read |into, value| into.record.vlan_id = value.low16() & 0xfff;

    IpVersion = 60, "ipVersion", "ip_version", Unsigned8,
        flow |flow| flow.record.key.ip_version.number(),
        read |into, value| into.ip_version = value.low8();

    FlowDirection = 61, "flowDirection", "flow_direction", Unsigned8,
        flow |flow| flow.record.direction.number(),
        read |into, value| into.direction(value);

    IpNextHopIpv6Address = 62, "ipNextHopIPv6Address", "ip_next_hop_ipv6_address", Ipv6Address,
        flow |flow| flow.known_ipv6(|it| it.next_hop),
        read |into, value| into.collected.next_hop = value.address();

    BgpNextHopIpv6Address = 63, "bgpNextHopIPv6Address", "bgp_next_hop_ipv6_address", Ipv6Address,
        flow |flow| flow.known_ipv6(|it| it.bgp_next_hop),
        read |into, value| into.collected.bgp_next_hop = value.address();

    DestinationMacAddress = 80, "destinationMacAddress", "destination_mac_address", MacAddress,
        flow |flow| flow.known(|it| it.destination_mac.unwrap_or_default()),
        read |into, value| into.collected.destination_mac = value.mac();

    PostSourceMacAddress = 81, "postSourceMacAddress", "post_source_mac_address", MacAddress,
        read |into, value| into.post_source_mac(value);

    /// Cut or padded with zeros to `IFNAMSIZ`, the maximum of Linux. Names in a capture file may be
    /// longer, and some collectors do not read a variable length.
    InterfaceName = 82, "interfaceName", "interface_name", String[16],
        exporter |state| state.interface_name,
        options |into, value| into.names().interface = value.name();

    InterfaceDescription =
        83, "interfaceDescription", "interface_description", String,
        options |into, value| into.names().interface_description = value.name();

    OctetTotalCount = 85, "octetTotalCount", "octet_total_count", Unsigned64,
        read |into, value| into.others.total_octets = value.number();

    PacketTotalCount = 86, "packetTotalCount", "packet_total_count", Unsigned64,
        read |into, value| into.others.total_packets = value.number();

    ForwardingStatus = 89, "forwardingStatus", "forwarding_status", Unsigned8,
        flow |flow| flow.known(|it| it.forwarding_status),
        read |into, value| into.collected.forwarding_status = value.low8();

    ApplicationDescription =
        94, "applicationDescription", "application_description", String,
        options |into, value| into.names().application_description = value.name();

    /// The number of a classification engine, and of an application in it (RFC 6759).
    ApplicationId = 95, "applicationId", "application_id", Unsigned64,
        read |into, value| into.application = Some(value.number());

    /// The protocol of the names: dns, tls, http or quic.
    ApplicationName = 96, "applicationName", "application_name", String,
        flow |flow| names::application(flow),
        options |into, value| into.names().application = value.name();

    FlowEndReason = 136, "flowEndReason", "flow_end_reason", Unsigned8,
        flow |flow| flow.record.end_reason.number(),
        read |into, value| into.record.end_reason = FlowEndReason::of_number(value.number());

    IcmpTypeCodeIpv6 = 139, "icmpTypeCodeIPv6", "icmp_type_code_ipv6", Unsigned16,
        flow_key DestinationPort, flow |flow| icmp_type_code(flow.record, IpVersion::V6),
        read |into, value| into.icmp.learn(value);

    ExportingProcessId = 144, "exportingProcessId", "exporting_process_id", Unsigned32,
        exporter |state| state.observation_domain_id;

    /// Read as the scope of options.
    TemplateId = 145, "templateId", "template_id", Unsigned16,
        options |into, value| into.sampling.template = Some(value.low16());

    ObservationDomainId = 149, "observationDomainId", "observation_domain_id", Unsigned32,
        exporter |state| state.observation_domain_id;

    FlowStartSeconds = 150, "flowStartSeconds", "flow_start_seconds", DateTimeSeconds,
        read |into, value| into.start.learn(TimeForm::Seconds, value.seconds());

    FlowEndSeconds = 151, "flowEndSeconds", "flow_end_seconds", DateTimeSeconds,
        read |into, value| into.end.learn(TimeForm::Seconds, value.seconds());

    FlowStartMilliseconds =
        152, "flowStartMilliseconds", "flow_start_milliseconds", DateTimeMilliseconds,
        flow |flow| flow.record.start,
        read |into, value| into.start.learn(TimeForm::Milliseconds, value.milliseconds());

    FlowEndMilliseconds =
        153, "flowEndMilliseconds", "flow_end_milliseconds", DateTimeMilliseconds,
        flow |flow| flow.record.end,
        read |into, value| into.end.learn(TimeForm::Milliseconds, value.milliseconds());

    FlowStartMicroseconds = 154, "flowStartMicroseconds", "flow_start_microseconds", DateTimeNtp,
        read |into, value| into.start.learn(TimeForm::Microseconds, value.ntp());

    FlowEndMicroseconds = 155, "flowEndMicroseconds", "flow_end_microseconds", DateTimeNtp,
        read |into, value| into.end.learn(TimeForm::Microseconds, value.ntp());

    FlowStartNanoseconds = 156, "flowStartNanoseconds", "flow_start_nanoseconds", DateTimeNtp,
        read |into, value| into.start.learn(TimeForm::Nanoseconds, value.ntp());

    FlowEndNanoseconds = 157, "flowEndNanoseconds", "flow_end_nanoseconds", DateTimeNtp,
        read |into, value| into.end.learn(TimeForm::Nanoseconds, value.ntp());

    FlowStartDeltaMicroseconds =
        158, "flowStartDeltaMicroseconds", "flow_start_delta_microseconds", Unsigned32,
        read |into, value| into.start.before_export_us = Some(value.number());

    FlowEndDeltaMicroseconds =
        159, "flowEndDeltaMicroseconds", "flow_end_delta_microseconds", Unsigned32,
        read |into, value| into.end.before_export_us = Some(value.number());

    SystemInitTimeMilliseconds =
        160, "systemInitTimeMilliseconds", "system_init_time_milliseconds", DateTimeMilliseconds,
        read |into, value| into.init_time = Some(value.milliseconds());

    FlowDurationMilliseconds =
        161, "flowDurationMilliseconds", "flow_duration_milliseconds", Unsigned32,
        flow |flow| saturate32(flow.duration_ms()),
        read |into, value| into.duration_ms = Some(value.number());

    FlowDurationMicroseconds =
        162, "flowDurationMicroseconds", "flow_duration_microseconds", Unsigned32,
        read |into, value| into.duration_ms = Some(value.number() / 1000);

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

    IcmpTypeIpv4 = 176, "icmpTypeIPv4", "icmp_type_ipv4", Unsigned8,
        read |into, value| into.icmp.kind = Some(value.low8());

    IcmpCodeIpv4 = 177, "icmpCodeIPv4", "icmp_code_ipv4", Unsigned8,
        read |into, value| into.icmp.code = Some(value.low8());

    IcmpTypeIpv6 = 178, "icmpTypeIPv6", "icmp_type_ipv6", Unsigned8,
        read |into, value| into.icmp.kind = Some(value.low8());

    IcmpCodeIpv6 = 179, "icmpCodeIPv6", "icmp_code_ipv6", Unsigned8,
        read |into, value| into.icmp.code = Some(value.low8());

    IpTtl = 192, "ipTTL", "ip_ttl", Unsigned8,
        read |into, value| into.ttl(value);

    PostNatSourceIpv4Address =
        225, "postNATSourceIPv4Address", "post_nat_source_ipv4_address", Ipv4Address,
        flow |flow| flow.known_ipv4(|it| it.translated.source),
        read |into, value| into.collected.translated.source = value.address();

    PostNatDestinationIpv4Address =
        226, "postNATDestinationIPv4Address", "post_nat_destination_ipv4_address", Ipv4Address,
        flow |flow| flow.known_ipv4(|it| it.translated.destination),
        read |into, value| into.collected.translated.destination = value.address();

    PostNaptSourceTransportPort =
        227, "postNAPTSourceTransportPort", "post_napt_source_transport_port", Unsigned16,
        flow |flow| flow.known(|it| it.translated.source_port),
        read |into, value| into.collected.translated.source_port = value.low16();

    PostNaptDestinationTransportPort =
        228, "postNAPTDestinationTransportPort", "post_napt_destination_transport_port", Unsigned16,
        flow |flow| flow.known(|it| it.translated.destination_port),
        read |into, value| into.collected.translated.destination_port = value.low16();

    InitiatorOctets = 231, "initiatorOctets", "initiator_octets", Unsigned64,
        read |into, value| into.others.initiator_octets = value.number();

    /// Read as those of the initiator, in the record of the other direction.
    ResponderOctets = 232, "responderOctets", "responder_octets", Unsigned64,
        read |into, value| into.others.initiator_octets = value.number();

    IngressVrfid = 234, "ingressVRFID", "ingress_vrfid", Unsigned32,
        flow |flow| flow.known(|it| it.ingress_vrf),
        read |into, value| into.collected.ingress_vrf = value.number32();

    EgressVrfid = 235, "egressVRFID", "egress_vrfid", Unsigned32,
        flow |flow| flow.known(|it| it.egress_vrf),
        read |into, value| into.collected.egress_vrf = value.number32();

    VrfName = 236, "VRFname", "vr_fname", String,
        options |into, value| into.names().vrf = value.name();

    BiflowDirection = 239, "biflowDirection", "biflow_direction", Unsigned8,
        read |into, value| into.biflow_direction = value.low8();

    Dot1qVlanId = 243, "dot1qVlanId", "dot1q_vlan_id", Unsigned16,
        read |into, value| into.record.vlan_id = value.low16() & 0xfff;

    /// The second tag.
    Dot1qCustomerVlanId = 245, "dot1qCustomerVlanId", "dot1q_customer_vlan_id", Unsigned16,
        read |into, value| into.inner_vlan_id = value.low16() & 0xfff;

    PostNatSourceIpv6Address =
        281, "postNATSourceIPv6Address", "post_nat_source_ipv6_address", Ipv6Address,
        flow |flow| flow.known_ipv6(|it| it.translated.source),
        read |into, value| into.collected.translated.source = value.address();

    PostNatDestinationIpv6Address =
        282, "postNATDestinationIPv6Address", "post_nat_destination_ipv6_address", Ipv6Address,
        flow |flow| flow.known_ipv6(|it| it.translated.destination),
        read |into, value| into.collected.translated.destination = value.address();

    /// 0 without a GRE tunnel, or without a key.
    GreKey = 296, "greKey", "gre_key", Unsigned32,
        flow |flow| flow.tunnel().map_or(0, tunnel::gre_key);

    InitiatorPackets = 298, "initiatorPackets", "initiator_packets", Unsigned64,
        read |into, value| into.others.initiator_packets = value.number();

    ResponderPackets = 299, "responderPackets", "responder_packets", Unsigned64,
        read |into, value| into.others.initiator_packets = value.number();

    ObservationDomainName =
        300, "observationDomainName", "observation_domain_name", String,
        options |into, value| into.names().domain = value.name();

    SelectorId = 302, "selectorId", "selector_id", Unsigned64,
        read |into, value| into.sampling.selector = Some(value.number());

    SamplingPacketInterval = 305, "samplingPacketInterval", "sampling_packet_interval", Unsigned32,
        read |into, value| into.sampling.packets = value.number32();

    SamplingPacketSpace = 306, "samplingPacketSpace", "sampling_packet_space", Unsigned32,
        read |into, value| into.sampling.space = value.number32();

    SamplingSize = 309, "samplingSize", "sampling_size", Unsigned32,
        read |into, value| into.sampling.size = value.number32();

    SamplingPopulation = 310, "samplingPopulation", "sampling_population", Unsigned32,
        read |into, value| into.sampling.population = value.number32();

    /// That a packet is sampled, from 0 to 1.
    SamplingProbability = 311, "samplingProbability", "sampling_probability", Float64,
        read |into, value| into.sampling.one_of = value.one_of();

    /// Octets of the frame on the wire of which a section is sent.
    DataLinkFrameSize = 312, "dataLinkFrameSize", "data_link_frame_size", Unsigned16,
        read |into, value| into.frame_octets = value.number32();

    IpHeaderPacketSection = 313, "ipHeaderPacketSection", "ip_header_packet_section", Octets,
        read |into, value| into.section(SectionKind::Packet, value);

    DataLinkFrameSection = 315, "dataLinkFrameSection", "data_link_frame_section", Octets,
        read |into, value| into.section(SectionKind::Frame, value);

    ObservationTimeSeconds =
        322, "observationTimeSeconds", "observation_time_seconds", DateTimeSeconds,
        read |into, value| into.observed(value.seconds());

    ObservationTimeMilliseconds =
        323, "observationTimeMilliseconds", "observation_time_milliseconds", DateTimeMilliseconds,
        read |into, value| into.observed(value.milliseconds());

    ObservationTimeMicroseconds =
        324, "observationTimeMicroseconds", "observation_time_microseconds", DateTimeNtp,
        read |into, value| into.observed(value.ntp());

    ObservationTimeNanoseconds =
        325, "observationTimeNanoseconds", "observation_time_nanoseconds", DateTimeNtp,
        read |into, value| into.observed(value.ntp());

    /// First octet: kind of the overlay network. Last octets: its number. 0 without an overlay
    /// network.
    Layer2SegmentId = 351, "layer2SegmentId", "layer2_segment_id", Unsigned64,
        flow |flow| flow.tunnel().map_or(0, tunnel::segment);

    /// The exporter that metered the flow, if a collector sends it on. 0.0.0.0 for one of IPv6.
    OriginalExporterIpv4Address =
        403, "originalExporterIPv4Address", "original_exporter_ipv4_address", Ipv4Address,
        flow |flow| ipv4(flow.exporter_address()),
        read |into, value| into.original(value);

    OriginalExporterIpv6Address =
        404, "originalExporterIPv6Address", "original_exporter_ipv6_address", Ipv6Address,
        flow |flow| ipv6(flow.exporter_address()),
        read |into, value| into.original(value);

    OriginalObservationDomainId =
        405, "originalObservationDomainId", "original_observation_domain_id", Unsigned32,
        flow |flow| flow.exporter.map_or(0, |it| it.domain),
        read |into, value| into.original.domain = value.number32();

    /// 0 if no response was seen.
    HttpStatusCode = 457, "httpStatusCode", "http_status_code", Unsigned16,
        flow |flow| flow.http().and_then(|http| http.status).unwrap_or(0);

    HttpRequestMethod = 459, "httpRequestMethod", "http_request_method", String,
        flow |flow| names::text(flow.http().and_then(|http| http.method.as_deref()));

    HttpRequestHost = 460, "httpRequestHost", "http_request_host", String,
        flow |flow| names::text(flow.http().and_then(|http| http.host.as_deref()));

    HttpRequestTarget = 461, "httpRequestTarget", "http_request_target", String,
        flow |flow| names::text(flow.url().and_then(|url| url.path.as_deref()));

    HttpUserAgent = 468, "httpUserAgent", "http_user_agent", String,
        flow |flow| names::text(flow.url().and_then(|url| url.agent.as_deref()));

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

    TlsServerName = 188 of NTOP, "TLS_SERVER_NAME", "tls_server_name", String,
        flow |flow| names::server_name(flow);

    NtopDnsQuery = 205 of NTOP, "DNS_QUERY", "dns_query", String,
        flow |flow| names::text(flow.dns().and_then(|dns| dns.name.as_deref()));

    NtopDnsQueryId = 206 of NTOP, "DNS_QUERY_ID", "dns_query_id", Unsigned16,
        flow |flow| flow.dns().map_or(0, |dns| dns.id);

    /// 0 for a type above 255.
    NtopDnsQueryType = 207 of NTOP, "DNS_QUERY_TYPE", "dns_query_type", Unsigned8,
        flow |flow| flow.dns().map_or(0, |dns| u8::try_from(dns.kind.number).unwrap_or(0));

    /// 255 if no answer was seen.
    NtopDnsRetCode = 208 of NTOP, "DNS_RET_CODE", "dns_ret_code", Unsigned8,
        flow |flow| names::response_code(flow);

    NtopDnsNumAnswers = 209 of NTOP, "DNS_NUM_ANSWERS", "dns_num_answers", Unsigned8,
        flow |flow| u8::try_from(names::answers_count(flow)).unwrap_or(u8::MAX);

    NtopDnsTtlAnswer = 352 of NTOP, "DNS_TTL_ANSWER", "dns_ttl_answer", Unsigned32,
        flow |flow| names::first_ttl(flow, |kind| kind == "A");

    NtopDnsResponse = 398 of NTOP, "DNS_RESPONSE", "dns_response", String,
        flow |flow| names::answers(flow);

    NtopJa3 = 489 of NTOP, "JA3C_HASH", "ja3c_hash", String,
        flow |flow| names::text(flow.tls().and_then(|tls| tls.ja3.as_deref()));

    /// What a server chose is 0 or empty if its ServerHello was not seen.
    NtopTlsCipher = 493 of NTOP, "TLS_CIPHER", "tls_cipher", Unsigned16,
        flow |flow| flow.tls_choice().map_or(0, |choice| choice.cipher.number);

    NtopTlsVersion = 495 of NTOP, "TLS_VERSION", "tls_version", Unsigned16,
        flow |flow| flow.tls_choice().map_or(0, |choice| choice.version);

    NtopJa4 = 576 of NTOP, "JA4C_HASH", "ja4c_hash", String,
        flow |flow| names::text(flow.tls().and_then(|tls| tls.ja4.as_deref()));

    /// The port of the protocol of the names.
    CertAppLabel = 33 of CERT, "silkAppLabel", "silk_app_label", Unsigned16,
        flow |flow| names::app_label(flow);

    CertDnsType = 175 of CERT, "dnsRRType", "dns_rr_type", Unsigned16,
        flow |flow| flow.dns().map_or(0, |dns| dns.kind.number);

    CertDnsResponseCode = 177 of CERT, "dnsResponseCode", "dns_response_code", Unsigned8,
        flow |flow| names::response_code(flow);

    CertDnsName = 179 of CERT, "dnsName", "dns_name", String,
        flow |flow| names::text(flow.dns().and_then(|dns| dns.name.as_deref()));

    /// The major number, as YAF exports it.
    CertClientVersion = 186 of CERT, "sslClientVersion", "ssl_client_version", Unsigned8,
        flow |flow| flow.tls().map_or(0, |tls| tls.version.to_be_bytes()[0]);

    CertServerCipher = 187 of CERT, "sslServerCipher", "ssl_server_cipher", Unsigned32,
        flow |flow| flow.tls_choice().map_or(0, |choice| choice.cipher.number.into());

    CertDnsTtl = 199 of CERT, "dnsTTL", "dns_ttl", Unsigned32,
        flow |flow| names::first_ttl(flow, |_| true);

    CertDnsId = 226 of CERT, "dnsId", "dns_id", Unsigned16,
        flow |flow| flow.dns().map_or(0, |dns| dns.id);

    CertServerName = 294 of CERT, "sslServerName", "ssl_server_name", String,
        flow |flow| names::server_name(flow);

    CesnetDnsRcode = 1 of CESNET, "DNS_RCODE", "cesnet_dns_rcode", Unsigned8,
        flow |flow| names::response_code(flow);

    CesnetDnsName = 2 of CESNET, "DNS_NAME", "cesnet_dns_name", String,
        flow |flow| names::text(flow.dns().and_then(|dns| dns.name.as_deref()));

    CesnetDnsType = 3 of CESNET, "DNS_QTYPE", "cesnet_dns_qtype", Unsigned16,
        flow |flow| flow.dns().map_or(0, |dns| dns.kind.number);

    CesnetDnsClass = 4 of CESNET, "DNS_CLASS", "cesnet_dns_class", Unsigned16,
        flow |flow| flow.dns().map_or(0, |dns| dns.class.number);

    CesnetDnsTtl = 5 of CESNET, "DNS_RR_TTL", "cesnet_dns_rr_ttl", Unsigned32,
        flow |flow| names::first_ttl(flow, |_| true);

    CesnetDnsData = 7 of CESNET, "DNS_RDATA", "cesnet_dns_rdata", String,
        flow |flow| names::first_answer(flow);

    CesnetDnsId = 10 of CESNET, "DNS_ID", "cesnet_dns_id", Unsigned16,
        flow |flow| flow.dns().map_or(0, |dns| dns.id);

    CesnetDnsAnswers = 14 of CESNET, "DNS_ANSWERS", "cesnet_dns_answers", Unsigned16,
        flow |flow| names::answers_count(flow);

    CesnetTlsServerName = 808 of CESNET, "TLS_SNI", "cesnet_tls_sni", String,
        flow |flow| names::server_name(flow);

    CesnetJa4 = 809 of CESNET, "TLS_JA4", "cesnet_tls_ja4", String,
        flow |flow| names::text(flow.tls().and_then(|tls| tls.ja4.as_deref()));

    CesnetQuicServerName = 890 of CESNET, "QUIC_SNI", "cesnet_quic_sni", String,
        flow |flow| names::server_name(flow);

    CesnetQuicVersion = 892 of CESNET, "QUIC_VERSION", "cesnet_quic_version", Unsigned32,
        flow |flow| names::quic_version(flow);

    FlowmonTlsVersion = 333 of FLOWMON, "TLS_VERSION", "flowmon_tls_version", Unsigned16,
        flow |flow| flow.tls_choice().map_or(0, |choice| choice.version);

    FlowmonTlsAlpn = 337 of FLOWMON, "TLS_ALPN", "flowmon_tls_alpn", String,
        flow |flow| names::text(flow.tls_choice().and_then(|choice| choice.protocol.as_deref()));

    /// The 16 octets of the hash.
    FlowmonJa3 = 357 of FLOWMON, "TLS_JA3", "flowmon_tls_ja3", Octets16,
        flow |flow| names::ja3(flow);
}
