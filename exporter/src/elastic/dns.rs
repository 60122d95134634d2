//! The index template of DNS transactions, which have their own documents.

use serde_json::Value;

use super::target::dns_stream;
use super::template::{DNS_FIELDS, Fields, properties, template};

/// Each type with the fields of transactions that have it besides [`DNS_FIELDS`], named as in the
/// Elastic Common Schema.
const FIELDS: &Fields = &[
    ("constant_keyword", &["data_stream.dataset", "data_stream.namespace", "data_stream.type"]),
    ("date", &["@timestamp", "event.end", "event.start"]),
    ("geo_point", &["destination.geo.location", "source.geo.location"]),
    ("ip", &["client.ip", "destination.ip", "related.ip", "server.ip", "source.ip"]),
    (
        "keyword",
        &[
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
    template(&dns_stream("*"), properties(&[FIELDS, DNS_FIELDS]), "DNS transactions of flowprobe")
}
