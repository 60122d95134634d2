//! The sysUpTime that NetFlow v5 and v9 count flow times from: 32 bits of milliseconds.
//!
//! A header has the uptime and the time of day of one instant, so a collector can turn both into
//! each other for this message. The base, from which uptime counts, is before every flow of a
//! message; it moves before uptime reaches 2^31, which some collectors read as negative.

use flow::{FlowRecord, Timestamp};

use crate::element::UptimeBase;

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

    /// Moves the base if the first record of a message needs it.
    pub(crate) fn rebase_for(&mut self, record: &FlowRecord, clock: Timestamp) {
        let fits = self.base.is_some_and(|base| {
            base <= record.start && base <= clock && clock.millis_since(base) <= UPTIME_MS_MAX
        });
        if !fits {
            let headroom = clock.minus_millis(HEADROOM_MS);
            let oldest = clock.minus_millis(AGE_MS_MAX);
            self.base = Some(headroom.min(record.start).max(oldest));
        }
    }

    /// Whether a record may join the message.
    pub(crate) fn can_say(&self, record: &FlowRecord) -> bool {
        self.base.is_some_and(|base| base <= record.start)
    }

    /// Counts the record if its start was clamped.
    pub(crate) fn count_clamped(&mut self, record: &FlowRecord) {
        self.clamped += u64::from(!self.can_say(record));
    }
}

#[cfg(test)]
mod tests {
    use flow::{FlowEndReason, FlowKey, IpVersion};

    use super::*;

    fn record(start: u64) -> FlowRecord {
        FlowRecord {
            key: FlowKey {
                ip_version: IpVersion::V4,
                source: [0; 16],
                destination: [0; 16],
                source_port: 0,
                destination_port: 0,
                protocol: 17,
                type_of_service: 0,
                ingress_interface: 0,
            },
            octets: 1,
            packets: 1,
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(start),
            exported: Timestamp::from_millis(start),
            vlan_id: 0,
            tcp_control_bits: 0,
            minimum_ttl: 1,
            maximum_ttl: 1,
            end_reason: FlowEndReason::IdleTimeout,
        }
    }

    #[test]
    fn uptime_stays_below_31_bits_and_says_every_time() {
        let mut uptime = Uptime::new(None);
        let begin = 1_400_000_000_000;
        let (mut last, mut moves) = (Timestamp::default(), 0);
        for hour in 0..24 * 200 {
            let now = begin + hour * 3_600_000;
            let (record, clock) = (record(now - 60_000), Timestamp::from_millis(now));
            uptime.rebase_for(&record, clock);
            assert!(uptime.can_say(&record));
            assert!(uptime.base().of(clock) < 1 << 31);
            let base = uptime.base().0;
            assert_eq!(base.as_millis() + u64::from(uptime.base().of(record.start)), now - 60_000);
            moves += u32::from(base != last);
            last = base;
        }
        assert_eq!(moves, 9, "the base moves rarely");
        assert_eq!(uptime.clamped(), 0);
    }

    #[test]
    fn start_before_the_base_moves_it_and_older_than_32_bits_is_clamped() {
        let mut uptime = Uptime::new(Some(Timestamp::from_millis(5_000_000_000)));
        let clock = Timestamp::from_millis(5_000_001_000);
        let week_old = record(4_400_000_000);
        assert!(!uptime.can_say(&week_old));
        uptime.rebase_for(&week_old, clock);
        assert!(uptime.can_say(&week_old));
        let ancient = record(1000);
        uptime.rebase_for(&ancient, clock);
        uptime.count_clamped(&ancient);
        assert_eq!(uptime.clamped(), 1);
        assert!(u64::from(uptime.base().of(clock)) > u64::from(u32::MAX) - 3000);
    }
}
