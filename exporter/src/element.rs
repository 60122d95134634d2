//! Information Elements (IANA "IPFIX Information Elements"; NetFlow v9 calls them field types and
//! uses the same numbers up to 127).
//!
//! Lengths are fixed; 16-bit and longer values are in network byte order.

use flow::{FlowRecord, IpVersion};

use crate::exporter::Interface;
use crate::message::Content;
use crate::message::template::RecordWriter;

/// Elements whose value is that of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowElement {
    SourceIpv4Address,
    DestinationIpv4Address,
    SourceIpv6Address,
    DestinationIpv6Address,
    SourceTransportPort,
    DestinationTransportPort,
    ProtocolIdentifier,
    IpClassOfService,
    TcpControlBits,
    IpVersion,
    OctetDeltaCount,
    PacketDeltaCount,
    IngressInterface,
    /// Always 0: a mirror port does not tell.
    EgressInterface,
    VlanId,
    IcmpTypeCodeIpv4,
    IcmpTypeCodeIpv6,
    FlowEndReason,
    /// Always 0: ingress.
    FlowDirection,
    MinimumTtl,
    MaximumTtl,
    FlowStartMilliseconds,
    FlowEndMilliseconds,
    FlowDurationMilliseconds,
    FlowStartSysUpTime,
    FlowEndSysUpTime,
}

impl FlowElement {
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::OctetDeltaCount => 1,
            Self::PacketDeltaCount => 2,
            Self::ProtocolIdentifier => 4,
            Self::IpClassOfService => 5,
            Self::TcpControlBits => 6,
            Self::SourceTransportPort => 7,
            Self::SourceIpv4Address => 8,
            Self::IngressInterface => 10,
            Self::DestinationTransportPort => 11,
            Self::DestinationIpv4Address => 12,
            Self::EgressInterface => 14,
            Self::FlowEndSysUpTime => 21,
            Self::FlowStartSysUpTime => 22,
            Self::SourceIpv6Address => 27,
            Self::DestinationIpv6Address => 28,
            Self::IcmpTypeCodeIpv4 => 32,
            Self::MinimumTtl => 52,
            Self::MaximumTtl => 53,
            Self::VlanId => 58,
            Self::IpVersion => 60,
            Self::FlowDirection => 61,
            Self::FlowEndReason => 136,
            Self::IcmpTypeCodeIpv6 => 139,
            Self::FlowStartMilliseconds => 152,
            Self::FlowEndMilliseconds => 153,
            Self::FlowDurationMilliseconds => 161,
        }
    }

    /// Octets of the value. `tcpControlBits` has one: collectors read 0 from two.
    pub(crate) const fn length(self) -> u16 {
        match self {
            Self::ProtocolIdentifier
            | Self::IpClassOfService
            | Self::TcpControlBits
            | Self::IpVersion
            | Self::FlowEndReason
            | Self::FlowDirection
            | Self::MinimumTtl
            | Self::MaximumTtl => 1,
            Self::SourceTransportPort
            | Self::DestinationTransportPort
            | Self::VlanId
            | Self::IcmpTypeCodeIpv4
            | Self::IcmpTypeCodeIpv6 => 2,
            Self::SourceIpv4Address
            | Self::DestinationIpv4Address
            | Self::IngressInterface
            | Self::EgressInterface
            | Self::FlowDurationMilliseconds
            | Self::FlowStartSysUpTime
            | Self::FlowEndSysUpTime => 4,
            Self::OctetDeltaCount
            | Self::PacketDeltaCount
            | Self::FlowStartMilliseconds
            | Self::FlowEndMilliseconds => 8,
            Self::SourceIpv6Address | Self::DestinationIpv6Address => 16,
        }
    }

    /// Appends the value. `uptime` gives the times of the two elements that count from it.
    #[inline(always)]
    pub(crate) fn put(self, record: &FlowRecord, uptime: UptimeBase, out: &mut RecordWriter) {
        let key = &record.key;
        match self {
            Self::SourceIpv4Address => out.put(first_four(&key.source)),
            Self::DestinationIpv4Address => out.put(first_four(&key.destination)),
            Self::SourceIpv6Address => out.put(key.source),
            Self::DestinationIpv6Address => out.put(key.destination),
            Self::SourceTransportPort => out.put(key.source_port.to_be_bytes()),
            Self::DestinationTransportPort => out.put(key.destination_port.to_be_bytes()),
            Self::ProtocolIdentifier => out.put([key.protocol]),
            Self::IpClassOfService => out.put([key.type_of_service]),
            Self::TcpControlBits => out.put([record.tcp_control_bits]),
            Self::IpVersion => out.put([key.ip_version.number()]),
            Self::OctetDeltaCount => out.put(record.octets.to_be_bytes()),
            Self::PacketDeltaCount => out.put(record.packets.to_be_bytes()),
            Self::IngressInterface => out.put(key.ingress_interface.to_be_bytes()),
            Self::EgressInterface => out.put([0; 4]),
            Self::VlanId => out.put(record.vlan_id.to_be_bytes()),
            Self::IcmpTypeCodeIpv4 => out.put(icmp_type_code(record, IpVersion::V4).to_be_bytes()),
            Self::IcmpTypeCodeIpv6 => out.put(icmp_type_code(record, IpVersion::V6).to_be_bytes()),
            Self::FlowEndReason => out.put([record.end_reason.number()]),
            Self::FlowDirection => out.put([0]),
            Self::MinimumTtl => out.put([record.minimum_ttl]),
            Self::MaximumTtl => out.put([record.maximum_ttl]),
            Self::FlowStartMilliseconds => out.put(record.start.as_millis().to_be_bytes()),
            Self::FlowEndMilliseconds => out.put(record.end.as_millis().to_be_bytes()),
            Self::FlowDurationMilliseconds => {
                out.put(saturate32(record.end.millis_since(record.start)).to_be_bytes());
            }
            Self::FlowStartSysUpTime => out.put(uptime.of(record.start).to_be_bytes()),
            Self::FlowEndSysUpTime => out.put(uptime.of(record.end).to_be_bytes()),
        }
    }
}

/// An IPv4 address.
#[inline(always)]
pub(crate) fn first_four(address: &[u8; 16]) -> [u8; 4] {
    let [a, b, c, d, ..] = *address;
    [a, b, c, d]
}

/// Type * 256 + code of an ICMP flow of that IP version, else 0.
pub(crate) fn icmp_type_code(record: &FlowRecord, version: IpVersion) -> u16 {
    let icmp = match version {
        IpVersion::V4 => 1,
        IpVersion::V6 => 58,
    };
    let is_icmp = record.key.ip_version == version && record.key.protocol == icmp;
    if is_icmp { record.key.destination_port } else { 0 }
}

/// Elements whose value is about the exporter itself: those of Options Data Records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionElement {
    /// Scope of NetFlow v9 (RFC 3954 section 6.1).
    System,
    /// Scope: the Observation Domain.
    ObservationDomainId,
    /// Scope: the Exporting Process, which has the Observation Domain's number here.
    ExportingProcessId,
    SamplingInterval,
    /// 1: every n-th packet.
    SamplingAlgorithm,
    ExportedOctetTotalCount,
    ExportedMessageTotalCount,
    ExportedFlowRecordTotalCount,
    ObservedFlowTotalCount,
    IgnoredPacketTotalCount,
    IgnoredOctetTotalCount,
    NotSentFlowTotalCount,
    NotSentPacketTotalCount,
    NotSentOctetTotalCount,
    /// Scope: an interface.
    IngressInterface,
    /// Cut or filled up with zeros to what Linux gives a name.
    InterfaceName,
}

impl OptionElement {
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::System => 1,
            Self::IngressInterface => 10,
            Self::SamplingInterval => 34,
            Self::SamplingAlgorithm => 35,
            Self::ExportedOctetTotalCount => 40,
            Self::ExportedMessageTotalCount => 41,
            Self::ExportedFlowRecordTotalCount => 42,
            Self::InterfaceName => 82,
            Self::ExportingProcessId => 144,
            Self::ObservationDomainId => 149,
            Self::ObservedFlowTotalCount => 163,
            Self::IgnoredPacketTotalCount => 164,
            Self::IgnoredOctetTotalCount => 165,
            Self::NotSentFlowTotalCount => 166,
            Self::NotSentPacketTotalCount => 167,
            Self::NotSentOctetTotalCount => 168,
        }
    }

    pub(crate) const fn length(self) -> u16 {
        match self {
            Self::SamplingAlgorithm => 1,
            Self::System
            | Self::SamplingInterval
            | Self::ExportingProcessId
            | Self::ObservationDomainId
            | Self::IngressInterface => 4,
            Self::InterfaceName => INTERFACE_NAME_OCTETS,
            Self::ExportedOctetTotalCount
            | Self::ExportedMessageTotalCount
            | Self::ExportedFlowRecordTotalCount
            | Self::ObservedFlowTotalCount
            | Self::IgnoredPacketTotalCount
            | Self::IgnoredOctetTotalCount
            | Self::NotSentFlowTotalCount
            | Self::NotSentPacketTotalCount
            | Self::NotSentOctetTotalCount => 8,
        }
    }

    pub(crate) fn put(self, about: &ExporterState, out: &mut Vec<u8>) {
        match self {
            Self::System | Self::ExportingProcessId | Self::ObservationDomainId => {
                put32(out, about.observation_domain_id);
            }
            Self::SamplingInterval => put32(out, about.sampling_interval),
            Self::SamplingAlgorithm => out.push(1),
            Self::ExportedOctetTotalCount => put64(out, about.exported.octets),
            Self::ExportedMessageTotalCount => put64(out, about.exported.messages),
            Self::ExportedFlowRecordTotalCount => put64(out, about.exported.records.records),
            Self::ObservedFlowTotalCount => put64(out, about.observed_flows),
            Self::IgnoredPacketTotalCount => put64(out, about.ignored.packets),
            Self::IgnoredOctetTotalCount => put64(out, about.ignored.octets),
            Self::NotSentFlowTotalCount => put64(out, about.not_sent.records),
            Self::NotSentPacketTotalCount => put64(out, about.not_sent.packets),
            Self::NotSentOctetTotalCount => put64(out, about.not_sent.octets),
            Self::IngressInterface => put32(out, about.interface.number),
            Self::InterfaceName => put_name(out, &about.interface.name),
        }
    }
}

/// `IFNAMSIZ`. Names of a capture file may be longer; a variable length is not read everywhere.
const INTERFACE_NAME_OCTETS: u16 = 16;

/// Whole characters, then zeros.
fn put_name(out: &mut Vec<u8>, name: &str) {
    let octets = usize::from(INTERFACE_NAME_OCTETS);
    let cut = &name[..name.floor_char_boundary(octets)];
    out.extend_from_slice(cut.as_bytes());
    out.resize(out.len() + octets - cut.len(), 0);
}

/// What Options Data Records say.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExporterState {
    pub(crate) observation_domain_id: u32,
    pub(crate) sampling_interval: u32,
    /// Without what is known to be lost.
    pub(crate) exported: Content,
    pub(crate) observed_flows: u64,
    pub(crate) ignored: flow::Tally,
    pub(crate) not_sent: flow::RecordTally,
    /// The one that a record is about.
    pub(crate) interface: Interface,
}

/// The time that a message's sysUpTime counts from, as NetFlow v5 and v9 have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UptimeBase(pub(crate) flow::Timestamp);

impl UptimeBase {
    /// Milliseconds of uptime at a time; clamped to what 32 bits can say.
    #[inline]
    pub(crate) fn of(self, time: flow::Timestamp) -> u32 {
        saturate32(time.millis_since(self.0))
    }
}

/// Fields and records are counted in 16 bits; there are never more.
pub(crate) fn count16(count: usize) -> u16 {
    u16::try_from(count).expect("fewer than 65,536 fields and records")
}

#[inline]
pub(crate) fn saturate32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[inline]
pub(crate) fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[inline]
pub(crate) fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[inline]
pub(crate) fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}
