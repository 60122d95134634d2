//! The index template of DNS transactions, which have their own documents.

use serde_json::Value;

use super::target::dns_stream;
use super::template::{Fields, properties, template};

/// Each type with the fields of transactions that have it, named as in the Elastic Common Schema.
const FIELDS: &Fields = &[
    ("constant_keyword", &["data_stream.dataset", "data_stream.namespace", "data_stream.type"]),
    ("date", &["@timestamp", "event.end", "event.start"]),
    ("geo_point", &["destination.geo.location", "source.geo.location"]),
    (
        "ip",
        &["client.ip", "destination.ip", "dns.resolved_ip", "related.ip", "server.ip", "source.ip"],
    ),
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
            "ecs.version",
            "event.category",
            "event.dataset",
            "event.kind",
            "event.module",
            "event.outcome",
            "event.type",
            "network.protocol",
            "network.transport",
            "network.type",
            "observer.name",
            "observer.product",
            "observer.type",
            "observer.vendor",
            "observer.version",
            "related.hosts",
            "tags",
        ],
    ),
    (
        "long",
        &[
            "client.port",
            "destination.port",
            "dns.answers.ttl",
            "dns.answers_count",
            "event.duration",
            "flowprobe.dns.queries",
            "server.port",
            "source.port",
        ],
    ),
];

/// The composable index template of the data streams `logs-flowprobe.dns-*`. Its priority is equal
/// to that of the template of flows.
pub fn dns_template() -> Value {
    template(&dns_stream("*"), properties(FIELDS), "DNS transactions of flowprobe")
}
