//! The interface of an output for the program.

use std::sync::Arc;
use std::time::Duration;

use flow::{Batch, Conversation, NetworkSet, RecordTally, Tally, Timestamp};

use crate::error::ExportError;

/// An output: exports flow records and counts the outcome of each.
///
/// One thread owns it. `records given = sent + not exportable + failed + dead-lettered + spooled +
/// pending`. After [`Exporter::finish`] no records are pending.
pub trait Exporter: Send {
    /// Takes a batch. It may wait for its pace or for the peer.
    ///
    /// # Errors
    ///
    /// The output has given up. All its records are counted by then, and it takes no more.
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError>;

    /// Takes the counts of the meter, for reports in messages.
    fn observe(&mut self, meter: &MeterReport);

    /// Live: called every second without a batch. Sends collected records, and repeats templates
    /// and options that are due.
    ///
    /// # Errors
    ///
    /// As [`Exporter::export`].
    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError>;

    /// Opens files again by their names, because another program may have moved them.
    ///
    /// # Errors
    ///
    /// As [`Exporter::export`]. A file that cannot be opened is no error: the open one stays in
    /// use.
    fn reopen(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Changes the networks inside the perimeter, for the next documents. Messages have no field
    /// for it.
    fn set_local_networks(&mut self, _networks: &NetworkSet) {}

    /// Sends all records and ends the session.
    ///
    /// # Errors
    ///
    /// As [`Exporter::export`].
    fn finish(&mut self) -> Result<(), ExportError>;

    /// Outcomes of the records so far.
    fn counts(&self) -> ExportCounts;

    /// True if it can send now. A live output may have to wait for its collector.
    fn is_ready(&self) -> bool {
        true
    }

    /// False if what it sends does not arrive, as far as it knows.
    fn is_answering(&self) -> bool {
        self.is_ready()
    }

    /// Sends something without records soon, after which it knows whether its peer is there.
    /// Returns false if it has nothing to send but records.
    fn probe(&mut self) -> bool {
        true
    }

    /// The collectors of a group, with their counts. Empty for other outputs.
    fn collectors(&self) -> Vec<CollectorCounts> {
        Vec::new()
    }

    /// The current conversations with its peers: a mirror port may show their packets. They change
    /// if the name of a collector gets another address.
    fn conversations(&self) -> Vec<Conversation>;
}

impl<E: Exporter + ?Sized> Exporter for &mut E {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        (**self).export(batch)
    }

    fn observe(&mut self, meter: &MeterReport) {
        (**self).observe(meter);
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError> {
        (**self).tick(now)
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        (**self).reopen()
    }

    fn set_local_networks(&mut self, networks: &NetworkSet) {
        (**self).set_local_networks(networks);
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        (**self).finish()
    }

    fn counts(&self) -> ExportCounts {
        (**self).counts()
    }

    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }

    fn is_answering(&self) -> bool {
        (**self).is_answering()
    }

    fn probe(&mut self) -> bool {
        (**self).probe()
    }

    fn collectors(&self) -> Vec<CollectorCounts> {
        (**self).collectors()
    }

    fn conversations(&self) -> Vec<Conversation> {
        (**self).conversations()
    }
}

/// An interface with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number in flow keys: the ifIndex, or the position in a capture file.
    pub number: u32,
    /// Its name.
    pub name: String,
}

/// The meter's counts that exporters report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterReport {
    /// Frames ignored, with their octets on the wire.
    pub ignored: Tally,
    /// Records lost at the queue of this output.
    pub dropped: RecordTally,
    /// Interfaces with names, in the order in which they became known.
    pub interfaces: Arc<[Interface]>,
}

/// Outcomes of the records of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportCounts {
    /// Sent, with no known loss.
    pub sent: RecordTally,
    /// Not expressible in the protocol: IPv6 in NetFlow v5.
    pub not_exportable: RecordTally,
    /// Known to be lost.
    pub failed: RecordTally,
    /// Refused by the peer permanently, and kept in the dead letter file.
    pub dead_lettered: RecordTally,
    /// Kept on this host's disk, to be sent later or in the next run.
    pub spooled: RecordTally,
    /// Events sent. Outputs of messages cannot send events.
    pub events_sent: u64,
    /// Events that the protocol cannot express.
    pub events_not_exportable: u64,
    /// Events known to be lost.
    pub events_failed: u64,
    /// Events kept on this host's disk, to be sent later or in the next run.
    pub events_spooled: u64,
    /// Records that were sent more than once.
    pub retried: u64,
    /// Messages, datagrams or documents.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Failed sends, also those that were retried.
    pub errors: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Records with a time outside the range of the protocol.
    pub times_clamped: u64,
    /// Records whose interface number is too large for the protocol: NetFlow v5 has 16 bits.
    pub interfaces_zeroed: u64,
    /// Counts of delivery to a cluster; `None` for other outputs.
    pub delivery: Option<DeliveryReport>,
}

impl ExportCounts {
    /// Counts records and events of which an output made no documents, because it had given up.
    pub fn lose_documents(&mut self, records: RecordTally, events: u64) {
        self.failed += records;
        self.events_failed += events;
        if let Some(delivery) = &mut self.delivery {
            delivery.unsent += records.records + events;
        }
    }

    /// The counts of an output that was closed, and of the same output after it was opened again.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            sent: self.sent + later.sent,
            not_exportable: self.not_exportable + later.not_exportable,
            failed: self.failed + later.failed,
            dead_lettered: self.dead_lettered + later.dead_lettered,
            spooled: self.spooled + later.spooled,
            events_sent: self.events_sent + later.events_sent,
            events_not_exportable: self.events_not_exportable + later.events_not_exportable,
            events_failed: self.events_failed + later.events_failed,
            events_spooled: self.events_spooled + later.events_spooled,
            retried: self.retried + later.retried,
            messages: self.messages + later.messages,
            octets: self.octets + later.octets,
            errors: self.errors + later.errors,
            reconnects: self.reconnects + later.reconnects,
            times_clamped: self.times_clamped + later.times_clamped,
            interfaces_zeroed: self.interfaces_zeroed + later.interfaces_zeroed,
            delivery: match (self.delivery, later.delivery) {
                (Some(earlier), Some(later)) => Some(earlier.then(later)),
                (earlier, later) => later.or(earlier),
            },
        }
    }
}

/// A collector of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorCounts {
    /// Its URL without settings.
    pub name: Arc<str>,
    /// Outcomes of the records that it got.
    pub counts: ExportCounts,
    /// Records of its share that other collectors got, because it was away.
    pub moved: RecordTally,
    /// Others get its share now.
    pub is_away: bool,
}

impl CollectorCounts {
    /// The counts of a group that was closed, and of the same group after it was opened again.
    #[must_use]
    pub fn then(earlier: Vec<Self>, later: Vec<Self>) -> Vec<Self> {
        let mut sum: Vec<Self> = Vec::new();
        for collector in earlier.into_iter().chain(later) {
            match sum.iter_mut().find(|it| it.name == collector.name) {
                Some(known) => {
                    known.counts = known.counts.then(collector.counts);
                    known.moved += collector.moved;
                    known.is_away = collector.is_away;
                }
                None => sum.push(collector),
            }
        }
        sum
    }
}

/// Delivery of documents to a cluster. Counts of outcomes only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// Documents that the cluster wrote.
    pub accepted: u64,
    /// Documents that the cluster already had from an earlier attempt.
    pub duplicate: u64,
    /// Documents refused permanently, and kept in the dead letter file.
    pub dead_lettered: u64,
    /// Documents refused permanently, and not kept.
    pub refused: u64,
    /// Documents lost because there was no room.
    pub dropped: u64,
    /// Documents lost because they were not delivered before the end.
    pub unsent: u64,
    /// Documents in memory only: in the batch that is being filled, waiting, or in flight.
    pub in_memory: u64,
    /// Number of requests.
    pub requests: u64,
    /// Octets of resolved documents and their actions, before compression.
    pub document_octets: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Current limit of requests in flight.
    pub concurrency_limit: u64,
    /// Octets of waiting documents in memory.
    pub waiting_octets: u64,
    /// `None` without a spool.
    pub spool: Option<SpoolReport>,
}

impl DeliveryReport {
    /// As [`ExportCounts::then`]. The state is the later one, and so is the spool, which has both.
    fn then(self, later: Self) -> Self {
        Self {
            accepted: self.accepted + later.accepted,
            duplicate: self.duplicate + later.duplicate,
            dead_lettered: self.dead_lettered + later.dead_lettered,
            refused: self.refused + later.refused,
            dropped: self.dropped + later.dropped,
            unsent: self.unsent + later.unsent,
            requests: self.requests + later.requests,
            document_octets: self.document_octets + later.document_octets,
            ..later
        }
    }
}

/// The spool of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolReport {
    /// Batches in it, of all runs, including those that are being sent.
    pub batches: u64,
    /// Their octets.
    pub octets: u64,
    /// The most octets that it may have.
    pub octets_max: u64,
    /// Age of the oldest batch in it.
    pub oldest_age: Duration,
    /// Documents lost because it had no room, of all runs.
    pub dropped: u64,
    /// Documents that were damaged in it, of all runs.
    pub damaged: u64,
    /// Documents of earlier runs. They are in no other count.
    pub earlier_runs: EarlierRuns,
}

/// Documents of earlier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlierRuns {
    /// Still in the spool.
    pub spooled: u64,
    /// As in [`DeliveryReport`].
    pub accepted: u64,
    /// As in [`DeliveryReport`].
    pub duplicate: u64,
    /// As in [`DeliveryReport`].
    pub dead_lettered: u64,
    /// As in [`DeliveryReport`].
    pub refused: u64,
}
