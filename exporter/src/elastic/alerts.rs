//! The index template of alerts, which have their own documents.

use serde_json::Value;

use super::target::alert_stream;
use super::template::{Fields, properties, template};

/// Each type with the fields of alerts that have it, named as in the Elastic Common Schema.
const FIELDS: &Fields = &[
    ("boolean", &["flowprobe.alert.complete"]),
    ("constant_keyword", &["data_stream.dataset", "data_stream.namespace", "data_stream.type"]),
    ("date", &["@timestamp", "event.end", "event.start"]),
    ("float", &["event.risk_score"]),
    ("geo_point", &["destination.geo.location", "source.geo.location"]),
    ("ip", &["destination.ip", "related.ip", "source.ip"]),
    (
        "keyword",
        &[
            "destination.as.organization.name",
            "destination.geo.country_iso_code",
            "destination.geo.country_name",
            "ecs.version",
            "event.action",
            "event.category",
            "event.dataset",
            "event.id",
            "event.kind",
            "event.module",
            "event.reason",
            "event.type",
            "flowprobe.alert.unit",
            "network.transport",
            "observer.hostname",
            "observer.name",
            "observer.product",
            "observer.type",
            "observer.vendor",
            "observer.version",
            "rule.category",
            "rule.description",
            "rule.id",
            "rule.name",
            "rule.ruleset",
            "rule.version",
            "source.as.organization.name",
            "source.geo.country_iso_code",
            "source.geo.country_name",
            "tags",
            "threat.framework",
            "threat.tactic.id",
            "threat.tactic.name",
            "threat.tactic.reference",
            "threat.technique.id",
            "threat.technique.name",
            "threat.technique.reference",
            "threat.technique.subtechnique.id",
            "threat.technique.subtechnique.name",
            "threat.technique.subtechnique.reference",
        ],
    ),
    (
        "long",
        &[
            "destination.as.number",
            "destination.port",
            "event.duration",
            "event.severity",
            "flowprobe.alert.baseline",
            "flowprobe.alert.count",
            "flowprobe.alert.evicted",
            "flowprobe.alert.flows",
            "flowprobe.alert.ports",
            "flowprobe.alert.sources",
            "flowprobe.alert.targets",
            "flowprobe.alert.threshold",
            "flowprobe.alert.value",
            "network.bytes",
            "network.packets",
            "source.as.number",
            "source.port",
        ],
    ),
    ("text", &["message"]),
];

/// The composable index template of the data streams `logs-flowprobe.alert-*`. Its priority is
/// equal to that of the template of flows.
pub fn alert_template() -> Value {
    template(&alert_stream("*"), properties(&[FIELDS]), "Alerts of flowprobe")
}
