//! The thread of the spool: moves batches between memory and disk.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use log::warn;

use super::delivery::Delivery;
use super::parcel::{Origin, Parcel};
use super::settings::OutboxSettings;
use super::spooling::SpoolWork;
use super::state::Trouble;
use crate::spool::{BatchKey, RunTallies, Spool, SpoolError, TakenBatch};

/// Pause after an error of the spool.
const PAUSE: Duration = Duration::from_secs(1);

/// The only owner of the spool.
pub(super) struct Spooler {
    /// The URL, for messages.
    name: String,
    /// What the service takes, for messages.
    unit: &'static str,
    /// The format of batches.
    format: u8,
    spool: Spool,
    delivery: Arc<Delivery>,
    /// The last logged problem.
    trouble: Option<Trouble>,
}

impl Spooler {
    pub(super) fn new(settings: &OutboxSettings, spool: Spool, delivery: Arc<Delivery>) -> Self {
        let OutboxSettings { name, unit, format, .. } = settings;
        Self { name: name.clone(), unit, format: *format, spool, delivery, trouble: None }
    }

    /// True if the spool has no batches of earlier runs.
    pub(super) fn is_empty(&self) -> bool {
        self.spool.stats().held.total().batches == 0
    }

    /// Works until the run ends. Returns itself, to keep the remaining batches.
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

    /// Keeps unresolved parcels for the next run. Counts the parcels that cannot be kept as lost.
    pub(super) fn keep(&mut self, parcels: &[Parcel]) {
        for parcel in parcels {
            let kept = match parcel.origin {
                Origin::Memory => self.write(slice::from_ref(parcel)),
                // The spool still has all of it.
                Origin::Spool { key, .. } if parcel.is_whole => {
                    self.spool.give_back(key);
                    Ok(RunTallies::default())
                }
                // If this fails, the spool still has the whole batch. The next run then sends some
                // documents twice, and the cluster reports them as duplicates.
                Origin::Spool { key, .. } => self
                    .spool
                    .replace(key, &parcel.to_spooled(self.format))
                    .map(|()| RunTallies::default()),
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
                parcels.into_iter().for_each(|parcel| self.delivery.recycle(parcel));
                Ok(())
            }
            Err(error) => {
                self.delivery.not_kept(parcels, stats);
                Err(error)
            }
        }
    }

    fn write(&mut self, parcels: &[Parcel]) -> Result<RunTallies, SpoolError> {
        let batches: Vec<_> = parcels.iter().map(|parcel| parcel.to_spooled(self.format)).collect();
        let dropped = self.spool.push_all(&batches)?;
        if dropped != RunTallies::default() {
            self.complain(&format!("the spool is full; {} are dropped", self.unit));
        }
        Ok(dropped)
    }

    /// Takes the oldest batch.
    fn take(&mut self) -> Result<(), SpoolError> {
        let result = self.spool.take();
        let stats = self.spool.stats();
        match result {
            Ok(Some(taken)) => match Parcel::from_spool(&taken, self.format) {
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

    /// Logs a batch of another kind of output. It stays in the spool.
    fn give_up_on(&mut self, taken: &TakenBatch) {
        let seconds = taken.pushed.elapsed().unwrap_or_default().as_secs();
        self.complain(&format!("a batch in the spool, {seconds} s old, is from another output"));
        self.delivery.spool_is(self.spool.stats());
    }

    fn remove(&mut self, keys: &[BatchKey]) -> Result<(), SpoolError> {
        let result = self.spool.remove(keys);
        self.delivery.spool_is(self.spool.stats());
        result
    }

    fn complain(&mut self, reason: &str) {
        if Trouble::is_news(&mut self.trouble, reason) {
            warn!("{}: {reason}", self.name);
        }
    }
}
