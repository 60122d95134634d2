//! Counters that count a flow from its begin on, in each of its records, as differences.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use element::TimeReading;
use flow::{Exporter, FlowEndReason, FlowKey, FlowRecord, Timestamp};

use crate::counts::Counts;
use crate::limits::TOTALS_MAX;

/// Places that a flow may have.
const WAYS: usize = 4;

/// The last totals of flows that go on.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Empty before the first one.
    slots: Vec<Option<Entry>>,
    /// Number of the last use.
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: Flow,
    octets: u64,
    packets: u64,
    end: Timestamp,
    used: u64,
}

/// A flow of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flow {
    exporter: IpAddr,
    domain: u32,
    key: FlowKey,
    /// Its start as it was sent; 0 if it was not.
    start: u64,
}

impl Totals {
    /// Leaves in a record what it has more than the last one of its flow. Then it begins where that
    /// one ended. Smaller totals are those of another flow.
    pub(crate) fn subtract(
        &mut self,
        exporter: &Exporter,
        start: &TimeReading,
        record: &mut FlowRecord,
        counts: &mut Counts,
    ) {
        let sent = start.time.map(|(_, time)| time.as_millis());
        let start = sent.or_else(|| start.uptime_ms.map(u64::from)).unwrap_or(0);
        let flow = Flow {
            exporter: exporter.address.ip(),
            domain: exporter.domain,
            key: record.key,
            start,
        };
        let reason = record.end_reason;
        let goes_on = matches!(reason, FlowEndReason::Unknown | FlowEndReason::ActiveTimeout);
        if self.slots.is_empty() {
            if !goes_on {
                return;
            }
            self.slots.resize(TOTALS_MAX, None);
        }
        self.turn += 1;
        let (octets, packets, end) = (record.octets, record.packets, record.end);
        let now = Entry { flow, octets, packets, end, used: self.turn };
        let mut hasher = DefaultHasher::new();
        flow.hash(&mut hasher);
        let set = usize::try_from(hasher.finish() % (TOTALS_MAX / WAYS) as u64).unwrap_or(0);
        let slots = self.slots.iter_mut().skip(set * WAYS).take(WAYS);
        // That of the flow, else one that is free, else the one that was not used for longest.
        let place = slots.min_by_key(|slot| match slot {
            Some(entry) if entry.flow == flow => (0, 0),
            None => (1, 0),
            Some(entry) => (2, entry.used),
        });
        let Some(slot) = place else { return };
        match *slot {
            Some(last) if last.flow == flow => {
                if last.octets <= octets && last.packets <= packets {
                    record.octets -= last.octets;
                    record.packets -= last.packets;
                    record.start = last.end.clamp(record.start, record.end);
                }
                *slot = goes_on.then_some(now);
            }
            other if goes_on => {
                counts.totals_forgotten += u64::from(other.is_some());
                *slot = Some(now);
            }
            _ => {}
        }
    }
}
