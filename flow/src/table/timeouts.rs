//! Timeouts of flows, and the age of a flow.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::settings::TIMEOUT_MS_MAX;
use super::{FlowTable, LINGER_MS};
use crate::observation::low32;
use crate::record::{FlowEndReason, FlowRecord};
use crate::time::Timestamp;

/// Time at which a flow was last seen: the low 31 bits of milliseconds, then bit 0, which is 1
/// after a FIN or RST. As a number its unit is half a millisecond.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub(super) struct LastSeen(pub(super) u32);

impl LastSeen {
    #[inline]
    pub(super) fn new(time: Timestamp, closed: bool) -> Self {
        Self(low32(time.as_millis()) << 1 | u32::from(closed))
    }

    #[inline]
    pub(super) fn closed(self) -> bool {
        self.0 & 1 == 1
    }

    #[inline]
    pub(super) fn age_ms(self, now: Timestamp) -> u32 {
        (low32(now.as_millis()) << 1).wrapping_sub(self.0).wrapping_add(1) >> 1
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) idle_ms: u32,
    pub(super) active_ms: u32,
    pub(super) linger_ms: u32,
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
        self.timeouts = Timeouts::new(idle_ms, active_ms);
        self.sweep_all(now, end);
    }
}

impl Timeouts {
    /// # Panics
    ///
    /// If a timeout is out of its range.
    pub(super) fn new(idle_ms: u32, active_ms: u32) -> Self {
        let allowed = 1..=TIMEOUT_MS_MAX;
        assert!(allowed.contains(&idle_ms), "idle timeout out of range");
        assert!(allowed.contains(&active_ms), "active timeout out of range");
        Self { idle_ms, active_ms, linger_ms: idle_ms.min(LINGER_MS) }
    }

    /// True if neither deadline has passed.
    #[inline]
    pub(super) fn allow(&self, age: Age) -> bool {
        let idle_ms = if age.closed { self.linger_ms } else { self.idle_ms };
        age.last_ms <= idle_ms.into() && age.first_ms <= self.active_ms.into()
    }

    /// The reason why a flow has expired: that of the earlier deadline. `None` before both
    /// deadlines.
    pub(super) fn check(&self, age: Age) -> Option<FlowEndReason> {
        if self.allow(age) {
            return None;
        }
        let idle_ms = u64::from(if age.closed { self.linger_ms } else { self.idle_ms });
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
