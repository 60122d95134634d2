//! The index template: a type for each field that documents can have.

use element::Form;
use serde_json::{Map, Value, json};

use super::target::flow_stream;
use crate::json::elements;

/// Each type of Elasticsearch and OpenSearch with the fields of documents that have it. Elements in
/// the `netflow` object are not listed: their types follow from their forms.
const FIELDS: &Fields = &[
    (
        "date",
        &["@timestamp", "event.created", "event.end", "event.start", "netflow.exporter.timestamp"],
    ),
    ("constant_keyword", &["data_stream.dataset", "data_stream.namespace", "data_stream.type"]),
    ("geo_point", &["destination.geo.location", "source.geo.location"]),
    (
        "ip",
        &[
            "client.ip",
            "destination.ip",
            "flowprobe.tunnel.destination.ip",
            "flowprobe.tunnel.source.ip",
            "observer.ip",
            "related.ip",
            "server.ip",
            "source.ip",
        ],
    ),
    (
        "keyword",
        &[
            "agent.id",
            "agent.name",
            "agent.type",
            "agent.version",
            "destination.as.organization.name",
            "destination.geo.city_name",
            "destination.geo.continent_code",
            "destination.geo.continent_name",
            "destination.geo.country_iso_code",
            "destination.geo.country_name",
            "destination.geo.name",
            "destination.geo.region_iso_code",
            "destination.geo.region_name",
            "destination.domain",
            "destination.locality",
            "ecs.version",
            "event.action",
            "event.category",
            "event.dataset",
            "event.id",
            "event.kind",
            "event.module",
            "event.type",
            "flow.id",
            "flow.locality",
            "flowprobe.destination.network.name",
            "flowprobe.destination.network.role",
            "flowprobe.protocol",
            "flowprobe.quic.version",
            "flowprobe.source.network.name",
            "flowprobe.source.network.role",
            "flowprobe.tls.alpn_offered",
            "flowprobe.tls.version_offered",
            "flowprobe.tunnel.type",
            "http.request.method",
            "http.request.referrer",
            "http.version",
            "input.type",
            "netflow.egress_vrf_name",
            "netflow.exporter.address",
            "netflow.ingress_vrf_name",
            "netflow.type",
            "network.application",
            "network.community_id",
            "network.direction",
            "network.iana_number",
            "network.inner.vlan.id",
            "network.protocol",
            "network.transport",
            "network.type",
            "network.vlan.id",
            "observer.egress.interface.alias",
            "observer.egress.interface.id",
            "observer.egress.interface.name",
            "observer.hostname",
            "observer.ingress.interface.alias",
            "observer.ingress.interface.id",
            "observer.ingress.interface.name",
            "observer.name",
            "observer.product",
            "observer.type",
            "observer.vendor",
            "observer.version",
            "related.hash",
            "related.hosts",
            "server.domain",
            "source.as.organization.name",
            "source.geo.city_name",
            "source.geo.continent_code",
            "source.geo.continent_name",
            "source.geo.country_iso_code",
            "source.geo.country_name",
            "source.geo.name",
            "source.geo.region_iso_code",
            "source.geo.region_name",
            "source.locality",
            "tags",
            "tls.cipher",
            "tls.client.ja3",
            "tls.client.ja4",
            "tls.client.server_name",
            "tls.next_protocol",
            "tls.version",
            "tls.version_protocol",
            "url.domain",
            "url.path",
            "user_agent.original",
        ],
    ),
    (
        "long",
        &[
            "destination.as.number",
            "client.bytes",
            "client.packets",
            "client.port",
            "destination.port",
            "event.duration",
            "event.sequence",
            "flowprobe.dns.errors",
            "flowprobe.dns.queries",
            "flowprobe.dns.responses",
            "flowprobe.http.requests",
            "flowprobe.tls.hellos",
            "flowprobe.tunnel.depth",
            "flowprobe.tunnel.id",
            "http.response.status_code",
            "netflow.exporter.source_id",
            "netflow.exporter.uptime_millis",
            "netflow.exporter.version",
            "netflow.sampling_interval",
            "network.bytes",
            "network.packets",
            "server.bytes",
            "server.packets",
            "server.port",
            "source.as.number",
            "source.bytes",
            "source.packets",
            "source.port",
            "url.port",
        ],
    ),
    ("boolean", &["flowprobe.scaled", "flowprobe.tls.ech"]),
];

/// As [`FIELDS`], for a DNS question and its answer.
pub(super) const DNS_FIELDS: &Fields = &[
    ("ip", &["dns.resolved_ip"]),
    (
        "keyword",
        &[
            "dns.answers.class",
            "dns.answers.data",
            "dns.answers.name",
            "dns.answers.type",
            "dns.header_flags",
            "dns.id",
            "dns.op_code",
            "dns.question.class",
            "dns.question.name",
            "dns.question.registered_domain",
            "dns.question.subdomain",
            "dns.question.top_level_domain",
            "dns.question.type",
            "dns.response_code",
            "dns.type",
        ],
    ),
    ("long", &["dns.answers.ttl", "dns.answers_count"]),
];

/// The composable index template of the data streams `logs-netflow.log-*`. Its priority is above
/// that of Elasticsearch's own template for logs (100), and below that of Elastic's NetFlow
/// integration (200). Other fields are kept and not indexed.
pub fn index_template() -> Value {
    let mut properties = properties(&[FIELDS, DNS_FIELDS]);
    for element in elements() {
        let field = format!("netflow.{}", element.key());
        insert(&mut properties, &field, kind_of(element.form()));
    }
    template(&flow_stream("*"), properties, "Documents of flowprobe")
}

/// Each type with the fields that have it.
pub(super) type Fields = [(&'static str, &'static [&'static str])];

/// The mapping of the fields of some lists.
pub(super) fn properties(lists: &[&Fields]) -> Map<String, Value> {
    let mut properties = Map::new();
    for (kind, fields) in lists.iter().copied().flatten() {
        fields.iter().for_each(|field| insert(&mut properties, field, kind));
    }
    properties
}

/// The template of data streams with these fields.
pub(super) fn template(streams: &str, properties: Map<String, Value>, description: &str) -> Value {
    json!({
        "index_patterns": [streams],
        "data_stream": {},
        "priority": 150,
        "template": {
            "settings": {"index": {"codec": "best_compression", "refresh_interval": "5s"}},
            "mappings": {"dynamic": false, "properties": properties},
        },
        "_meta": {"description": description},
    })
}

/// The type of an element's values. Numeric types are signed.
fn kind_of(form: Form) -> &'static str {
    match form {
        Form::Unsigned8 => "short",
        Form::Unsigned16 => "integer",
        Form::Unsigned32 | Form::Unsigned64 => "long",
        Form::Ipv4Address | Form::Ipv6Address => "ip",
        Form::DateTimeMilliseconds | Form::DateTimeSeconds | Form::DateTimeNtp => "date",
        Form::Float64 => "double",
        Form::String | Form::MacAddress | Form::Octets16 | Form::Octets => "keyword",
    }
}

/// Inserts a field, and the objects that contain it.
fn insert(properties: &mut Map<String, Value>, field: &str, kind: &str) {
    match field.split_once('.') {
        None => {
            properties.insert(field.to_owned(), json!({"type": kind}));
        }
        Some((object, rest)) => {
            let object = properties.entry(object).or_insert_with(|| json!({"properties": {}}));
            if let Some(Value::Object(inner)) = object.get_mut("properties") {
                insert(inner, rest, kind);
            }
        }
    }
}
