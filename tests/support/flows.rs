//! Flows, read from the documents of the `json:` output.

use serde_json::Value;

use super::Run;
use super::time::millis;

/// The fields of the document of a flow. A missing field is 0 or an empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    pub source: String,
    pub destination: String,
    pub source_port: u64,
    pub destination_port: u64,
    pub protocol: u64,
    pub type_of_service: u64,
    pub interface: u64,
    /// Milliseconds since the epoch.
    pub start: u64,
    pub end: u64,
    pub packets: u64,
    pub octets: u64,
    pub flags: u64,
    pub vlan: u64,
    /// Minimum and maximum.
    pub ttl: (u64, u64),
    pub end_reason: u64,
    /// As the document has it.
    pub tunnel: String,
}

impl Flow {
    /// Reads a document.
    pub fn of(document: &Value) -> Self {
        let netflow = &document["netflow"];
        let number = |key: &str| netflow[key].as_u64().unwrap_or_default();
        let time = |key: &str| millis(netflow[key].as_str().expect("a document has its times"));
        let address = |side: &str| document[side]["ip"].as_str().unwrap_or_default().to_owned();
        Self {
            source: address("source"),
            destination: address("destination"),
            source_port: number("source_transport_port"),
            destination_port: number("destination_transport_port"),
            protocol: number("protocol_identifier"),
            type_of_service: number("ip_class_of_service"),
            interface: number("ingress_interface"),
            start: time("flow_start_milliseconds"),
            end: time("flow_end_milliseconds"),
            packets: number("packet_delta_count"),
            octets: number("octet_delta_count"),
            flags: number("tcp_control_bits"),
            vlan: number("vlan_id"),
            ttl: (number("minimum_ttl"), number("maximum_ttl")),
            end_reason: number("flow_end_reason"),
            tunnel: match &document["flowprobe"]["tunnel"] {
                Value::Null => String::new(),
                tunnel => tunnel.to_string(),
            },
        }
    }

    /// The ports, and the protocol between them.
    pub fn ports(&self) -> (u64, u64, u64) {
        (self.source_port, self.protocol, self.destination_port)
    }

    /// Packets, octets, start, end, end reason.
    pub fn counts(&self) -> (u64, u64, u64, u64, u64) {
        (self.packets, self.octets, self.start, self.end, self.end_reason)
    }
}

/// The flows of documents, in their order.
pub fn flows(documents: &[u8]) -> Vec<Flow> {
    super::documents(documents).iter().map(Flow::of).collect()
}

impl Run {
    /// The flows on standard output, in the order of output.
    pub fn flows(&self) -> Vec<Flow> {
        flows(&self.stdout)
    }

    /// The flows, in an order that does not depend on the time of output.
    pub fn sorted_flows(&self) -> Vec<Flow> {
        let mut flows = self.flows();
        flows.sort();
        flows
    }
}
