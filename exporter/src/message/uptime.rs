//! sysUpTime, the base of flow times in NetFlow v5 and v9: 32 bits of milliseconds.
//!
//! A header has the uptime and the time of day of one instant, so a collector can convert one to
//! the other for this message. The base is the time at which uptime is 0. It is before every flow
//! of a message. It moves before uptime reaches 2^31, because some collectors read larger values as
//! negative.
//!
//! The instant is the export time. Flows that ended long before, such as those that were in the
//! table during a gap of months, have their own messages, whose instant is their latest end: uptime
//! has a range of 49.7 days.

use element::UptimeBase;
use flow::{FlowRecord, Timestamp};

use super::builder::Full;

/// Time from a new base to the instant of the message.
const HEADROOM_MS: u64 = 24 * 60 * 60 * 1000;

/// The base moves when uptime exceeds this (23.8 days).
const UPTIME_MS_MAX: u64 = (1 << 31) - HEADROOM_MS;

/// Maximum age of a time within a message. Older times are clamped, and counted.
const AGE_MS_MAX: u64 = u32::MAX as u64 - 2000;

/// Flows older than this are late. A flow normally leaves the table within two days of its end: the
/// longest idle timeout is one day.
const LATE_MS: u64 = 2 * HEADROOM_MS;

/// Maximum difference between the ends of late flows in one message.
const LATE_APART_MS: u64 = 10 * 60 * 1000;

/// The last whole second of 32 bits, in 2106. Later times are clamped, and counted.
const LAST: Timestamp = Timestamp::from_millis(u32::MAX as u64 * 1000);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Uptime {
    base: Option<Timestamp>,
    /// For a message of late flows: the end of the first flow, and the latest end.
    late: Option<(Timestamp, Timestamp)>,
    clamped: u64,
}

impl Uptime {
    /// Uptime counts from `start`, or from a day before the first message.
    pub(crate) fn new(start: Option<Timestamp>) -> Self {
        Self { base: start, late: None, clamped: 0 }
    }

    pub(crate) fn base(&self) -> UptimeBase {
        UptimeBase(self.base.unwrap_or_default())
    }

    /// Flows with a clamped time.
    pub(crate) fn clamped(&self) -> u64 {
        self.clamped
    }

    /// Begins a message without flows.
    pub(crate) fn begin(&mut self, clock: Timestamp) {
        self.late = None;
        self.rebase(clock.min(LAST), clock.min(LAST));
    }

    /// Begins a message with this record, whose end is not after [`LAST`].
    pub(super) fn begin_with(&mut self, record: &FlowRecord, clock: Timestamp) {
        let (clock, end) = (clock.min(LAST), record.end);
        self.late = is_late(end, clock).then_some((end, end));
        self.rebase(record.start, if self.late.is_some() { end } else { clock });
    }

    /// `Ok` if the record can be in the message: its times are in range, or they would be clamped
    /// in any message.
    #[inline]
    pub(super) fn join(&mut self, record: &FlowRecord, clock: Timestamp) -> Result<(), Full> {
        let (clock, base) = (clock.min(LAST), self.base.unwrap_or_default());
        let is_ordinary = self.late.is_none()
            && base <= record.start
            && !is_late(record.end, clock)
            && has_uptime(clock, base);
        if is_ordinary { Ok(()) } else { self.join_other(record, clock) }
    }

    /// As [`Uptime::join`], for any record whose end is not after [`LAST`].
    #[inline(never)]
    fn join_other(&mut self, record: &FlowRecord, clock: Timestamp) -> Result<(), Full> {
        let end = record.end;
        let instant = match self.late {
            None if is_late(end, clock) => return Err(Full),
            None => clock,
            Some((first, latest)) => {
                if !is_late(end, clock) || first.abs_diff(end) > LATE_APART_MS {
                    return Err(Full);
                }
                latest.max(end)
            }
        };
        let base = self.base.unwrap_or_default();
        if base > record.start.max(oldest(instant)) || !has_uptime(instant, base) {
            return Err(Full);
        }
        self.late = self.late.map(|(first, _)| (first, instant));
        Ok(())
    }

    /// Moves the base if a message with this instant needs it. Its first flow began at `start`.
    fn rebase(&mut self, start: Timestamp, instant: Timestamp) {
        let fits = self.base.is_some_and(|base| {
            base <= start && base <= instant && instant.millis_since(base) <= UPTIME_MS_MAX
        });
        if !fits {
            self.base = Some(instant.minus_millis(HEADROOM_MS).min(start).max(oldest(instant)));
        }
    }

    /// True if the message can have this export time.
    #[inline]
    pub(crate) fn can_reach(&self, clock: Timestamp) -> bool {
        self.late.is_some() || self.base.is_none_or(|base| has_uptime(clock.min(LAST), base))
    }

    /// The instant of the message's header.
    pub(super) fn instant(&self, clock: Timestamp) -> Timestamp {
        self.late.map_or_else(|| clock.min(LAST), |(_, latest)| latest)
    }

    /// Counts a record of the message if one of its times is clamped.
    #[inline]
    pub(super) fn count(&mut self, record: &FlowRecord) {
        let clamped = record.start < self.base.unwrap_or_default() || record.end > LAST;
        self.clamped += u64::from(clamped);
    }
}

/// True if the time is not after [`LAST`].
#[inline]
pub(super) fn is_said(time: Timestamp) -> bool {
    time <= LAST
}

/// A record that ends after [`LAST`], with its times clamped.
pub(super) fn clamped(record: &FlowRecord) -> FlowRecord {
    FlowRecord { start: record.start.min(LAST), end: LAST, ..*record }
}

/// The earliest base of a message with this instant.
fn oldest(instant: Timestamp) -> Timestamp {
    instant.minus_millis(AGE_MS_MAX)
}

/// True if the uptime of this instant is in range. Headers round to seconds.
fn has_uptime(instant: Timestamp, base: Timestamp) -> bool {
    instant.millis_since(base) <= u64::from(u32::MAX) - 1000
}

fn is_late(end: Timestamp, clock: Timestamp) -> bool {
    clock.millis_since(end) > LATE_MS
}

#[cfg(test)]
pub(super) mod tests {
    use flow::{DetailsIndex, FlowDirection, FlowEndReason, FlowKey, IpVersion, Tags};

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    pub(in crate::message) fn flow(start: Timestamp, end: Timestamp) -> FlowRecord {
        let key = FlowKey {
            ip_version: IpVersion::V4,
            source: [0; 16],
            destination: [0; 16],
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            type_of_service: 0,
            interface: 0,
        };
        FlowRecord {
            key,
            octets: 1,
            packets: 1,
            start,
            end,
            exported: end,
            direction: FlowDirection::Ingress,
            vlan_id: 0,
            tcp_control_bits: 0,
            minimum_ttl: 0,
            maximum_ttl: 0,
            end_reason: FlowEndReason::IdleTimeout,
            tags: Tags::NONE,
            details: DetailsIndex::NONE,
        }
    }

    #[test]
    fn uptime_stays_below_31_bits_and_says_every_time() {
        let mut uptime = Uptime::new(None);
        let begin = 1_400_000_000_000;
        let (mut last, mut moves) = (Timestamp::default(), 0);
        for hour in 0..24 * 200 {
            let clock = at(begin + hour * 3_600_000);
            let record = flow(clock.minus_millis(60_000), clock);
            uptime.begin_with(&record, clock);
            assert_eq!(uptime.join(&record, clock), Ok(()));
            assert!(uptime.base().of(uptime.instant(clock)) < 1 << 31);
            let base = uptime.base().0;
            assert_eq!(base.plus_millis(uptime.base().of(record.start).into()), record.start);
            moves += u32::from(base != last);
            last = base;
        }
        assert_eq!(moves, 9, "the base moves rarely");
    }

    #[test]
    fn start_before_the_base_moves_it_and_older_than_32_bits_is_clamped() {
        let mut uptime = Uptime::new(Some(at(5_000_000_000)));
        let clock = at(5_000_001_000);
        let since = |start: u64| flow(at(start), clock);
        let (week_old, ancient) = (since(4_400_000_000), since(1000));
        assert_eq!(uptime.join(&week_old, clock), Err(Full));
        uptime.begin_with(&week_old, clock);
        assert_eq!(uptime.join(&week_old, clock), Ok(()));
        assert_eq!(uptime.join(&ancient, clock), Err(Full));
        uptime.begin_with(&ancient, clock);
        uptime.count(&ancient);
        assert_eq!(uptime.clamped(), 1);
        assert!(u64::from(uptime.base().of(clock)) > u64::from(u32::MAX) - 3000);
        assert_eq!(uptime.join(&ancient, clock), Ok(()), "another message would not be better");
        assert!(uptime.can_reach(clock.plus_millis(1000)));
        assert!(!uptime.can_reach(clock.plus_millis(1001)));
    }

    #[test]
    fn late_flows_have_messages_of_their_own_near_their_ends() {
        let mut uptime = Uptime::new(None);
        let (begin, clock) = (at(1_400_000_000_000), at(1_500_000_000_000));
        let ended = |after: u64| flow(begin, begin.plus_millis(after));
        uptime.begin_with(&ended(5000), clock);
        assert_eq!(uptime.join(&ended(9000), clock), Ok(()));
        assert_eq!(uptime.join(&ended(7000), clock), Ok(()));
        assert_eq!(uptime.instant(clock), begin.plus_millis(9000));
        assert!(uptime.can_reach(clock.plus_millis(1 << 40)), "its time is not that of the clock");
        assert_eq!(uptime.join(&ended(LATE_APART_MS + 5001), clock), Err(Full));
        assert_eq!(uptime.join(&flow(clock, clock), clock), Err(Full));
        uptime.begin_with(&flow(clock, clock), clock);
        assert_eq!(uptime.instant(clock), clock);
        assert_eq!(uptime.join(&ended(5000), clock), Err(Full));
    }
}
