//! Timeouts of flows, and the age of a flow.

use super::FlowTable;
use super::settings::TIMEOUT_MS_MAX;
use crate::number::protocol;
use crate::record::{FlowEndReason, FlowRecord};
use crate::time::Timestamp;

/// The idle timeout of a flow after a FIN or RST, in milliseconds, unless the idle timeout is
/// shorter: late acknowledgements still belong to the flow.
const LINGER_MS: u32 = 2000;

#[derive(Clone, Debug)]
pub(super) struct Timeouts {
    /// The idle timeout of protocols that have none of their own.
    idle_ms: u32,
    pub(super) active_ms: u32,
    pub(super) linger_ms: u32,
    /// The idle timeouts that protocols have of their own, by number; 0: none.
    own_ms: [u32; 256],
    /// The shortest idle timeout of all protocols. Flows that were idle for less need no look at
    /// their protocol.
    pub(super) shortest_idle_ms: u32,
    pub(super) longest_idle_ms: u32,
}

/// Milliseconds since the first and the last packet of a flow, and `closed` after a FIN or RST.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
    pub(super) closed: bool,
}

impl FlowTable {
    /// Changes the idle and the active timeout, in milliseconds, and moves now. Flows that have
    /// expired by the timeouts before leave, and then those that have expired by the new ones.
    ///
    /// # Panics
    ///
    /// If a timeout is out of its range.
    pub fn set_timeouts(
        &mut self,
        idle_ms: u32,
        active_ms: u32,
        now: Timestamp,
        end: &mut impl FnMut(FlowRecord),
    ) {
        self.tick(now, end);
        self.sweep_all(now, end);
        self.timeouts = Timeouts::new(idle_ms, active_ms, self.timeouts.own_ms);
        self.sweep_all(now, end);
    }

    /// Gives a protocol an idle timeout of its own, in milliseconds, before the first packet. It
    /// stays when the others change. The key needs the protocol.
    ///
    /// # Panics
    ///
    /// If the timeout is out of its range.
    pub fn set_idle_timeout_of(&mut self, protocol: u8, idle_ms: u32) {
        assert!((1..=TIMEOUT_MS_MAX).contains(&idle_ms), "idle timeout out of range");
        let Timeouts { idle_ms: others_ms, active_ms, mut own_ms, .. } = self.timeouts;
        if let Some(own_ms) = own_ms.get_mut(usize::from(protocol)) {
            *own_ms = idle_ms;
        }
        self.timeouts = Timeouts::new(others_ms, active_ms, own_ms);
    }

    /// The longest idle timeout of all protocols, in milliseconds.
    pub fn longest_idle_timeout_ms(&self) -> u32 {
        self.timeouts.longest_idle_ms
    }
}

impl Timeouts {
    /// # Panics
    ///
    /// If a timeout is out of its range.
    pub(super) fn new(idle_ms: u32, active_ms: u32, own_ms: [u32; 256]) -> Self {
        let allowed = 1..=TIMEOUT_MS_MAX;
        assert!(allowed.contains(&idle_ms), "idle timeout out of range");
        assert!(allowed.contains(&active_ms), "active timeout out of range");
        let own = own_ms.iter().copied().filter(|own_ms| *own_ms > 0);
        let mut timeouts = Self {
            idle_ms,
            active_ms,
            linger_ms: 0,
            own_ms,
            shortest_idle_ms: own.clone().fold(idle_ms, u32::min),
            longest_idle_ms: own.fold(idle_ms, u32::max),
        };
        timeouts.linger_ms = timeouts.idle_of(protocol::TCP).min(LINGER_MS);
        timeouts
    }

    /// The idle timeout of a protocol, in milliseconds.
    #[inline]
    fn idle_of(&self, protocol: u8) -> u32 {
        match self.own_ms.get(usize::from(protocol)) {
            None | Some(0) => self.idle_ms,
            Some(&own_ms) => own_ms,
        }
    }

    /// True if neither deadline has passed.
    #[inline]
    pub(super) fn allow(&self, age: Age, protocol: u8) -> bool {
        let idle_ms = if age.closed { self.linger_ms } else { self.shortest_idle_ms };
        let is_idle = age.last_ms > idle_ms.into()
            && (age.closed || age.last_ms > self.idle_of(protocol).into());
        !is_idle && age.first_ms <= self.active_ms.into()
    }

    /// The reason why a flow has expired: that of the earlier deadline. `None` before both
    /// deadlines.
    pub(super) fn check(&self, age: Age, protocol: u8) -> Option<FlowEndReason> {
        if self.allow(age, protocol) {
            return None;
        }
        let idle_ms = if age.closed { self.linger_ms } else { self.idle_of(protocol) };
        let idle_ms = u64::from(idle_ms);
        // The deadlines are now - last_ms + idle_ms and now - first_ms + active_ms.
        Some(if idle_ms + age.first_ms >= u64::from(self.active_ms) + age.last_ms {
            FlowEndReason::ActiveTimeout
        } else if age.closed {
            FlowEndReason::EndOfFlow
        } else {
            FlowEndReason::IdleTimeout
        })
    }
}
