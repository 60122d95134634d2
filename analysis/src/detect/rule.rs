//! Definition of a rule. The rules are in rules/, one line each in [`super::RULES`].

use std::net::IpAddr;

use flow::{FlowKey, HashSeed};

use super::facts::Fact;
use super::seen::{Class, Seen};
use super::subject::{Measured, Octets, Subject, address, hash_of};
use super::table::Table;
use crate::site::Site;

/// A rule: the records and the measure that it counts, and its threshold.
#[derive(Debug)]
pub struct Rule {
    /// Its name in settings, `[rule.ID]`, and in documents.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// `scan`, `flood`, `abuse` or `traffic`.
    pub category: &'static str,
    /// Meaning, in one sentence.
    pub meaning: &'static str,
    /// Unit of the threshold.
    pub unit: &'static str,
    /// The threshold.
    pub threshold: u64,
    /// The threshold for a source of the own networks, if it is different.
    pub threshold_inside: Option<u64>,
    /// Seconds of a window.
    pub window_s: u32,
    /// Number of windows that are judged together.
    pub(super) span: Span,
    pub(super) form: Form,
    /// Comparison with the baseline, in addition to the threshold.
    pub(super) baseline: Option<Baseline>,
    pub(super) severity: Severity,
    /// Severity for a source of the own networks.
    pub(super) severity_inside: Severity,
    /// Most subjects in windows that are not closed.
    pub(super) entries: usize,
    /// The classes of the records that it counts.
    pub(super) classes: &'static [Class],
    /// It counts only those with this fact.
    pub(super) fact: Option<Fact>,
    /// It counts nothing while the own networks are not known.
    pub(super) needs_networks: bool,
    /// The subject of most records, whose memory is fetched ahead. `None`: the rule has few
    /// subjects, or few records.
    pub(super) fetches: Option<fn(&FlowKey) -> Subject>,
    /// It counts at subjects with one host of a record only, and asks for the role of that host.
    /// With one record in a window, a host is under its threshold.
    pub(super) is_of_host: bool,
    /// Counts a record of these classes at its subjects.
    pub(super) count: fn(&Seen<'_>, &mut Counter<'_>),
    /// For a rule about totals, in place of `count`: counts a record in one of the totals of its
    /// window, which has this number of milliseconds. Total 0 gets the sum of all.
    pub(super) count_total: Option<fn(&Seen<'_>, &mut Totals, u64)>,
    /// The value of a whole window that is compared with the threshold.
    pub(super) value: fn(&Measured) -> u64,
    /// A further condition of an incident.
    pub(super) agrees: fn(&Measured) -> bool,
    /// A condition that is enough for an incident, with any value.
    pub(super) suffices: fn(&Measured) -> bool,
    /// Content of the sets of a measure.
    pub(super) holds: Holds,
    /// Meaning of the number of a subject.
    pub(super) number: Number,
    /// More specific rules: while one of them has an incident, this rule opens none.
    pub(super) yields_to: &'static [&'static str],
    pub(super) shared: Shared,
    /// The technique of an attacker outside, and of one inside.
    pub(super) threats: [Option<&'static Threat>; 2],
    pub(super) sentence: fn(&Told) -> String,
}

/// Totals of a window, by the number of their subject.
pub(super) type Totals = [Measured; TOTALS];

/// Number of totals.
pub(super) const TOTALS: usize = 6;

/// Number of windows that a rule judges together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// One window is enough.
    One,
    /// Two consecutive windows. One record of this length is enough too.
    Two,
    /// Different things in this number of last windows.
    Sliding(u64),
}

/// What the threshold is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A number of different things, which a set counts: as many as the threshold, or more.
    Distinct,
    /// Packets or octets in a window: as many as the threshold, or more.
    Sum,
    /// More in a window than the threshold allows for each second.
    Rate,
}

/// Comparison of a measure with the median of the windows before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    /// The value has to be more than the median times this factor.
    pub(super) factor: u64,
    /// Without a baseline there is no alert.
    pub(super) is_needed: bool,
}

/// Severity, with the values of Elastic Security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Low = 21,
    Medium = 47,
    High = 73,
    Critical = 99,
}

/// Content of the sets of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Nothing,
    /// Hosts that the subject contacts.
    Targets,
    /// Hosts that contact the subject; the second set is a sample of them.
    Sources,
    /// Ports of the subject's destination.
    Ports,
    /// Pairs of host and port.
    Pairs,
}

/// Meaning of the number of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// The port of the destination; 0: none.
    Port,
    /// The port of the source; 0: none.
    SourcePort,
    /// An interface.
    Interface,
    /// A class of traffic.
    Class,
}

/// The part that two subjects have to have in common, so that one incident explains the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// The source.
    Source,
    /// The source, and a port.
    SourceAndPort,
    /// The destination of this rule's subject is the source of the other incident's subject.
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
    /// `3389/tcp`, or another meaning of the subject's number.
    pub(super) port: String,
    /// The number of the subject.
    pub(super) number: u32,
    pub(super) value: String,
    pub(super) window: String,
    pub(super) measured: Measured,
    pub(super) sources: u64,
}

/// Knowledge of rules about the network.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) site: Site,
}

impl Scope {
    /// True for an address of the own networks; by default, for a private one.
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
}

/// Counters of a rule for one record.
pub(super) struct Counter<'a> {
    pub(super) seed: &'a HashSeed,
    pub(super) scope: &'a Scope,
    pub(super) table: &'a mut Table,
    /// The subject whose memory was fetched, and its hash.
    pub(super) ahead: Option<&'a (Subject, u64)>,
    /// The window of the record.
    pub(super) window: u64,
    pub(super) window_ms: u64,
}

impl Counter<'_> {
    /// The measure of a subject in this window.
    pub(super) fn at(&mut self, subject: Subject) -> &mut Measured {
        let hash = match self.ahead {
            Some((known, hash)) if *known == subject => *hash,
            Some(_) | None => subject.hash(self.seed, self.window),
        };
        self.table.at(hash, subject, self.window)
    }

    /// Counts a record of a subject, and its destination among the hosts that the subject contacts.
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
    /// The number of windows of which a sliding rule counts all things together. `None`: windows
    /// are counted apart.
    pub fn windows_together(&self) -> Option<u64> {
        if let Span::Sliding(windows) = self.span { Some(windows) } else { None }
    }

    /// The time that a sentence names: all windows that are judged together, in seconds.
    pub(super) fn looks_back_s(&self, window_s: u32) -> u64 {
        self.windows_together().unwrap_or(1) * u64::from(window_s)
    }

    /// A rule that finds nothing: the defaults of most rules.
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
        form: Form::Distinct,
        baseline: None,
        severity: Severity::Medium,
        severity_inside: Severity::Medium,
        entries: 8192,
        classes: &Class::ALL,
        fact: None,
        needs_networks: false,
        fetches: None,
        is_of_host: false,
        count: |_, _| (),
        count_total: None,
        value: |measured| measured.all().count(),
        agrees: |_| true,
        suffices: |_| false,
        holds: Holds::Targets,
        number: Number::Port,
        yields_to: &[],
        shared: Shared::Source,
        threats: [None, None],
        sentence: |_| String::new(),
    };
}
