//! Detectors: a stage that counts records in windows of time and reports incidents.
//!
//! A record belongs to the window in which its last packet came, in trace time. A window closes
//! when no more record of it can come ([`Stage::settle`]). Only a record of another exporter can be
//! late: it is counted. Counts are only sums, maxima and set bits: the order of records and the
//! number of workers do not matter. All decisions use integers. Memory is bounded: tables are made
//! at the start; baselines, sliding sets and incidents grow up to their limits.
//!
//! rule.rs defines a rule, rules/ has the rules, this file judges windows, and incident.rs keeps
//! the incidents.

mod counts;
mod distinct;
mod document;
mod facts;
mod group;
mod history;
mod incident;
mod kept;
mod lines;
mod newcomers;
mod rule;
mod rules;
mod seen;
mod settings;
mod sliding;
mod subject;
mod table;
mod watch;

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use flow::{Batch, Event, HashSeed, Stage, Timestamp};

use crate::networks::Groups;
use crate::site::Site;
pub use counts::{DetectCounts, RuleCounts};
use document::Common;
use incident::{Finding, Window};
use kept::Released;
use newcomers::Newcomers;
pub use rule::Rule;
use rule::Scope;
pub use rules::{RULES, SPIKE_LIMITS, Spike};
use seen::Seen;
use settings::Limits;
pub use settings::{DetectSettings, Part, RuleSettings, check, threshold_max};
use subject::{Measured, Subject};
use table::Table;
use watch::{AHEAD, Ahead, Watch};

/// Detectors of incidents.
pub struct Detectors {
    part: Part,
    watches: Vec<Watch>,
    /// First records of hosts, for rules that wait for the second one.
    newcomers: Newcomers,
    /// Room for those of them that are counted next.
    released: Vec<Released>,
    /// Room for what is fetched ahead.
    ahead: Ahead,
    scope: Scope,
    seed: HashSeed,
    common: Common,
    /// The last packet, in milliseconds of trace time.
    latest_ms: u64,
    /// Windows that ended by this time are closed, in milliseconds of trace time.
    settled_ms: u64,
    counts: DetectCounts,
    published: Arc<Mutex<DetectCounts>>,
}

impl Detectors {
    /// The rules of a part. Together, the parts have the memory of the settings.
    ///
    /// # Errors
    ///
    /// Unknown groups that a rule names, each in a sentence.
    pub fn new(settings: &DetectSettings, site: Site, part: Part) -> Result<Self, Vec<String>> {
        let tables: usize = RULES.iter().map(|rule| Table::octets(rule.entries)).sum();
        let wanted = tables + Newcomers::octets(newcomers::ENTRIES);
        let share = |entries: usize| {
            let share = entries as u128 * u128::from(settings.memory) / wanted as u128;
            usize::try_from(share).unwrap_or(entries).min(entries)
        };
        let mut watches = Vec::new();
        for rule in RULES.iter().filter(|rule| part.contains(rule)) {
            let Some(limits) = Limits::of(rule, &settings.rules, &site.groups)? else { continue };
            watches.push(Watch::new(rule, limits, share(rule.entries), &site));
        }
        Ok(Self {
            part,
            watches,
            newcomers: Newcomers::new(share(newcomers::ENTRIES)),
            released: Vec::new(),
            ahead: [(Subject::default(), 0); AHEAD],
            scope: Scope { site },
            seed: settings.seed,
            common: Common {
                observer: settings.observer.clone(),
                version: settings.version.clone(),
                ..Common::default()
            },
            latest_ms: 0,
            settled_ms: 0,
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

    /// Counts at most [`AHEAD`] records, rule by rule. `active` is for records of hosts that had
    /// one before.
    fn count<'a>(&mut self, seen: &[Seen<'a>], active: &mut Vec<Seen<'a>>) {
        self.count_for(seen, |watch| !watch.waits);
        if self.watches.iter().any(|watch| watch.waits) {
            let mut released = mem::take(&mut self.released);
            self.newcomers.take(seen, &self.seed, active, &mut released);
            self.count_released(&released);
            self.count_for(active, |watch| watch.waits);
            active.clear();
            released.clear();
            self.released = released;
        }
    }

    /// Counts the first records of hosts.
    fn count_released(&mut self, released: &[Released]) {
        for released in released.chunks(AHEAD) {
            let seen: Vec<_> = released.iter().map(Released::seen).collect();
            self.count_for(&seen, |watch| watch.waits);
        }
    }

    /// Counts at most [`AHEAD`] records for some rules.
    fn count_for(&mut self, seen: &[Seen<'_>], are_meant: impl Fn(&Watch) -> bool) {
        let kinds = seen.iter().fold(0, |bits, seen| bits | seen.kinds);
        let watches = self.watches.iter_mut().filter(|watch| are_meant(watch));
        for watch in watches.filter(|watch| watch.kinds & kinds != 0) {
            watch.count(seen, &self.seed, &self.scope, &mut self.ahead);
        }
    }

    /// The next window that can be closed: the one that ended first.
    fn next(&self, until: Timestamp) -> Option<(usize, u64)> {
        let windows = self.watches.iter().enumerate().filter_map(|(index, watch)| {
            let window = watch.next(watch.waits.then(|| self.newcomers.oldest()).flatten())?;
            let end = watch.end(window);
            let last = if until == Timestamp::MAX { self.latest_ms } else { u64::MAX };
            let is_over = end <= until && window * watch.window_ms <= last;
            is_over.then_some((end, index, window))
        });
        windows.min().map(|(_, index, window)| (index, window))
    }

    fn close(&mut self, index: usize, window: u64, events: &mut Vec<Event>) {
        if self.watches[index].waits {
            let mut released = Vec::new();
            self.newcomers.close(window, |one| released.push(one));
            self.count_released(&released);
        }
        let measured = self.watches[index].take(&self.seed, window);
        let findings = self.find(index, window, &measured);
        let watch = &mut self.watches[index];
        watch.closed = Some(window);
        let end = watch.end(window);
        self.common.evicted = watch.evicted(&self.newcomers);
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
            evicted: watch.evicted(&self.newcomers),
        });
        self.counts.rules = counts.collect();
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.counts);
    }
}

impl Stage for Detectors {
    fn batch(&mut self, batch: &mut Batch) {
        let (mut seen, mut active) = (Vec::with_capacity(AHEAD), Vec::with_capacity(AHEAD));
        // One part counts each record once.
        let counts_records = self.part != Part::Floods;
        for records in batch.records.chunks(AHEAD) {
            seen.clear();
            for record in records {
                match Seen::of(batch, record) {
                    Some(one) => {
                        self.latest_ms = self.latest_ms.max(one.end_ms);
                        self.counts.late +=
                            u64::from(counts_records && one.end_ms < self.settled_ms);
                        seen.push(one);
                    }
                    None => self.counts.timeless += u64::from(counts_records),
                }
            }
            self.count(&seen, &mut active);
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
        self.settled_ms = self.settled_ms.max(until.as_millis());
        if until == Timestamp::MAX {
            let latest = Timestamp::from_millis(self.latest_ms);
            for watch in &mut self.watches {
                self.common.evicted = watch.evicted(&self.newcomers);
                self.common.window_s = watch.limits.window_s;
                let (rule, common) = (watch.rule, &self.common);
                watch.incidents.end(latest, &mut |action, incident, time| {
                    events.push(document::of_incident(rule, incident, action, time, common));
                });
            }
        }
        self.publish();
    }
}

#[cfg(test)]
mod tests;
