//! Amplification: servers send long answers to short questions with spoofed sources.

use flow::number::{port, protocol};
use flow::words::counted;

use super::super::facts::Fact;
use super::super::rule::{Counter, Form, Holds, Number, Rule, Severity, Shared, Told};
use super::super::seen::{Class, Seen};
use super::super::settings;
use super::super::subject::Subject;
use super::threat::AMPLIFICATION;
use crate::signs::long_answer;

/// Octets of a packet above which an answer of NTP is a list of clients.
const LIST_NTP: u64 = 200;

const SOURCES: u64 = 10;

const VICTIM_RULE: Rule = Rule {
    id: "amplification-victim",
    name: "Amplification attack",
    category: settings::FLOOD,
    meaning: "a destination gets long answers that it did not ask for from 10 servers or more",
    unit: "bit/s",
    threshold: 1_000_000,
    form: Form::Rate,
    severity: Severity::High,
    severity_inside: Severity::High,
    classes: &[Class::Udp],
    fact: Some(Fact::Abused),
    count: count_victim,
    value: |measured| measured.octets.saturating_mul(8),
    agrees: |measured| {
        measured.all().count() >= SOURCES && measured.packets > measured.other.saturating_mul(5)
    },
    holds: Holds::Sources,
    number: Number::SourcePort,
    shared: Shared::Destination,
    threats: [Some(&AMPLIFICATION), Some(&AMPLIFICATION)],
    sentence: |told| {
        let Told { destination, value, sources, number, .. } = told;
        let servers = counted(*sources, "server", "servers");
        format!(
            "{destination} got {value} bit/s of long answers from port {number}/udp of {servers}, \
             which it did not ask"
        )
    },
    ..Rule::BASE
};

pub(in super::super) const VICTIM: Rule = VICTIM_RULE;

pub(in super::super) const USED: Rule = Rule {
    id: "amplifier-used",
    name: "Server used for amplification",
    meaning: "a server of the own networks sends more than 10 times as much to a host as it gets",
    unit: "octets in a window",
    threshold: 10_000_000,
    form: Form::Sum,
    severity: Severity::Medium,
    severity_inside: Severity::Medium,
    count: count_used,
    value: |measured| measured.octets,
    agrees: |measured| measured.octets > measured.other.saturating_mul(10),
    holds: Holds::Nothing,
    shared: Shared::Source,
    sentence: |told| {
        let Told { source, destination, value, number, window, .. } = told;
        format!("{source} sent {value} octets from port {number}/udp to {destination} in {window}")
    },
    ..VICTIM_RULE
};

pub(in super::super) const MONLIST: Rule = Rule {
    id: "ntp-monlist",
    name: "NTP server that lists its clients",
    meaning: "an NTP server of the own networks gives long answers (monlist)",
    unit: "packets in a window",
    threshold: 100,
    count: |seen, counter| {
        let (key, record) = (seen.key(), seen.record);
        if key.source_port == port::NTP
            && record.octets > LIST_NTP * record.packets
            && counter.is_local(key.ip_version.number(), key.source)
        {
            counter.count_target(Subject::source(key).with(port::NTP, protocol::UDP), seen);
        }
    },
    value: |measured| measured.packets,
    agrees: |_| true,
    holds: Holds::Targets,
    sentence: |told| {
        let Told { source, value, window, .. } = told;
        format!("{source} gave {value} long answers of NTP in {window}")
    },
    ..USED
};

fn count_victim(seen: &Seen<'_>, counter: &mut Counter<'_>) {
    let (key, record) = (seen.key(), seen.record);
    if let Some(long) = long_answer(key.source_port)
        && record.octets > long * record.packets
    {
        let subject = Subject::destination(key).with(key.source_port, protocol::UDP);
        let hash = counter.hash(key.source, 0);
        let measured = counter.at(subject);
        measured.count(seen);
        measured.add(hash, key.source);
    }
    // A question to such a service.
    if long_answer(key.destination_port).is_some() {
        let subject = Subject::answering(key).with(key.destination_port, protocol::UDP);
        let other = &mut counter.at(subject).other;
        *other = other.saturating_add(record.packets);
    }
}

fn count_used(seen: &Seen<'_>, counter: &mut Counter<'_>) {
    let (key, version) = (seen.key(), seen.key().ip_version.number());
    if long_answer(key.source_port).is_some() && counter.is_local(version, key.source) {
        let subject = Subject::source(key).towards(key.destination);
        counter.at(subject.with(key.source_port, protocol::UDP)).count(seen);
    }
    if long_answer(key.destination_port).is_some() && counter.is_local(version, key.destination) {
        let subject = Subject::asking(key).towards(key.source);
        let other = &mut counter.at(subject.with(key.destination_port, protocol::UDP)).other;
        *other = other.saturating_add(seen.record.octets);
    }
}
