//! A parcel: the unit of work of a sender, with its origin.

use std::time::{Duration, Instant};

use super::batch::Batch;
use crate::content::Content;
use crate::spool::{BatchKey, SpooledBatch, TakenBatch};

/// A batch to send, in one piece or several.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The last piece is sent first.
    pub(super) pieces: Vec<Piece>,
    pub(super) origin: Origin,
    /// True while no document is resolved.
    pub(super) is_whole: bool,
    /// Time of the next try, if the service failed at documents. Other parcels go first.
    pub(super) due: Option<Instant>,
    /// Time when it was collected, or read from the spool.
    pub(super) since: Instant,
}

/// Documents of one request.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) batch: Batch,
    /// Consecutive connections that ended while this piece was sent.
    pub(super) cuts: u32,
    pub(super) is_retry: bool,
    /// Failures of the service at these documents.
    pub(super) failures: Option<Failures>,
}

/// Consecutive failures of the service at documents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failures {
    pub(super) count: u32,
    /// Time of the first one.
    pub(super) since: Instant,
    /// Documents that the service had accepted before the first one.
    pub(super) accepted: u64,
}

/// The time between two tries after a failure. It doubles with each, up to the maximum.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(60);

impl Failures {
    /// Time of the next try.
    pub(super) fn next_try(&self, now: Instant, patience: Duration) -> Instant {
        let pause = PAUSE.saturating_mul(1 << self.count.min(16)).min(PAUSE_MAX);
        (now + pause).min((self.since + patience).max(now + PAUSE))
    }

    /// True if the documents are the cause: the service failed at them for so long, and accepted
    /// others meanwhile.
    pub(super) fn are_of_documents(&self, accepted: u64, patience: Duration) -> bool {
        self.since.elapsed() >= patience && accepted > self.accepted
    }
}

impl Piece {
    pub(super) fn new(batch: Batch) -> Self {
        Self { batch, cuts: 0, is_retry: false, failures: None }
    }

    /// Decodes the octets of [`Parcel::to_spooled`]; `None` for other octets.
    fn from_spooled(octets: &[u8], format: u8) -> Option<Self> {
        let (mark, batch) = octets.split_last()?;
        if mark >> 1 != format {
            return None;
        }
        let batch = Batch::from_octets(batch).filter(|batch| !batch.is_empty())?;
        Some(Self { is_retry: mark & 1 != 0, ..Self::new(batch) })
    }
}

/// Origin of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Only memory has it.
    Memory,
    /// The spool has it until it is resolved.
    Spool { key: BatchKey, of_earlier_run: bool },
}

impl Origin {
    pub(super) fn is_earlier_run(self) -> bool {
        matches!(self, Self::Spool { of_earlier_run: true, .. })
    }
}

impl Parcel {
    /// A newly collected batch.
    pub(super) fn new(batch: Batch) -> Self {
        Self::of(Piece::new(batch), Origin::Memory)
    }

    /// A batch of the spool; `None` if it is not from this kind of output.
    pub(super) fn from_spool(taken: &TakenBatch, format: u8) -> Option<Self> {
        let TakenBatch { key, of_earlier_run, .. } = *taken;
        let piece = Piece::from_spooled(&taken.batch.octets, format)?;
        Some(Self::of(piece, Origin::Spool { key, of_earlier_run }))
    }

    fn of(piece: Piece, origin: Origin) -> Self {
        Self { pieces: vec![piece], origin, is_whole: true, due: None, since: Instant::now() }
    }

    /// The unresolved documents, encoded for the spool. The last octet has the format and whether
    /// some were sent before.
    pub(super) fn to_spooled(&self, format: u8) -> SpooledBatch {
        let Content { records, events, .. } = self.left();
        let batches: Vec<_> = self.pieces.iter().rev().map(|piece| &piece.batch).collect();
        let mut octets = Batch::octets_of(&batches);
        let is_retry = self.pieces.iter().any(|piece| piece.is_retry);
        octets.push(format << 1 | u8::from(is_retry));
        SpooledBatch { records, events, octets }
    }

    /// Content of the unresolved documents.
    pub(super) fn left(&self) -> Content {
        Content::sum(self.pieces.iter().map(|piece| piece.batch.total()))
    }

    /// Octets that count as waiting: 0 for a parcel that is in the spool.
    pub(super) fn octets(&self) -> usize {
        match self.origin {
            Origin::Memory => self.pieces.iter().map(|piece| piece.batch.octets()).sum(),
            Origin::Spool { .. } => 0,
        }
    }
}
