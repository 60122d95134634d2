//! A Data Record that is read, element by element.

use alloc::boxed::Box;
use core::net::IpAddr;

use flow::number::protocol;
use flow::{
    Collected, DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, IpVersion, Tags,
    Timestamp,
};

use crate::received::Received;

/// The values of a Data Record, as far as elements have been read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The flow. Its times are not set.
    pub record: FlowRecord,
    /// What has no place in the record.
    pub collected: Collected,
    /// The network of the source address.
    pub source: Route,
    /// The network of the destination address.
    pub destination: Route,
    /// Id of the second VLAN tag; 0 if there is none.
    pub inner_vlan_id: u16,
    /// IPv4 addresses: source and destination.
    pub ipv4: [Option<[u8; 16]>; 2],
    /// IPv6 addresses: source and destination.
    pub ipv6: [Option<[u8; 16]>; 2],
    /// ipVersion.
    pub ip_version: u8,
    /// Type and code of ICMP, if the record has them apart from the destination port.
    pub icmp: Icmp,
    /// Start of the flow.
    pub start: TimeReading,
    /// End of the flow.
    pub end: TimeReading,
    /// Duration in milliseconds.
    pub duration_ms: Option<u64>,
    /// systemInitTimeMilliseconds: the time that sysUpTime counts from.
    pub init_time: Option<Timestamp>,
    /// Octets and packets in other counters than the deltas.
    pub others: OtherCounts,
    /// biflowDirection: 1 if the source is the initiator, 2 if the destination is (RFC 5103 section
    /// 6.3).
    pub biflow_direction: u8,
    /// What the record says about sampling.
    pub sampling: SamplingReading,
    /// The exporter that metered the flow, if a mediator sent it on.
    pub original: Original,
    /// applicationId.
    pub application: Option<u64>,
    /// Names, which only options have.
    pub names: Option<Box<NamesReading>>,
    /// The first octets of a packet.
    pub section: Option<Box<Section>>,
    /// Octets of its frame on the wire; 0 if they are not known.
    pub frame_octets: u32,
}

/// The first octets of a packet that an exporter sent as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What they begin with.
    pub kind: SectionKind,
    /// The octets.
    pub octets: Box<[u8]>,
}

/// What the section of a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// An Ethernet header.
    Frame,
    /// An IP header.
    Packet,
}

/// Names in an Options Data Record. They belong to the numbers in the same record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamesReading {
    /// interfaceName.
    pub interface: Option<Box<str>>,
    /// interfaceDescription.
    pub interface_description: Option<Box<str>>,
    /// applicationName.
    pub application: Option<Box<str>>,
    /// applicationDescription.
    pub application_description: Option<Box<str>>,
    /// VRFname.
    pub vrf: Option<Box<str>>,
    /// observationDomainName.
    pub domain: Option<Box<str>>,
}

/// An exporter whose flows another one sends on (RFC 7119).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Original {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its Observation Domain.
    pub domain: u32,
}

/// The network of an address, as its exporter knows it. A value is 0 if it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Number of the Autonomous System.
    pub as_number: u32,
    /// Length of the network's prefix.
    pub prefix_length: u8,
}

/// Type and code of an ICMP message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Icmp {
    /// Both, in one element.
    pub both: Option<u16>,
    /// The type.
    pub kind: Option<u8>,
    /// The code.
    pub code: Option<u8>,
}

impl Icmp {
    /// Learns type and code. Exporters send 0 for flows of the other IP version.
    pub(crate) fn learn(&mut self, value: Received<'_>) {
        let both = value.low16();
        if both != 0 || self.both.is_none() {
            self.both = Some(both);
        }
    }
}

/// Counters that count if there are no deltas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherCounts {
    /// Octets of the flow so far.
    pub total_octets: u64,
    /// Packets of the flow so far.
    pub total_packets: u64,
    /// Octets after the exporter changed the packets.
    pub post_octets: u64,
    /// Packets after the exporter changed them.
    pub post_packets: u64,
    /// Octets of the initiator.
    pub initiator_octets: u64,
    /// Packets of the initiator.
    pub initiator_packets: u64,
}

/// A point in time, in one of the forms that elements have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeReading {
    /// A time of day, and the form in which it was sent.
    pub time: Option<(TimeForm, Timestamp)>,
    /// Milliseconds of sysUpTime.
    pub uptime_ms: Option<u32>,
    /// Microseconds before the export time.
    pub before_export_us: Option<u64>,
}

/// Forms of times, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeForm {
    /// Milliseconds.
    Milliseconds,
    /// Nanoseconds, in the format of NTP.
    Nanoseconds,
    /// Microseconds, in the format of NTP.
    Microseconds,
    /// Seconds.
    Seconds,
    /// The time of an observation, in any unit.
    Observation,
}

impl TimeReading {
    /// Learns a time. The best form of several counts.
    #[inline]
    pub(crate) fn learn(&mut self, form: TimeForm, time: Timestamp) {
        if self.time.is_none_or(|(known, _)| form < known) {
            self.time = Some((form, time));
        }
    }
}

/// What a Data Record says about sampling. 0: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplingReading {
    /// samplerId or selectorId.
    pub selector: Option<u64>,
    /// templateId: the records that options are about.
    pub template: Option<u16>,
    /// samplingInterval or samplerRandomInterval: N of "one of N packets".
    pub interval: u32,
    /// samplingPacketInterval: packets that are sampled in a row.
    pub packets: u32,
    /// samplingPacketSpace: packets that are skipped then.
    pub space: u32,
    /// samplingSize: packets that are sampled of a population.
    pub size: u32,
    /// samplingPopulation: packets of the population.
    pub population: u32,
    /// samplingProbability, as N of "one of N packets".
    pub one_of: u32,
}

impl SamplingReading {
    /// N of "one of N packets". `None` if the record does not say it.
    pub fn interval(&self) -> Option<u32> {
        let rounded = |all: u64, part: u32| {
            let interval = (all + u64::from(part) / 2) / u64::from(part);
            u32::try_from(interval).unwrap_or(u32::MAX).max(1)
        };
        if self.packets > 0 && self.space > 0 {
            let all = u64::from(self.packets) + u64::from(self.space);
            Some(rounded(all, self.packets))
        } else if self.size > 0 && self.population > 0 {
            Some(rounded(self.population.into(), self.size))
        } else if self.interval > 0 || self.one_of > 0 {
            Some(if self.interval > 0 { self.interval } else { self.one_of })
        } else {
            // A space without a number of packets follows each single packet.
            (self.space > 0).then(|| self.space.saturating_add(1))
        }
    }
}

impl Default for Reading {
    fn default() -> Self {
        let key = FlowKey {
            ip_version: IpVersion::V4,
            source: [0; 16],
            destination: [0; 16],
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            type_of_service: 0,
            interface: 0,
        };
        Self {
            record: FlowRecord {
                key,
                octets: 0,
                packets: 0,
                start: Timestamp::default(),
                end: Timestamp::default(),
                exported: Timestamp::default(),
                vlan_id: 0,
                direction: FlowDirection::Ingress,
                tcp_control_bits: 0,
                minimum_ttl: 0,
                maximum_ttl: 0,
                end_reason: FlowEndReason::Unknown,
                tags: Tags::NONE,
                details: DetailsIndex::NONE,
            },
            collected: Collected::default(),
            source: Route::default(),
            destination: Route::default(),
            inner_vlan_id: 0,
            ipv4: [None; 2],
            ipv6: [None; 2],
            ip_version: 0,
            icmp: Icmp::default(),
            start: TimeReading::default(),
            end: TimeReading::default(),
            duration_ms: None,
            init_time: None,
            others: OtherCounts::default(),
            biflow_direction: 0,
            sampling: SamplingReading::default(),
            original: Original::default(),
            application: None,
            names: None,
            section: None,
            frame_octets: 0,
        }
    }
}

impl Reading {
    /// Reads the direction; a value that is not defined means ingress.
    pub(crate) fn direction(&mut self, value: Received<'_>) {
        self.record.direction =
            if value.number() == 1 { FlowDirection::Egress } else { FlowDirection::Ingress };
    }

    /// Reads TCP control bits of 8 or 16 bits. The upper bits of 16 are the header's length.
    pub(crate) fn tcp_control_bits(&mut self, value: Received<'_>) {
        self.record.tcp_control_bits = value.low8();
        self.collected.tcp_control_bits = value.low16() & 0x1ff;
    }

    /// Reads the source address of packets that left; that of packets that came in counts first.
    pub(crate) fn post_source_mac(&mut self, value: Received<'_>) {
        self.collected.source_mac = self.collected.source_mac.or_else(|| value.mac());
    }

    /// As [`Reading::post_source_mac`], for the destination address.
    pub(crate) fn post_destination_mac(&mut self, value: Received<'_>) {
        self.collected.destination_mac = self.collected.destination_mac.or_else(|| value.mac());
    }

    /// Reads the time of a single observation: start and end of the flow.
    pub(crate) fn observed(&mut self, time: Timestamp) {
        self.start.learn(TimeForm::Observation, time);
        self.end.learn(TimeForm::Observation, time);
    }

    /// Reads the address of the original exporter. A record may have an empty one of the other
    /// version beside it.
    pub(crate) fn original(&mut self, value: Received<'_>) {
        self.original.address = value.address().or(self.original.address);
    }

    /// Reads the first octets of a packet. Those of its frame count before those of its IP packet.
    pub(crate) fn section(&mut self, kind: SectionKind, value: Received<'_>) {
        let is_first = self.section.is_none() || kind == SectionKind::Frame;
        if is_first && !value.0.is_empty() {
            self.section = Some(Box::new(Section { kind, octets: value.0.into() }));
        }
    }

    /// Turns what has no other element for the other direction: the direction at the interface, if
    /// it was sent, and type and code of ICMP in the destination port.
    pub fn turn(&mut self, has_direction: bool) {
        let record = &mut self.record;
        if has_direction {
            record.direction = match record.direction {
                FlowDirection::Ingress => FlowDirection::Egress,
                FlowDirection::Egress => FlowDirection::Ingress,
            };
        }
        let key = &mut record.key;
        if matches!(key.protocol, protocol::ICMP | protocol::ICMPV6) {
            core::mem::swap(&mut key.source_port, &mut key.destination_port);
        }
    }

    /// Whether any counter of octets or packets is above 0.
    pub fn has_counts(&self) -> bool {
        self.has_each_count() != [false; 2]
    }

    /// Whether any counter of octets is above 0, and any of packets.
    pub fn has_each_count(&self) -> [bool; 2] {
        let (record, others) = (&self.record, &self.others);
        let octets =
            [record.octets, others.total_octets, others.post_octets, others.initiator_octets];
        let packets =
            [record.packets, others.total_packets, others.post_packets, others.initiator_packets];
        [octets, packets].map(|counts| counts.into_iter().any(|count| count > 0))
    }

    /// The names in the record.
    pub(crate) fn names(&mut self) -> &mut NamesReading {
        self.names.get_or_insert_default()
    }

    /// Reads the TTL of a record that has one only.
    pub(crate) fn ttl(&mut self, value: Received<'_>) {
        (self.record.minimum_ttl, self.record.maximum_ttl) = (value.low8(), value.low8());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_is_one_of_so_many_packets() {
        let cases = [
            (SamplingReading::default(), None),
            (SamplingReading { interval: 100, ..SamplingReading::default() }, Some(100)),
            (SamplingReading { packets: 1, space: 99, ..SamplingReading::default() }, Some(100)),
            (SamplingReading { packets: 10, space: 90, ..SamplingReading::default() }, Some(10)),
            (SamplingReading { space: 7, ..SamplingReading::default() }, Some(8)),
            (SamplingReading { one_of: 64, ..SamplingReading::default() }, Some(64)),
            (SamplingReading { interval: 9, one_of: 64, ..SamplingReading::default() }, Some(9)),
            (SamplingReading { size: 3, population: 10, ..SamplingReading::default() }, Some(3)),
            (SamplingReading { size: 9, population: 1, ..SamplingReading::default() }, Some(1)),
            (
                SamplingReading { packets: 1, space: u32::MAX, ..SamplingReading::default() },
                Some(u32::MAX),
            ),
        ];
        for (reading, expected) in cases {
            assert_eq!(reading.interval(), expected, "{reading:?}");
        }
    }

    #[test]
    fn the_best_form_of_a_time_counts_in_any_order() {
        let times = [
            (TimeForm::Seconds, Timestamp::from_millis(3000)),
            (TimeForm::Milliseconds, Timestamp::from_millis(3001)),
            (TimeForm::Observation, Timestamp::from_millis(1)),
        ];
        for turn in 0..3 {
            let mut reading = TimeReading::default();
            (0..3).map(|index| times[(index + turn) % 3]).for_each(|(form, time)| {
                reading.learn(form, time);
            });
            assert_eq!(reading.time, Some(times[1]));
        }
    }
}
