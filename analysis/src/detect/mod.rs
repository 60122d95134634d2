//! Detectors: a stage that counts records in windows of time and reports incidents.
//!
//! A record belongs to the window in which its last packet came, in trace time. A window closes
//! when no more record of it can come ([`Stage::settle`]). Only a record of another exporter can be
//! late: it is counted. Counts are only sums, maxima and set bits: the order of records and the
//! number of workers do not matter. All decisions use integers. Memory is fixed at the start.
//!
//! rule.rs defines a rule, rules/ has the rules, this file judges windows, and incident.rs keeps
//! the incidents.

mod counts;
mod distinct;
mod document;
mod history;
mod incident;
mod rule;
mod rules;
mod seen;
mod settings;
mod sliding;
mod subject;
mod table;

use std::sync::{Arc, Mutex, PoisonError};

use flow::{Batch, Event, HashSeed, Stage, Timestamp};

use crate::networks::Groups;
use crate::site::Site;
pub use counts::{DetectCounts, RuleCounts};
use document::Common;
use history::History;
use incident::{Finding, Incidents, Window};
pub use rule::Rule;
use rule::{Counter, Form, Scope, Span};
pub use rules::RULES;
use seen::Seen;
use settings::Limits;
pub use settings::{DISTINCT_MAX, DetectSettings, RuleSettings, WINDOW_S, check, threshold_max};
use sliding::Sliding;
use subject::{Measured, Subject};
use table::Table;

/// A value of at least this part of the threshold is kept for the baseline.
const LEARNED_PART: u64 = 64;

/// Detectors of incidents.
pub struct Detectors {
    watches: Vec<Watch>,
    scope: Scope,
    seed: HashSeed,
    common: Common,
    /// The last packet, in milliseconds of trace time.
    latest_ms: u64,
    counts: DetectCounts,
    published: Arc<Mutex<DetectCounts>>,
}

/// A rule that is on, with its counts.
struct Watch {
    rule: &'static Rule,
    limits: Limits,
    window_ms: u64,
    table: Table,
    sliding: Sliding,
    history: History,
    incidents: Incidents,
    /// The last window that was closed.
    closed: Option<u64>,
}

impl Detectors {
    /// # Errors
    ///
    /// Unknown groups that a rule names, each in a sentence.
    pub fn new(settings: &DetectSettings, site: Site) -> Result<Self, Vec<String>> {
        let wanted: usize = RULES.iter().map(|rule| Table::octets(rule.entries)).sum();
        let mut watches = Vec::new();
        for rule in &RULES {
            let Some(limits) = Limits::of(rule, &settings.rules, &site.groups)? else { continue };
            let share = rule.entries as u128 * u128::from(settings.memory) / wanted as u128;
            let entries = usize::try_from(share).unwrap_or(rule.entries).min(rule.entries);
            watches.push(Watch {
                rule,
                window_ms: 1000 * u64::from(limits.window_s),
                limits,
                table: Table::new(entries),
                sliding: Sliding::default(),
                history: History::default(),
                incidents: Incidents::default(),
                closed: None,
            });
        }
        Ok(Self {
            watches,
            scope: Scope { site },
            seed: settings.seed,
            common: Common {
                observer: settings.observer.clone(),
                version: settings.version.clone(),
                ..Common::default()
            },
            latest_ms: 0,
            counts: DetectCounts::default(),
            published: Arc::default(),
        })
    }

    /// # Errors
    ///
    /// Unknown groups that rules name, each in a sentence.
    pub fn check(settings: &DetectSettings, groups: &Groups) -> Result<(), Vec<String>> {
        let limits = RULES.iter().map(|rule| Limits::of(rule, &settings.rules, groups));
        let problems: Vec<_> = limits.filter_map(Result::err).flatten().collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The counters, for other threads.
    pub fn counts(&self) -> Arc<Mutex<DetectCounts>> {
        Arc::clone(&self.published)
    }

    fn count(&mut self, seen: &Seen<'_>) {
        self.latest_ms = self.latest_ms.max(seen.end_ms);
        for watch in &mut self.watches {
            let mut window = seen.end_ms / watch.window_ms;
            if let Some(closed) = watch.closed.filter(|closed| *closed >= window) {
                debug_assert!(false, "a record of window {window} came after it was closed");
                self.counts.late += 1;
                window = closed + 1;
            }
            let mut counter = Counter {
                seed: &self.seed,
                scope: &self.scope,
                table: &mut watch.table,
                window,
                window_ms: watch.window_ms,
            };
            (watch.rule.count)(seen, &mut counter);
        }
    }

    /// The next window that can be closed: the one that ended first.
    fn next(&self, until: Timestamp) -> Option<(usize, u64)> {
        let windows = self.watches.iter().enumerate().filter_map(|(index, watch)| {
            let window = watch.next()?;
            let end = watch.end(window);
            let last = if until == Timestamp::MAX { self.latest_ms } else { u64::MAX };
            let is_over = end <= until && window * watch.window_ms <= last;
            is_over.then_some((end, index, window))
        });
        windows.min().map(|(_, index, window)| (index, window))
    }

    fn close(&mut self, index: usize, window: u64, events: &mut Vec<Event>) {
        let measured = self.watches[index].take(&self.seed, window);
        let findings = self.find(index, window, &measured);
        let watch = &mut self.watches[index];
        watch.closed = Some(window);
        let end = watch.end(window);
        self.common.evicted = watch.evicted();
        self.common.window_s = watch.limits.window_s;
        let (rule, common) = (watch.rule, &self.common);
        let unnamed = watch.incidents.judge(
            rule,
            &self.seed,
            Window { end, length_ms: watch.window_ms },
            &findings,
            &mut |action, incident, time| {
                events.push(document::of_incident(rule, incident, action, time, common));
            },
        );
        if unnamed > 0 {
            events.push(document::of_many(rule, unnamed, end, common));
        }
    }

    /// Findings of a window, in the order of subjects.
    fn find(
        &mut self,
        index: usize,
        window: u64,
        measured: &[(Subject, u64, Measured)],
    ) -> Vec<Finding> {
        let end = self.watches[index].end(window);
        let mut findings = Vec::new();
        for (subject, value, measured) in measured {
            let watch = &mut self.watches[index];
            let judged = watch.judge(&self.scope, subject, *value, measured);
            let Some(mut finding) = judged else { continue };
            let is_open = watch.incidents.is_open(subject);
            watch.compare(window, *value, &mut finding);
            finding.is_over =
                finding.is_over && (is_open || !self.is_explained(index, subject, end));
            if finding.is_over || finding.is_half || is_open {
                findings.push(finding);
            }
        }
        findings
    }

    fn is_explained(&self, index: usize, subject: &Subject, now: Timestamp) -> bool {
        let rule = self.watches[index].rule;
        let mut others =
            self.watches.iter().filter(|other| rule.yields_to.contains(&other.rule.id));
        others.any(|other| other.incidents.explain(subject, rule.shared, now))
    }

    fn publish(&mut self) {
        let counts = self.watches.iter().map(|watch| RuleCounts {
            id: watch.rule.id,
            open: watch.incidents.open_count(),
            opened: watch.incidents.opened_total,
            unnamed: watch.incidents.unnamed_total,
            evicted: watch.evicted(),
        });
        self.counts.rules = counts.collect();
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.counts);
    }
}

impl Watch {
    fn end(&self, window: u64) -> Timestamp {
        Timestamp::from_millis((window + 1) * self.window_ms)
    }

    /// The next window to close: one with entries, or any if an incident is open or pending.
    fn next(&self) -> Option<u64> {
        let oldest = self.table.oldest();
        if !self.incidents.has_open() {
            return oldest;
        }
        let after = self.closed.map(|closed| closed + 1);
        after.into_iter().chain(oldest).min()
    }

    fn evicted(&self) -> u64 {
        self.table.evicted + self.sliding.evicted
    }

    /// Takes the subjects of a window that may matter, with their values, in order.
    fn take(&mut self, seed: &HashSeed, window: u64) -> Vec<(Subject, u64, Measured)> {
        let Self { rule, limits, table, incidents, sliding, window_ms, .. } = self;
        let least = limits.least(rule.form, *window_ms);
        let is_sliding = matches!(rule.span, Span::Sliding(_));
        let mut taken = Vec::new();
        table.close(window, |subject, measured| {
            let value = (rule.value)(measured);
            if value >= least || is_sliding && value > 0 || incidents.is_open(subject) {
                taken.push((*subject, value, *measured));
            }
        });
        taken.sort_unstable_by_key(|(subject, ..)| *subject);
        if let Span::Sliding(windows) = rule.span {
            for (subject, value, measured) in &mut taken {
                (*value, *measured) = sliding.add(seed, subject, (window, windows), measured);
            }
        }
        taken
    }

    /// Compares a value with the threshold; `None` if the rule ignores one of these hosts.
    fn judge(
        &self,
        scope: &Scope,
        subject: &Subject,
        value: u64,
        measured: &Measured,
    ) -> Option<Finding> {
        let (source, destination) = (subject.source_address(), subject.destination_address());
        let mut hosts = source.into_iter().chain(destination);
        if hosts.clone().any(|host| self.limits.ignore.contains(host)) {
            return None;
        }
        let is_inside = source.is_some_and(|source| scope.is_local(source));
        let of_group = |host| {
            let mut groups = self.limits.groups.iter();
            groups.find(|(hosts, _)| hosts.contains(host)).map(|(_, limit)| *limit)
        };
        let default = if is_inside { self.limits.inside } else { self.limits.outside };
        let threshold = hosts.find_map(of_group).unwrap_or(default);
        let window_s = u64::from(self.limits.window_s);
        let (limit, shown) = match self.rule.form {
            Form::Number => (threshold, value),
            Form::Rate => (threshold.saturating_mul(window_s).saturating_add(1), value / window_s),
        };
        let suffices = (self.rule.suffices)(measured);
        Some(Finding {
            subject: *subject,
            value: shown,
            threshold,
            baseline: None,
            is_over: suffices || value >= limit && (self.rule.agrees)(measured),
            is_half: suffices || value.saturating_mul(2) >= limit,
            lasts: suffices || measured.lasting >= limit,
            is_inside,
            measured: *measured,
        })
    }

    /// Compares a value with the past of its subject, and adds it to the past.
    fn compare(&mut self, window: u64, value: u64, finding: &mut Finding) {
        let Some(wanted) = self.rule.baseline else { return };
        let baseline = self.history.baseline(&finding.subject, window);
        let suffices = (self.rule.suffices)(&finding.measured);
        finding.is_over &= match baseline {
            _ if suffices => true,
            Some(baseline) => value > wanted.factor.saturating_mul(baseline),
            None => !wanted.is_needed,
        };
        let per_second = if self.rule.form == Form::Rate { self.limits.window_s.into() } else { 1 };
        finding.baseline = baseline.map(|baseline| baseline / per_second);
        let is_alert = finding.is_over || self.incidents.is_open(&finding.subject);
        self.history.learn(&finding.subject, window, (!is_alert).then_some(value));
    }
}

impl Limits {
    /// The least value in a window that is judged.
    fn least(&self, form: Form, window_ms: u64) -> u64 {
        let groups = self.groups.iter().map(|(_, limit)| *limit);
        let least = groups.chain([self.inside, self.outside]).min().unwrap_or(1);
        match form {
            Form::Number => least.div_ceil(2),
            Form::Rate => (least.saturating_mul(window_ms / 1000) / LEARNED_PART).max(1),
        }
    }
}

impl Stage for Detectors {
    fn batch(&mut self, batch: &mut Batch) {
        for record in &batch.records {
            match Seen::of(batch, record) {
                Some(seen) => self.count(&seen),
                None => self.counts.timeless += 1,
            }
        }
    }

    fn interface(&mut self, number: u32, name: &str) {
        self.scope.site.inside.learn(number, name);
        self.scope.site.outside.learn(number, name);
    }

    fn wants_settle(&self) -> bool {
        true
    }

    fn settle(&mut self, until: Timestamp, events: &mut Vec<Event>) {
        while let Some((index, window)) = self.next(until) {
            self.close(index, window, events);
        }
        if until == Timestamp::MAX {
            let latest = Timestamp::from_millis(self.latest_ms);
            for watch in &mut self.watches {
                self.common.evicted = watch.table.evicted + watch.sliding.evicted;
                self.common.window_s = watch.limits.window_s;
                let (rule, common) = (watch.rule, &self.common);
                watch.incidents.end(latest, &mut |action, incident, time| {
                    events.push(document::of_incident(rule, incident, action, time, common));
                });
            }
        }
        self.publish();
    }

    fn tick(&mut self, _now: Timestamp, _events: &mut Vec<Event>) {}
}

#[cfg(test)]
mod tests;
