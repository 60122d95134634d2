//! What a thread sends as one: a batch, and what becomes of it on the way.

use std::time::Instant;

use super::batch::Batch;
use crate::content::Content;
use crate::spool::{BatchKey, SpooledBatch, TakenBatch};

/// A batch that is to be sent, in one piece or several.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The next to be sent is the last.
    pub(super) pieces: Vec<Piece>,
    pub(super) origin: Origin,
    /// Whether no document is resolved yet.
    pub(super) is_whole: bool,
    /// When it was gathered, or read from the spool.
    pub(super) since: Instant,
}

/// Documents of one request.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) batch: Batch,
    /// How often in a row the connection ended while it was sent.
    pub(super) cuts: u32,
    pub(super) is_retry: bool,
}

impl Piece {
    /// What [`Parcel::to_spooled`] wrote; `None` for anything else.
    fn from_spooled(octets: &[u8]) -> Option<Self> {
        let (is_retry, batch) = octets.split_last()?;
        let batch = Batch::from_octets(batch).filter(|batch| !batch.is_empty())?;
        Some(Self { batch, cuts: 0, is_retry: *is_retry != 0 })
    }
}

/// Where a parcel comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is in memory only.
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
    /// A batch that was just gathered.
    pub(super) fn new(batch: Batch) -> Self {
        Self::of(Piece { batch, cuts: 0, is_retry: false }, Origin::Memory)
    }

    /// A batch of the spool; `None` if it is not one of this output.
    pub(super) fn from_spool(taken: &TakenBatch) -> Option<Self> {
        let TakenBatch { key, of_earlier_run, .. } = *taken;
        let piece = Piece::from_spooled(&taken.batch.octets)?;
        Some(Self::of(piece, Origin::Spool { key, of_earlier_run }))
    }

    fn of(piece: Piece, origin: Origin) -> Self {
        Self { pieces: vec![piece], origin, is_whole: true, since: Instant::now() }
    }

    /// What is left of it, for the spool.
    pub(super) fn to_spooled(&self) -> SpooledBatch {
        let Content { records, events, .. } = self.left();
        let batches: Vec<_> = self.pieces.iter().rev().map(|piece| &piece.batch).collect();
        let mut octets = Batch::octets_of(&batches);
        octets.push(self.pieces.iter().any(|piece| piece.is_retry).into());
        SpooledBatch { records, events, octets }
    }

    /// What is in the documents that are not resolved.
    pub(super) fn left(&self) -> Content {
        Content::sum(self.pieces.iter().map(|piece| piece.batch.total()))
    }

    /// Octets of memory that it takes and that only sending or spooling it gives back.
    pub(super) fn octets(&self) -> usize {
        match self.origin {
            Origin::Memory => self.pieces.iter().map(|piece| piece.batch.octets()).sum(),
            Origin::Spool { .. } => 0,
        }
    }
}
