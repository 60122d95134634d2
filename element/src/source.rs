//! Sources of the values of elements.

use core::net::IpAddr;

use flow::{
    Collected, Details, DnsFacts, Exporter, Facts, FlowRecord, HttpFacts, IpVersion, Place,
    RecordTally, Tally, Timestamp, TlsChoice, TlsFacts, Tunnel, UrlFacts,
};

use crate::octets::saturate32;

/// A flow, for the elements of Flow Records.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// The metered record.
    pub record: &'a FlowRecord,
    /// Optional facts about the flow.
    pub details: Option<&'a Details>,
    /// The exporter from which the flow was collected; `None` for flows of this meter.
    pub exporter: Option<&'a Exporter>,
    /// Base of the two sysUpTime elements.
    pub uptime_base: UptimeBase,
}

impl<'a> Flow<'a> {
    /// The place of the source address, if it is known.
    #[inline]
    pub fn source(&self) -> Option<&'a Place> {
        self.details?.source.as_deref()
    }

    /// The place of the destination address, if it is known.
    #[inline]
    pub fn destination(&self) -> Option<&'a Place> {
        self.details?.destination.as_deref()
    }

    /// Names that were found in the payload, if there were any.
    #[inline]
    pub fn facts(&self) -> Option<&'a Facts> {
        self.details?.facts.as_deref()
    }

    /// Names of DNS.
    pub(crate) fn dns(&self) -> Option<&'a DnsFacts> {
        self.facts()?.dns.as_ref()
    }

    /// Names of TLS and QUIC.
    pub(crate) fn tls(&self) -> Option<&'a TlsFacts> {
        self.facts()?.tls.as_ref()
    }

    /// What the server of TLS chose.
    pub(crate) fn tls_choice(&self) -> Option<&'a TlsChoice> {
        self.facts()?.tls_choice.as_ref()
    }

    /// Names of HTTP.
    pub(crate) fn http(&self) -> Option<&'a HttpFacts> {
        self.facts()?.http.as_ref()
    }

    /// Names of HTTP besides the host.
    pub(crate) fn url(&self) -> Option<&'a UrlFacts> {
        self.http()?.url.as_ref()
    }

    /// The tunnel that the packets came through, if there was one.
    #[inline]
    pub fn tunnel(&self) -> Option<&'a Tunnel> {
        self.details?.tunnel.as_ref()
    }

    /// What another exporter sent about the flow.
    #[inline]
    pub fn collected(&self) -> Option<&'a Collected> {
        self.details?.collected.as_deref()
    }

    /// The interface at which the packets came in. Another exporter can know both interfaces.
    #[inline]
    pub fn ingress_interface(&self) -> u32 {
        self.collected().map_or_else(|| self.record.ingress_interface(), |it| it.ingress_interface)
    }

    /// The interface at which the packets left.
    #[inline]
    pub fn egress_interface(&self) -> u32 {
        self.collected().map_or_else(|| self.record.egress_interface(), |it| it.egress_interface)
    }

    /// The sampling interval by which counts are to be multiplied; 0 if it is not known.
    #[inline]
    pub fn sampling_interval(&self) -> u32 {
        self.collected().map_or(0, |it| if it.is_scaled { 1 } else { it.sampling_interval })
    }

    /// An address that another exporter knows, if it has this IP version.
    #[inline]
    pub(crate) fn known_ipv4(&self, of: impl Fn(&Collected) -> Option<IpAddr>) -> [u8; 4] {
        ipv4(self.collected().and_then(of))
    }

    /// As [`Flow::known_ipv4`], of IPv6.
    #[inline]
    pub(crate) fn known_ipv6(&self, of: impl Fn(&Collected) -> Option<IpAddr>) -> [u8; 16] {
        ipv6(self.collected().and_then(of))
    }

    /// A number that another exporter knows, else 0.
    #[inline]
    pub(crate) fn known<T: Default>(&self, of: impl Fn(&Collected) -> T) -> T {
        self.collected().map(of).unwrap_or_default()
    }

    /// The address of the exporter from which the flow was collected.
    #[inline]
    pub(crate) fn exporter_address(&self) -> Option<IpAddr> {
        self.exporter.map(|it| it.address.ip())
    }

    /// The id of the second VLAN tag; 0 if there is none.
    #[inline]
    pub fn inner_vlan_id(&self) -> u16 {
        self.details.map_or(0, |details| details.inner_vlan_id)
    }

    /// The duration, in milliseconds.
    #[inline]
    pub fn duration_ms(&self) -> u64 {
        self.record.end.millis_since(self.record.start)
    }
}

/// The time that sysUpTime counts from (NetFlow v5 and v9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UptimeBase(pub Timestamp);

impl UptimeBase {
    /// Uptime at this time in milliseconds, limited to 32 bits.
    #[inline]
    pub fn of(self, time: Timestamp) -> u32 {
        saturate32(time.millis_since(self.0))
    }
}

/// The Exporting Process, for the elements of Options Data Records.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExporterState<'a> {
    /// Also the number of the Exporting Process, which has one Observation Domain.
    pub observation_domain_id: u32,
    /// Packets per metered packet (1 in n sampling).
    pub sampling_interval: u32,
    /// Messages sent, without those known to be lost.
    pub exported_messages: u64,
    /// Octets of these messages.
    pub exported_octets: u64,
    /// Flow records in these messages.
    pub exported_records: u64,
    /// Flow records that were to be exported.
    pub observed_flows: u64,
    /// Frames that were not metered.
    pub ignored: Tally,
    /// Flow records that were not exported, or are known to be lost.
    pub not_sent: RecordTally,
    /// The interface that an Options Data Record is about: its number in flow keys.
    pub interface_number: u32,
    /// Its name.
    pub interface_name: &'a str,
}

/// Type * 256 + code of an ICMP flow of that IP version, else 0.
#[inline]
pub(crate) fn icmp_type_code(record: &FlowRecord, version: IpVersion) -> u16 {
    let key = &record.key;
    if key.ip_version == version && key.is_icmp() { key.destination_port } else { 0 }
}

/// The number of the Autonomous System, or 0.
#[inline]
pub(crate) fn as_number(place: Option<&Place>) -> u32 {
    place.and_then(|place| place.as_number).unwrap_or(0)
}

/// The length of the network's prefix for a flow of that IP version, else 0.
#[inline]
pub(crate) fn prefix_length(flow: &Flow<'_>, place: Option<&Place>, version: IpVersion) -> u8 {
    let place = place.filter(|_| flow.record.key.ip_version == version);
    place.and_then(|place| place.prefix_length).unwrap_or(0)
}

/// An address of IPv4; 0.0.0.0 without one.
pub(crate) fn ipv4(address: Option<IpAddr>) -> [u8; 4] {
    match address {
        Some(IpAddr::V4(address)) => address.octets(),
        _ => [0; 4],
    }
}

/// An address of IPv6; :: without one.
pub(crate) fn ipv6(address: Option<IpAddr>) -> [u8; 16] {
    match address {
        Some(IpAddr::V6(address)) => address.octets(),
        _ => [0; 16],
    }
}

/// The octets of an IPv4 address.
#[inline(always)]
pub(crate) const fn first_four(address: [u8; 16]) -> [u8; 4] {
    let [a, b, c, d, ..] = address;
    [a, b, c, d]
}
