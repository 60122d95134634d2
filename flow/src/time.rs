//! Points in time.

use core::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z, never negative, rounded down.
///
/// Flow start and end, timeouts and header times all have this resolution
/// (flowStartMilliseconds, IANA element 152).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The largest time: nanoseconds since the epoch still fit in 64 bits (year 2554).
    pub const MAX: Self = Self(u64::MAX / 1_000_000);

    /// The time at this number of milliseconds after the epoch, at most [`Timestamp::MAX`].
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// A point in trace time, which may be after [`Timestamp::MAX`].
    #[inline]
    pub(crate) const fn of_trace(millis: u64) -> Self {
        Self(millis)
    }

    /// The time at this number of nanoseconds after the epoch, rounded down.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos / 1_000_000)
    }

    /// Milliseconds since the epoch.
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this time; 0 if `earlier` is later.
    #[inline]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Milliseconds between the two, in either order.
    #[inline]
    pub const fn abs_diff(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }

    /// This time plus some milliseconds, at most [`Timestamp::MAX`].
    #[inline]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// A point in trace time, converted to the time of a clock with this offset. The result is
    /// never before the epoch, because a flow has packets of its clock.
    #[inline]
    pub(crate) const fn minus_offset(self, offset_ms: i64) -> Self {
        Self::from_millis(self.0.wrapping_sub(offset_ms.cast_unsigned()))
    }

    /// This time minus some milliseconds, not before the epoch.
    #[inline]
    pub const fn minus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}
