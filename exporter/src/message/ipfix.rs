//! IPFIX messages (RFC 7011).
//!
//! The sequence number counts the Data Records sent before the message in this transport session,
//! those of options included, templates not, modulo 2^32. Times are absolute milliseconds; no
//! element counts from sysUpTime, which collectors cannot resolve in IPFIX.

use flow::{FlowRecord, IpVersion, Timestamp};

use super::builder::{Full, Message, MessageBuilder, Padded};
use super::template::{FlowTemplate, OptionsTemplate, RecordWriter, flow_template};
use crate::element::{
    ExporterState, FlowElement as F, OptionElement as O, UptimeBase, count16, put16, put32,
    saturate32,
};

/// Octets of the message header.
pub(crate) const HEADER: usize = 16;

const VERSION: u16 = 10;
const TEMPLATE_SET: u16 = 2;
const OPTIONS_TEMPLATE_SET: u16 = 3;

/// Collectors keep templates for days: an id never changes its meaning.
const IPV4: FlowTemplate = flow_template! { 256:
    FlowStartMilliseconds
    FlowEndMilliseconds
    FlowDurationMilliseconds
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
    FlowStartMilliseconds
    FlowEndMilliseconds
    FlowDurationMilliseconds
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

/// Sampling, and what was exported, observed, ignored and lost so far. The pair of equal time
/// elements of RFC 7011 section 4 is left out: a codec in wide use rejects a template that names
/// an element twice.
const OPTIONS: [OptionsTemplate; 4] = [
    OptionsTemplate { id: 258, scope: O::ObservationDomainId, elements: &[O::SamplingInterval] },
    OptionsTemplate {
        id: 259,
        scope: O::ObservationDomainId,
        elements: &[
            O::ExportedMessageTotalCount,
            O::ExportedFlowRecordTotalCount,
            O::ExportedOctetTotalCount,
            O::ObservedFlowTotalCount,
        ],
    },
    OptionsTemplate {
        id: 260,
        scope: O::ObservationDomainId,
        elements: &[O::IgnoredPacketTotalCount, O::IgnoredOctetTotalCount],
    },
    OptionsTemplate {
        id: 261,
        scope: O::ExportingProcessId,
        elements: &[
            O::NotSentFlowTotalCount,
            O::NotSentPacketTotalCount,
            O::NotSentOctetTotalCount,
        ],
    },
];

/// Names of interfaces; announced where there are any.
const INTERFACE: OptionsTemplate =
    OptionsTemplate { id: 262, scope: O::IngressInterface, elements: &[O::InterfaceName] };

/// Turns flow records into IPFIX messages.
#[derive(Debug)]
pub(crate) struct Encoder {
    observation_domain_id: u32,
    builder: MessageBuilder,
    /// Data Records in the messages before this one.
    sequence: u32,
    /// Data Records in this message.
    records: u32,
}

impl Encoder {
    pub(crate) fn new(observation_domain_id: u32, limit: usize) -> Self {
        Self {
            observation_domain_id,
            builder: MessageBuilder::new(HEADER, limit),
            sequence: 0,
            records: 0,
        }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.builder.set_limit(limit);
    }

    /// A new transport session begins: its sequence starts from 0.
    pub(crate) fn begin_session(&mut self) {
        self.sequence = 0;
    }

    /// Adds the templates, each options template in a set of its own, to a message with nothing in
    /// it yet.
    pub(crate) fn add_templates(&mut self) {
        // Collectors read the padding of these sets as the beginning of another template.
        self.builder.add_set(TEMPLATE_SET, Padded::No, |out| {
            IPV4.put_template(out);
            IPV6.put_template(out);
        });
        for template in &OPTIONS {
            self.add_options_template(template);
        }
    }

    fn add_options_template(&mut self, template: &OptionsTemplate) {
        self.builder.add_set(OPTIONS_TEMPLATE_SET, Padded::No, |out| {
            // Template id, field count, scope field count (RFC 7011 section 3.4.2.2).
            put16(out, template.id);
            put16(out, count16(template.elements.len() + 1));
            put16(out, 1);
            template.put_fields(out);
        });
    }

    /// Adds the template of interface names, to a message with nothing in it yet.
    pub(crate) fn add_interface_template(&mut self) {
        self.add_options_template(&INTERFACE);
    }

    /// Adds the name of the interface that `about` is about.
    pub(crate) fn add_interface(&mut self, about: &ExporterState) -> Result<(), Full> {
        self.builder.add_record(INTERFACE.id, INTERFACE.record_length(), |out| {
            INTERFACE.put_record(about, out);
        })?;
        self.records += 1;
        Ok(())
    }

    /// Adds the options records, to a message with nothing but templates in it.
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
    pub(crate) fn add(&mut self, record: &FlowRecord) -> Result<(), Full> {
        match record.key.ip_version {
            IpVersion::V4 => self.add_as(&IPV4, record),
            IpVersion::V6 => self.add_as(&IPV6, record),
        }
    }

    #[inline]
    fn add_as(&mut self, template: &FlowTemplate, record: &FlowRecord) -> Result<(), Full> {
        self.builder.add_record(template.id, template.record_length(), |out| {
            (template.put_record)(record, UptimeBase::default(), out);
        })?;
        self.builder.records.count(record);
        self.records += 1;
        Ok(())
    }

    /// Finishes the message, if there is anything in it. `clock` is the Export Time.
    ///
    /// ```text
    /// | Version (10)      | Length            |   RFC 7011 section 3.1
    /// | Export Time, seconds since the epoch  |
    /// | Sequence Number                       |
    /// | Observation Domain ID                 |
    /// ```
    pub(crate) fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(std::mem::take(&mut self.records));
        self.builder.finish(|out, length| {
            put16(out, VERSION);
            put16(out, length);
            put32(out, saturate32(clock.as_millis() / 1000));
            put32(out, sequence);
            put32(out, self.observation_domain_id);
        })
    }

    /// Whether nothing is in the message yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    /// Begins the next message.
    pub(crate) fn clear(&mut self) {
        self.builder.clear();
    }
}
