//! The trace clock: now is the running maximum of packet times over the whole input.

use crate::time::Timestamp;

/// So many packets in a row that are older than now by more than the idle timeout mean that the
/// clock behind the packets was set back, not that packets came late.
pub const STEP_BACK_PACKETS: u32 = 64;

/// A forward jump of more than this is worth a warning: one wrong time stamp ends every flow.
const JUMP_MS: u64 = 24 * 60 * 60 * 1000;

/// A tick may be so much behind the packets without meaning anything.
const TICK_BEHIND_MS: u64 = 1000;

/// What a packet's time did to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// Now is at or after the packet's time by so many milliseconds (0: the packet moved it);
    /// `u32::MAX` stands for that and more.
    Late(u32),
    /// The clock went back for good, from `before`: now is the packet's time, all flows end first.
    SetBack { before: Timestamp },
}

#[derive(Debug)]
pub(crate) struct Clock {
    now: Timestamp,
    /// Steps forward of less than this are ordinary ones: 0 until the first packet, which is not.
    step_end: u64,
    idle_timeout_ms: u64,
    late_in_a_row: u32,
    steps_back: u64,
    jumps: u64,
}

impl Clock {
    pub(crate) fn new(idle_timeout_ms: u32) -> Self {
        Self {
            now: Timestamp::default(),
            step_end: 0,
            idle_timeout_ms: idle_timeout_ms.into(),
            late_in_a_row: 0,
            steps_back: 0,
            jumps: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// How often the clock was set back, and how often it jumped forward by more than a day.
    pub(crate) fn steps(&self) -> (u64, u64) {
        (self.steps_back, self.jumps)
    }

    /// Moves the clock by a packet's time.
    #[inline]
    pub(crate) fn advance(&mut self, time: Timestamp) -> Advance {
        // One comparison for nearly all packets: a step back wraps and is a long one.
        if time.as_millis().wrapping_sub(self.now.as_millis()) < self.step_end {
            self.now = time;
            self.late_in_a_row = 0;
            return Advance::Late(0);
        }
        if self.has_started() && time < self.now { self.late(time) } else { self.jump(time) }
    }

    /// A packet far ahead, or the first.
    #[cold]
    fn jump(&mut self, time: Timestamp) -> Advance {
        self.jumps += u64::from(self.has_started());
        self.step_end = JUMP_MS + 1;
        self.now = time;
        self.late_in_a_row = 0;
        Advance::Late(0)
    }

    fn has_started(&self) -> bool {
        self.step_end > 0
    }

    /// Moves the clock when no packet does: live capture's tick. The time that the clock was set
    /// back from, if it was by so much that waiting for it would keep flows for too long.
    pub(crate) fn tick(&mut self, time: Timestamp) -> Option<Timestamp> {
        if !self.has_started() {
            return None;
        }
        if time >= self.now {
            self.jumps += u64::from(time.millis_since(self.now) > JUMP_MS);
            self.now = time;
            return None;
        }
        if self.now.millis_since(time) <= self.idle_timeout_ms + TICK_BEHIND_MS {
            return None;
        }
        self.late_in_a_row = 0;
        self.steps_back += 1;
        Some(core::mem::replace(&mut self.now, time))
    }

    #[cold]
    fn late(&mut self, time: Timestamp) -> Advance {
        let late_ms = self.now.millis_since(time);
        let late = Advance::Late(u32::try_from(late_ms).unwrap_or(u32::MAX));
        if late_ms <= self.idle_timeout_ms {
            self.late_in_a_row = 0;
            return late;
        }
        self.late_in_a_row += 1;
        if self.late_in_a_row < STEP_BACK_PACKETS {
            return late;
        }
        self.late_in_a_row = 0;
        self.steps_back += 1;
        let before = core::mem::replace(&mut self.now, time);
        Advance::SetBack { before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn now_is_the_running_maximum() {
        let mut clock = Clock::new(15_000);
        assert_eq!(clock.advance(at(1_000_000)), Advance::Late(0));
        assert_eq!(clock.advance(at(999_000)), Advance::Late(1000));
        assert_eq!(clock.advance(at(1_000_500)), Advance::Late(0));
        assert_eq!(clock.now(), at(1_000_500));
        assert_eq!(clock.steps(), (0, 0));
    }

    #[test]
    fn clock_is_set_back_by_the_64th_late_packet_in_a_row_and_not_before() {
        let mut clock = Clock::new(15_000);
        clock.advance(at(10_000_000));
        for _ in 1..STEP_BACK_PACKETS {
            assert!(matches!(clock.advance(at(1000)), Advance::Late(_)));
        }
        assert_eq!(clock.now(), at(10_000_000));
        assert_eq!(clock.advance(at(2000)), Advance::SetBack { before: at(10_000_000) });
        assert_eq!((clock.now(), clock.steps()), (at(2000), (1, 0)));
    }

    #[test]
    fn packet_within_the_idle_timeout_breaks_the_row() {
        let mut clock = Clock::new(15_000);
        clock.advance(at(10_000_000));
        for _ in 0..1000 {
            for _ in 1..STEP_BACK_PACKETS {
                clock.advance(at(1000));
            }
            assert_eq!(clock.advance(at(10_000_000 - 15_000)), Advance::Late(15_000));
        }
        assert_eq!(clock.steps(), (0, 0));
    }

    #[test]
    fn jump_of_more_than_a_day_is_counted_but_not_the_first_packet() {
        let mut clock = Clock::new(15_000);
        clock.advance(at(1_700_000_000_000));
        clock.advance(at(1_700_000_000_000 + JUMP_MS));
        assert_eq!(clock.steps(), (0, 0));
        clock.advance(at(1_700_000_000_001 + 2 * JUMP_MS));
        assert_eq!(clock.steps(), (0, 1));
    }

    #[test]
    fn tick_moves_the_clock_once_there_were_packets() {
        let mut clock = Clock::new(15_000);
        assert_eq!(clock.tick(at(5_000)), None);
        assert_eq!(clock.now(), Timestamp::default());
        clock.advance(at(10_000));
        assert_eq!((clock.tick(at(12_000)), clock.now()), (None, at(12_000)));
        assert_eq!((clock.tick(at(11_900)), clock.now()), (None, at(12_000)));
    }

    #[test]
    fn tick_far_behind_means_that_the_clock_was_set_back() {
        let mut clock = Clock::new(15_000);
        clock.advance(at(1_000_000));
        assert_eq!(clock.tick(at(1_000_000 - 15_000 - TICK_BEHIND_MS)), None);
        let behind = at(1_000_000 - 15_000 - TICK_BEHIND_MS - 1);
        assert_eq!(clock.tick(behind), Some(at(1_000_000)));
        assert_eq!((clock.now(), clock.steps()), (behind, (1, 0)));
    }

    #[test]
    fn tick_over_more_than_a_day_counts_as_a_jump() {
        let mut clock = Clock::new(15_000);
        clock.advance(at(1000));
        clock.tick(at(1001 + JUMP_MS));
        assert_eq!(clock.steps(), (0, 1));
    }
}
