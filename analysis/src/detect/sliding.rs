//! Different things within the last windows: each bit of a set keeps the window that last set it.

use flow::HashSeed;

use super::distinct::count_of;
use super::subject::{Measured, Subject};

/// Subjects of a group. In a full group the subject with the fewest things is replaced.
const GROUP: usize = 8;

/// Groups of a rule.
const GROUPS: usize = 1024;

/// The subjects of a rule that judges several windows together.
#[derive(Debug, Default)]
pub(super) struct Sliding {
    /// No groups before the first subject.
    groups: Vec<Vec<Recent>>,
    pub(super) evicted: u64,
}

/// State of a subject.
#[derive(Debug)]
struct Recent {
    subject: Subject,
    last: u64,
    /// Age of each bit: windows since it was set, plus 1; 0 if it is not set.
    ages: Box<[u8; 512]>,
    /// Number of set bits.
    bits: usize,
    /// Sums over the windows; old ones decay.
    flows: u64,
    other: u64,
}

impl Sliding {
    /// Adds the measure of a window; windows come in order. Returns the number of different things
    /// in the last `windows`, and the measure with the sums of these.
    pub(super) fn add(
        &mut self,
        seed: &HashSeed,
        subject: &Subject,
        (window, windows): (u64, u64),
        measured: &Measured,
    ) -> (u64, Measured) {
        let recent = self.find(seed, subject, window, windows);
        recent.age(window, windows);
        measured.all().bits().for_each(|bit| recent.ages[bit] = 1);
        recent.bits = recent.ages.iter().filter(|age| **age > 0).count();
        recent.flows += measured.flows;
        recent.other = recent.other.saturating_add(measured.other);
        let mut sums = *measured;
        (sums.flows, sums.other) = (recent.flows, recent.other);
        (count_of(recent.bits), sums)
    }

    fn find(
        &mut self,
        seed: &HashSeed,
        subject: &Subject,
        window: u64,
        windows: u64,
    ) -> &mut Recent {
        self.groups.resize_with(GROUPS, Vec::new);
        #[expect(clippy::cast_possible_truncation, reason = "it is below GROUPS")]
        let group = (subject.hash(seed, 0) % GROUPS as u64) as usize;
        let group = &mut self.groups[group];
        let place = group.iter().position(|recent| recent.subject == *subject);
        let place = place.unwrap_or_else(|| {
            let new = Recent::new(*subject, window);
            if group.len() < GROUP {
                group.push(new);
                return group.len() - 1;
            }
            let is_old = |recent: &Recent| recent.last + windows <= window;
            let (place, recent) = group
                .iter_mut()
                .enumerate()
                .min_by_key(|(_, recent)| {
                    (!is_old(recent), recent.bits, recent.last, recent.subject)
                })
                .expect("a group is full");
            self.evicted += u64::from(!is_old(recent));
            *recent = new;
            place
        });
        &mut group[place]
    }
}

impl Recent {
    fn new(subject: Subject, window: u64) -> Self {
        Self { subject, last: window, ages: Box::new([0; 512]), bits: 0, flows: 0, other: 0 }
    }

    fn age(&mut self, window: u64, windows: u64) {
        let passed = window.saturating_sub(self.last).min(windows);
        self.last = window;
        if passed > 0 {
            // At most 60 windows, so that ages fit.
            let passed = u8::try_from(passed).unwrap_or(u8::MAX);
            let oldest = u8::try_from(windows).unwrap_or(u8::MAX);
            for age in self.ages.iter_mut() {
                let older = age.saturating_add(passed);
                *age = if *age == 0 || older > oldest { 0 } else { older };
            }
        }
        for _ in 0..passed {
            self.flows -= self.flows.div_ceil(windows);
            self.other -= self.other.div_ceil(windows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(things: std::ops::Range<u64>) -> Measured {
        let mut measured = Measured::default();
        measured.flows = things.end - things.start;
        things.for_each(|thing| measured.add(thing, [0; 16]));
        measured
    }

    #[test]
    fn things_count_for_as_many_windows() {
        let (mut sliding, subject) = (Sliding::default(), Subject::number(1));
        let seed = HashSeed::new(1);
        let mut count =
            |window, things| sliding.add(&seed, &subject, (window, 3), &measured(things)).0;
        assert_eq!(count(10, 0..10), 10);
        assert_eq!(count(11, 5..20), 20);
        assert_eq!(count(12, 20..21), 21);
        assert_eq!(count(13, 0..0), 16, "those of window 10 are too old");
        assert_eq!(count(14, 0..0), 1);
        assert_eq!(count(100, 0..1), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut sliding, seed) = (Sliding::default(), HashSeed::new(1));
        let mut add = |number, things| {
            sliding.add(&seed, &Subject::number(number), (1, 3), &measured(0..things));
        };
        add(7, 20);
        (1000..51_000).for_each(|number| add(number, 1));
        let mut subjects = sliding.groups.iter().flatten();
        assert!(subjects.clone().count() <= GROUP * GROUPS);
        assert!(subjects.any(|recent| recent.subject.number == 7), "who does much stays");
        assert!(sliding.evicted > 40_000);
    }
}
