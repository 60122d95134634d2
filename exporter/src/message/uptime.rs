//! The sysUpTime that NetFlow v5 and v9 count flow times from: 32 bits of milliseconds.
//!
//! A header has the uptime and the time of day of one instant, so a collector can turn both into
//! each other for this message. The base, from which uptime counts, is before every flow of a
//! message; it moves before uptime reaches 2^31, which some collectors read as negative.

use element::UptimeBase;
use flow::Timestamp;

/// How far the base is put behind the clock.
const HEADROOM_MS: u64 = 24 * 60 * 60 * 1000;

/// The base moves when uptime gets this long (23.8 days).
const UPTIME_MS_MAX: u64 = (1 << 31) - HEADROOM_MS;

/// No uptime can say more; what is older is clamped, and counted.
const AGE_MS_MAX: u64 = u32::MAX as u64 - 2000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Uptime {
    base: Option<Timestamp>,
    clamped: u64,
}

impl Uptime {
    /// Counts from `start`, or from a day before the first message.
    pub(crate) fn new(start: Option<Timestamp>) -> Self {
        Self { base: start, clamped: 0 }
    }

    pub(crate) fn base(&self) -> UptimeBase {
        UptimeBase(self.base.unwrap_or_default())
    }

    /// Flows whose start was too long ago to be said.
    pub(crate) fn clamped(&self) -> u64 {
        self.clamped
    }

    /// Moves the base if a message that begins now needs it, whose first record is of a flow that
    /// began at `start`.
    pub(crate) fn rebase(&mut self, start: Timestamp, clock: Timestamp) {
        let fits = self.base.is_some_and(|base| {
            base <= start && base <= clock && clock.millis_since(base) <= UPTIME_MS_MAX
        });
        if !fits {
            self.base = Some(clock.minus_millis(HEADROOM_MS).min(start).max(oldest(clock)));
        }
    }

    /// Whether the record of a flow that began at `start` may join the message: its start can be
    /// said, or no other message could say it either.
    pub(crate) fn can_say(&self, start: Timestamp, clock: Timestamp) -> bool {
        self.base.is_some_and(|base| base <= start.max(oldest(clock)))
    }

    /// Whether a header of that time can have an uptime. Headers round to seconds.
    #[inline]
    pub(crate) fn can_reach(&self, clock: Timestamp) -> bool {
        self.base.is_none_or(|base| clock.millis_since(base) <= u64::from(u32::MAX) - 1000)
    }

    /// Counts a flow that began at `start`, if that is clamped.
    pub(crate) fn count_clamped(&mut self, start: Timestamp) {
        self.clamped += u64::from(self.base.is_some_and(|base| start < base));
    }
}

/// The earliest base of a message at that time.
fn oldest(clock: Timestamp) -> Timestamp {
    clock.minus_millis(AGE_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn uptime_stays_below_31_bits_and_says_every_time() {
        let mut uptime = Uptime::new(None);
        let begin = 1_400_000_000_000;
        let (mut last, mut moves) = (Timestamp::default(), 0);
        for hour in 0..24 * 200 {
            let clock = at(begin + hour * 3_600_000);
            let start = clock.minus_millis(60_000);
            uptime.rebase(start, clock);
            assert!(uptime.can_say(start, clock));
            assert!(uptime.base().of(clock) < 1 << 31);
            let base = uptime.base().0;
            assert_eq!(base.plus_millis(uptime.base().of(start).into()), start);
            moves += u32::from(base != last);
            last = base;
        }
        assert_eq!(moves, 9, "the base moves rarely");
    }

    #[test]
    fn start_before_the_base_moves_it_and_older_than_32_bits_is_clamped() {
        let mut uptime = Uptime::new(Some(at(5_000_000_000)));
        let (clock, week_old, ancient) = (at(5_000_001_000), at(4_400_000_000), at(1000));
        assert!(!uptime.can_say(week_old, clock));
        uptime.rebase(week_old, clock);
        assert!(uptime.can_say(week_old, clock));
        assert!(!uptime.can_say(ancient, clock));
        uptime.rebase(ancient, clock);
        uptime.count_clamped(ancient);
        assert_eq!(uptime.clamped(), 1);
        assert!(u64::from(uptime.base().of(clock)) > u64::from(u32::MAX) - 3000);
        assert!(uptime.can_say(ancient, clock), "another message would not be better");
        assert!(uptime.can_reach(clock.plus_millis(1000)));
        assert!(!uptime.can_reach(clock.plus_millis(1001)));
    }
}
