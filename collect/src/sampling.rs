//! Sampling intervals that an exporter announces in options.

use std::collections::BTreeMap;

use element::SamplingReading;

use crate::limits::SAMPLERS_MAX;

/// The sampling intervals of an exporter. Some exporters announce them in another Observation
/// Domain than the one of their flows.
#[derive(Debug, Default)]
pub(crate) struct Samplers {
    /// By domain and selector.
    intervals: BTreeMap<(u32, Option<u64>), u32>,
}

impl Samplers {
    /// Learns from an Options Data Record. New samplers beyond the limit are not kept.
    pub(crate) fn learn(&mut self, domain: u32, reading: &SamplingReading) {
        let Some(interval) = reading.interval() else { return };
        let key = (domain, reading.selector);
        if self.intervals.len() < SAMPLERS_MAX || self.intervals.contains_key(&key) {
            self.intervals.insert(key, interval);
        }
    }

    /// The interval of a sampler.
    pub(crate) fn of_selector(&self, domain: u32, selector: u64) -> Option<u32> {
        self.intervals.get(&(domain, Some(selector))).copied()
    }

    /// The interval for records that name no sampler: that of the domain, or of the exporter, if
    /// there is only one. Otherwise 0.
    pub(crate) fn common(&self, domain: u32) -> u32 {
        let of_domain = self.intervals.range((domain, None)..=(domain, Some(u64::MAX)));
        let of_domain: Option<Option<u32>> = only(of_domain.map(|(_, interval)| *interval));
        let of_any = || only(self.intervals.values().copied());
        of_domain.or_else(of_any).flatten().unwrap_or(0)
    }
}

/// `None` without values; `Some(None)` if they differ.
fn only(mut values: impl Iterator<Item = u32>) -> Option<Option<u32>> {
    let first = values.next()?;
    Some(values.all(|value| value == first).then_some(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(selector: Option<u64>, interval: u32) -> SamplingReading {
        SamplingReading { selector, interval, ..SamplingReading::default() }
    }

    #[test]
    fn the_only_interval_of_a_domain_or_of_an_exporter_counts() {
        let mut samplers = Samplers::default();
        assert_eq!(samplers.common(1), 0);
        samplers.learn(1, &reading(Some(7), 100));
        samplers.learn(1, &reading(Some(8), 0));
        assert_eq!((samplers.common(1), samplers.common(2)), (100, 100));
        samplers.learn(2, &reading(None, 50));
        assert_eq!((samplers.common(1), samplers.common(2), samplers.common(3)), (100, 50, 0));
        samplers.learn(1, &reading(Some(8), 200));
        assert_eq!((samplers.common(1), samplers.common(2)), (0, 50));
        assert_eq!(samplers.of_selector(1, 8), Some(200));
        assert_eq!(samplers.of_selector(2, 8), None);
    }

    #[test]
    fn samplers_are_bounded_and_known_ones_change() {
        let mut samplers = Samplers::default();
        (0..1000).for_each(|selector| samplers.learn(1, &reading(Some(selector), 5)));
        assert_eq!(samplers.intervals.len(), SAMPLERS_MAX);
        samplers.learn(1, &reading(Some(0), 6));
        assert_eq!(samplers.of_selector(1, 0), Some(6));
    }
}
