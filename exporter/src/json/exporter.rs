//! The exporter of records, as documents name it: this program, or one whose flows it collects.

use flow::{Event, ExportProtocol, Exporter};

use super::member::json_string;

/// Name and version of this program, as JSON strings.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    version: String,
}

impl Program {
    pub(super) fn new(name: &str, version: &str) -> Self {
        Self { name: json_string(name), version: json_string(version) }
    }
}

/// Texts of documents that name the exporter of the record.
#[derive(Debug)]
pub(super) struct ExporterTexts {
    /// Text between the event and `observer.ingress`.
    pub(super) agent: Vec<u8>,
    /// Beginning of `netflow` and its `exporter`, up to the timestamp.
    pub(super) exporter: Vec<u8>,
    /// The protocol of an exporter whose flows this program collects.
    pub(super) protocol: Option<&'static str>,
}

impl ExporterTexts {
    /// The texts of this program, with this Observation Domain ID.
    pub(super) fn own(program: &Program, domain: u32) -> Self {
        Self {
            agent: agent(domain, &program.name, "", program),
            exporter: exporter(ExportProtocol::Ipfix.version(), domain, ""),
            protocol: None,
        }
    }

    /// The texts of an exporter whose flows this program collects.
    pub(super) fn collected(of: &Exporter, program: &Program) -> Self {
        let ip = of.address.ip().to_canonical().to_string();
        // Of an exporter behind a mediator, no port is known.
        let place = if of.address.port() == 0 { ip.clone() } else { of.address.to_string() };
        let name = json_string(of.name.as_deref().unwrap_or(&ip));
        let address = format!(r#","address":"{place}""#);
        Self {
            agent: agent(of.domain, &name, &format!(r#","ip":"{ip}""#), program),
            exporter: exporter(of.protocol.version(), of.domain, &address),
            protocol: Some(of.protocol.name()),
        }
    }
}

/// `agent` with this name, and `observer`, which is this program, with a member `ip` or none.
fn agent(domain: u32, name: &str, ip: &str, program: &Program) -> Vec<u8> {
    let Program { name: observer, version } = program;
    let (kind, product) = (Event::OBSERVER_TYPE, Event::PRODUCT);
    let agent = format!(
        r#""agent":{{"id":"{domain}","name":{name},"type":"{product}","version":{version}}}"#
    );
    let product = format!(r#""type":"{kind}","vendor":"{product}","product":"{product}""#);
    let observer = format!(r#""observer":{{"name":{observer},"hostname":{observer}{ip},{product}"#);
    format!(r#"}},{agent},{observer},"version":{version}"#).into_bytes()
}

/// `netflow.exporter` with the version of a protocol, and a member `address` or none.
fn exporter(version: u16, domain: u32, address: &str) -> Vec<u8> {
    let exporter = format!(r#""version":{version},"source_id":{domain}{address},"timestamp":""#);
    format!(r#","netflow":{{"type":"netflow_flow","exporter":{{{exporter}"#).into_bytes()
}
