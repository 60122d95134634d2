//! The baseline of a subject: the median of its windows without alert.

use std::collections::{BTreeMap, VecDeque};

use super::subject::Subject;

/// Number of last windows of a baseline.
const WINDOWS: u64 = 30;

/// Fewest known windows of a baseline.
const WINDOWS_MIN: usize = 6;

/// Most subjects of a rule. Further ones have no baseline until others are forgotten.
const SUBJECTS: usize = 4096;

/// The past of the subjects of a rule. A window in which a subject was not seen counts as 0.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Window in which subjects not seen for long were last removed.
    tidied: u64,
    /// The first window of the run.
    first: Option<u64>,
    /// Windows with their values. `None`: nothing was learned, because there was an alert.
    subjects: BTreeMap<Subject, VecDeque<(u64, Option<u64>)>>,
}

impl History {
    /// The baseline before this window; `None` if too few windows are known.
    pub(super) fn baseline(&mut self, subject: &Subject, window: u64) -> Option<u64> {
        let first = (*self.first.get_or_insert(window)).max(window.saturating_sub(WINDOWS));
        let known = self.subjects.get(subject).map_or(&[][..], |known| known.as_slices().0);
        let known = known.iter().filter(|(of, _)| *of >= first);
        let seen = known.clone().count();
        let unseen = usize::try_from(window - first).unwrap_or(0).saturating_sub(seen);
        let mut values: Vec<u64> = known.filter_map(|(_, value)| *value).collect();
        values.resize(values.len() + unseen, 0);
        values.sort_unstable();
        (values.len() >= WINDOWS_MIN).then(|| values[values.len() / 2])
    }

    /// Keeps the value of a window.
    pub(super) fn learn(&mut self, subject: &Subject, window: u64, value: Option<u64>) {
        if self.subjects.len() >= SUBJECTS && !self.subjects.contains_key(subject) {
            if self.tidied != window {
                let recent = window.saturating_sub(WINDOWS);
                self.subjects.retain(|_, known| known.back().is_some_and(|(of, _)| *of >= recent));
                self.tidied = window;
            }
            if self.subjects.len() >= SUBJECTS {
                return;
            }
        }
        let known = self.subjects.entry(*subject).or_default();
        while known.front().is_some_and(|(of, _)| of + WINDOWS < window) {
            known.pop_front();
        }
        known.push_back((window, value));
        known.make_contiguous();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_the_median_of_windows_without_alert() {
        let (mut history, subject) = (History::default(), Subject::number(1));
        assert_eq!(history.baseline(&subject, 100), None);
        for (window, value) in (100..).zip([7, 900, 5, 6, 8, 9]) {
            assert_eq!(history.baseline(&subject, window), None);
            history.learn(&subject, window, Some(value));
        }
        assert_eq!(history.baseline(&subject, 106), Some(8));
        (106..120).for_each(|window| history.learn(&subject, window, None));
        assert_eq!(history.baseline(&subject, 120), Some(8), "alerts teach nothing");
        assert_eq!(history.baseline(&subject, 140), Some(0), "windows without it count as 0");
    }

    #[test]
    fn who_is_new_in_an_old_run_has_a_baseline_of_0() {
        let mut history = History::default();
        assert_eq!(history.baseline(&Subject::number(1), 100), None);
        assert_eq!(history.baseline(&Subject::number(2), 106), Some(0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        (0..10_000).for_each(|number| history.learn(&Subject::number(number), 1, Some(1)));
        assert_eq!(history.subjects.len(), SUBJECTS);
    }
}
