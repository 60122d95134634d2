//! NetFlow v9 export packets (RFC 3954).
//!
//! The sequence number counts export packets, and Count is the number of all records in the packet.
//! Times are milliseconds of sysUpTime. A collector adds them to a boot time that it computes from
//! the whole seconds of the header. So both time fields of the header are for a whole second: the
//! time of the packet, rounded up.

use element::Element as E;
use element::{Element, ExporterState, FixedOctets, Flow, PutOctets, count16, saturate32};
use flow::{Details, FlowRecord, IpVersion, Timestamp};

use super::builder::{Full, MessageBuilder, Padded, SET_HEADER};
use super::encoder::{Inexact, MessageEncoder, NotAdded};
use super::template::{FlowTemplate, OptionsTemplate, fixed_part, flow_template, template};
use super::uptime::{self, Uptime};
use crate::content::Message;
use crate::transport::MESSAGE_OCTETS_MIN;

/// Octets of the packet header.
const HEADER: usize = 20;

const VERSION: u16 = 9;
const TEMPLATE_SET: u16 = 0;
const OPTIONS_TEMPLATE_SET: u16 = 1;

/// Collectors keep templates for days, so an id never changes its meaning.
const IPV4: FlowTemplate = flow_template!(256 ipv4: FlowStartSysUpTime FlowEndSysUpTime);

const IPV6: FlowTemplate = flow_template!(257 ipv6: FlowStartSysUpTime FlowEndSysUpTime);

/// These replace the two templates above if places are looked up. The ids are those of IPFIX.
const IPV4_PLACES: FlowTemplate =
    flow_template!(316 ipv4 with places: FlowStartSysUpTime FlowEndSysUpTime);

const IPV6_PLACES: FlowTemplate =
    flow_template!(317 ipv6 with places: FlowStartSysUpTime FlowEndSysUpTime);

/// Sampling is sent twice: some collectors need the algorithm and the interval together, others do
/// not find the interval then.
const OPTIONS: [OptionsTemplate; 3] = [
    OptionsTemplate::new(258, &[E::SamplingInterval]),
    OptionsTemplate::new(259, &[E::SamplingInterval, E::SamplingAlgorithm]),
    OptionsTemplate::new(
        260,
        &[
            E::ExportedMessageTotalCount,
            E::ExportedFlowRecordTotalCount,
            E::ExportedOctetTotalCount,
        ],
    ),
];

/// The scope of all options: field type System, and the octets of its value, the Source ID. Scope
/// field types have their own numbers (RFC 3954 section 6.1).
const SCOPE_SYSTEM: u16 = 1;
const SCOPE_OCTETS: u16 = 4;

/// Octets of a Field Specifier, and of an Options Template Record before its first one.
const SPECIFIER: usize = 4;
const OPTIONS_TEMPLATE_HEADER: usize = 6;

/// Checks that templates and options, each in its own set, fit into one packet, and that none has
/// an enterprise number or a variable length, which NetFlow v9 does not support.
const _: () = {
    let mut rest: &[FlowTemplate] = &[IPV4, IPV6, IPV4_PLACES, IPV6_PLACES];
    while let [template, others @ ..] = rest {
        assert!(template.variable.is_empty());
        assert!(template.template_octets() == 4 + SPECIFIER * template.elements.len());
        rest = others;
    }
    let flows = IPV4_PLACES.template_octets() + IPV6_PLACES.template_octets();
    assert!(flows > IPV4.template_octets() + IPV6.template_octets());
    let mut octets = HEADER + SET_HEADER + flows;
    let mut rest: &[OptionsTemplate] = &OPTIONS;
    while let [template, others @ ..] = rest {
        let specifiers = template.specifier_octets();
        assert!(specifiers == SPECIFIER * template.elements.len());
        let definition = OPTIONS_TEMPLATE_HEADER + SPECIFIER + specifiers;
        let record = SCOPE_OCTETS as usize + template.record_octets();
        octets += SET_HEADER + definition.next_multiple_of(4);
        octets += SET_HEADER + record.next_multiple_of(4);
        rest = others;
    }
    assert!(octets <= MESSAGE_OCTETS_MIN);
};

/// Turns flow records into NetFlow v9 export packets.
#[derive(Debug)]
pub(crate) struct Encoder {
    source_id: u32,
    builder: MessageBuilder,
    uptime: Uptime,
    /// Number of earlier export packets.
    sequence: u32,
    /// Records of all kinds in this packet.
    records: u16,
    has_places: bool,
}

impl Encoder {
    pub(crate) fn new(source_id: u32, limit: usize, uptime: Uptime, has_places: bool) -> Self {
        let builder = MessageBuilder::new(HEADER, limit);
        Self { source_id, builder, uptime, sequence: 0, records: 0, has_places }
    }

    /// Adds a record with its times clamped to the last possible one.
    #[cold]
    #[inline(never)]
    fn add_clamped(
        &mut self,
        record: &FlowRecord,
        details: Option<&Details>,
        clock: Timestamp,
    ) -> Result<(), Full> {
        self.add_said(&uptime::clamped(record), details, clock)
    }

    #[inline(always)]
    fn add_said(
        &mut self,
        record: &FlowRecord,
        details: Option<&Details>,
        clock: Timestamp,
    ) -> Result<(), Full> {
        match (record.key.ip_version, self.has_places) {
            (IpVersion::V4, false) => self.add_as(&IPV4, record, None, clock),
            (IpVersion::V6, false) => self.add_as(&IPV6, record, None, clock),
            (IpVersion::V4, true) => self.add_as(&IPV4_PLACES, record, details, clock),
            (IpVersion::V6, true) => self.add_as(&IPV6_PLACES, record, details, clock),
        }
    }

    #[inline]
    fn add_as(
        &mut self,
        template: &FlowTemplate,
        record: &FlowRecord,
        details: Option<&Details>,
        clock: Timestamp,
    ) -> Result<(), Full> {
        if self.builder.is_empty() {
            self.uptime.begin_with(record, clock);
        } else {
            self.uptime.join(record, clock)?;
        }
        let uptime_base = self.uptime.base();
        let flow = Flow { record, details, exporter: None, uptime_base };
        self.builder.add_record(template.id, |out| template.put_record(&flow, out))?;
        self.builder.records.count(record);
        self.records += 1;
        Ok(())
    }
}

impl MessageEncoder for Encoder {
    #[inline]
    fn add(&mut self, flow: &Flow<'_>, clock: Timestamp) -> Result<(), NotAdded> {
        let Flow { record, details, .. } = *flow;
        if uptime::is_said(record.end) {
            self.add_said(record, details, clock)?;
        } else {
            self.add_clamped(record, details, clock)?;
        }
        self.uptime.count(record);
        Ok(())
    }

    #[inline]
    fn can_reach(&self, clock: Timestamp) -> bool {
        self.uptime.can_reach(clock)
    }

    fn add_templates(&mut self, clock: Timestamp) {
        self.uptime.begin(clock);
        let templates = if self.has_places { [&IPV4_PLACES, &IPV6_PLACES] } else { [&IPV4, &IPV6] };
        self.builder.add_set(TEMPLATE_SET, Padded::Yes, |out| {
            templates.iter().for_each(|template| template.put_template(out));
        });
        self.records += 2;
        for template in &OPTIONS {
            self.builder.add_set(OPTIONS_TEMPLATE_SET, Padded::Yes, |out| {
                // Template id, octets of the scope fields and of the option fields (RFC 3954
                // section 6.1).
                out.put16(template.id);
                out.put16(count16(SPECIFIER));
                out.put16(count16(template.specifier_octets()));
                out.put16(SCOPE_SYSTEM);
                out.put16(SCOPE_OCTETS);
                template.put_specifiers(out);
            });
            self.records += 1;
        }
    }

    fn add_options(&mut self, state: &ExporterState<'_>) {
        for template in &OPTIONS {
            self.builder.add_set(template.id, Padded::Yes, |out| {
                out.put32(self.source_id);
                template.put_record(state, out);
            });
            self.records += 1;
        }
    }

    /// Finishes the packet; `None` if it is empty.
    ///
    /// ```text
    /// | Version (9)       | Count             |   RFC 3954 section 5.1
    /// | sysUpTime, milliseconds               |
    /// | UNIX Secs                             |
    /// | Sequence Number                       |
    /// | Source ID                             |
    /// ```
    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        let seconds = self.uptime.instant(clock).as_millis().div_ceil(1000);
        let uptime = self.uptime.base().of(Timestamp::from_millis(seconds * 1000));
        let (records, sequence) = (std::mem::take(&mut self.records), self.sequence);
        let message = self.builder.finish(|out, _length| {
            out.put16(VERSION);
            out.put16(records);
            out.put32(uptime);
            out.put32(saturate32(seconds));
            out.put32(sequence);
            out.put32(self.source_id);
        })?;
        self.sequence = sequence.wrapping_add(1);
        Some(message)
    }

    fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    fn clear(&mut self) {
        self.builder.clear();
    }

    fn set_limit(&mut self, limit: usize) {
        self.builder.set_limit(limit);
    }

    fn inexact(&self) -> Inexact {
        Inexact { times: self.uptime.clamped(), interfaces: 0 }
    }
}
