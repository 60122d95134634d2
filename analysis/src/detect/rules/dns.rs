//! Rules about names in DNS. Without names in records they count nothing.

use flow::number::{port, protocol};
use flow::words::counted;

use super::super::facts::Fact;
use super::super::rule::{Form, Holds, Number, Rule, Severity, Shared, Span, Told};
use super::super::seen::Class;
use super::super::settings;
use super::super::subject::Subject;
use super::threat::AMPLIFICATION;

pub(in super::super) const UNKNOWN_SERVER: Rule = Rule {
    id: "unknown-dns-server",
    name: "Unknown DNS servers",
    category: "abuse",
    meaning: "a host of the own networks asks several DNS servers within an hour that are not in \
              --dns-servers; needs --payload dns",
    unit: "servers",
    threshold: 5,
    span: Span::Sliding(60),
    severity: Severity::Medium,
    severity_inside: Severity::Medium,
    entries: 4096,
    classes: &Class::TCP_AND_UDP,
    fact: Some(Fact::DnsQuestion),
    count: |seen, counter| {
        let key = seen.key();
        let known = &counter.scope.site.dns_servers;
        let is_known =
            known.contains(key.source_address()) || known.contains(key.destination_address());
        if !known.is_empty() && !is_known && counter.is_local(key.ip_version.number(), key.source) {
            counter.count_target(Subject::source(key), seen);
        }
    },
    sentence: |told| {
        let Told { source, value, window, .. } = told;
        format!("{source} asked {value} DNS servers in {window} that are not known")
    },
    ..Rule::BASE
};

pub(in super::super) const AMPLIFIED: Rule = Rule {
    id: "dns-amplification",
    name: "DNS amplification",
    category: settings::FLOOD,
    meaning: "a host gets many long answers to DNS questions of type ANY, TXT, DNSKEY or RRSIG, \
              which attackers ask in its name; needs --payload dns",
    unit: "packets in a window",
    threshold: 500,
    form: Form::Sum,
    severity: Severity::High,
    severity_inside: Severity::High,
    classes: &[Class::Udp],
    fact: Some(Fact::LongDnsAnswer),
    count: |seen, counter| {
        let key = seen.key();
        let hash = counter.hash(key.source, 0);
        let measured = counter.at(Subject::destination(key).with(port::DNS, protocol::UDP));
        measured.count(seen);
        measured.add(hash, key.source);
    },
    value: |measured| measured.packets,
    holds: Holds::Sources,
    number: Number::SourcePort,
    yields_to: &["amplification-victim"],
    shared: Shared::Destination,
    threats: [Some(&AMPLIFICATION), Some(&AMPLIFICATION)],
    sentence: |told| {
        let Told { destination, value, sources, window, .. } = told;
        let servers = counted(*sources, "DNS server", "DNS servers");
        format!(
            "{destination} got {value} long answers of {servers} in {window} to questions of type \
             ANY, TXT, DNSKEY or RRSIG"
        )
    },
    ..Rule::BASE
};
