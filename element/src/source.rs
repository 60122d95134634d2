//! Sources of the values of elements.

use flow::{
    Details, DnsFacts, Facts, FlowRecord, HttpFacts, IpVersion, Place, RecordTally, Tally,
    Timestamp, TlsFacts, Tunnel, UrlFacts,
};

use crate::octets::saturate32;

/// A flow, for the elements of Flow Records.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// The metered record.
    pub record: &'a FlowRecord,
    /// Optional facts about the flow.
    pub details: Option<&'a Details>,
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

/// The octets of an IPv4 address.
#[inline(always)]
pub(crate) const fn first_four(address: [u8; 16]) -> [u8; 4] {
    let [a, b, c, d, ..] = address;
    [a, b, c, d]
}
