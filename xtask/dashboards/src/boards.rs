//! The description of all panels.

use super::panel::Group::{Filters, Histogram, Places, Terms, Time};
use super::panel::Measure::{Change, Count, Distinct, Max, Percentile95, Sum};
use super::panel::{Board, Group, Measure, Panel, Shape, Source};

/// All dashboards.
pub static BOARDS: &[Board] = &[
    Board { id: "traffic", title: "flowprobe: traffic", panels: TRAFFIC },
    Board { id: "attacks", title: "flowprobe: attacks", panels: ATTACKS },
    Board { id: "places", title: "flowprobe: incidents and places", panels: PLACES },
];

const BYTES: Measure = Sum("network.bytes");
const PACKETS: Measure = Sum("network.packets");
const SYN_ONLY: &str = "network.transport:tcp AND netflow.tcp_control_bits:2";
const DNS: &str = "network.transport:udp AND (source.port:53 OR destination.port:53)";
const NTP: &str = "network.transport:udp AND (source.port:123 OR destination.port:123)";
const OTHER_UDP: &str = "network.transport:udp AND NOT source.port:(53 OR 123) AND NOT \
     destination.port:(53 OR 123)";
const PRIVATE_SOURCE: &str = "source.ip:(\"10.0.0.0/8\" OR \"172.16.0.0/12\" OR \
     \"192.168.0.0/16\") AND NOT destination.ip:(\"10.0.0.0/8\" OR \"172.16.0.0/12\" OR \
     \"192.168.0.0/16\" OR \"224.0.0.0/4\")";
const REFLECTORS: &str = "network.transport:udp AND source.port:(17 OR 19 OR 53 OR 111 OR 123 OR \
     137 OR 161 OR 389 OR 1900 OR 11211)";
const P2P: &str = "(network.transport:tcp AND destination.port:4662) OR (network.transport:udp \
     AND destination.port:4672)";
const CODE_RED: &str = "network.transport:tcp AND destination.port:80 AND network.packets:3 AND \
     network.bytes:144";

/// The kinds of traffic that floods are made of.
const SPIKES: Group = Filters(&[
    ("DNS", DNS),
    ("NTP", NTP),
    ("SYN only", SYN_ONLY),
    ("other UDP", OTHER_UDP),
    ("ICMP", "network.transport:icmp"),
]);

const WORMS: Group = Filters(&[
    ("tcp/445", "network.transport:tcp AND destination.port:445"),
    ("udp/1434", "network.transport:udp AND destination.port:1434"),
    ("tcp/25", "network.transport:tcp AND destination.port:25"),
    ("Code Red", CODE_RED),
]);

const ICMP_TYPES: Group = Filters(&[
    ("network unreachable (768)", "netflow.icmp_type_code_ipv4:768"),
    ("host unreachable (769)", "netflow.icmp_type_code_ipv4:769"),
    ("port unreachable (771)", "netflow.icmp_type_code_ipv4:771"),
    ("echo (2048)", "netflow.icmp_type_code_ipv4:2048"),
]);

/// A panel of flows.
const fn flows(
    id: &'static str,
    title: &'static str,
    query: &'static str,
    groups: &'static [Group],
    measures: &'static [Measure],
    shape: Shape,
) -> Panel {
    Panel { id, title, source: Source::Flows, query, groups, measures, shape }
}

/// A panel of incidents.
const fn alerts(
    id: &'static str,
    title: &'static str,
    groups: &'static [Group],
    measures: &'static [Measure],
    shape: Shape,
) -> Panel {
    Panel { id, title, source: Source::Alerts, query: OPENED, groups, measures, shape }
}

/// An incident is counted once.
const OPENED: &str = "event.action:*-opened";

const TRAFFIC: &[Panel] = &[
    flows(
        "counts",
        "Flows, hosts, exporters",
        "",
        &[],
        &[Count, Distinct("source.ip"), Distinct("destination.ip"), Distinct("agent.name")],
        Shape::Numbers,
    ),
    flows("throughput", "Octets and packets", "", &[Time], &[BYTES, PACKETS], Shape::Lines),
    flows("change", "Change of octets", "", &[Time], &[Change("network.bytes")], Shape::Lines),
    flows(
        "transports",
        "Octets by transport",
        "",
        &[Time, Terms("network.transport", 10)],
        &[BYTES],
        Shape::Areas,
    ),
    flows(
        "versions",
        "IP version and transport",
        "",
        &[Terms("network.type", 5), Terms("network.transport", 10)],
        &[BYTES, Count],
        Shape::Table,
    ),
    flows(
        "direction",
        "Octets by direction",
        "",
        &[Time, Terms("network.direction", 7)],
        &[BYTES],
        Shape::Areas,
    ),
    flows(
        "sources",
        "Top talkers: sources",
        "",
        &[Terms("source.ip", 20)],
        &[BYTES, PACKETS, Count],
        Shape::Table,
    ),
    flows(
        "destinations",
        "Top talkers: destinations",
        "",
        &[Terms("destination.ip", 20)],
        &[BYTES, PACKETS, Count],
        Shape::Table,
    ),
    flows(
        "sessions",
        "Top talkers by sessions",
        "",
        &[Terms("source.ip", 20)],
        &[Count, Distinct("destination.ip"), Distinct("destination.port")],
        Shape::Table,
    ),
    flows(
        "conversations",
        "Conversations",
        "",
        &[Terms("source.ip", 10), Terms("destination.ip", 5)],
        &[BYTES, PACKETS],
        Shape::Table,
    ),
    flows(
        "heavy",
        "Heaviest flows",
        "",
        &[Terms("network.community_id", 20), Terms("source.ip", 1), Terms("destination.ip", 1)],
        &[BYTES, Max("event.duration")],
        Shape::Table,
    ),
    flows(
        "ports",
        "Octets by destination port",
        "",
        &[Time, Terms("destination.port", 10)],
        &[BYTES],
        Shape::Areas,
    ),
    flows(
        "flags",
        "TCP flags",
        "network.transport:tcp",
        &[Terms("netflow.tcp_control_bits", 20)],
        &[Count, PACKETS],
        Shape::Table,
    ),
    flows("vlans", "VLANs", "", &[Terms("network.vlan.id", 20)], &[BYTES, Count], Shape::Table),
    flows(
        "interfaces",
        "Interfaces",
        "",
        &[Terms("netflow.ingress_interface", 20)],
        &[BYTES, Count],
        Shape::Table,
    ),
    flows(
        "exporters",
        "Exporters",
        "",
        &[Terms("agent.name", 20)],
        &[Count, BYTES, Max("event.end")],
        Shape::Table,
    ),
    flows(
        "reasons",
        "Why flows ended",
        "",
        &[Terms("netflow.flow_end_reason", 6)],
        &[Count],
        Shape::Bars,
    ),
    flows(
        "sizes",
        "Packets of a flow",
        "",
        &[Histogram("network.packets", 10)],
        &[Count],
        Shape::Bars,
    ),
    flows(
        "percentiles",
        "Duration and octets of nearly all flows",
        "",
        &[Time],
        &[Percentile95("event.duration"), Percentile95("network.bytes")],
        Shape::Lines,
    ),
];

const ATTACKS: &[Panel] = &[
    flows("spikes", "DDoS board: packets", "", &[Time, SPIKES], &[PACKETS], Shape::Lines),
    flows("spike-bytes", "DDoS board: octets", "", &[Time, SPIKES], &[BYTES], Shape::Lines),
    flows(
        "syn-targets",
        "SYN-flood targets",
        SYN_ONLY,
        &[Terms("destination.ip", 20)],
        &[Distinct("source.ip"), PACKETS],
        Shape::Table,
    ),
    flows(
        "syn-scanners",
        "SYN-only scanners: hosts",
        SYN_ONLY,
        &[Terms("source.ip", 20)],
        &[Distinct("destination.ip"), Count],
        Shape::Table,
    ),
    flows(
        "port-scanners",
        "SYN-only scanners: ports",
        SYN_ONLY,
        &[Terms("source.ip", 20)],
        &[Distinct("destination.port"), Distinct("destination.ip")],
        Shape::Table,
    ),
    flows(
        "dns-participation",
        "DNS DDoS participation",
        "network.transport:udp AND destination.port:53",
        &[Terms("destination.ip", 20)],
        &[PACKETS, Distinct("source.ip")],
        Shape::Table,
    ),
    flows(
        "reflection",
        "Reflection: service and victim",
        REFLECTORS,
        &[Terms("source.port", 10), Terms("destination.ip", 5)],
        &[BYTES, Distinct("source.ip")],
        Shape::Table,
    ),
    flows(
        "spoofed",
        "Private sources to public destinations",
        PRIVATE_SOURCE,
        &[Terms("netflow.ingress_interface", 10), Terms("source.ip", 10)],
        &[PACKETS],
        Shape::Table,
    ),
    flows(
        "worms",
        "Worm ports",
        "",
        &[WORMS, Terms("source.ip", 10)],
        &[Distinct("destination.ip"), Count],
        Shape::Table,
    ),
    flows("code-red", "Code Red", CODE_RED, &[Terms("source.ip", 20)], &[Count], Shape::Table),
    flows(
        "mail",
        "Mail senders",
        "network.transport:tcp AND destination.port:25",
        &[Terms("source.ip", 20)],
        &[Distinct("destination.ip"), Count],
        Shape::Table,
    ),
    flows(
        "p2p",
        "eDonkey",
        P2P,
        &[Terms("source.ip", 20)],
        &[BYTES, Distinct("destination.ip")],
        Shape::Table,
    ),
    flows(
        "icmp",
        "ICMP: unreachable and echo",
        "",
        &[ICMP_TYPES, Terms("source.ip", 10)],
        &[PACKETS],
        Shape::Table,
    ),
    flows("tags", "Flows by tag", "tags:*", &[Time, Terms("tags", 20)], &[Count], Shape::Bars),
    flows(
        "tag-sources",
        "Tags and sources",
        "tags:*",
        &[Terms("tags", 20), Terms("source.ip", 5)],
        &[Count, BYTES],
        Shape::Table,
    ),
];

const PLACES: &[Panel] = &[
    alerts("rules", "Incidents by rule", &[Time, Terms("rule.id", 20)], &[Count], Shape::Bars),
    alerts(
        "severities",
        "Incidents by severity",
        &[Terms("event.severity", 4), Terms("rule.name", 20)],
        &[Count],
        Shape::Table,
    ),
    alerts(
        "incidents",
        "Incidents",
        &[Terms("event.id", 50), Terms("event.reason", 1)],
        &[Max("event.severity"), Max("@timestamp")],
        Shape::Table,
    ),
    alerts(
        "incident-sources",
        "Incidents by source",
        &[Terms("source.ip", 20)],
        &[Count, Max("event.severity")],
        Shape::Table,
    ),
    flows(
        "source-countries",
        "Source countries",
        "",
        &[Terms("source.geo.country_name", 20)],
        &[BYTES, Count],
        Shape::Table,
    ),
    flows(
        "destination-countries",
        "Destination countries",
        "",
        &[Terms("destination.geo.country_name", 20)],
        &[BYTES, Count],
        Shape::Table,
    ),
    flows(
        "source-as",
        "Source autonomous systems",
        "",
        &[Terms("source.as.organization.name", 20)],
        &[BYTES, Count],
        Shape::Table,
    ),
    flows(
        "destination-as",
        "Destination autonomous systems",
        "",
        &[Terms("destination.as.number", 20)],
        &[BYTES, Count],
        Shape::Table,
    ),
    flows(
        "source-map",
        "Map of sources",
        "",
        &[Places("source.geo.location")],
        &[BYTES],
        Shape::Map,
    ),
    flows(
        "destination-map",
        "Map of destinations",
        "",
        &[Places("destination.geo.location")],
        &[BYTES],
        Shape::Map,
    ),
];
