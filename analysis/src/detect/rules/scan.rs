//! Scans: sources that try many hosts or ports without success.
//!
//! Only failed attempts count. A crawler, a resolver or a busy gateway has as many peers, but these
//! answer.

use flow::number::protocol;

use super::super::rule::{Counter, Holds, Rule, Severity, Shared, Span, Threat, Told};
use super::super::seen::{Class, Seen};
use super::super::subject::{Measured, Subject};
use super::threat::{DISCOVERY, SCANNING};

/// Most UDP packets or echo requests of a probe. More of them are a conversation.
const PROBE_PACKETS: u64 = 3;

/// Port unreachable messages from which on UDP ports count as scanned.
const REFUSALS: u64 = 5;

const THREATS: [Option<&Threat>; 2] = [Some(&SCANNING), Some(&DISCOVERY)];

const SCAN: Rule = Rule {
    category: "scan",
    severity_inside: Severity::High,
    entries: 32_768,
    is_of_host: true,
    threats: THREATS,
    ..Rule::BASE
};

pub(in super::super) const HORIZONTAL: Rule = Rule {
    id: "scan-horizontal",
    name: "Scan of many hosts",
    meaning: "a source tries one port at many hosts, or pings them, and they do not answer",
    threshold: 25,
    threshold_inside: Some(100),
    classes: &[Class::Failed, Class::Udp, Class::EchoRequest, Class::EchoReply],
    fetches: Some(|key| Subject::source(key).with(key.destination_port, key.protocol)),
    count: count_horizontal,
    value: |measured| measured.all().without(&measured.second()).count(),
    yields_to: &["worm-port"],
    shared: Shared::SourceAndPort,
    sentence: |told| {
        let Told { source, port, value, window, .. } = told;
        format!("{source} tried {port} at {value} hosts in {window} without success")
    },
    ..SCAN
};

pub(in super::super) const VERTICAL: Rule = Rule {
    id: "scan-vertical",
    name: "Scan of many ports",
    meaning: "a source tries many ports of one host without success",
    unit: "ports",
    threshold: 25,
    threshold_inside: Some(50),
    classes: &[Class::Failed, Class::Udp, Class::PortUnreachable],
    fetches: Some(|key| Subject::source(key).towards(key.destination)),
    count: count_vertical,
    value: |measured| {
        let refused = if measured.other >= REFUSALS { measured.second().count() } else { 0 };
        measured.all().count().max(refused)
    },
    holds: Holds::Ports,
    sentence: |told| {
        let Told { source, destination, value, window, .. } = told;
        format!("{source} tried {value} ports of {destination} in {window} without success")
    },
    ..SCAN
};

pub(in super::super) const RANDOM: Rule = Rule {
    id: "scan-random",
    name: "Scan of hosts and ports",
    meaning: "a source tries many ports of many hosts without success",
    unit: "ports of hosts",
    threshold: 100,
    threshold_inside: Some(250),
    classes: &[Class::Failed, Class::Begun, Class::Udp],
    fetches: Some(Subject::source),
    count: count_source,
    agrees: fails_mostly,
    holds: Holds::Pairs,
    yields_to: &["worm-port", "scan-horizontal", "scan-vertical"],
    sentence: |told| {
        let Told { source, value, window, .. } = told;
        format!("{source} tried {value} ports of hosts in {window} without success")
    },
    ..SCAN
};

pub(in super::super) const SLOW: Rule = Rule {
    id: "scan-slow",
    name: "Slow scan",
    meaning: "a source tries many ports of hosts in a quarter of an hour without success",
    threshold: 25,
    span: Span::Sliding(15),
    severity: Severity::Low,
    severity_inside: Severity::Medium,
    yields_to: &["worm-port", "scan-horizontal", "scan-vertical", "scan-random"],
    sentence: |told| {
        let Told { source, value, window, .. } = told;
        format!("{source} tried {value} ports of hosts in {window} without success")
    },
    ..RANDOM
};

fn count_horizontal(seen: &Seen<'_>, counter: &mut Counter<'_>) {
    let (key, packets) = (seen.key(), seen.record.packets);
    let (port, other_port, number) = match seen.class {
        Class::Failed => (key.destination_port, 0, protocol::TCP),
        Class::Udp => (key.destination_port, key.source_port, protocol::UDP),
        Class::EchoRequest | Class::EchoReply => (0, 0, key.protocol),
        _ => return,
    };
    let asks = match seen.class {
        Class::Failed | Class::EchoRequest => true,
        Class::Udp => seen.may_ask(),
        _ => false,
    };
    if asks
        && seen.counts_sender()
        && packets <= PROBE_PACKETS.max(7 * u64::from(seen.class == Class::Failed))
        && !seen.is_to_group()
    {
        let hash = counter.hash(key.destination, 0);
        let measured = counter.at(Subject::source(key).with(port, number));
        measured.count(seen);
        measured.add_alone(hash, key.destination);
    }
    let answers = match seen.class {
        Class::EchoReply => true,
        Class::Udp => seen.may_answer(),
        _ => false,
    };
    if answers && seen.counts_receiver() {
        let hash = counter.hash(key.source, 0);
        counter.at(Subject::asking(key).with(other_port, number)).insert_second(hash);
    }
}

fn count_vertical(seen: &Seen<'_>, counter: &mut Counter<'_>) {
    let key = seen.key();
    let hash = counter.hash(key.destination, key.destination_port);
    match seen.class {
        Class::Failed if seen.counts_sender() => {
            let measured = counter.at(Subject::source(key).towards(key.destination));
            measured.count(seen);
            measured.insert(hash);
            measured.port(key.destination_port);
        }
        Class::Udp
            if seen.counts_sender()
                && seen.record.packets <= PROBE_PACKETS
                && key.source_port >= 1024
                && !seen.is_to_group() =>
        {
            let measured = counter.at(Subject::source(key).towards(key.destination));
            measured.count(seen);
            measured.insert_second(hash);
        }
        Class::PortUnreachable if seen.counts_receiver() => {
            let subject = Subject::asking(key).towards(key.source);
            let other = &mut counter.at(subject).other;
            *other = other.saturating_add(seen.record.packets);
        }
        _ => {}
    }
}

/// Counts the failed attempts of a source, and its successful ones.
fn count_source(seen: &Seen<'_>, counter: &mut Counter<'_>) {
    let key = seen.key();
    match seen.class {
        Class::Failed if seen.counts_sender() => {
            let hash = counter.hash(key.destination, key.destination_port);
            let measured = counter.at(Subject::source(key));
            measured.count(seen);
            measured.add_alone(hash, key.destination);
        }
        Class::Begun if seen.counts_sender() => counter.at(Subject::source(key)).other += 1,
        // Peers that exchange UDP between high ports.
        Class::Udp
            if seen.counts_receiver()
                && key.source_port >= 1024
                && key.destination_port >= 1024 =>
        {
            counter.at(Subject::asking(key)).other += 1;
        }
        _ => {}
    }
}

/// A peer-to-peer program also tries many hosts that are gone, but it reaches others.
fn fails_mostly(measured: &Measured) -> bool {
    measured.flows > 3 * measured.other
}
