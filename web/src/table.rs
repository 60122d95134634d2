//! The heaviest flows that are still in the table of the program.

use std::collections::HashMap;

use flow::{FlowKey, FlowRecord, RecordTally, Timestamp};
use foldhash::fast::RandomState;

/// Maximum number of flows in the table that are known.
pub(crate) const TABLE_FLOWS_MAX: usize = 256;

/// The heaviest flows in the table, as the records that they were when it was looked at.
#[derive(Debug)]
pub(crate) struct TableFlows {
    heaviest: HashMap<FlowKey, TableFlow, RandomState>,
    /// All flows that were in the table.
    pub(crate) all: RecordTally,
    /// The first look at a flow.
    since: Timestamp,
    /// The last packet of a flow, in milliseconds.
    pub(crate) latest: u64,
}

/// A flow in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableFlow {
    /// The packets that are in no record yet.
    pub(crate) tally: RecordTally,
    /// The last packet.
    pub(crate) end: u64,
    /// When it was looked at.
    seen: Timestamp,
}

impl TableFlows {
    /// Octets of memory, for the old and the new one.
    pub(crate) const OCTETS: usize = 4 * TABLE_FLOWS_MAX * size_of::<(FlowKey, TableFlow)>();

    pub(crate) fn new(flows: &[FlowRecord], all: RecordTally) -> Self {
        let mut heaviest = HashMap::with_capacity_and_hasher(flows.len(), RandomState::default());
        for flow in flows.iter().take(TABLE_FLOWS_MAX) {
            let end = flow.end.as_millis();
            let new = TableFlow { tally: RecordTally::default(), end, seen: flow.exported };
            // Flows of two workers, or of two tunnels, may have the same key.
            let known = heaviest.entry(flow.key).or_insert(new);
            known.tally.count(flow);
            known.end = known.end.max(end);
            known.seen = known.seen.min(flow.exported);
        }
        let since = flows.iter().map(|flow| flow.exported).min().unwrap_or_default();
        let latest = flows.iter().map(|flow| flow.end.as_millis()).max().unwrap_or(0);
        Self { heaviest, all, since, latest }
    }

    /// The flows of which no record has come since they were looked at.
    pub(crate) fn heaviest(&self) -> impl Iterator<Item = (&FlowKey, &TableFlow)> {
        self.heaviest.iter()
    }

    /// Takes the flow of a record out, if the record left after the look: each packet of the flow
    /// is in this record.
    pub(crate) fn take_out(&mut self, record: &FlowRecord) {
        let is_later = |flow: &TableFlow| record.exported >= flow.seen;
        if record.exported >= self.since && self.heaviest.get(&record.key).is_some_and(is_later) {
            self.heaviest.remove(&record.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;

    #[test]
    fn a_flow_counts_in_the_table_until_a_record_has_it() {
        let seen =
            FlowRecord { exported: Timestamp::from_millis(50_000), ..record(20_000, 49_000, 7) };
        let all = RecordTally { records: 9, ..RecordTally::default() };
        let left = |record: FlowRecord| {
            let mut table = TableFlows::new(&[seen], all);
            table.take_out(&record);
            table.heaviest
        };
        // The record of the active timeout before.
        let before =
            FlowRecord { exported: Timestamp::from_millis(20_000), ..record(0, 19_999, 5) };
        assert_eq!(left(before)[&seen.key].tally.packets, 7);
        let mut other = FlowRecord { exported: Timestamp::from_millis(60_000), ..seen };
        other.key.source_port += 1;
        assert_eq!(left(other).len(), 1);
        // The record with these packets, and with more.
        let after =
            FlowRecord { exported: Timestamp::from_millis(51_000), ..record(20_000, 50_500, 8) };
        assert!(left(after).is_empty());
    }
}
