//! Sampling intervals that an exporter announces in options.

use std::collections::BTreeMap;

use element::{Reading, SamplingReading};
use flow::FlowDirection;

use crate::limits::SAMPLERS_MAX;

/// The sampling intervals of an exporter. Some exporters announce them in another Observation
/// Domain than the one of their flows.
#[derive(Debug, Default)]
pub(crate) struct Samplers {
    /// By domain and scope.
    intervals: BTreeMap<(u32, Scope), u32>,
    /// There are intervals of interfaces or of templates.
    has_parts: bool,
}

/// The records of a domain that an interval is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    All,
    Interface(u32),
    Template(u16),
    Selector(u64),
}

impl Scope {
    /// What an Options Data Record is about.
    fn of(reading: &Reading) -> Self {
        let collected = &reading.collected;
        let interfaces = [collected.ingress_interface, collected.egress_interface];
        let SamplingReading { selector, template, .. } = reading.sampling;
        if let Some(selector) = selector {
            Self::Selector(selector)
        } else if let Some(number) = interfaces.into_iter().find(|number| *number != 0) {
            Self::Interface(number)
        } else {
            template.map_or(Self::All, Self::Template)
        }
    }
}

impl Samplers {
    /// Learns from an Options Data Record. New samplers beyond the limit are not kept.
    pub(crate) fn learn(&mut self, domain: u32, reading: &Reading) {
        let Some(interval) = reading.sampling.interval() else { return };
        let scope = Scope::of(reading);
        let key = (domain, scope);
        if self.intervals.len() < SAMPLERS_MAX || self.intervals.contains_key(&key) {
            self.intervals.insert(key, interval);
            self.has_parts |= matches!(scope, Scope::Interface(_) | Scope::Template(_));
        }
    }

    /// The interval of a flow record of a template, by its sampler, by its interface, or by the
    /// template. `None` if options tell none of these.
    #[inline]
    pub(crate) fn of(&self, domain: u32, template: u16, reading: &Reading) -> Option<u32> {
        let of_scope = |scope| self.intervals.get(&(domain, scope)).copied();
        let by_selector = reading.sampling.selector.and_then(|it| of_scope(Scope::Selector(it)));
        if by_selector.is_some() || !self.has_parts {
            return by_selector;
        }
        let number = match reading.record.direction {
            FlowDirection::Ingress => reading.collected.ingress_interface,
            FlowDirection::Egress => reading.collected.egress_interface,
        };
        of_scope(Scope::Interface(number)).or_else(|| of_scope(Scope::Template(template)))
    }

    /// The interval for records that name no sampler: that of the domain, or of the exporter, if
    /// there is only one. Otherwise 0.
    pub(crate) fn common(&self, domain: u32) -> u32 {
        if let Some(interval) = self.intervals.get(&(domain, Scope::All)) {
            return *interval;
        }
        let last = (domain, Scope::Selector(u64::MAX));
        let of_domain = self.intervals.range((domain, Scope::All)..=last);
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

    fn reading(selector: Option<u64>, interval: u32) -> Reading {
        let sampling = SamplingReading { selector, interval, ..SamplingReading::default() };
        Reading { sampling, ..Reading::default() }
    }

    fn of_selector(samplers: &Samplers, domain: u32, selector: u64) -> Option<u32> {
        samplers.of(domain, 300, &reading(Some(selector), 0))
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
        assert_eq!(of_selector(&samplers, 1, 8), Some(200));
        assert_eq!(of_selector(&samplers, 2, 8), None);
        samplers.learn(1, &reading(None, 300));
        assert_eq!(samplers.common(1), 300, "that of all is meant for the others");
    }

    #[test]
    fn interfaces_and_templates_have_intervals_of_their_own() {
        let mut samplers = Samplers::default();
        let of_interface = |number, interval| {
            let mut reading = reading(None, interval);
            reading.collected.ingress_interface = number;
            reading
        };
        let mut of_template = reading(None, 30);
        of_template.sampling.template = Some(300);
        samplers.learn(1, &of_interface(3, 10));
        samplers.learn(1, &of_interface(4, 20));
        samplers.learn(1, &of_template);
        let of = |number, template| samplers.of(1, template, &of_interface(number, 0));
        assert_eq!(
            [of(3, 300), of(4, 300), of(5, 300), of(5, 301)].map(|it| it.unwrap_or(0)),
            [10, 20, 30, 0]
        );
        let mut leaves = of_interface(3, 0);
        leaves.record.direction = FlowDirection::Egress;
        leaves.collected.egress_interface = 4;
        assert_eq!((samplers.of(1, 300, &leaves), samplers.of(2, 300, &leaves)), (Some(20), None));
        assert_eq!(samplers.common(1), 0);
    }

    #[test]
    fn samplers_are_bounded_and_known_ones_change() {
        let mut samplers = Samplers::default();
        (0..1000).for_each(|selector| samplers.learn(1, &reading(Some(selector), 5)));
        assert_eq!(samplers.intervals.len(), SAMPLERS_MAX);
        samplers.learn(1, &reading(Some(0), 6));
        assert_eq!(of_selector(&samplers, 1, 0), Some(6));
    }
}
