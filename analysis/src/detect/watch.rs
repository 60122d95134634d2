//! A rule that is on: it counts records in windows, and judges a window that is over.

use flow::{HashSeed, Timestamp};

use super::history::History;
use super::incident::{Finding, Incidents};
use super::kept::WINDOW_MS;
use super::newcomers::Newcomers;
use super::rule::{Counter, Form, Holds, Rule, Scope, Span, Totals};
use super::seen::{Class, Seen};
use super::settings::Limits;
use super::sliding::Sliding;
use super::subject::{Measured, Subject};
use super::table::Table;
use crate::site::Site;

/// Records whose memory is fetched before they are counted.
pub(super) const AHEAD: usize = 64;

/// The subjects of some records, and their hashes, while these are counted.
pub(super) type Ahead = [(Subject, u64); AHEAD];

/// A value of at least this part of the threshold is kept for the baseline.
const LEARNED_PART: u64 = 64;

/// A rule that is on, with its counts.
pub(super) struct Watch {
    pub(super) rule: &'static Rule,
    pub(super) limits: Limits,
    /// Bits of the records that the rule counts: one of these is enough.
    pub(super) kinds: u32,
    pub(super) window_ms: u64,
    /// The first record of a host is counted with its second one, or at the end of the window.
    pub(super) waits: bool,
    pub(super) table: Table,
    pub(super) sliding: Sliding,
    pub(super) history: History,
    pub(super) incidents: Incidents,
    /// The last window that was closed.
    pub(super) closed: Option<u64>,
}

impl Watch {
    /// A rule with this number of entries in its table.
    pub(super) fn new(rule: &'static Rule, limits: Limits, entries: usize, site: &Site) -> Self {
        let window_ms = 1000 * u64::from(limits.window_s);
        let of_classes = |bits, class: &Class| bits | u32::from(class.bit());
        let kinds = match rule.fact {
            _ if rule.needs_networks && site.local_networks.is_empty() => 0,
            Some(fact) => fact.bit(),
            None => rule.classes.iter().fold(0, of_classes),
        };
        Self {
            rule,
            kinds,
            window_ms,
            waits: rule.is_of_host && window_ms == WINDOW_MS,
            limits,
            table: Table::new(entries),
            sliding: Sliding::default(),
            history: History::default(),
            incidents: Incidents::default(),
            closed: None,
        }
    }

    /// Counts at most [`AHEAD`] records, those that the rule counts.
    ///
    /// Memory is fetched ahead: a new subject is in no cache.
    pub(super) fn count(
        &mut self,
        seen: &[Seen<'_>],
        seed: &HashSeed,
        scope: &Scope,
        ahead: &mut Ahead,
    ) {
        if let Some(count_total) = self.rule.count_total {
            return self.count_totals(seen, seed, count_total);
        }
        let Self { rule, kinds, table, closed, window_ms, .. } = self;
        let seen = || seen.iter().filter(|seen| *kinds & seen.kinds != 0);
        let mut windows = Windows::new(*window_ms, *closed);
        let fetches = rule.fetches.filter(|_| table.is_large());
        if let Some(fetches) = fetches {
            for (seen, (subject, hash)) in seen().zip(&mut *ahead) {
                *subject = fetches(seen.key());
                *hash = subject.hash(seed, windows.of(seen.end_ms));
                table.prefetch_group(*hash);
            }
            for (seen, (_, hash)) in seen().zip(&*ahead) {
                let has_sets = rule.holds != Holds::Nothing && seen.class != Class::Begun;
                table.prefetch_entry(*hash, if has_sets { 4 } else { 2 });
            }
        }
        for (seen, ahead) in seen().zip(&*ahead) {
            let window = windows.of(seen.end_ms);
            let ahead = fetches.map(|_| ahead);
            let mut counter = Counter { seed, scope, table, ahead, window, window_ms: *window_ms };
            (rule.count)(seen, &mut counter);
        }
    }

    /// As [`Watch::count`], for totals.
    fn count_totals(
        &mut self,
        seen: &[Seen<'_>],
        seed: &HashSeed,
        count_total: fn(&Seen<'_>, &mut Totals, u64),
    ) {
        let mut windows = Windows::new(self.window_ms, self.closed);
        let mut sums = Sums::new(seed, &mut self.table);
        for seen in seen.iter().filter(|seen| self.kinds & seen.kinds != 0) {
            count_total(seen, sums.of(windows.of(seen.end_ms)), self.window_ms);
        }
    }

    pub(super) fn end(&self, window: u64) -> Timestamp {
        Timestamp::from_millis((window + 1) * self.window_ms)
    }

    /// The next window to close: one with entries, or the first one in which a host waits, or any
    /// if an incident is open or pending.
    pub(super) fn next(&self, waiting: Option<u64>) -> Option<u64> {
        let oldest = self.table.oldest().into_iter().chain(waiting).min();
        if !self.incidents.has_open() {
            return oldest;
        }
        let after = self.closed.map(|closed| closed + 1);
        after.into_iter().chain(oldest).min()
    }

    /// Subjects that were evicted, and hosts whose only record was.
    pub(super) fn evicted(&self, newcomers: &Newcomers) -> u64 {
        let lost = if self.waits { newcomers.lost(self.rule.classes) } else { 0 };
        self.table.evicted + self.sliding.evicted + lost
    }

    /// Takes the subjects of a window that may matter, with their values, in order.
    pub(super) fn take(&mut self, seed: &HashSeed, window: u64) -> Vec<(Subject, u64, Measured)> {
        let Self { rule, limits, table, incidents, sliding, window_ms, .. } = self;
        let least = limits.least(rule.form, *window_ms);
        let is_sliding = matches!(rule.span, Span::Sliding(_));
        let mut taken = Vec::new();
        table.close(window, |subject, measured| {
            let value = (rule.value)(measured);
            let matters = value >= least || is_sliding && value > 0 || (rule.suffices)(measured);
            if matters || incidents.is_open(subject) {
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
    pub(super) fn judge(
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
            Form::Distinct | Form::Sum => (threshold, value),
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
    pub(super) fn compare(&mut self, window: u64, value: u64, finding: &mut Finding) {
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
            Form::Distinct | Form::Sum => least.div_ceil(2),
            Form::Rate => (least.saturating_mul(window_ms / 1000) / LEARNED_PART).max(1),
        }
    }
}

/// Totals of some records. They are added to the table when the window changes, and at the end.
struct Sums<'a> {
    seed: &'a HashSeed,
    table: &'a mut Table,
    window: u64,
    totals: Totals,
}

impl<'a> Sums<'a> {
    fn new(seed: &'a HashSeed, table: &'a mut Table) -> Self {
        Self { seed, table, window: 0, totals: Totals::default() }
    }

    /// The totals of a window.
    #[inline]
    fn of(&mut self, window: u64) -> &mut Totals {
        if window != self.window {
            self.flush();
            self.window = window;
        }
        &mut self.totals
    }

    fn flush(&mut self) {
        for (number, total) in (0..).zip(&mut self.totals) {
            if total.is_empty() {
                continue;
            }
            let subjects = if number == 0 { &[0][..] } else { &[0, number] };
            for &number in subjects {
                let subject = Subject::number(number);
                let hash = subject.hash(self.seed, self.window);
                self.table.at(hash, subject, self.window).add_counts(total);
            }
            total.clear();
        }
    }
}

impl Drop for Sums<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The windows of records. Most records are in the window of the one before.
struct Windows {
    window_ms: u64,
    closed: Option<u64>,
    window: u64,
    from_ms: u64,
}

impl Windows {
    fn new(window_ms: u64, closed: Option<u64>) -> Self {
        Self { window_ms, closed, window: 0, from_ms: 0 }
    }

    /// The window in which a record with this end counts: its own, or the first one that is open.
    #[inline]
    fn of(&mut self, end_ms: u64) -> u64 {
        if end_ms.wrapping_sub(self.from_ms) >= self.window_ms {
            self.window = end_ms / self.window_ms;
            self.from_ms = self.window * self.window_ms;
        }
        match self.closed {
            Some(closed) if closed >= self.window => closed + 1,
            Some(_) | None => self.window,
        }
    }
}
