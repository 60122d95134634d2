//! The sweep: ends expired flows that receive no more packets.
//!
//! The sweep compares the last seen times of 12 flows in one step, and only accesses expired flows.
//! Packets and the trace clock pace it, so that no packet waits long. The record does not depend on
//! the time at which the sweep finds a flow: it depends on the deadlines.

use super::FlowTable;
use super::group::{Position, lanes};
use crate::observation::low32;
use crate::prefetch::lanes_behind;
use crate::record::FlowRecord;
use crate::time::Timestamp;

/// The sweep visits every flow within this time of the trace clock, in milliseconds.
pub(super) const HORIZON_MS: u64 = 1 << 28;

/// The sweep visits all groups in this time of the trace clock, if packets come often enough.
const PASS_MS: u64 = 1000;

/// Maximum groups per 64 packets: about a nanosecond per packet.
const GROUPS_MAX: u64 = 8;

/// Maximum groups after a pause: about 30 us. Empty regions are skipped and do not count.
const GROUPS_AFTER_PAUSE: u64 = 8192;

/// Groups that a sweep of all groups fetches ahead.
const GROUPS_AHEAD: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// All flows must be swept before this time.
    all_due: Timestamp,
    /// The sweep continues at the latest after this time, even with few packets.
    pub(super) visit_at: Timestamp,
    pass_began: Timestamp,
    group: u32,
    paced_until: Timestamp,
    /// Groups that are due by the trace clock, times [`PASS_MS`].
    due: u64,
}

impl Sweep {
    /// Begins a new pass: all flows have been swept at `now`.
    pub(super) fn restart(&mut self, now: Timestamp) {
        *self = Self {
            all_due: Timestamp::of_trace(now.as_millis() + HORIZON_MS),
            visit_at: Timestamp::of_trace(now.as_millis() + PASS_MS),
            pass_began: now,
            paced_until: now,
            group: 0,
            due: 0,
        };
    }
}

impl FlowTable {
    /// Sweeps the next few groups.
    pub(super) fn sweep_some(&mut self, end: &mut impl FnMut(FlowRecord)) {
        self.pace();
        // A fuller table is swept faster, so that expired flows leave before others are evicted.
        let filling = u64::from(self.flows) * 4 / u64::from(self.room);
        let count = (self.sweep.due / PASS_MS).min(GROUPS_MAX << filling);
        self.sweep.due -= count * PASS_MS;
        self.sweep_next(count, end);
        // Prefetches for the next call, which probably sweeps the same number of groups.
        for group in (self.sweep.group..self.groups.count()).take(count as usize) {
            self.groups.prefetch_group(group);
        }
    }

    /// Sweeps twice the number of groups that are due: an expired flow leaves within half of
    /// [`PASS_MS`] if no packet comes. A caller may tick at each packet, so regions without flows
    /// cost nothing.
    pub(super) fn sweep_due(&mut self, end: &mut impl FnMut(FlowRecord)) {
        self.pace();
        let groups = u64::from(self.groups.count());
        let count = self.sweep.due.div_ceil(PASS_MS);
        self.sweep.due = 0;
        self.sweep_regions((2 * count).min(groups), u64::MAX, end);
    }

    /// Makes groups due as the trace clock moves.
    fn pace(&mut self) {
        let groups = u64::from(self.groups.count());
        let elapsed_ms = self.now.millis_since(self.sweep.paced_until).min(PASS_MS);
        self.sweep.paced_until = self.now;
        self.sweep.visit_at = Timestamp::of_trace(self.now.as_millis() + PASS_MS);
        self.sweep.due = (self.sweep.due + groups * elapsed_ms).min(groups * PASS_MS);
    }

    /// Sweeps if packets have not caused a sweep for [`PASS_MS`]. If few flows are in the table,
    /// one call is a whole pass. So records leave in time at low packet rates too.
    #[cold]
    pub(super) fn sweep_after_pause(&mut self, now: Timestamp, end: &mut impl FnMut(FlowRecord)) {
        if now > self.sweep.all_due {
            self.sweep_all(now, end);
            return;
        }
        self.now = now;
        self.pace();
        let passed = self.sweep_regions(self.groups.count().into(), GROUPS_AFTER_PAUSE, end);
        self.sweep.due = self.sweep.due.saturating_sub(passed * PASS_MS);
    }

    /// Sweeps the next groups, and skips regions without flows. Returns the number of groups that
    /// were passed: at most `groups` plus the rest of a region. Stops after `visits_max` groups in
    /// regions with flows.
    fn sweep_regions(
        &mut self,
        groups: u64,
        visits_max: u64,
        end: &mut impl FnMut(FlowRecord),
    ) -> u64 {
        let (mut visits, mut passed) = (0, 0);
        while visits < visits_max && passed < groups {
            let group = self.sweep.group;
            let next = match self.groups.end_if_empty(group) {
                Some(end_of_region) => end_of_region,
                None => {
                    self.sweep_group(group, self.now, end);
                    visits += 1;
                    group + 1
                }
            };
            passed += u64::from(next - group);
            self.go_on_at(next);
        }
        passed
    }

    fn sweep_next(&mut self, count: u64, end: &mut impl FnMut(FlowRecord)) {
        for _ in 0..count {
            self.sweep_group(self.sweep.group, self.now, end);
            self.go_on_at(self.sweep.group + 1);
        }
    }

    /// Sets the next group to sweep. After the last group a new pass begins.
    #[inline]
    fn go_on_at(&mut self, group: u32) {
        self.sweep.group = group;
        if group == self.groups.count() {
            self.sweep.group = 0;
            let due = self.sweep.pass_began.as_millis() + HORIZON_MS;
            self.sweep.all_due = Timestamp::of_trace(due);
            self.sweep.pass_began = self.now;
        }
    }

    #[inline]
    fn sweep_group(&mut self, group: u32, now: Timestamp, end: &mut impl FnMut(FlowRecord)) {
        let occupied = self.groups.occupied_lanes(group);
        if occupied == 0 {
            return;
        }
        // The active timeout has also passed for a flow that was idle for that time.
        let active_ms = self.timeouts.active_ms;
        let old = lanes_behind(
            self.groups.times(group),
            low32(now.as_millis()) << 1,
            self.timeouts.shortest_idle_ms.min(active_ms) << 1,
            self.timeouts.linger_ms.min(active_ms) << 1,
        );
        for lane in lanes(old & occupied) {
            self.end_if_expired(Position { group, lane }, now, end);
        }
    }

    /// Sweeps all groups at `now`, which may be far ahead of the table's clock.
    #[cold]
    pub(super) fn sweep_all(&mut self, now: Timestamp, end: &mut impl FnMut(FlowRecord)) {
        let mut next = 0;
        while let Some(group) = self.groups.next_occupied(next) {
            for lane in self.groups.occupied(group) {
                self.end_if_expired(Position { group, lane }, now, end);
            }
            next = group + 1;
        }
        self.sweep.restart(now);
    }

    /// Sweeps all groups at `now` for flows that are idle for longer than their timeout, by their
    /// last seen times alone. A flow that had a packet lately may stay behind its active timeout:
    /// its next packet or its idle timeout ends it.
    #[cold]
    pub(super) fn sweep_idle(&mut self, now: Timestamp, end: &mut impl FnMut(FlowRecord)) {
        if now.millis_since(self.now) > HORIZON_MS {
            self.sweep_all(now, end);
            return;
        }
        let mut next = 0;
        while let Some(group) = self.groups.next_occupied(next) {
            self.groups.prefetch_group(group + GROUPS_AHEAD);
            self.sweep_group(group, now, end);
            next = group + 1;
        }
        self.sweep.restart(now);
    }

    fn end_if_expired(
        &mut self,
        position: Position,
        now: Timestamp,
        end: &mut impl FnMut(FlowRecord),
    ) {
        if let Some(reason) = self.expired(position, now) {
            self.end(position, reason, now, end);
        }
    }
}
