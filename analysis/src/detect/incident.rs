//! Incidents: from the first exceeded threshold to the last document.
//!
//! An incident opens when a window (or two in a row) is over the threshold. It is reported every
//! five minutes. It closes after three windows under half of the threshold. If it begins again soon
//! after that, it is the same incident.

use std::collections::BTreeMap;

use flow::{HashSeed, Timestamp};

use super::rule::{Rule, Shared, Span};
use super::subject::{Measured, Subject};

/// Windows under half of the threshold before an incident closes.
const QUIET_WINDOWS: u64 = 3;

/// Time between two updates, in milliseconds.
const UPDATE_MS: u64 = 5 * 60 * 1000;

/// Time in which a new opening belongs to the old incident, in milliseconds.
const HOLD_MS: u64 = 5 * 60 * 1000;

/// Time in which a closed incident explains findings of other rules, in milliseconds.
const MEMORY_MS: u64 = 15 * 60 * 1000;

/// The longest record that keeps an incident open, in milliseconds: the highest active timeout, one
/// day. A record of another exporter may say more.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

/// Most incidents of a rule that are open.
const OPEN_MAX: usize = 1000;

/// Most new incidents of a rule in a minute.
const NEW_MAX: usize = 100;

/// Most incidents of a rule that are kept, closed ones included.
const KEPT_MAX: usize = 4 * OPEN_MAX;

/// Finding of a rule about a subject in a window.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) subject: Subject,
    /// Value in the unit of the threshold.
    pub(super) value: u64,
    pub(super) threshold: u64,
    pub(super) baseline: Option<u64>,
    /// The value is over the threshold.
    pub(super) is_over: bool,
    /// The value is at least half of the limit.
    pub(super) is_half: bool,
    /// Records of two windows or longer reach the limit alone.
    pub(super) lasts: bool,
    /// True if the source is in the own networks.
    pub(super) is_inside: bool,
    pub(super) measured: Measured,
}

/// Change of an incident that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Opened,
    Updated,
    Closed,
}

/// One incident.
#[derive(Clone, Debug)]
pub(super) struct Incident {
    pub(super) id: u64,
    /// The finding with the largest value.
    pub(super) peak: Finding,
    /// All windows together.
    pub(super) total: Measured,
    state: State,
    /// End of the last window with at least half of the threshold.
    seen: Timestamp,
    opened: Timestamp,
    told: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Over the threshold in one window.
    Pending,
    Open {
        quiet: u64,
    },
    Closed,
}

/// The incidents of one rule.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    known: BTreeMap<Subject, Incident>,
    open: usize,
    /// The minute of the last new incident, and the number of new incidents in it.
    minute: (u64, usize),
    pub(super) opened_total: u64,
    /// Incidents beyond the limits, which are only counted.
    pub(super) unnamed_total: u64,
}

/// A window of a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) end: Timestamp,
    pub(super) length_ms: u64,
}

impl Incidents {
    pub(super) fn has_open(&self) -> bool {
        self.open > 0
            || self.known.values().any(|incident| matches!(incident.state, State::Pending))
    }

    pub(super) fn is_open(&self, subject: &Subject) -> bool {
        self.known.get(subject).is_some_and(|it| matches!(it.state, State::Open { .. }))
    }

    /// True if an incident of this rule explains the finding of another rule.
    pub(super) fn explain(&self, other: &Subject, shared: Shared, now: Timestamp) -> bool {
        let explains = |subject: &Subject, total: &Measured| match shared {
            Shared::Source => subject.source == other.source,
            Shared::SourceAndPort => subject.source == other.source && total.has_port(other.number),
            Shared::DestinationIsSource => subject.source == other.destination,
            Shared::Destination => subject.destination == other.destination,
            Shared::Nothing => true,
        };
        self.known.iter().any(|(subject, incident)| match incident.state {
            State::Pending => false,
            State::Open { .. } => explains(subject, &incident.total),
            State::Closed => {
                incident.seen.plus_millis(MEMORY_MS) > now && explains(subject, &incident.total)
            }
        })
    }

    /// Takes the findings of a window, in the order of subjects. Returns the number of incidents
    /// beyond the limits.
    pub(super) fn judge(
        &mut self,
        rule: &Rule,
        seed: &HashSeed,
        window: Window,
        findings: &[Finding],
        tell: &mut impl FnMut(Action, &Incident, Timestamp),
    ) -> u64 {
        let mut unnamed = 0;
        for finding in findings {
            unnamed += u64::from(!self.take(rule, seed, window, finding, tell));
        }
        self.pass(window, tell);
        self.unnamed_total += unnamed;
        unnamed
    }

    /// Returns `false` if there is no room for a new incident.
    fn take(
        &mut self,
        rule: &Rule,
        seed: &HashSeed,
        window: Window,
        finding: &Finding,
        tell: &mut impl FnMut(Action, &Incident, Timestamp),
    ) -> bool {
        let is_enough = finding.is_over && (rule.span != Span::Two || finding.lasts);
        let state = self.known.get(&finding.subject).map(|incident| incident.state);
        match state {
            Some(State::Open { .. }) => {
                let incident = self.known.get_mut(&finding.subject).expect("it is known");
                incident.merge(window, finding);
            }
            Some(State::Pending) if finding.is_over => return self.open(finding, window, tell),
            Some(State::Pending) => {}
            Some(State::Closed) if finding.is_over => {
                let incident = self.known.get_mut(&finding.subject).expect("it is known");
                if incident.seen.plus_millis(HOLD_MS) <= window.end {
                    *incident = Incident::new(rule, seed, window, finding);
                }
                // An incident that begins again continues: one window is enough.
                let goes_on = self.known[&finding.subject].opened != window.end;
                return !(is_enough || goes_on) || self.open(finding, window, tell);
            }
            None if finding.is_over => {
                if self.known.len() >= KEPT_MAX {
                    return false;
                }
                let incident = Incident::new(rule, seed, window, finding);
                self.known.insert(finding.subject, incident);
                return !is_enough || self.open(finding, window, tell);
            }
            Some(State::Closed) | None => {}
        }
        true
    }

    fn open(
        &mut self,
        finding: &Finding,
        window: Window,
        tell: &mut impl FnMut(Action, &Incident, Timestamp),
    ) -> bool {
        let minute = window.end.as_millis() / 60_000;
        if self.minute.0 != minute {
            self.minute = (minute, 0);
        }
        if self.open >= OPEN_MAX || self.minute.1 >= NEW_MAX {
            self.known.remove(&finding.subject);
            return false;
        }
        self.minute.1 += 1;
        self.open += 1;
        self.opened_total += 1;
        let incident = self.known.get_mut(&finding.subject).expect("it is known");
        incident.merge(window, finding);
        incident.state = State::Open { quiet: 0 };
        incident.told = window.end;
        tell(Action::Opened, incident, window.end);
        true
    }

    /// Ends the window for all incidents, also for subjects without a finding.
    fn pass(&mut self, window: Window, tell: &mut impl FnMut(Action, &Incident, Timestamp)) {
        let open = &mut self.open;
        self.known.retain(|_, incident| match incident.state {
            State::Pending => incident.seen == window.end,
            State::Closed => incident.seen.plus_millis(MEMORY_MS) > window.end,
            State::Open { quiet } => {
                let quiet = if incident.seen == window.end { 0 } else { quiet + 1 };
                incident.state = State::Open { quiet };
                // A record that lasted several windows is seen only once in these windows.
                let covered = incident.total.longest.min(LONGEST_MS) / window.length_ms;
                if quiet >= QUIET_WINDOWS + covered {
                    incident.state = State::Closed;
                    *open -= 1;
                    tell(Action::Closed, incident, window.end);
                } else if window.end.millis_since(incident.told) >= UPDATE_MS {
                    incident.told = window.end;
                    tell(Action::Updated, incident, window.end);
                }
                true
            }
        });
    }

    /// Closes all incidents at the end of the input.
    pub(super) fn end(
        &mut self,
        latest: Timestamp,
        tell: &mut impl FnMut(Action, &Incident, Timestamp),
    ) {
        for incident in self.known.values_mut() {
            if matches!(incident.state, State::Open { .. }) {
                incident.state = State::Closed;
                tell(Action::Closed, incident, latest.max(incident.told));
            }
        }
        self.open = 0;
    }

    pub(super) fn open_count(&self) -> u64 {
        self.open as u64
    }
}

impl Incident {
    fn new(rule: &Rule, seed: &HashSeed, window: Window, finding: &Finding) -> Self {
        let of_rule = rule
            .id
            .bytes()
            .fold(0, |sum: u64, octet| sum.wrapping_mul(31).wrapping_add(octet.into()));
        let id = finding.subject.hash(seed, of_rule ^ window.end.as_millis());
        Self {
            id,
            peak: finding.clone(),
            total: finding.measured,
            state: State::Pending,
            seen: window.end,
            opened: window.end,
            told: window.end,
        }
    }

    fn merge(&mut self, window: Window, finding: &Finding) {
        if self.opened != window.end || self.seen != window.end {
            self.total.merge(&finding.measured);
        }
        if finding.is_half {
            self.seen = window.end;
        }
        if finding.value > self.peak.value {
            self.peak = finding.clone();
        }
    }
}
