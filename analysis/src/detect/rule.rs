//! What a rule is. The rules themselves are in rules/, one line each in [`super::RULES`].

use std::net::IpAddr;

use flow::{FlowRecord, HashSeed};

use super::seen::Seen;
use super::subject::{Measured, Octets, Subject, address, hash_of};
use super::table::Table;
use crate::site::Site;

/// A rule: what it counts of which records, and when that is too much.
#[derive(Debug)]
pub struct Rule {
    /// Its name in settings, `[rule.ID]`, and in documents.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// `scan`, `flood`, `abuse` or `traffic`.
    pub category: &'static str,
    /// Meaning, in a sentence.
    pub meaning: &'static str,
    /// Unit of the threshold.
    pub unit: &'static str,
    /// The threshold.
    pub threshold: u64,
    /// The threshold for a source of the own networks, if it is another one.
    pub threshold_inside: Option<u64>,
    /// Seconds of a window.
    pub window_s: u32,
    /// Over how many windows it looks.
    pub(super) span: Span,
    /// Whether a number or a rate is compared with the threshold.
    pub(super) form: Form,
    /// It also has to exceed the baseline so many times.
    pub(super) baseline: Option<Baseline>,
    pub(super) severity: Severity,
    /// For a source of the own networks.
    pub(super) severity_inside: Severity,
    /// The most subjects in windows that are not closed.
    pub(super) entries: usize,
    /// Counts a record where it belongs.
    pub(super) count: fn(&Seen<'_>, &mut Counter<'_>),
    /// What is compared with the threshold: in the whole window.
    pub(super) value: fn(&Measured) -> u64,
    /// What has to be so besides.
    pub(super) agrees: fn(&Measured) -> bool,
    /// What is enough for an incident, whatever the value is.
    pub(super) suffices: fn(&Measured) -> bool,
    /// What the set of a measure holds.
    pub(super) holds: Holds,
    /// Rules that say more about the same: where they have an incident, this one makes none.
    pub(super) yields_to: &'static [&'static str],
    pub(super) shared: Shared,
    /// The technique of an attacker from outside, and of one from inside.
    pub(super) threats: [Option<&'static Threat>; 2],
    pub(super) sentence: fn(&Told) -> String,
}

/// Over how many windows a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// One window is enough.
    One,
    /// Two windows, one after the other. A record that lasts as long is enough too.
    Two,
    /// Different things in the last windows of this number.
    Sliding(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A number of different things, at least as many as the threshold.
    Number,
    /// More in a window than the threshold says for a second.
    Rate,
}

/// How a measure is compared with the median of the windows before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    /// It has to be more than so many times the median.
    pub(super) factor: u64,
    /// Without a baseline there is no alert.
    pub(super) is_needed: bool,
}

/// How bad it is, by the steps of Elastic Security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Low = 21,
    Medium = 47,
    High = 73,
    Critical = 99,
}

/// What the set of a measure holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Nothing,
    /// Hosts that the subject turns to.
    Targets,
    /// Hosts that turn to the subject; the second set is a sample of them.
    Sources,
    /// Ports of the subject's destination.
    Ports,
    /// Ports of hosts.
    Pairs,
}

/// Which part of two subjects has to be the same, so that one incident explains another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// The source.
    Source,
    /// The source, and a port.
    SourceAndPort,
    /// The destination here is the source there.
    DestinationIsSource,
    /// The destination.
    Destination,
    /// Any incident explains it.
    Nothing,
}

/// A technique of MITRE ATT&CK.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Threat {
    pub(super) tactic: (&'static str, &'static str),
    pub(super) technique: (&'static str, &'static str),
    pub(super) subtechnique: Option<(&'static str, &'static str)>,
}

/// The words of a sentence about an incident.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) source: String,
    pub(super) destination: String,
    /// `3389/tcp`, or what else the number of the subject means.
    pub(super) port: String,
    /// The number of the subject.
    pub(super) number: u32,
    pub(super) value: String,
    pub(super) window: String,
    pub(super) measured: Measured,
    pub(super) sources: u64,
}

/// What rules know of the network.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) site: Site,
}

impl Scope {
    /// Whether an address is of the own networks: by default, whether it is private.
    pub(super) fn is_local(&self, host: IpAddr) -> bool {
        if !self.site.local_networks.is_empty() {
            return self.site.is_local(host);
        }
        match host {
            IpAddr::V4(host) => {
                let [first, second, ..] = host.octets();
                let is_shared = first == 100 && second >> 6 == 1;
                host.is_private() || host.is_link_local() || is_shared
            }
            IpAddr::V6(host) => host.is_unique_local() || host.is_unicast_link_local(),
        }
    }

    /// Whether the source of a record cannot be where its packets came in.
    pub(super) fn is_spoofed(&self, record: &FlowRecord) -> bool {
        let site = &self.site;
        if site.local_networks.is_empty() {
            return false;
        }
        let is_local = site.is_local(record.key.source_address());
        let interface = record.ingress_interface();
        is_local && site.outside.contains(interface) || !is_local && site.inside.contains(interface)
    }
}

/// Where a rule counts records.
pub(super) struct Counter<'a> {
    pub(super) seed: &'a HashSeed,
    pub(super) scope: &'a Scope,
    pub(super) table: &'a mut Table,
    /// The window of the record.
    pub(super) window: u64,
    pub(super) window_ms: u64,
}

impl Counter<'_> {
    /// What was measured of a subject in this window.
    pub(super) fn at(&mut self, subject: Subject) -> &mut Measured {
        self.table.at(self.seed, subject, self.window)
    }

    /// Counts a record of a subject, and its destination among the hosts that the subject turns to.
    pub(super) fn count_target(&mut self, subject: Subject, seen: &Seen<'_>) -> &mut Measured {
        let destination = seen.key().destination;
        let hash = self.hash(destination, 0);
        let measured = self.at(subject);
        measured.count(seen);
        measured.add(hash, destination);
        measured
    }

    /// The hash of a host and a port, for a set.
    pub(super) fn hash(&self, host: Octets, port: u16) -> u64 {
        hash_of(self.seed, host, port)
    }

    pub(super) fn is_local(&self, version: u8, host: Octets) -> bool {
        address(version, host).is_some_and(|host| self.scope.is_local(host))
    }
}

impl Rule {
    /// Whether its threshold is a number of different things, which a set can count.
    pub fn counts_different_things(&self) -> bool {
        self.form == Form::Number && !self.unit.contains("in a window")
    }

    /// What a look at several windows means for the time that a sentence names.
    pub fn looks_back_s(&self, window_s: u32) -> u64 {
        let windows = if let Span::Sliding(windows) = self.span { windows } else { 1 };
        windows * u64::from(window_s)
    }

    /// A rule that finds nothing yet, for what most rules have.
    pub(super) const BASE: Self = Self {
        id: "",
        name: "",
        category: "",
        meaning: "",
        unit: "hosts",
        threshold: 0,
        threshold_inside: None,
        window_s: 60,
        span: Span::One,
        form: Form::Number,
        baseline: None,
        severity: Severity::Medium,
        severity_inside: Severity::Medium,
        entries: 8192,
        count: |_, _| (),
        value: |measured| measured.all.count(),
        agrees: |_| true,
        suffices: |_| false,
        holds: Holds::Targets,
        yields_to: &[],
        shared: Shared::Source,
        threats: [None, None],
        sentence: |_| String::new(),
    };
}
