//! What the program sees of an output.

use std::sync::Arc;
use std::time::Duration;

use flow::{Batch, Conversation, RecordTally, Tally, Timestamp};

use crate::error::ExportError;

/// An output: takes flow records somewhere and accounts for each.
///
/// One thread owns it. `records given = sent + not exportable + failed + dead-lettered + spooled +
/// pending`, where nothing is pending after [`Exporter::finish`].
pub trait Exporter: Send {
    /// Takes a batch. It may wait, for the pace or for the far end.
    ///
    /// # Errors
    ///
    /// When the output has given up. All records that it was given are counted by then, and it is
    /// not to be given more.
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError>;

    /// Takes note of what the meter says of itself; a report about it may follow.
    fn observe(&mut self, meter: &MeterReport);

    /// Live: a second has passed since this was last called, or since `export`. What was gathered
    /// is sent, and what is due again is repeated.
    ///
    /// # Errors
    ///
    /// As [`Exporter::export`].
    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError>;

    /// Opens files anew by their names, because another program may have moved them.
    ///
    /// # Errors
    ///
    /// As [`Exporter::export`]. A file that cannot be opened is no error: what is open stays.
    fn reopen(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Sends everything and ends the session.
    ///
    /// # Errors
    ///
    /// As [`Exporter::export`].
    fn finish(&mut self) -> Result<(), ExportError>;

    /// What became of the records so far.
    fn counts(&self) -> ExportCounts;

    /// Whether it can send now. Live, it may have to wait for its collector.
    fn is_ready(&self) -> bool {
        true
    }

    /// The packets that carry its messages, if it sends any: a mirror may show them again. Those
    /// of now: a collector whose name gets another address has another conversation later.
    fn conversations(&self) -> Vec<Conversation>;
}

/// An interface that has a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number in flow keys: the ifIndex, or the position in a capture file.
    pub number: u32,
    /// Its name.
    pub name: String,
}

/// What exporters report of the rest of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterReport {
    /// Frames ignored, with their octets on the wire.
    pub ignored: Tally,
    /// Records that this output lost at its queue.
    pub dropped: RecordTally,
    /// Interfaces with names, those that were known before first.
    pub interfaces: Arc<[Interface]>,
}

/// What became of the records that an output was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportCounts {
    /// Handed on, and nothing was heard of a loss.
    pub sent: RecordTally,
    /// What the protocol cannot say: IPv6 in NetFlow v5.
    pub not_exportable: RecordTally,
    /// Known not to have arrived.
    pub failed: RecordTally,
    /// Refused by the far end for good and kept in a file.
    pub dead_lettered: RecordTally,
    /// On this host's disk, to be sent later or in the next run.
    pub spooled: RecordTally,
    /// Events handed on. Outputs of messages have no place for them.
    pub events_sent: u64,
    /// Events that the protocol cannot say.
    pub events_not_exportable: u64,
    /// Events known not to have arrived.
    pub events_failed: u64,
    /// Events on this host's disk, to be sent later or in the next run.
    pub events_spooled: u64,
    /// Records that were sent more than once.
    pub retried: u64,
    /// Messages, datagrams or documents.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Sends that were refused, retried ones included.
    pub errors: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Records with a time that the protocol could not say.
    pub times_clamped: u64,
    /// Records whose interface the protocol could not say: NetFlow v5 has 16 bits for its number.
    pub interfaces_zeroed: u64,
    /// Counts of delivery to a cluster; `None` for other outputs.
    pub delivery: Option<Delivery>,
}

/// Documents on their way to a cluster. Counts of what became of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Documents that the cluster wrote.
    pub accepted: u64,
    /// Documents that the cluster had from an earlier try.
    pub duplicate: u64,
    /// Documents refused for good and kept in a file.
    pub dead_lettered: u64,
    /// Documents refused for good and not kept.
    pub refused: u64,
    /// Documents for which there was no room.
    pub dropped: u64,
    /// Documents that were not delivered before the end.
    pub unsent: u64,
    /// Documents that are in memory only: they are gathered, wait, or are under way.
    pub in_memory: u64,
    /// Requests.
    pub requests: u64,
    /// Octets of documents and actions that were resolved, before compression.
    pub document_octets: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests that may be under way.
    pub concurrency_limit: u64,
    /// Octets of documents that wait in memory.
    pub waiting_octets: u64,
    /// If there is a spool.
    pub spool: Option<SpoolReport>,
}

/// The spool of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolReport {
    /// Batches in it, of all runs, also those that are being sent.
    pub batches: u64,
    /// Their octets.
    pub octets: u64,
    /// How long the oldest batch has been in it.
    pub oldest_age: Duration,
    /// Documents for which it had no room, of all runs.
    pub dropped: u64,
    /// Documents that were damaged in it, of all runs.
    pub damaged: u64,
    /// Documents of earlier runs that were in it. They are in no other count.
    pub earlier_runs: EarlierRuns,
}

/// Documents of earlier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlierRuns {
    /// Still in the spool.
    pub spooled: u64,
    /// As in [`Delivery`].
    pub accepted: u64,
    /// As in [`Delivery`].
    pub duplicate: u64,
    /// As in [`Delivery`].
    pub dead_lettered: u64,
    /// As in [`Delivery`].
    pub refused: u64,
}
