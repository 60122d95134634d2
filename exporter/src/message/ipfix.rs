//! IPFIX messages (RFC 7011).
//!
//! The sequence number counts the Data Records sent before the message in this transport session,
//! with those of options and without templates, modulo 2^32. Times are absolute milliseconds. No
//! element is based on sysUpTime, because collectors cannot resolve it in IPFIX.

use element::Element as E;
use element::{
    Element, ExporterState, FixedOctets, Flow, PutOctets, UptimeBase, count16, saturate32,
};
use flow::{Facts, IpVersion, NameProtocol, Timestamp};

use super::builder::{Full, MessageBuilder, Padded, SET_HEADER};
use super::encoder::{MessageEncoder, NotAdded};
use super::named::{NamedTemplate, Namespace};
use super::template::{FlowTemplate, OptionsTemplate, fixed_part, flow_template, template};
use crate::content::Message;
use crate::transport::MESSAGE_OCTETS_MIN;

/// Octets of the message header.
const HEADER: usize = 16;

const VERSION: u16 = 10;
const TEMPLATE_SET: u16 = 2;
const OPTIONS_TEMPLATE_SET: u16 = 3;

/// A `flow_template` with the times of IPFIX, which are absolute.
macro_rules! timed_template {
    ($id:literal $($content:ident)+) => {
        flow_template! { $id $($content)+:
            FlowStartMilliseconds
            FlowEndMilliseconds
            FlowDurationMilliseconds
        }
    };
}

/// Collectors keep templates for days, so an id never changes its meaning.
const IPV4: FlowTemplate = timed_template!(256 ipv4);

const IPV6: FlowTemplate = timed_template!(257 ipv6);

/// These replace the two templates above if records have further fields. Their ids are 300, + 8 for
/// tunnels, + 16 for places, + 1 for IPv6.
const IPV4_PLACES: FlowTemplate = timed_template!(316 ipv4 with places);

const IPV6_PLACES: FlowTemplate = timed_template!(317 ipv6 with places);

const IPV4_TUNNEL: FlowTemplate = timed_template!(308 ipv4 with tunnel);

const IPV6_TUNNEL: FlowTemplate = timed_template!(309 ipv6 with tunnel);

const IPV4_BOTH: FlowTemplate = timed_template!(324 ipv4 with tunnel and places);

const IPV6_BOTH: FlowTemplate = timed_template!(325 ipv6 with tunnel and places);

/// The templates of a mediator (RFC 6183), with what is known of the original exporter. Their ids
/// are 1000 above those of the blocks that they have.
const IPV4_ORIGINAL: FlowTemplate = timed_template!(1316 ipv4 with places and original);

const IPV6_ORIGINAL: FlowTemplate = timed_template!(1317 ipv6 with places and original);

/// Further blocks of fields in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocks {
    Places,
    Tunnel,
    Both,
    /// Places, and what only another exporter knows.
    Original,
}

impl Blocks {
    const fn templates(self) -> [&'static FlowTemplate; 2] {
        match self {
            Self::Places => [&IPV4_PLACES, &IPV6_PLACES],
            Self::Tunnel => [&IPV4_TUNNEL, &IPV6_TUNNEL],
            Self::Both => [&IPV4_BOTH, &IPV6_BOTH],
            Self::Original => [&IPV4_ORIGINAL, &IPV6_ORIGINAL],
        }
    }

    /// The options. A mediator does not sample: each record has the sampling interval of its own
    /// exporter.
    const fn options(self) -> &'static [OptionsTemplate] {
        match self {
            Self::Original => OPTIONS.split_at(1).1,
            Self::Places | Self::Tunnel | Self::Both => &OPTIONS,
        }
    }
}

/// Sampling, and the totals of exported, observed, ignored and lost traffic. The pair of equal time
/// elements of RFC 7011 section 4 is omitted: a widely used codec rejects a template with the same
/// element twice.
const OPTIONS: [OptionsTemplate; 4] = [
    OptionsTemplate::new(258, &[E::ObservationDomainId, E::SamplingInterval]),
    OptionsTemplate::new(
        259,
        &[
            E::ObservationDomainId,
            E::ExportedMessageTotalCount,
            E::ExportedFlowRecordTotalCount,
            E::ExportedOctetTotalCount,
            E::ObservedFlowTotalCount,
        ],
    ),
    OptionsTemplate::new(
        260,
        &[E::ObservationDomainId, E::IgnoredPacketTotalCount, E::IgnoredOctetTotalCount],
    ),
    OptionsTemplate::new(
        261,
        &[
            E::ExportingProcessId,
            E::NotSentFlowTotalCount,
            E::NotSentPacketTotalCount,
            E::NotSentOctetTotalCount,
        ],
    ),
];

/// Names of interfaces. Announced only if there are any.
const INTERFACE: OptionsTemplate =
    OptionsTemplate::new(262, &[E::IngressInterface, E::InterfaceName]);

/// Octets of an Options Template Record before its Field Specifiers.
const OPTIONS_TEMPLATE_HEADER: usize = 6;

/// Checks that templates and options, each in its own set, fit into one message.
const _: () = {
    let flows = IPV4_BOTH.template_octets() + IPV6_BOTH.template_octets();
    assert!(flows > IPV4_TUNNEL.template_octets() + IPV6_TUNNEL.template_octets());
    assert!(flows > IPV4_PLACES.template_octets() + IPV6_PLACES.template_octets());
    assert!(announcement_octets(flows, Blocks::Both) <= MESSAGE_OCTETS_MIN);
    let flows = IPV4_ORIGINAL.template_octets() + IPV6_ORIGINAL.template_octets();
    assert!(announcement_octets(flows, Blocks::Original) <= MESSAGE_OCTETS_MIN);
};

/// The templates of flows, of IPv4 and IPv6.
fn templates(blocks: Option<Blocks>) -> [&'static FlowTemplate; 2] {
    blocks.map_or([&IPV4, &IPV6], Blocks::templates)
}

fn options(blocks: Option<Blocks>) -> &'static [OptionsTemplate] {
    blocks.map_or(&OPTIONS, Blocks::options)
}

/// Octets of a message with templates of flows, and with the options of these blocks.
const fn announcement_octets(flows: usize, blocks: Blocks) -> usize {
    let mut octets = HEADER + SET_HEADER + flows;
    let mut rest = blocks.options();
    while let [template, others @ ..] = rest {
        octets += SET_HEADER + OPTIONS_TEMPLATE_HEADER + template.specifier_octets();
        octets += SET_HEADER + template.record_octets().next_multiple_of(4);
        rest = others;
    }
    octets
}

/// Turns flow records into IPFIX messages.
#[derive(Debug)]
pub(crate) struct Encoder {
    observation_domain_id: u32,
    builder: MessageBuilder,
    /// Data Records in earlier messages.
    sequence: u32,
    /// Data Records in this message.
    records: u32,
    blocks: Option<Blocks>,
    /// `None` if no record has names.
    names: Option<Names>,
}

/// State of records with names.
#[derive(Debug)]
struct Names {
    namespace: Namespace,
    /// Ids of the templates that were sent since all templates were last announced.
    announced: Vec<u16>,
}

impl Encoder {
    /// Records have names as elements of this namespace. `None`: no record has names.
    pub(crate) fn new(
        observation_domain_id: u32,
        limit: usize,
        blocks: Option<Blocks>,
        names: Option<Namespace>,
    ) -> Self {
        Self {
            observation_domain_id,
            builder: MessageBuilder::new(HEADER, limit),
            sequence: 0,
            records: 0,
            blocks,
            names: names.map(|namespace| Names { namespace, announced: Vec::new() }),
        }
    }

    /// True if the message has no Data Record.
    #[cfg(feature = "kafka")]
    pub(super) const fn has_no_records(&self) -> bool {
        self.records == 0
    }

    /// Adds a record with names. Its template comes before it if it was not announced yet.
    #[cold]
    fn add_named(&mut self, protocol: NameProtocol, flow: &Flow<'_>) -> Result<(), Full> {
        let Some(names) = &mut self.names else { return Ok(()) };
        let [ipv4, ipv6] = templates(self.blocks);
        let plain = if flow.record.key.ip_version == IpVersion::V4 { ipv4 } else { ipv6 };
        let template = NamedTemplate::new(plain, names.namespace, protocol);
        let put = |out: &mut Vec<u8>| template.put_record(flow, out);
        if names.announced.contains(&template.id) {
            self.builder.add_record(template.id, put)?;
        } else {
            let put_template = |out: &mut Vec<u8>| template.put_template(out);
            self.builder.add_record_after((TEMPLATE_SET, put_template), template.id, put)?;
            names.announced.push(template.id);
        }
        self.builder.records.count(flow.record);
        self.records += 1;
        Ok(())
    }

    fn add_options_template(&mut self, template: &OptionsTemplate) {
        self.builder.add_set(OPTIONS_TEMPLATE_SET, Padded::No, |out| {
            // Template id, field count, scope field count (RFC 7011 section 3.4.2.2).
            out.put16(template.id);
            out.put16(count16(template.elements.len()));
            out.put16(1);
            template.put_specifiers(out);
        });
    }

    /// Adds a record with further blocks of fields.
    #[inline(never)]
    fn add_with_blocks(&mut self, blocks: Blocks, flow: &Flow<'_>) -> Result<(), Full> {
        match (flow.record.key.ip_version, blocks) {
            (IpVersion::V4, Blocks::Places) => self.add_as(&IPV4_PLACES, flow),
            (IpVersion::V6, Blocks::Places) => self.add_as(&IPV6_PLACES, flow),
            (IpVersion::V4, Blocks::Tunnel) => self.add_as(&IPV4_TUNNEL, flow),
            (IpVersion::V6, Blocks::Tunnel) => self.add_as(&IPV6_TUNNEL, flow),
            (IpVersion::V4, Blocks::Both) => self.add_as(&IPV4_BOTH, flow),
            (IpVersion::V6, Blocks::Both) => self.add_as(&IPV6_BOTH, flow),
            (IpVersion::V4, Blocks::Original) => self.add_as(&IPV4_ORIGINAL, flow),
            (IpVersion::V6, Blocks::Original) => self.add_as(&IPV6_ORIGINAL, flow),
        }
    }

    #[inline(always)]
    fn add_as(&mut self, template: &FlowTemplate, flow: &Flow<'_>) -> Result<(), Full> {
        self.builder.add_record(template.id, |out| template.put_record(flow, out))?;
        self.builder.records.count(flow.record);
        self.records += 1;
        Ok(())
    }
}

impl MessageEncoder for Encoder {
    const HAS_ABSOLUTE_TIMES: bool = true;

    #[inline(always)]
    fn add(&mut self, flow: &Flow<'_>, _clock: Timestamp) -> Result<(), NotAdded> {
        if self.names.is_some()
            && let Some(protocol) = flow.facts().and_then(Facts::protocol)
        {
            return Ok(self.add_named(protocol, flow)?);
        }
        // The ordinary record has a short way.
        let uptime_base = UptimeBase::default();
        let plain = Flow { record: flow.record, details: None, exporter: None, uptime_base };
        Ok(match (flow.record.key.ip_version, self.blocks) {
            (IpVersion::V4, None) => self.add_as(&IPV4, &plain),
            (IpVersion::V6, None) => self.add_as(&IPV6, &plain),
            (_, Some(blocks)) => self.add_with_blocks(blocks, flow),
        }?)
    }

    fn add_templates(&mut self, _clock: Timestamp) {
        let templates = templates(self.blocks);
        if let Some(names) = &mut self.names {
            names.announced.clear();
        }
        // These sets have no padding: collectors read it as the beginning of another template.
        self.builder.add_set(TEMPLATE_SET, Padded::No, |out| {
            templates.iter().for_each(|template| template.put_template(out));
        });
        for template in options(self.blocks) {
            self.add_options_template(template);
        }
    }

    fn add_options(&mut self, state: &ExporterState<'_>) {
        for template in options(self.blocks) {
            self.builder.add_set(template.id, Padded::Yes, |out| template.put_record(state, out));
            self.records += 1;
        }
    }

    fn add_interface_template(&mut self) -> bool {
        self.add_options_template(&INTERFACE);
        true
    }

    fn add_interface(&mut self, state: &ExporterState<'_>) -> Result<(), Full> {
        self.builder.add_record(INTERFACE.id, |out| INTERFACE.put_record(state, out))?;
        self.records += 1;
        Ok(())
    }

    /// Finishes the message; `None` if it is empty. `clock` is the Export Time.
    ///
    /// ```text
    /// | Version (10)      | Length            |   RFC 7011 section 3.1
    /// | Export Time, seconds since the epoch  |
    /// | Sequence Number                       |
    /// | Observation Domain ID                 |
    /// ```
    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(std::mem::take(&mut self.records));
        self.builder.finish(|out, length| {
            out.put16(VERSION);
            out.put16(length);
            out.put32(saturate32(clock.as_millis() / 1000));
            out.put32(sequence);
            out.put32(self.observation_domain_id);
        })
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

    /// A new transport session begins: its sequence starts from 0.
    fn begin_session(&mut self) {
        self.sequence = 0;
    }
}
