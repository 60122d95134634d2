//! Sequence numbers: what they say is missing. They are only counted, never acted upon.

use crate::counts::Counts;

/// A larger gap is a restart.
pub(crate) const GAP_MAX: u32 = 100_000;

/// The next sequence number of a domain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequence {
    /// `None`: not known.
    next: Option<u32>,
}

impl Sequence {
    /// Compares the number of a message with the expected one. The message has `units` of what the
    /// number counts; `None` if that is not known.
    pub(crate) fn check(&mut self, number: u32, units: Option<u32>, counts: &mut Counts) {
        if let Some(next) = self.next {
            match number.wrapping_sub(next) {
                0 => {}
                gap if gap <= GAP_MAX => counts.lost += u64::from(gap),
                _ => counts.restarts += 1,
            }
        }
        self.next = units.map(|units| number.wrapping_add(units));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(messages: &[(u32, Option<u32>)]) -> (u64, u64) {
        let (mut sequence, mut counts) = (Sequence::default(), Counts::default());
        messages.iter().for_each(|(number, units)| sequence.check(*number, *units, &mut counts));
        (counts.lost, counts.restarts)
    }

    #[test]
    fn gaps_are_lost_and_steps_back_are_restarts() {
        assert_eq!(counted(&[(5, Some(10)), (15, Some(1)), (16, Some(1))]), (0, 0));
        assert_eq!(counted(&[(5, Some(10)), (17, Some(1))]), (2, 0));
        assert_eq!(counted(&[(5, Some(10)), (14, Some(1)), (15, Some(1))]), (0, 1));
        assert_eq!(counted(&[(0, Some(0)), (100_000, Some(0))]), (100_000, 0));
        assert_eq!(counted(&[(0, Some(0)), (100_001, Some(0))]), (0, 1));
        assert_eq!(counted(&[(u32::MAX, Some(2)), (1, Some(1)), (4, Some(1))]), (2, 0));
        assert_eq!(counted(&[(5, None), (900, Some(1)), (901, None)]), (0, 0));
    }
}
