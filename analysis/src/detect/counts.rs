//! Counters of the detectors.

use std::ops::AddAssign;

use super::rules::RULES;

/// Counters of the detectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectCounts {
    /// Counts of each rule that is on, in the order of [`RULES`].
    pub rules: Vec<RuleCounts>,
    /// Records of packets that fit no clock: they belong to no window.
    pub timeless: u64,
    /// Records that came after the windows up to their end were closed. Only those of other
    /// exporters do. They count in a later window if their own is closed.
    pub late: u64,
}

/// Counters of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// The rule.
    pub id: &'static str,
    /// Incidents that are open.
    pub open: u64,
    /// Incidents that were opened.
    pub opened: u64,
    /// Incidents beyond the limits: only their number is reported.
    pub unnamed: u64,
    /// Subjects that were evicted because there was no room.
    pub evicted: u64,
}

impl AddAssign for DetectCounts {
    fn add_assign(&mut self, other: Self) {
        for rule in other.rules {
            match self.rules.iter_mut().find(|known| known.id == rule.id) {
                Some(known) => {
                    known.open += rule.open;
                    known.opened += rule.opened;
                    known.unnamed += rule.unnamed;
                    known.evicted += rule.evicted;
                }
                None => self.rules.push(rule),
            }
        }
        let place = |rule: &RuleCounts| RULES.iter().position(|known| known.id == rule.id);
        self.rules.sort_by_key(place);
        self.timeless += other.timeless;
        self.late += other.late;
    }
}
