//! Clocks of the model, after the rule and with no thought of speed.

use crate::script::Packet;

/// The clocks: trace time is the time of a packet plus the offset of its clock, and now is the
/// running maximum of trace time.
#[derive(Debug, Default)]
pub struct Clocks {
    pub now: i64,
    /// The offset of each clock, and now at its last packet.
    pub clocks: Vec<(i64, i64)>,
    pub current: usize,
    /// A packet ahead of all clocks.
    pub held: Option<Read>,
}

/// A packet, and whether it is sampled.
#[derive(Clone, Debug)]
pub struct Read {
    pub packet: Packet,
    pub is_sampled: bool,
}

const CLOCKS: usize = 8;

impl Clocks {
    /// The clock that a packet belongs to.
    pub fn find(&self, time: i64, idle: i64) -> Option<usize> {
        let distance = |clock: usize| time + self.clocks[clock].0 - self.now;
        if (0..=idle / 4).contains(&distance(self.current)) {
            return Some(self.current);
        }
        (0..self.clocks.len())
            .filter(|&clock| (-(idle / 2)..=idle).contains(&distance(clock)))
            .filter(|&clock| time + self.clocks[clock].0 >= 0)
            .min_by_key(|&clock| (distance(clock).abs(), clock != self.current, clock))
    }

    /// Makes a clock the current one by a packet.
    pub fn enter(&mut self, clock: usize, time: i64) {
        self.current = clock;
        self.now = self.now.max(time + self.clocks[clock].0);
        self.clocks[clock].1 = self.now;
    }

    /// A new clock by a packet, if there is a number for it.
    pub fn begin(&mut self, time: i64, unused: i64) -> Option<usize> {
        let new = (self.now - time, self.now);
        if self.clocks.len() < CLOCKS {
            self.clocks.push(new);
            return Some(self.clocks.len() - 1);
        }
        let others = (0..CLOCKS).filter(|&clock| clock != self.current);
        let oldest = others.min_by_key(|&clock| self.clocks[clock].1).unwrap();
        if self.now - self.clocks[oldest].1 <= unused {
            return None;
        }
        self.clocks[oldest] = new;
        Some(oldest)
    }
}
