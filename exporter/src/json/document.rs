//! The document of a flow: ECS fields and the fields of Elastic's NetFlow integration, named as in
//! Filebeat's netflow input. Dashboards for these show flowprobe's documents.
//!
//! In contrast to Filebeat, `event.start`, `event.end` and `event.duration` are always set. A field
//! that is not in the flow key is absent, and so is a value that a record does not have.

use std::collections::HashMap;
use std::sync::Arc;

use element::{Element, Flow, UptimeBase};
use flow::number::{protocol, tcp_control};
use flow::{
    Collected, Details, Facts, FlowDirection, FlowEndReason, FlowRecord, Initiator, IpVersion,
    KeyField, KeyFields, NetworkSet, Origin, Tags,
};

use super::address::{Perimeter, Side, Sides};
use super::collected;
use super::exporter::{ExporterTexts, Program};
use super::facts::{put_facts, put_tls};
use super::member::{json_string, put_comma, put_number, put_string, put_text};
use super::netflow::NetflowObject;
use super::own::put_own_fields;
use super::place::put_place;
use super::related::put_related;
use super::settings::{DocumentSettings, Fields};
use super::time::TimeWriter;
use crate::conversation_id::{put_community_id, put_flow_id};
use crate::exporter::Interface;

#[derive(Debug)]
pub(super) struct DocumentWriter {
    /// Text between `@timestamp` and the times of the event.
    head: Vec<u8>,
    /// The same of a conversation of which the exporter knows who began it.
    session_head: Vec<u8>,
    program: Program,
    /// The texts of this program.
    own: ExporterTexts,
    /// The exporter of the records, if it is not this program.
    origin: Option<(Arc<flow::Exporter>, ExporterTexts)>,
    fields: Fields,
    geo: bool,
    /// Fields of the flow key of this program, and of the next record.
    own_key: KeyFields,
    key: KeyFields,
    perimeter: Perimeter,
    sampling_interval: u32,
    /// `event.id` up to the number of the document.
    id: Option<Vec<u8>>,
    sequence: u64,
    time: TimeWriter,
    /// Names of interfaces as JSON strings.
    interfaces: HashMap<u32, Vec<u8>>,
}

impl DocumentWriter {
    pub(super) fn new(settings: DocumentSettings) -> Self {
        let program = Program::new(&settings.name, &settings.version);
        let own = ExporterTexts::own(&program, settings.observation_domain_id);
        let namespace = json_string(&settings.namespace);
        let head = format!(
            r#","ecs":{{"version":"8.11.0"}},"data_stream":{{"type":"logs","dataset":"netflow.log","namespace":{namespace}}},"input":{{"type":"netflow"}},"event":{{"kind":"event","category":["network"],"action":"netflow_flow","dataset":"netflow.log","module":"netflow","type":["connection""#
        );
        let session = head.replace(r#"["network"]"#, r#"["network","session"]"#);
        Self {
            head: head.into_bytes(),
            session_head: session.into_bytes(),
            program,
            own,
            origin: None,
            fields: settings.fields,
            geo: settings.geo,
            own_key: settings.key,
            key: settings.key,
            perimeter: Perimeter::new(settings.local_networks),
            sampling_interval: settings.sampling_interval,
            id: settings.id_prefix.map(|prefix| format!(r#","id":"{prefix}"#).into_bytes()),
            sequence: 0,
            time: TimeWriter::default(),
            interfaces: HashMap::new(),
        }
    }

    /// Changes the networks inside the perimeter.
    pub(super) fn set_local_networks(&mut self, networks: NetworkSet) {
        self.perimeter = Perimeter::new(networks);
    }

    /// Learns the names of interfaces. The first name of a number stays.
    pub(super) fn learn_interfaces(&mut self, interfaces: &Arc<[Interface]>) {
        if interfaces.len() > self.interfaces.len() {
            for interface in interfaces.iter() {
                let name = || json_string(&interface.name).into_bytes();
                self.interfaces.entry(interface.number).or_insert_with(name);
            }
        }
    }

    /// Learns whose records follow.
    pub(super) fn begin_batch(&mut self, origin: &Origin) {
        let Origin::Exporter(exporter) = origin else {
            (self.origin, self.key) = (None, self.own_key);
            return;
        };
        if self.origin.as_ref().is_none_or(|(known, _)| known != exporter) {
            let texts = ExporterTexts::collected(exporter, &self.program);
            self.origin = Some((Arc::clone(exporter), texts));
        }
    }

    /// The texts that name the exporter of the next record.
    fn texts(&self) -> &ExporterTexts {
        self.origin.as_ref().map_or(&self.own, |(_, texts)| texts)
    }

    /// Appends the document of a flow, without a line end.
    pub(super) fn put(
        &mut self,
        record: &FlowRecord,
        details: Option<&Details>,
        out: &mut Vec<u8>,
    ) {
        let collected = details.and_then(|details| details.collected.as_deref());
        if let Some(collected) = collected {
            self.key = collected.key;
        }
        let sides = Sides::new(&record.key, self.key, &self.perimeter);
        let uptime_base = UptimeBase::default();
        let flow = Flow { record, details, exporter: None, uptime_base };
        out.extend_from_slice(br#"{"@timestamp":""#);
        self.time.put(record.end, out);
        out.push(b'"');
        let initiator = collected.map_or(Initiator::Unknown, |collected| collected.initiator);
        self.put_event(record, initiator, out);
        self.put_observer(record, collected, out);
        self.put_side(&sides, Side::Source, flow, out);
        self.put_side(&sides, Side::Destination, flow, out);
        self.put_parties(&sides, record, initiator, out);
        self.put_network(&sides, flow, out);
        put_tags(record.tags, out);
        if let Some(details) = details {
            let facts = details.facts.as_deref();
            put_tls(facts, details.server_name.as_deref(), out);
            facts.iter().for_each(|facts| put_facts(facts, out));
        }
        self.put_netflow(&sides, flow, out);
        put_own_fields(flow, self.texts().protocol, out);
        out.push(b'}');
        self.sequence += 1;
    }

    fn put_event(&mut self, record: &FlowRecord, initiator: Initiator, out: &mut Vec<u8>) {
        let is_session = initiator != Initiator::Unknown;
        out.extend_from_slice(if is_session { &self.session_head } else { &self.head });
        if record.tcp_control_bits & tcp_control::SYN != 0 {
            out.extend_from_slice(br#","start""#);
        }
        if matches!(record.end_reason, FlowEndReason::IdleTimeout | FlowEndReason::EndOfFlow) {
            out.extend_from_slice(br#","end""#);
        }
        for (label, time) in [
            (&br#"],"start":""#[..], record.start),
            (br#"","end":""#, record.end),
            (br#"","created":""#, record.exported),
        ] {
            out.extend_from_slice(label);
            self.time.put(time, out);
        }
        let duration_ms = record.end.millis_since(record.start);
        put_number(out, br#"","duration":"#, duration_ms * 1_000_000);
        put_number(out, br#","sequence":"#, self.sequence);
        if let Some(id) = &self.id {
            put_number(out, id, self.sequence);
            out.push(b'"');
        }
        out.extend_from_slice(&self.texts().agent);
    }

    fn put_observer(&self, record: &FlowRecord, collected: Option<&Collected>, out: &mut Vec<u8>) {
        if let Some(collected) = collected {
            collected::put_interfaces(collected, record.direction, out);
        } else if self.key.contains(KeyField::Interface) {
            let interface = record.key.interface;
            let label = match record.direction {
                FlowDirection::Ingress => &br#","ingress":{"interface":{"id":""#[..],
                FlowDirection::Egress => br#","egress":{"interface":{"id":""#,
            };
            put_number(out, label, interface);
            out.push(b'"');
            if let Some(name) = self.interfaces.get(&interface) {
                out.extend_from_slice(br#","name":"#);
                out.extend_from_slice(name);
            }
            out.extend_from_slice(b"}}");
        }
        out.push(b'}');
    }

    fn put_side(&self, sides: &Sides, side: Side, flow: Flow<'_>, out: &mut Vec<u8>) {
        let (label, place) = match side {
            Side::Source => (&br#","source":{"#[..], flow.source()),
            Side::Destination => (&br#","destination":{"#[..], flow.destination()),
        };
        out.extend_from_slice(label);
        if let Some(address) = sides.of(side) {
            put_text(out, br#""ip":""#, address.text());
            put_text(out, br#"","locality":""#, address.locality());
            out.push(b'"');
        }
        self.put_behind_address(side, flow.record, out);
        if let Some(place) = place.filter(|_| self.geo) {
            put_place(place, out);
        }
        // The name that the client asks its server for.
        let named = flow.details.filter(|it| it.from_client && side == Side::Destination);
        let name = named.and_then(|details| details.server_name.as_deref());
        if let Some(name) = name {
            put_comma(out);
            put_string(out, br#""domain":"#, name);
            put_string(out, br#"},"server":{"domain":"#, name);
        }
        out.push(b'}');
    }

    /// The client and the server, if the exporter knows who began the conversation.
    fn put_parties(
        &self,
        sides: &Sides,
        record: &FlowRecord,
        initiator: Initiator,
        out: &mut Vec<u8>,
    ) {
        let labels = match initiator {
            Initiator::Unknown => return,
            Initiator::Source => [&br#","client":{"#[..], br#","server":{"#],
            Initiator::Destination => [&br#","server":{"#[..], br#","client":{"#],
        };
        for (label, side) in labels.into_iter().zip([Side::Source, Side::Destination]) {
            out.extend_from_slice(label);
            if let Some(address) = sides.of(side) {
                put_text(out, br#""ip":""#, address.text());
                out.push(b'"');
            }
            self.put_behind_address(side, record, out);
            out.push(b'}');
        }
    }

    /// Appends the port of a side, and the counts of what it sent: nothing for the destination.
    fn put_behind_address(&self, side: Side, record: &FlowRecord, out: &mut Vec<u8>) {
        let (field, port) = match side {
            Side::Source => (KeyField::SourcePort, record.key.source_port),
            Side::Destination => (KeyField::DestinationPort, record.key.destination_port),
        };
        if self.key.contains(field) {
            put_comma(out);
            put_number(out, br#""port":"#, port);
        }
        if side == Side::Source {
            put_comma(out);
            put_number(out, br#""bytes":"#, record.octets);
            put_number(out, br#","packets":"#, record.packets);
        }
    }

    fn put_network(&self, sides: &Sides, flow: Flow<'_>, out: &mut Vec<u8>) {
        let record = flow.record;
        let key = &record.key;
        let version = match key.ip_version {
            IpVersion::V4 => &br#","network":{"type":"ipv4""#[..],
            IpVersion::V6 => br#","network":{"type":"ipv6""#,
        };
        out.extend_from_slice(version);
        if self.key.contains(KeyField::Protocol) {
            put_transport(key.protocol, out);
            put_number(out, br#","iana_number":""#, key.protocol);
            out.push(b'"');
        }
        let facts = flow.facts();
        if let Some(protocol) = facts.and_then(Facts::protocol) {
            put_text(out, br#","protocol":""#, protocol.name().as_bytes());
            out.push(b'"');
        }
        flow.collected().iter().for_each(|it| collected::put_application(it, out));
        put_text(out, br#","direction":""#, sides.direction());
        out.push(b'"');
        if self.key.contains_five_tuple() {
            out.extend_from_slice(br#","community_id":""#);
            put_community_id(key, out);
            out.push(b'"');
        }
        put_number(out, br#","bytes":"#, record.octets);
        put_number(out, br#","packets":"#, record.packets);
        if record.vlan_id != 0 {
            put_number(out, br#","vlan":{"id":""#, record.vlan_id);
            out.extend_from_slice(br#""}"#);
        }
        if flow.inner_vlan_id() != 0 {
            put_number(out, br#","inner":{"vlan":{"id":""#, flow.inner_vlan_id());
            out.extend_from_slice(br#""}}"#);
        }
        out.extend_from_slice(br#"},"flow":{"id":""#);
        put_flow_id(key, self.key, flow.tunnel(), out);
        put_text(out, br#"","locality":""#, sides.locality());
        out.extend_from_slice(br#""}"#);
        if self.fields == Fields::Full {
            put_related(sides, facts, out);
        }
    }

    fn put_netflow(&mut self, sides: &Sides, flow: Flow<'_>, out: &mut Vec<u8>) {
        let collected = flow.details.and_then(|details| details.collected.as_deref());
        match self.fields {
            Fields::Full => {
                out.extend_from_slice(&self.texts().exporter);
                let exported = flow.record.exported;
                self.time.put(collected.map_or(exported, |it| it.export_time), out);
                out.push(b'"');
                if let Some(uptime_ms) = collected.and_then(|collected| collected.uptime_ms) {
                    put_number(out, br#","uptime_millis":"#, uptime_ms);
                }
                out.push(b'}');
            }
            Fields::Lean => out.extend_from_slice(br#","netflow":{"type":"netflow_flow""#),
        }
        let (key, fields, time) = (self.key, self.fields, &mut self.time);
        NetflowObject { flow, key, fields, sides, time, out }.put_elements();
        let interval = collected.map_or(self.sampling_interval, |it| it.sampling_interval);
        if interval > 1 {
            put_number(out, Element::SamplingInterval.label(), interval);
        }
        out.push(b'}');
    }
}

/// Appends the names of tags, if there are any.
fn put_tags(tags: Tags, out: &mut Vec<u8>) {
    if tags.is_empty() {
        return;
    }
    let mut label = &br#","tags":[""#[..];
    for tag in tags.iter() {
        put_text(out, label, tag.name().as_bytes());
        label = br#"",""#;
    }
    out.extend_from_slice(br#""]"#);
}

/// Writes the name for the four protocols that Filebeat names, and `unknown (N)` for others.
fn put_transport(protocol: u8, out: &mut Vec<u8>) {
    if let Some(name) = protocol::transport_name(protocol) {
        put_text(out, br#","transport":""#, name.as_bytes());
        out.push(b'"');
    } else {
        put_number(out, br#","transport":"unknown ("#, protocol);
        out.extend_from_slice(br#")""#);
    }
}
