//! The thread of the spool: moves batches between memory and disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::warn;

use super::counts::content;
use super::delivery::{Delivery, SpoolWork};
use super::parcel::{Origin, Parcel, Piece};
use crate::spool::{BatchKey, RunTallies, Spool, SpoolError, TakenBatch};

/// After an error the spool opens its file again when this has passed.
const PAUSE: Duration = Duration::from_secs(1);

/// What goes wrong is said at first, and again after this time.
const REMINDER: Duration = Duration::from_secs(60);

/// The one owner of the spool.
pub(super) struct Spooler {
    /// The URL, for messages.
    name: String,
    spool: Spool,
    delivery: Arc<Delivery>,
    /// The last trouble that was said, and when.
    trouble: Option<(String, Instant)>,
}

impl Spooler {
    pub(super) fn new(name: String, spool: Spool, delivery: Arc<Delivery>) -> Self {
        Self { name, spool, delivery, trouble: None }
    }

    /// Whether there is nothing of earlier runs to send.
    pub(super) fn is_empty(&self) -> bool {
        self.spool.stats().held.total().batches == 0
    }

    /// Works until the run ends. Gives itself back, for what is left then.
    pub(super) fn run(mut self) -> Self {
        loop {
            let result = match self.delivery.spool_work() {
                SpoolWork::Push(parcels) => self.push(parcels),
                SpoolWork::Remove(keys) => self.remove(&keys),
                SpoolWork::Take => self.take(),
                SpoolWork::End => return self,
            };
            if let Err(error) = result {
                self.complain(&error.to_string());
                self.delivery.pause(PAUSE);
            }
        }
    }

    /// Keeps what is left for the next run. Counts what cannot be kept.
    pub(super) fn keep(&mut self, parcels: Vec<Parcel>) {
        for parcel in parcels {
            match parcel.origin {
                Origin::Memory => self.keep_parcel(parcel),
                // The batch is in the spool, all of it or more. Of earlier runs more does no harm:
                // the cluster knows what it has.
                Origin::Spool { key, of_earlier_run } if parcel.is_whole || of_earlier_run => {
                    self.spool.give_back(key);
                }
                Origin::Spool { key, .. } => {
                    self.keep_parcel(parcel);
                    // If this fails the next run sends some documents twice, which the cluster
                    // notices.
                    drop(self.spool.remove(&[key]));
                }
            }
        }
        self.delivery.spool_is(self.spool.stats());
    }

    fn keep_parcel(&mut self, parcel: Parcel) {
        match self.push_all(std::slice::from_ref(&parcel)) {
            Ok(dropped) => self.delivery.count(|counts| counts.drop_for_room(dropped)),
            Err(error) => {
                self.complain(&error.to_string());
                self.delivery.count(|counts| counts.this_run.unsent += parcel.left());
            }
        }
    }

    fn push(&mut self, parcels: Vec<Parcel>) -> Result<(), SpoolError> {
        let octets = parcels.iter().map(Parcel::octets).sum();
        let result = self.push_all(&parcels);
        let stats = self.spool.stats();
        match result {
            Ok(dropped) => {
                drop(parcels);
                self.delivery.pushed(octets, Vec::new(), dropped, stats);
                Ok(())
            }
            Err(error) => {
                self.delivery.pushed(octets, parcels, RunTallies::default(), stats);
                Err(error)
            }
        }
    }

    fn push_all(&mut self, parcels: &[Parcel]) -> Result<RunTallies, SpoolError> {
        let pieces = parcels.iter().flat_map(|parcel| &parcel.pieces);
        let batches: Vec<_> = pieces.map(Piece::to_spooled).collect();
        let dropped = self.spool.push_all(&batches)?;
        if dropped != RunTallies::default() {
            self.complain("the spool is full; documents are dropped");
        }
        Ok(dropped)
    }

    /// Takes the oldest batch.
    fn take(&mut self) -> Result<(), SpoolError> {
        let result = self.spool.take();
        let stats = self.spool.stats();
        match result {
            Ok(Some(taken)) => match Parcel::from_spool(&taken) {
                Some(parcel) => self.delivery.taken(parcel, stats),
                None => self.give_up_on(&taken),
            },
            Ok(None) => self.delivery.spool_is(stats),
            Err(error) => {
                if let SpoolError::BatchDamaged { lost, of_earlier_run, .. } = error {
                    let damaged = content(lost);
                    self.delivery.count(|counts| counts.of_run(of_earlier_run).damaged += damaged);
                }
                self.delivery.spool_is(stats);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A batch of another kind of output. It stays in the spool for the run that understands it.
    fn give_up_on(&mut self, taken: &TakenBatch) {
        let seconds = taken.pushed.elapsed().unwrap_or_default().as_secs();
        self.complain(&format!("a batch of {seconds} s ago in the spool is of another output"));
        self.delivery.spool_is(self.spool.stats());
    }

    fn remove(&mut self, keys: &[BatchKey]) -> Result<(), SpoolError> {
        let result = self.spool.remove(keys);
        self.delivery.spool_is(self.spool.stats());
        result
    }

    fn complain(&mut self, reason: &str) {
        let now = Instant::now();
        let is_known = self
            .trouble
            .as_ref()
            .is_some_and(|(known, said)| known == reason && now < *said + REMINDER);
        if !is_known {
            warn!("{}: {reason}", self.name);
            self.trouble = Some((reason.to_owned(), now));
        }
    }
}
