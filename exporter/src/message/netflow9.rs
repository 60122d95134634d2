//! NetFlow v9 export packets (RFC 3954).
//!
//! The sequence number counts export packets, and Count the records of all kinds in the packet.
//! Times are milliseconds of sysUpTime. A collector adds them to the boot time that it finds from
//! the header's whole seconds, so the header's pair of stamps stands for a whole second: that in
//! which, or at the end of which, the packet was made.

use flow::{FlowRecord, IpVersion, Timestamp};

use super::builder::{Full, Message, MessageBuilder, Padded};
use super::template::{FlowTemplate, OptionsTemplate, RecordWriter, flow_template};
use super::uptime::Uptime;
use crate::element::{
    ExporterState, FlowElement as F, OptionElement as O, count16, put16, put32, saturate32,
};

/// Octets of the packet header.
pub(crate) const HEADER: usize = 20;

const VERSION: u16 = 9;
const TEMPLATE_SET: u16 = 0;
const OPTIONS_TEMPLATE_SET: u16 = 1;

/// Collectors keep templates for days: an id never changes its meaning.
const IPV4: FlowTemplate = flow_template! { 256:
    FlowStartSysUpTime
    FlowEndSysUpTime
    SourceIpv4Address
    DestinationIpv4Address
    SourceTransportPort
    DestinationTransportPort
    ProtocolIdentifier
    IpClassOfService
    TcpControlBits
    IpVersion
    OctetDeltaCount
    PacketDeltaCount
    IngressInterface
    EgressInterface
    VlanId
    IcmpTypeCodeIpv4
    FlowEndReason
    FlowDirection
    MinimumTtl
    MaximumTtl
};

const IPV6: FlowTemplate = flow_template! { 257:
    FlowStartSysUpTime
    FlowEndSysUpTime
    SourceIpv6Address
    DestinationIpv6Address
    SourceTransportPort
    DestinationTransportPort
    ProtocolIdentifier
    IpClassOfService
    TcpControlBits
    IpVersion
    OctetDeltaCount
    PacketDeltaCount
    IngressInterface
    EgressInterface
    VlanId
    IcmpTypeCodeIpv6
    FlowEndReason
    FlowDirection
    MinimumTtl
    MaximumTtl
};

/// Sampling comes twice: some collectors want the algorithm beside the interval, others then do
/// not see the interval.
const OPTIONS: [OptionsTemplate; 3] = [
    OptionsTemplate { id: 258, scope: O::System, elements: &[O::SamplingInterval] },
    OptionsTemplate {
        id: 259,
        scope: O::System,
        elements: &[O::SamplingInterval, O::SamplingAlgorithm],
    },
    OptionsTemplate {
        id: 260,
        scope: O::System,
        elements: &[
            O::ExportedMessageTotalCount,
            O::ExportedFlowRecordTotalCount,
            O::ExportedOctetTotalCount,
        ],
    },
];

/// Turns flow records into NetFlow v9 export packets.
#[derive(Debug)]
pub(crate) struct Encoder {
    source_id: u32,
    builder: MessageBuilder,
    uptime: Uptime,
    /// Export packets before this one.
    sequence: u32,
    /// Records of all kinds in this packet.
    records: u16,
}

impl Encoder {
    pub(crate) fn new(source_id: u32, limit: usize, uptime: Uptime) -> Self {
        let builder = MessageBuilder::new(HEADER, limit);
        Self { source_id, builder, uptime, sequence: 0, records: 0 }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.builder.set_limit(limit);
    }

    /// Adds the templates, each options template in a set of its own, to a packet with nothing in
    /// it yet.
    pub(crate) fn add_templates(&mut self, clock: Timestamp) {
        self.uptime.rebase(clock, clock);
        self.builder.add_set(TEMPLATE_SET, Padded::Yes, |out| {
            IPV4.put_template(out);
            IPV6.put_template(out);
        });
        self.records += 2;
        for template in &OPTIONS {
            self.builder.add_set(OPTIONS_TEMPLATE_SET, Padded::Yes, |out| {
                // Template id, octets of the scope fields and of the others (RFC 3954 section 6.1).
                put16(out, template.id);
                put16(out, 4);
                put16(out, count16(4 * template.elements.len()));
                template.put_fields(out);
            });
            self.records += 1;
        }
    }

    /// Adds the options records, to a packet with nothing but templates in it.
    pub(crate) fn add_options(&mut self, about: &ExporterState) {
        for template in &OPTIONS {
            self.builder
                .add_record(template.id, template.record_length(), |out| {
                    template.put_record(about, out);
                })
                .expect("templates and options fit in any message");
            self.records += 1;
        }
    }

    /// Adds a flow's Data Record.
    #[inline]
    pub(crate) fn add(&mut self, record: &FlowRecord, clock: Timestamp) -> Result<(), Full> {
        match record.key.ip_version {
            IpVersion::V4 => self.add_as(&IPV4, record, clock),
            IpVersion::V6 => self.add_as(&IPV6, record, clock),
        }
    }

    #[inline]
    fn add_as(
        &mut self,
        template: &FlowTemplate,
        record: &FlowRecord,
        clock: Timestamp,
    ) -> Result<(), Full> {
        if self.builder.is_empty() {
            self.uptime.rebase(record.start, clock);
        } else if !self.uptime.can_say(record.start, clock) {
            return Err(Full);
        }
        let base = self.uptime.base();
        self.builder.add_record(template.id, template.record_length(), |out| {
            (template.put_record)(record, base, out);
        })?;
        self.uptime.count_clamped(record.start);
        self.builder.records.count(record);
        self.records += 1;
        Ok(())
    }

    /// Whether what was gathered can still leave at that time.
    #[inline]
    pub(crate) fn can_reach(&self, clock: Timestamp) -> bool {
        self.uptime.can_reach(clock)
    }

    /// Flow times that 32 bits of uptime could not say.
    pub(crate) fn times_clamped(&self) -> u64 {
        self.uptime.clamped()
    }

    /// Finishes the packet, if there is anything in it.
    ///
    /// ```text
    /// | Version (9)       | Count             |   RFC 3954 section 5.1
    /// | sysUpTime, milliseconds               |
    /// | UNIX Secs                             |
    /// | Sequence Number                       |
    /// | Source ID                             |
    /// ```
    pub(crate) fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        let seconds = clock.as_millis().div_ceil(1000);
        let uptime = self.uptime.base().of(Timestamp::from_millis(seconds * 1000));
        let (records, sequence) = (std::mem::take(&mut self.records), self.sequence);
        let message = self.builder.finish(|out, _length| {
            put16(out, VERSION);
            put16(out, records);
            put32(out, uptime);
            put32(out, saturate32(seconds));
            put32(out, sequence);
            put32(out, self.source_id);
        })?;
        self.sequence = sequence.wrapping_add(1);
        Some(message)
    }

    /// Whether nothing is in the packet yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    /// Begins the next packet.
    pub(crate) fn clear(&mut self) {
        self.builder.clear();
    }
}
