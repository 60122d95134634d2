//! Floods: a destination gets more packets than it can handle.

use flow::number::{port, protocol};
use flow::words::{counted, grouped};

use super::super::distinct::count_of_many;
use super::super::facts::Fact;
use super::super::rule::{
    Baseline, Counter, Form, Holds, Number, Rule, Severity, Shared, Span, TOTALS, Told, Totals,
};
use super::super::seen::{Class, Seen};
use super::super::settings;
use super::super::subject::{Measured, Subject};
use super::threat::{DIRECT_FLOOD, SYN_FLOOD};

/// Octets that count as one packet: 1 Gbit/s is equal to the threshold of 20,000 packets/s.
const OCTETS_OF_A_PACKET: u64 = 1_000_000_000 / 8 / 20_000;

/// From this number of sources with one or two packets each in a window they count as spoofed. They
/// fill a server's queue of half-open connections at a rate that does not load the network.
const SPOOFED: u64 = 1000;

const FLOOD: Rule = Rule {
    category: settings::FLOOD,
    unit: "packets/s",
    threshold: 20_000,
    window_s: 10,
    span: Span::Two,
    form: Form::Rate,
    baseline: Some(Baseline { factor: 4, is_needed: false }),
    severity: Severity::High,
    severity_inside: Severity::High,
    entries: 16_384,
    value: |measured| measured.other.max(measured.more / OCTETS_OF_A_PACKET),
    holds: Holds::Sources,
    shared: Shared::Destination,
    threats: [Some(&DIRECT_FLOOD), Some(&DIRECT_FLOOD)],
    ..Rule::BASE
};

pub(in super::super) const SYN: Rule = Rule {
    id: "syn-flood",
    name: "SYN flood",
    meaning: "a destination gets SYN packets that lead to no connection: more than 4 times its \
              SYN-ACKs; or, at any rate, from 1,000 sources in a window that are made up",
    unit: "SYN packets/s",
    threshold: 1000,
    entries: 32_768,
    classes: &[Class::Failed, Class::Begun],
    fetches: Some(|key| Subject::destination(key).with(0_u32, protocol::TCP)),
    count: count_syn,
    value: |measured| measured.packets,
    agrees: |measured| measured.packets > measured.other.saturating_mul(4) || is_spoofed(measured),
    suffices: is_spoofed,
    threats: [Some(&SYN_FLOOD), Some(&SYN_FLOOD)],
    sentence: |told| {
        let Told { destination, value, sources, measured, .. } = told;
        let port = measured.only_port().map_or_else(String::new, |port| format!(" at {port}/tcp"));
        if are_many(*sources, measured.flows) {
            return format!(
                "{destination} got SYN packets{port} from {} made-up sources, {value} a second, \
                 and no connection",
                grouped(*sources)
            );
        }
        let sources = counted(*sources, "source", "sources");
        format!("{destination} got {value} SYN packets/s{port} from {sources} and no connection")
    },
    ..FLOOD
};

pub(in super::super) const UDP: Rule = Rule {
    id: "udp-flood",
    name: "UDP flood",
    meaning: "a destination gets many packets of UDP, or a gigabit a second",
    classes: &[Class::Udp],
    fetches: Some(|key| Subject::destination(key).with(0_u32, protocol::UDP)),
    count: |seen, counter| {
        if !seen.is(Fact::Fragment) {
            count_packets(seen, counter, protocol::UDP);
        }
    },
    sentence: |told| flooded(told, "UDP"),
    ..FLOOD
};

pub(in super::super) const ICMP: Rule = Rule {
    id: "icmp-flood",
    name: "ICMP flood",
    meaning: "a destination gets many packets of ICMP, or a gigabit a second",
    classes: &Class::ICMP,
    fetches: Some(|key| Subject::destination(key).with(0_u32, key.protocol)),
    // ICMP of IPv4, or ICMPv6.
    count: |seen, counter| count_packets(seen, counter, seen.key().protocol),
    entries: 8192,
    sentence: |told| flooded(told, "ICMP"),
    ..FLOOD
};

pub(in super::super) const FRAGMENTS: Rule = Rule {
    id: "fragment-flood",
    name: "Flood of fragments",
    meaning: "a destination gets many fragments whose first one never came, or a gigabit a second",
    classes: &Class::TCP_AND_UDP,
    fact: Some(Fact::Fragment),
    count: |seen, counter| count_packets(seen, counter, protocol::FRAGMENT),
    entries: 8192,
    sentence: |told| flooded(told, "fragment"),
    ..FLOOD
};

fn flooded(told: &Told, what: &str) -> String {
    let Told { destination, value, sources, measured, .. } = told;
    let port = measured.only_port().map_or_else(String::new, |port| format!(" at port {port}"));
    let sources = counted(*sources, "source", "sources");
    format!("{destination} got {value} {what} packets/s{port} from {sources}")
}

fn count_packets(seen: &Seen<'_>, counter: &mut Counter<'_>, kind: u8) {
    let (key, window_ms) = (seen.key(), counter.window_ms);
    let hash = counter.hash(key.source, 0);
    let measured = counter.at(Subject::destination(key).with(0_u32, kind));
    measured.count(seen);
    measured.add(hash, key.source);
    measured.port(if key.is_icmp() { 0 } else { key.destination_port });
    count_rate(seen, measured, window_ms);
}

/// Counts the packets and octets of a record in one window, and returns them.
fn count_share(seen: &Seen<'_>, measured: &mut Measured, window_ms: u64) -> (u64, u64) {
    let packets = seen.share(seen.record.packets, window_ms);
    let octets = seen.share(seen.record.octets, window_ms);
    measured.other = measured.other.saturating_add(packets);
    measured.more = measured.more.saturating_add(octets);
    (packets, octets)
}

/// Counts a record with its rate in the window.
pub(super) fn count_rate(seen: &Seen<'_>, measured: &mut Measured, window_ms: u64) {
    let (packets, octets) = count_share(seen, measured, window_ms);
    if seen.duration_ms >= 2 * window_ms {
        measured.lasting =
            measured.lasting.saturating_add(packets.max(octets / OCTETS_OF_A_PACKET));
    }
}

fn count_syn(seen: &Seen<'_>, counter: &mut Counter<'_>) {
    let key = seen.key();
    match seen.class {
        Class::Failed => {
            let hash = counter.hash(key.source, 0);
            let measured = counter.at(Subject::destination(key).with(0_u32, protocol::TCP));
            measured.count(seen);
            measured.add(hash, key.source);
            measured.port(key.destination_port);
        }
        Class::Begun => {
            counter.at(Subject::answering(key).with(0_u32, protocol::TCP)).other += 1;
            counter.at(Subject::destination(key).with(0_u32, protocol::TCP)).more += 1;
        }
        _ => {}
    }
}

/// Finds spoofed sources where a server answers each SYN (SYN cookies).
fn is_spoofed(measured: &Measured) -> bool {
    // Each source sent a packet.
    if measured.packets < SPOOFED || measured.packets <= measured.more.saturating_mul(4) {
        return false;
    }
    are_many(count_of_many(&measured.all(), &measured.second()), measured.flows)
}

fn are_many(sources: u64, flows: u64) -> bool {
    sources >= SPOOFED && flows < 2 * sources
}

/// All traffic, or the traffic of a class, compared with its own past.
pub(in super::super) const SPIKE: Rule = Rule {
    id: "traffic-spike",
    name: "Traffic spike",
    category: "traffic",
    meaning: "all traffic, or that of DNS, NTP, other UDP, SYN or ICMP, is above 4 times its \
              baseline",
    threshold: 1000,
    baseline: Some(Baseline { factor: SPIKE_FACTOR, is_needed: true }),
    severity: Severity::Low,
    severity_inside: Severity::Low,
    entries: 1024,
    count_total: Some(count_classes),
    value: |measured| measured.other,
    holds: Holds::Nothing,
    number: Number::Class,
    yields_to: &["syn-flood", "udp-flood", "icmp-flood", "fragment-flood", "amplification-victim"],
    shared: Shared::Nothing,
    threats: [None, None],
    sentence: |told| {
        let class = CLASSES[told.number as usize % CLASSES.len()];
        format!("{class} rose to {} packets/s", told.value)
    },
    ..FLOOD
};

/// What more than a spike of traffic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// Packets per second.
    pub rate: u64,
    /// Times as much as is usual.
    pub factor: u64,
}

/// A spike, as the rule `traffic-spike` finds it by default.
pub const SPIKE_LIMITS: Spike = Spike { rate: SPIKE.threshold, factor: SPIKE_FACTOR };

const SPIKE_FACTOR: u64 = 4;

/// Classes of traffic, by the number of the subject.
const CLASSES: [&str; TOTALS] =
    ["all traffic", "DNS", "NTP", "UDP besides DNS and NTP", "SYN packets", "ICMP"];

fn count_classes(seen: &Seen<'_>, totals: &mut Totals, window_ms: u64) {
    let key = seen.key();
    let has_port = |port| key.source_port == port || key.destination_port == port;
    let class = match seen.class {
        Class::Udp if has_port(port::DNS) => 1,
        Class::Udp if has_port(port::NTP) => 2,
        Class::Udp => 3,
        Class::Failed => 4,
        _ if key.is_icmp() => 5,
        _ => 0,
    };
    let total = &mut totals[class];
    total.count(seen);
    // Without `lasting`: the record of a long flow in one window is not a spike.
    count_share(seen, total, window_ms);
}
