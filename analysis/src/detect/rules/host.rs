//! Hosts with suspicious behaviour.

use flow::words::counted;
use flow::{FlowKey, IpVersion};

use super::super::facts::Fact;
use super::super::rule::{
    Baseline, Counter, Form, Holds, Number, Rule, Severity, Shared, Span, Told,
};
use super::super::seen::{Class, Seen};
use super::super::subject::Subject;
use super::threat::WORM;

const ABUSE: Rule = Rule { category: "abuse", ..Rule::BASE };

pub(in super::super) const WORM_PORT: Rule = Rule {
    id: "worm-port",
    name: "Worm",
    meaning: "a source tries many hosts as worms do: TCP 445 without success, the packet of \
              Slammer, the SYNs of Code Red",
    threshold: 10,
    severity: Severity::High,
    severity_inside: Severity::Critical,
    classes: &[Class::Failed, Class::Udp],
    fact: Some(Fact::Worm),
    count: |seen, counter| {
        let key = seen.key();
        counter.count_target(Subject::source(key), seen).port(key.destination_port);
    },
    threats: [Some(&WORM), Some(&WORM)],
    sentence: |told| {
        let Told { source, value, window, measured, .. } = told;
        let port = measured.only_port().map_or_else(String::new, |port| format!(" port {port} of"));
        format!("{source} tried{port} {value} hosts in {window} as a worm does")
    },
    ..ABUSE
};

pub(in super::super) const MAIL_SENDER: Rule = Rule {
    id: "mail-sender",
    name: "Sender of mail",
    meaning: "a source that is no mail server sends mail to many servers within an hour",
    threshold: 20,
    span: Span::Sliding(60),
    severity: Severity::Medium,
    severity_inside: Severity::High,
    entries: 4096,
    classes: &Class::TCP,
    fact: Some(Fact::Mail),
    count: |seen, counter| {
        let key = seen.key();
        if !counter.scope.site.mail_servers.contains(key.source_address()) {
            counter.count_target(Subject::source(key), seen);
        }
    },
    sentence: |told| {
        let Told { source, value, window, .. } = told;
        format!("{source}, which is no mail server, turned to {value} mail servers in {window}")
    },
    ..ABUSE
};

pub(in super::super) const P2P_USER: Rule = Rule {
    id: "p2p-user",
    name: "Peer-to-peer user",
    meaning: "a source turns to many peers of eDonkey (TCP 4662, UDP 4672) within an hour",
    unit: "peers",
    threshold: 50,
    span: Span::Sliding(60),
    severity: Severity::Low,
    severity_inside: Severity::Low,
    entries: 4096,
    classes: &Class::TCP_AND_UDP,
    fact: Some(Fact::Peer),
    count: |seen, counter| {
        counter.count_target(Subject::source(seen.key()), seen);
    },
    sentence: |told| {
        let Told { source, value, window, .. } = told;
        format!("{source} turned to {value} peers of eDonkey in {window}")
    },
    ..ABUSE
};

pub(in super::super) const SESSION_MAKER: Rule = Rule {
    id: "session-maker",
    name: "Maker of sessions",
    meaning: "a source makes new flows at a high rate, above 8 times its baseline",
    unit: "flows/s",
    threshold: 256,
    form: Form::Rate,
    baseline: Some(Baseline { factor: 8, is_needed: true }),
    severity: Severity::Low,
    severity_inside: Severity::Medium,
    entries: 16_384,
    fetches: Some(Subject::source),
    is_of_host: true,
    count: |seen, counter| {
        if seen.counts_sender() {
            counter.at(Subject::source(seen.key())).count(seen);
        }
    },
    value: |measured| measured.flows,
    holds: Holds::Nothing,
    yields_to: &["scan-horizontal", "scan-vertical", "scan-random", "worm-port"],
    sentence: |told| {
        let Told { source, value, .. } = told;
        format!("{source} made {value} new flows a second")
    },
    ..ABUSE
};

pub(in super::super) const UNREACHABLE_STORM: Rule = Rule {
    id: "unreachable-storm",
    name: "Storm of unreachables",
    category: "traffic",
    meaning: "a destination is told by many ICMP messages that hosts or ports are unreachable: \
              packets were sent in its name, or its own lead nowhere",
    unit: "packets in a window",
    threshold: 100,
    form: Form::Sum,
    severity: Severity::Low,
    severity_inside: Severity::Low,
    classes: &[Class::Unreachable, Class::PortUnreachable],
    count: |seen, counter| {
        let key = seen.key();
        let hash = counter.hash(key.source, 0);
        let measured = counter.at(Subject::destination(key).with(0_u32, key.protocol));
        measured.count(seen);
        measured.add(hash, key.source);
    },
    value: |measured| measured.packets,
    holds: Holds::Sources,
    yields_to: &["scan-horizontal", "scan-vertical", "scan-random", "scan-slow", "worm-port"],
    shared: Shared::DestinationIsSource,
    sentence: |told| {
        let Told { destination, value, sources, window, .. } = told;
        let hosts = counted(*sources, "host", "hosts");
        format!("{destination} got {value} unreachable messages from {hosts} in {window}")
    },
    ..ABUSE
};

pub(in super::super) const SPOOFED_SOURCES: Rule = Rule {
    id: "spoofed-sources",
    name: "Spoofed sources",
    category: "traffic",
    meaning: "an interface gets packets from sources that cannot be there; needs the own networks",
    unit: "sources",
    threshold: 10,
    entries: 1024,
    needs_networks: true,
    count: |seen, counter| {
        if counter.scope.site.is_spoofed(seen.record) {
            let key = seen.key();
            let hash = counter.hash(key.source, 0);
            let measured = counter.at(Subject::number(key.interface));
            measured.count(seen);
            measured.add(hash, key.source);
        }
    },
    // 100 packets of one source count as much as one more source.
    value: |measured| measured.all().count().max(measured.packets / 100),
    holds: Holds::Sources,
    number: Number::Interface,
    shared: Shared::Nothing,
    sentence: |told| {
        let Told { number, sources, window, measured, .. } = told;
        let packets = counted(measured.packets, "packet", "packets");
        let sources = counted(*sources, "source", "sources");
        format!("interface {number} got {packets} from {sources} that cannot be there, in {window}")
    },
    ..ABUSE
};

pub(in super::super) const NEW_HEAVY_FLOW: Rule = Rule {
    id: "new-heavy-flow",
    name: "New heavy flow",
    category: "traffic",
    meaning: "a source network (/24, /48 of IPv6) sends much more through an interface than it did",
    unit: "bit/s",
    threshold: 100_000_000,
    form: Form::Rate,
    baseline: Some(Baseline { factor: 4, is_needed: true }),
    severity: Severity::Low,
    severity_inside: Severity::Low,
    fetches: Some(network),
    count: count_network,
    value: |measured| measured.more.saturating_mul(8),
    holds: Holds::Nothing,
    number: Number::Interface,
    sentence: |told| {
        let Told { source, number, value, .. } = told;
        format!("the network of {source} sent {value} bit/s through interface {number}")
    },
    ..ABUSE
};

/// The network of the source, and the interface.
fn network(key: &FlowKey) -> Subject {
    let bits = match key.ip_version {
        IpVersion::V4 => 24,
        IpVersion::V6 => 48,
    };
    // As a number, not octet by octet: the CPU waits when it reads words of octets just written.
    let network = u128::from_be_bytes(key.source) & !(u128::MAX >> bits);
    Subject::source(key).with(key.interface, 0).with_source(network.to_be_bytes())
}

fn count_network(seen: &Seen<'_>, counter: &mut Counter<'_>) {
    let window_ms = counter.window_ms;
    let measured = counter.at(network(seen.key()));
    measured.count(seen);
    measured.more = measured.more.saturating_add(seen.share(seen.record.octets, window_ms));
}
