//! The clocks of packets, and trace time.
//!
//! Packets of one input may come from several clocks: two interfaces whose clocks differ, a clock
//! that was corrected, one packet with a wrong time. Each clock has an offset, and trace time is
//! the time of a packet plus the offset of its clock. Now is the running maximum of trace time, and
//! never decreases. Flows use trace time; records use the time of their own clock.
//!
//! A packet belongs to the current clock if it is at most a quarter of the idle timeout ahead of
//! now. Otherwise it belongs to the clock for which it is nearest to now, from at most half an idle
//! timeout behind now to an idle timeout ahead. A packet behind all clocks begins a new clock. A
//! packet ahead of all clocks is held: the next packet shows whether the gap is real or the time is
//! wrong.

use crate::time::Timestamp;

/// Maximum number of clocks. Their numbers take 3 bits of the flow key.
pub(crate) const CLOCKS: usize = 8;

/// An accepted gap of more milliseconds than this is counted: it ends every flow.
const JUMP_MS: u64 = 24 * 60 * 60 * 1000;

/// A tick may be behind now by the idle timeout plus this, in milliseconds.
const TICK_BEHIND_MS: u64 = 1000;

/// Minimum time without packets before the number of a clock is used again, in milliseconds.
const UNUSED_MS_MIN: u64 = 60 * 1000;

/// Time of a packet in trace time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceTime {
    /// The time of the packet plus the offset of its clock. For a packet without a clock, its own
    /// time.
    pub time: Timestamp,
    /// Milliseconds behind now. [`NO_CLOCK`] for a packet without a clock.
    pub late_ms: u32,
    /// Number of the clock, 0 to 7.
    pub clock: u8,
}

/// Lateness of a packet that fits no clock when all numbers are in use.
pub const NO_CLOCK: u32 = u32::MAX;

/// A clock that begins. Its number may have been used by another clock before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewClock {
    /// Number of the clock, 0 to 7.
    pub number: u8,
    /// Trace time minus the time of this clock, in milliseconds.
    pub offset_ms: i64,
    /// Now, in trace time. All flows of an earlier clock with this number have expired.
    pub now: Timestamp,
}

/// Counters of the clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClockCounts {
    pub(crate) behind: u64,
    pub(crate) jumps: u64,
    pub(crate) jumps_refused: u64,
    pub(crate) clocks: u64,
    pub(crate) without_clock: u64,
}

/// Position of a packet that fits no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    Ahead,
    Behind,
}

#[derive(Debug)]
pub(crate) struct Clocks {
    /// Trace time.
    now: u64,
    /// Trace time minus the time of the current clock, modulo 2^64.
    offset: u64,
    /// Upper bound of a normal step, in ms. 0 sends every packet to the slow path: before the first
    /// packet, and while a packet is held.
    step_end: u64,
    current: u8,
    clocks: [Clock; CLOCKS],
    /// Number of clocks so far, at most [`CLOCKS`]: the first ones of `clocks`.
    count: usize,
    idle_timeout_ms: u64,
    unused_ms: u64,
    /// Trace time minus the time of day, in milliseconds, for ticks.
    tick_offset: i64,
    counts: ClockCounts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    offset: i64,
    /// Now at its last packet; not updated while the clock is the current one.
    used: u64,
}

impl Clocks {
    pub(crate) fn new(idle_timeout_ms: u32, active_timeout_ms: u32) -> Self {
        let timeouts_ms = u64::from(idle_timeout_ms) + u64::from(active_timeout_ms);
        Self {
            now: 0,
            offset: 0,
            step_end: 0,
            current: 0,
            clocks: [Clock::default(); CLOCKS],
            count: 0,
            idle_timeout_ms: idle_timeout_ms.into(),
            unused_ms: timeouts_ms.max(UNUSED_MS_MIN),
            tick_offset: 0,
            counts: ClockCounts::default(),
        }
    }

    /// Changes the timeouts, in milliseconds. A packet that is held stays so.
    pub(crate) fn set_timeouts(&mut self, idle_ms: u32, active_ms: u32) {
        let is_open = self.step_end > 0;
        self.idle_timeout_ms = idle_ms.into();
        self.unused_ms = (u64::from(idle_ms) + u64::from(active_ms)).max(UNUSED_MS_MIN);
        if is_open {
            self.release();
        }
    }

    /// Now, in trace time.
    #[inline(always)]
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::of_trace(self.now)
    }

    pub(crate) fn counts(&self) -> ClockCounts {
        self.counts
    }

    /// Fast path: moves now by a packet of the current clock that is a normal step ahead. Returns
    /// false for any other packet, without a change.
    #[inline(always)]
    pub(crate) fn advance(&mut self, time: Timestamp) -> bool {
        let trace = time.as_millis().wrapping_add(self.offset);
        let is_normal = trace.wrapping_sub(self.now) < self.step_end;
        if is_normal {
            self.now = trace;
        }
        is_normal
    }

    /// The place of a packet of the current clock whose time is now.
    #[inline(always)]
    pub(crate) fn here(&self) -> TraceTime {
        TraceTime { time: self.now(), late_ms: 0, clock: self.current }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.count > 0
    }

    /// The first packet: its clock has number 0 and offset 0.
    pub(crate) fn start(&mut self, time: Timestamp) -> TraceTime {
        (self.now, self.count) = (time.as_millis(), 1);
        self.release();
        self.enter(0, time)
    }

    /// Closes the fast path while a packet is held.
    pub(crate) fn hold(&mut self) {
        self.step_end = 0;
    }

    /// Opens the fast path: no packet is held.
    pub(crate) fn release(&mut self) {
        self.step_end = self.idle_timeout_ms / 4 + 1;
    }

    /// The clock of a packet.
    pub(crate) fn find(&self, time: Timestamp) -> Result<u8, Misfit> {
        let current = usize::from(self.current);
        let distance = |clock: usize| self.trace(clock, time) - i128::from(self.now);
        let (behind_ms, ahead_ms) =
            (i128::from(self.idle_timeout_ms / 2), i128::from(self.idle_timeout_ms));
        if (0..=ahead_ms / 4).contains(&distance(current)) {
            return Ok(self.current);
        }
        let fitting = (0..self.count).filter(|&clock| {
            self.trace(clock, time) >= 0 && (-behind_ms..=ahead_ms).contains(&distance(clock))
        });
        let nearest = fitting.min_by_key(|&clock| (distance(clock).abs(), clock != current, clock));
        match nearest {
            Some(clock) => Ok(number(clock)),
            None if distance(current) > 0 => Err(Misfit::Ahead),
            None => Err(Misfit::Behind),
        }
    }

    /// Makes the clock of a packet the current one.
    pub(crate) fn enter(&mut self, clock: u8, time: Timestamp) -> TraceTime {
        if clock != self.current {
            self.clocks[usize::from(self.current)].used = self.now;
            self.current = clock;
            self.offset = self.clocks[usize::from(clock)].offset.cast_unsigned();
        }
        let trace = time.as_millis().wrapping_add(self.offset);
        self.now = self.now.max(trace);
        let late_ms = u32::try_from(self.now - trace).unwrap_or(NO_CLOCK);
        TraceTime { time: Timestamp::of_trace(trace), late_ms, clock }
    }

    /// True if the next packet confirms a `held` packet ahead of all clocks: the next one fits no
    /// clock either, and its time does not go back.
    pub(crate) fn confirms(&self, held: Timestamp, next: Timestamp) -> bool {
        let back_ms = held.millis_since(next);
        self.find(next).is_err() && back_ms <= self.idle_timeout_ms / 2
    }

    /// True if the time of the packet is possible: trace time stays in its range.
    pub(crate) fn is_in_range(&self, time: Timestamp) -> bool {
        let trace = self.trace(self.current.into(), time);
        (0..=i128::from(Timestamp::MAX.as_millis())).contains(&trace)
    }

    /// Accepts a gap before a packet: the current clock continues after it.
    pub(crate) fn jump(&mut self, time: Timestamp) -> TraceTime {
        let before = self.now;
        let place = self.enter(self.current, time);
        self.counts.jumps += u64::from(self.now - before > JUMP_MS);
        place
    }

    /// Begins a clock with an offset that puts the packet at now. It does not become the current
    /// clock. `None` if all numbers are in use.
    pub(crate) fn begin(&mut self, time: Timestamp, misfit: Misfit) -> Option<NewClock> {
        match misfit {
            Misfit::Ahead => self.counts.jumps_refused += 1,
            Misfit::Behind => self.counts.behind += 1,
        }
        let Some(clock) = self.free() else {
            self.counts.without_clock += 1;
            return None;
        };
        self.counts.clocks += 1;
        self.count = self.count.max(clock + 1);
        let offset_ms = self.now.cast_signed() - time.as_millis().cast_signed();
        self.clocks[clock] = Clock { offset: offset_ms, used: self.now };
        Some(NewClock { number: number(clock), offset_ms, now: self.now() })
    }

    /// A number for a new clock: the next one, or the one that was unused for the longest time.
    fn free(&self) -> Option<usize> {
        if self.count < CLOCKS {
            return Some(self.count);
        }
        let others = (0..CLOCKS).filter(|&clock| clock != usize::from(self.current));
        let oldest = others.min_by_key(|&clock| self.clocks[clock].used)?;
        (self.now - self.clocks[oldest].used > self.unused_ms).then_some(oldest)
    }

    /// Moves now by the time of day if no packet moves it. A time of day far behind now counts as
    /// another clock: it continues from now.
    pub(crate) fn tick(&mut self, time: Timestamp) {
        if !self.has_started() {
            return;
        }
        let day = i128::from(time.as_millis());
        let now = i128::from(self.now);
        let trace = day + i128::from(self.tick_offset);
        if now - trace > i128::from(self.idle_timeout_ms + TICK_BEHIND_MS) {
            self.tick_offset = self.now.cast_signed() - time.as_millis().cast_signed();
        } else if trace > now {
            self.counts.jumps += u64::from(trace - now > i128::from(JUMP_MS));
            self.now = u64::try_from(trace).expect("it is more than now");
        }
    }

    /// True if a tick confirms a held packet: its time is not later than the time of day.
    pub(crate) fn tick_confirms(&self, held: Timestamp, time: Timestamp) -> bool {
        held.millis_since(time) <= TICK_BEHIND_MS
    }

    /// The trace time of a packet, for this clock.
    fn trace(&self, clock: usize, time: Timestamp) -> i128 {
        i128::from(time.as_millis()) + i128::from(self.clocks[clock].offset)
    }
}

fn number(clock: usize) -> u8 {
    u8::try_from(clock).expect("there are 8 clocks")
}

#[cfg(test)]
mod tests;
