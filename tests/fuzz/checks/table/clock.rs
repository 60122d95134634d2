//! The clocks of the model.

use flow::Timestamp;

use super::{Model, Packet};

impl Model {
    /// How far ahead of now a packet is by a clock.
    pub(super) fn distance(&self, clock: usize, time: u64) -> i64 {
        time.cast_signed() + self.clocks[clock].0 - self.now.cast_signed()
    }

    pub(super) fn clock_of(&self, time: u64) -> Option<usize> {
        let idle = i64::from(self.settings.idle_ms);
        if (0..=idle / 4).contains(&self.distance(self.current, time)) {
            return Some(self.current);
        }
        (0..self.clocks.len())
            .filter(|&clock| (-(idle / 2)..=idle).contains(&self.distance(clock, time)))
            .filter(|&clock| time.cast_signed() + self.clocks[clock].0 >= 0)
            .min_by_key(|&clock| (self.distance(clock, time).abs(), clock != self.current, clock))
    }

    pub(super) fn enter(&mut self, clock: usize, time: u64) {
        self.now = self.now.checked_add_signed(self.distance(clock, time).max(0)).unwrap();
        self.current = clock;
        self.clocks[clock].1 = self.now;
    }

    pub(super) fn begin(&mut self, time: u64) -> Option<usize> {
        let new = (self.now.cast_signed() - time.cast_signed(), self.now);
        if self.clocks.len() < 8 {
            self.clocks.push(new);
            return Some(self.clocks.len() - 1);
        }
        let others = (0..8).filter(|&clock| clock != self.current);
        let oldest = others.min_by_key(|&clock| self.clocks[clock].1).unwrap();
        let unused = u64::from(self.settings.idle_ms) + u64::from(self.settings.active_ms);
        if self.now - self.clocks[oldest].1 <= unused.max(60_000) {
            return None;
        }
        self.clocks[oldest] = new;
        Some(oldest)
    }

    pub(super) fn release(
        &mut self,
        (packet, time, is_sampled): (Packet, u64, bool),
        is_real: bool,
    ) {
        let trace = time.cast_signed() + self.clocks[self.current].0;
        let is_in_range = trace.cast_unsigned() <= Timestamp::MAX.as_millis();
        let clock = if is_real && is_in_range {
            self.enter(self.current, time);
            Some(self.current)
        } else {
            self.begin(time)
        };
        self.place(packet, time, clock, is_sampled);
    }

    pub(super) fn end_of_input(&mut self) {
        if let Some(held) = self.held.take() {
            self.release(held, true);
        }
        self.finish();
    }
}
