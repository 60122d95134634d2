//! Flows of other exporters: what a collector knows of them besides their records.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use crate::key::KeyFields;
use crate::time::Timestamp;

/// An exporter, and one of its Observation Domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporter {
    /// The source of its datagrams. sFlow: the address of the agent, and the port of the source.
    pub address: SocketAddr,
    /// Observation Domain ID, Source ID of NetFlow v9, engine of NetFlow v5, or sub agent of sFlow.
    pub domain: u32,
    /// The protocol of its datagrams.
    pub protocol: ExportProtocol,
    /// Its name, if the user or the exporter says one.
    pub name: Option<Arc<str>>,
}

/// A protocol in which exporters send flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExportProtocol {
    /// NetFlow v5.
    Netflow5,
    /// NetFlow v9 (RFC 3954).
    Netflow9,
    /// IPFIX (RFC 7011).
    Ipfix,
    /// sFlow version 5.
    Sflow5,
}

impl ExportProtocol {
    /// All protocols.
    pub const ALL: [Self; 4] = [Self::Netflow5, Self::Netflow9, Self::Ipfix, Self::Sflow5];

    /// The version in its messages.
    pub const fn version(self) -> u16 {
        match self {
            Self::Netflow5 | Self::Sflow5 => 5,
            Self::Netflow9 => 9,
            Self::Ipfix => 10,
        }
    }

    /// Its name in documents and statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Netflow5 => "netflow5",
            Self::Netflow9 => "netflow9",
            Self::Ipfix => "ipfix",
            Self::Sflow5 => "sflow5",
        }
    }
}

/// Facts about a flow that its exporter sent. A value that it did not send is 0 or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The fields that the exporter sent: a bit for each element of the element table.
    pub fields: u128,
    /// The fields of the flow key that the exporter sent.
    pub key: KeyFields,
    /// Export time in the header of the message. sFlow has none: the time of arrival.
    pub export_time: Timestamp,
    /// sysUpTime in the header of the message, in milliseconds. IPFIX has none.
    pub uptime_ms: Option<u32>,
    /// Interface at which the packets came in.
    pub ingress_interface: u32,
    /// Interface at which the packets left.
    pub egress_interface: u32,
    /// Address of the next router.
    pub next_hop: Option<IpAddr>,
    /// Address of the next router by BGP.
    pub bgp_next_hop: Option<IpAddr>,
    /// Source MAC address of the packets that came in, or of those that left.
    pub source_mac: Option<[u8; 6]>,
    /// Destination MAC address of the packets that came in, or of those that left.
    pub destination_mac: Option<[u8; 6]>,
    /// Whether the packets were forwarded, and why not (forwardingStatus).
    pub forwarding_status: u8,
    /// The VRF of the ingress interface.
    pub ingress_vrf: u32,
    /// The VRF of the egress interface.
    pub egress_vrf: u32,
    /// The flow after address translation.
    pub translated: Translated,
    /// All TCP control bits, with those above the eighth.
    pub tcp_control_bits: u16,
    /// The exporter metered one packet of this number; 0 if that is not known.
    pub sampling_interval: u32,
    /// Packets and octets were multiplied by the sampling interval.
    pub is_scaled: bool,
    /// The side that began the conversation (biflowDirection).
    pub initiator: Initiator,
    /// Names of numbers of the flow, if the exporter's options tell any.
    pub names: Option<Box<CollectedNames>>,
}

/// The side that began a conversation, as its exporter knows it (RFC 5103 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initiator {
    /// The exporter does not know it, or does not say it.
    #[default]
    Unknown,
    /// The source of the record.
    Source,
    /// The destination of the record.
    Destination,
}

/// Names that the options of an exporter give to numbers of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectedNames {
    /// The ingress interface.
    pub ingress: Option<Arc<NamedInterface>>,
    /// The egress interface.
    pub egress: Option<Arc<NamedInterface>>,
    /// The application.
    pub application: Option<Arc<str>>,
    /// The VRF of the ingress interface.
    pub ingress_vrf: Option<Arc<str>>,
    /// The VRF of the egress interface.
    pub egress_vrf: Option<Arc<str>>,
}

/// What an exporter calls an interface. Texts are empty if they are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedInterface {
    /// Its name.
    pub name: Box<str>,
    /// Its description.
    pub alias: Box<str>,
}

/// Addresses and ports of a flow after address translation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// Source address.
    pub source: Option<IpAddr>,
    /// Destination address.
    pub destination: Option<IpAddr>,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}
