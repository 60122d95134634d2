//! Batches of a spool, and counts of them.

use std::time::SystemTime;

use derive_more::{Add, AddAssign, Sub};
use flow::RecordTally;

/// Records and events, encoded by an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledBatch {
    /// The records, and the packets and octets that they report.
    pub records: RecordTally,
    /// The events.
    pub events: u64,
    /// The encoded records and events.
    pub octets: Vec<u8>,
}

/// Identifies a batch while the spool is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey(pub(super) u64);

/// A batch that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBatch {
    /// Key to give it back or to remove it.
    pub key: BatchKey,
    /// The batch as it was pushed.
    pub batch: SpooledBatch,
    /// Time of the push, by the clock of the host at that time.
    pub pushed: SystemTime,
    /// True if it was in the spool when the spool was opened. Its records are from an earlier run.
    pub of_earlier_run: bool,
}

/// A number of batches, their octets, and the records in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Add, AddAssign, Sub)]
pub struct BatchTally {
    /// Number of batches.
    pub batches: u64,
    /// Octets of the encoded batches.
    pub octets: u64,
    /// The records, and the packets and octets that they report.
    pub records: RecordTally,
    /// The events.
    pub events: u64,
}

/// Batches of this run, and batches of earlier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Add, AddAssign)]
pub struct RunTallies {
    /// Pushed since the spool was opened.
    pub this_run: BatchTally,
    /// In the spool when it was opened.
    pub earlier_runs: BatchTally,
}

impl RunTallies {
    /// Sum of both.
    pub fn total(&self) -> BatchTally {
        self.this_run + self.earlier_runs
    }
}
