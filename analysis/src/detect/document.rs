//! The document of an incident: ECS fields, and those of flowprobe.

use std::net::IpAddr;

use flow::number::protocol::transport_name;
use flow::words::grouped;
use flow::{Event, EventKind, Timestamp, Value};

use super::distinct::count_of_many;
use super::incident::{Action, Finding, Incident};
use super::rule::{Holds, Number, Rule, Severity, Threat, Told};
use super::subject::address;

/// Fields that all documents have in common, and the losses of the detectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    pub(super) observer: String,
    pub(super) version: String,
    /// Subjects of the rule that were evicted because there was no room.
    pub(super) evicted: u64,
    pub(super) window_s: u32,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Closed => "closed",
        }
    }
}

/// The document of one action of an incident.
pub(super) fn of_incident(
    rule: &Rule,
    incident: &Incident,
    action: Action,
    time: Timestamp,
    common: &Common,
) -> Event {
    let (peak, total) = (&incident.peak, &incident.total);
    let severity = if peak.is_inside { rule.severity_inside } else { rule.severity };
    let (start, end) = total.period();
    let reason = reason(rule, incident, common.window_s);
    let mut fields = of_event(rule, action.name(), severity);
    let id = format!("{:016x}", incident.id);
    let [start_time, end_time] = [start, end].map(|ms| Value::Time(Timestamp::from_millis(ms)));
    fields.extend([
        ("event.id", Value::Text(id)),
        ("event.start", start_time),
        ("event.end", end_time),
        ("event.duration", Value::Number(end.saturating_sub(start) * 1_000_000)),
        ("event.reason", Value::Text(reason.clone())),
        ("message", Value::Text(reason)),
    ]);
    fields.extend(of_rule(rule));
    fields.extend(of_threat(rule.threats[usize::from(peak.is_inside)]));
    fields.extend(of_subject(rule, incident));
    fields.extend(Event::observer(&common.observer, &common.version));
    fields.extend([
        ("network.packets", Value::Number(total.packets)),
        ("network.bytes", Value::Number(total.octets)),
    ]);
    fields.extend(of_measure(rule, incident, common));
    Event { kind: EventKind::Alert, time, fields }
}

/// The document of incidents beyond the limits.
pub(super) fn of_many(rule: &Rule, count: u64, time: Timestamp, common: &Common) -> Event {
    let name = rule.name.to_lowercase();
    let reason = format!("{count} more incidents of {}: {name}", rule.id);
    let mut fields = of_event(rule, "many", rule.severity);
    fields.push(("event.reason", Value::Text(reason.clone())));
    fields.push(("message", Value::Text(reason)));
    fields.extend(of_rule(rule));
    fields.extend(Event::observer(&common.observer, &common.version));
    fields.push(("flowprobe.alert.count", Value::Number(count)));
    Event { kind: EventKind::Alert, time, fields }
}

type Field = (&'static str, Value);

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn texts(list: &[&str]) -> Value {
    Value::List(list.iter().map(|one| text(one)).collect())
}

fn of_event(rule: &Rule, action: &str, severity: Severity) -> Vec<Field> {
    vec![
        ("event.category", texts(&["network", "intrusion_detection"])),
        ("event.type", texts(&["info"])),
        ("event.module", text("flowprobe")),
        ("event.dataset", text("flowprobe.alert")),
        ("event.action", Value::Text(format!("{}-{action}", rule.id))),
        ("event.severity", Value::Number(severity as u64)),
        ("event.risk_score", Value::Number(severity as u64)),
    ]
}

fn of_rule(rule: &Rule) -> [Field; 6] {
    [
        ("rule.id", text(rule.id)),
        ("rule.name", text(rule.name)),
        ("rule.category", text(rule.category)),
        ("rule.description", text(rule.meaning)),
        ("rule.version", text("1")),
        ("rule.ruleset", text("flowprobe")),
    ]
}

fn of_threat(threat: Option<&Threat>) -> Vec<Field> {
    let Some(threat) = threat else { return Vec::new() };
    let link = |path: &str| texts(&[&format!("https://attack.mitre.org/{path}/")]);
    let mut fields = vec![
        ("threat.framework", text("MITRE ATT&CK")),
        ("threat.tactic.id", texts(&[threat.tactic.0])),
        ("threat.tactic.name", texts(&[threat.tactic.1])),
        ("threat.tactic.reference", link(&format!("tactics/{}", threat.tactic.0))),
        ("threat.technique.id", texts(&[threat.technique.0])),
        ("threat.technique.name", texts(&[threat.technique.1])),
        ("threat.technique.reference", link(&format!("techniques/{}", threat.technique.0))),
    ];
    if let Some((id, name)) = threat.subtechnique {
        let path = format!("techniques/{}", id.replace('.', "/"));
        fields.extend([
            ("threat.technique.subtechnique.id", texts(&[id])),
            ("threat.technique.subtechnique.name", texts(&[name])),
            ("threat.technique.subtechnique.reference", link(&path)),
        ]);
    }
    fields
}

/// Addresses, port and protocol, as far as the subject has them.
fn of_subject(rule: &Rule, incident: &Incident) -> Vec<Field> {
    let (subject, total) = (&incident.peak.subject, &incident.total);
    let (source, destination) = (subject.source_address(), subject.destination_address());
    let mut fields = Vec::new();
    if let Some(address) = source {
        fields.push(("source.ip", Value::Address(address)));
    }
    let port = u16::try_from(subject.number).ok().filter(|&port| port > 0);
    let (source_port, destination_port) = match rule.number {
        Number::Port => (None, port.or_else(|| total.only_port())),
        Number::SourcePort => (port, None),
        Number::Interface | Number::Class => (None, None),
    };
    if let Some(port) = source_port {
        fields.push(("source.port", Value::Number(port.into())));
    }
    if let Some(address) = destination {
        fields.push(("destination.ip", Value::Address(address)));
    }
    if let Some(port) = destination_port {
        fields.push(("destination.port", Value::Number(port.into())));
    }
    if let Some(name) = transport_name(subject.protocol) {
        fields.push(("network.transport", text(name)));
    }
    let others = total.samples().iter().filter_map(|host| address(of_version(incident), *host));
    let mut related: Vec<IpAddr> = source.into_iter().chain(destination).chain(others).collect();
    related.sort();
    related.dedup();
    if !related.is_empty() {
        let related = related.into_iter().map(Value::Address).collect();
        fields.push(("related.ip", Value::List(related)));
    }
    fields
}

fn of_version(incident: &Incident) -> u8 {
    incident.peak.subject.version
}

fn of_measure(rule: &Rule, incident: &Incident, common: &Common) -> Vec<Field> {
    let (peak, total) = (&incident.peak, &incident.total);
    let mut fields = vec![
        ("flowprobe.alert.value", Value::Number(peak.value)),
        ("flowprobe.alert.threshold", Value::Number(peak.threshold)),
        ("flowprobe.alert.unit", text(rule.unit)),
        ("flowprobe.alert.flows", Value::Number(total.flows)),
    ];
    if let Some(baseline) = peak.baseline {
        fields.push(("flowprobe.alert.baseline", Value::Number(baseline)));
    }
    let name = match rule.holds {
        Holds::Nothing => None,
        Holds::Targets => Some("flowprobe.alert.targets"),
        Holds::Sources => Some("flowprobe.alert.sources"),
        Holds::Ports | Holds::Pairs => Some("flowprobe.alert.ports"),
    };
    if let Some(name) = name {
        let count = match rule.holds {
            Holds::Sources => count_of_many(&total.all(), &total.second()),
            // Ports of UDP are in the second set.
            Holds::Ports => total.all().count().max(peak.value),
            Holds::Nothing | Holds::Targets | Holds::Pairs => total.all().count(),
        };
        fields.push((name, Value::Number(count)));
    }
    fields.push(("flowprobe.alert.complete", Value::Truth(common.evicted == 0)));
    fields.push(("flowprobe.alert.evicted", Value::Number(common.evicted)));
    fields
}

/// One sentence: source, action, measured value and threshold. The threshold is left out where a
/// sign sufficed below it.
fn reason(rule: &Rule, incident: &Incident, window_s: u32) -> String {
    let Finding { subject, value, threshold, baseline, .. } = &incident.peak;
    let named = |address: Option<IpAddr>| address.map_or_else(String::new, |it| it.to_string());
    let told = Told {
        source: named(subject.source_address()),
        destination: named(subject.destination_address()),
        port: match (transport_name(subject.protocol), subject.number) {
            (Some("icmp" | "ipv6-icmp"), _) => "pings".to_owned(),
            (Some(name), port) => format!("port {port}/{name}"),
            (None, port) => format!("port {port}"),
        },
        number: subject.number,
        value: grouped(*value),
        window: span(rule.looks_back_s(window_s)),
        measured: incident.peak.measured,
        sources: count_of_many(&incident.total.all(), &incident.total.second()),
    };
    let sentence = (rule.sentence)(&told);
    let limit = grouped(*threshold);
    match baseline {
        Some(baseline) if *baseline > 0 => {
            format!("{sentence} (threshold {limit}, baseline {})", grouped(*baseline))
        }
        Some(_) | None if value < threshold => sentence,
        Some(_) | None => format!("{sentence} (threshold {limit})"),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        60 => "a minute".to_owned(),
        3600 => "an hour".to_owned(),
        _ if seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} s"),
    }
}
