//! The thread of the spool: moves batches between memory and disk.

use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::warn;

use super::delivery::Delivery;
use super::parcel::{Origin, Parcel};
use super::spooling::SpoolWork;
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
    pub(super) fn keep(&mut self, parcels: &[Parcel]) {
        for parcel in parcels {
            let kept = match parcel.origin {
                Origin::Memory => self.write(slice::from_ref(parcel)),
                // The spool has all of it.
                Origin::Spool { key, .. } if parcel.is_whole => {
                    self.spool.give_back(key);
                    Ok(RunTallies::default())
                }
                // If this fails the spool has all of it, and the next run sends some documents
                // twice, which the cluster notices.
                Origin::Spool { key, .. } => {
                    self.spool.replace(key, &parcel.to_spooled()).map(|()| RunTallies::default())
                }
            };
            match kept {
                Ok(dropped) => {
                    self.delivery.kept(slice::from_ref(parcel), dropped, self.spool.stats());
                }
                Err(error) => {
                    self.complain(&error.to_string());
                    self.delivery.lose(parcel);
                }
            }
        }
    }

    fn push(&mut self, parcels: Vec<Parcel>) -> Result<(), SpoolError> {
        let result = self.write(&parcels);
        let stats = self.spool.stats();
        match result {
            Ok(dropped) => {
                self.delivery.kept(&parcels, dropped, stats);
                Ok(())
            }
            Err(error) => {
                self.delivery.not_kept(parcels, stats);
                Err(error)
            }
        }
    }

    fn write(&mut self, parcels: &[Parcel]) -> Result<RunTallies, SpoolError> {
        let batches: Vec<_> = parcels.iter().map(Parcel::to_spooled).collect();
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
                    self.delivery.damaged(lost, of_earlier_run, stats);
                } else {
                    self.delivery.spool_is(stats);
                }
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
