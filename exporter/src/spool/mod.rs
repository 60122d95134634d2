//! A spool: batches on disk, between the Metering Process and a collector that is slow or away.
//!
//! A batch is a number of records, already in the octets that the output sends. The spool never
//! looks inside. An output pushes batches, takes the oldest, sends it, and removes it when the
//! collector has acknowledged it, or gives it back.
//!
//! # Durability
//!
//! [`Spool::push_all`] and [`Spool::remove`] return when the change is on the disk (two
//! `fdatasync(2)`, by redb's commit in two phases). So after a crash of the process or of the host:
//!
//! - a batch that was pushed with success is there, whole;
//! - a batch that was removed with success does not come back;
//! - a batch whose push had not returned is there whole or not at all;
//! - a batch that was handed out and not removed is there, and is handed out again. The collector
//!   may have it already.
//!
//! A power cut loses more only if the disk says that it has written what it has not. The output
//! still loses the batches that it has not pushed yet.
//!
//! Each batch has a checksum. A batch that was damaged on the disk is not handed out:
//! [`SpoolError::BatchDamaged`] says how many records are lost.
//!
//! # Errors
//!
//! After a failed read or write the spool closes its file. It opens the file again at the next call
//! that needs it, at most once a second. Until then such calls return the same error. The caller
//! still has the batches of a failed push, and can push them again. Batches whose removal failed
//! are not handed out again in this run.
//!
//! # Limits
//!
//! The octets of all batches are at most `octets_max`. The file takes some per cent more of the
//! disk, and keeps it until the spool is empty. The file has holes: its length may be twice that.
//! There are at most [`BATCHES_MAX`] batches, with some 100 octets of memory each. Opening
//! reads the descriptions of the batches only.

mod error;
mod index;
mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, TryLockError};
use std::mem;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::{Duration, Instant, SystemTime};

use derive_more::{Add, AddAssign, Sub};
use flow::RecordTally;

pub use self::error::SpoolError;
use self::index::Index;
use self::store::{Entry, Store};

/// Batches in a spool at most.
pub const BATCHES_MAX: u64 = 100_000;

/// After an error the file is opened again when this has passed.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// A file that is longer than this gives its room back when the spool is empty.
const LENGTH_KEPT: u64 = 64 * 1024 * 1024;

/// What happens to a batch when the spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest batches that are not handed out make room for it. If these are too few, it is
    /// dropped.
    DropOldest,
    /// It is dropped.
    DropNewest,
}

/// Some records and events in the octets that an output sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledBatch {
    /// The records, and the packets and octets that they report.
    pub records: RecordTally,
    /// The events.
    pub events: u64,
    /// Both for the collector.
    pub octets: Vec<u8>,
}

/// Names a batch as long as the spool is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey(u64);

/// A batch that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBatch {
    /// To give it back or to remove it.
    pub key: BatchKey,
    /// The batch as it was pushed.
    pub batch: SpooledBatch,
    /// When it was pushed, by the clock of the host at that time.
    pub pushed: SystemTime,
    /// Whether it was in the spool when the spool was opened. Its records are not of this run.
    pub of_earlier_run: bool,
}

/// A number of batches, their octets, and the records in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Add, AddAssign, Sub)]
pub struct BatchTally {
    /// Number of batches.
    pub batches: u64,
    /// Octets of the batches themselves.
    pub octets: u64,
    /// The records, and the packets and octets that they report.
    pub records: RecordTally,
    /// The events.
    pub events: u64,
}

/// Batches that were pushed in this run, and batches of earlier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Add, AddAssign)]
pub struct RunTallies {
    /// Pushed since the spool was opened.
    pub this_run: BatchTally,
    /// In the spool when it was opened.
    pub earlier_runs: BatchTally,
}

impl RunTallies {
    /// Both.
    pub fn total(&self) -> BatchTally {
        self.this_run + self.earlier_runs
    }
}

/// What is in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolStats {
    /// All batches, also those that are handed out.
    pub held: RunTallies,
    /// Those of them that are not handed out.
    pub waiting: RunTallies,
    /// When the oldest of them was pushed.
    pub oldest: Option<SystemTime>,
    /// Batches that were dropped for a push that then failed. The next push reports them.
    pub unreported: RunTallies,
}

/// Batches on disk, the oldest first.
pub struct Spool {
    directory: PathBuf,
    octets_max: u64,
    when_full: WhenFull,
    index: Index,
    /// None after an error.
    store: Option<Store>,
    /// The last error, and when it was.
    failure: Option<(SpoolError, Instant)>,
    /// In the file, and not in the index: to be removed with the next commit.
    leftovers: Vec<u64>,
    /// Dropped for a push that failed, and no more in the file: the next push says so.
    unreported: RunTallies,
    /// The directory, locked. It must be the last to be dropped.
    _lock: DirectoryLock,
}

impl Spool {
    /// Opens the spool in this directory, or makes both. A new directory is for this user only.
    ///
    /// # Errors
    ///
    /// The directory or the file cannot be used, is in use, or is damaged. No batch is lost then.
    pub fn open(
        directory: &Path,
        octets_max: u64,
        when_full: WhenFull,
    ) -> Result<Self, SpoolError> {
        let lock = DirectoryLock::new(directory)?;
        let (store, entries) = Store::open(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            octets_max,
            when_full,
            index: Index::of_earlier_runs(entries),
            store: Some(store),
            failure: None,
            leftovers: Vec::new(),
            unreported: RunTallies::default(),
            _lock: lock,
        })
    }

    /// Pushes one batch. See [`Spool::push_all`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push(&mut self, batch: &SpooledBatch) -> Result<RunTallies, SpoolError> {
        self.push_all(slice::from_ref(batch))
    }

    /// Pushes batches, in one transaction. Gives the batches that were dropped because the spool is
    /// full: older ones, or some of these.
    ///
    /// # Errors
    ///
    /// The file cannot be written. None of the batches is in the spool then, and none was dropped.
    pub fn push_all(&mut self, batches: &[SpooledBatch]) -> Result<RunTallies, SpoolError> {
        self.reopen()?;
        let plan = self.index.plan(batches, self.octets_max, self.when_full, SystemTime::now());
        let leftovers = mem::take(&mut self.leftovers);
        let removed = [leftovers, plan.removed.clone()].concat();
        if !removed.is_empty() || !plan.added.is_empty() {
            self.with_store(|store| store.commit(&removed, &plan.added))?;
        }
        self.index.apply(&plan);
        Ok(mem::take(&mut self.unreported) + plan.dropped)
    }

    /// Hands out the oldest batch that is not handed out. It stays in the spool until its removal.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or this batch is damaged and lost; the next can be taken.
    pub fn take(&mut self) -> Result<Option<TakenBatch>, SpoolError> {
        if self.index.oldest_waiting().is_none() {
            return Ok(None);
        }
        self.reopen()?;
        let Some((key, held)) = self.index.oldest_waiting() else {
            return Ok(None);
        };
        let Some(octets) = self.with_store(|store| store.read(key, &held.entry))? else {
            self.index.remove(key);
            self.leftovers.push(key);
            return Err(SpoolError::BatchDamaged {
                path: Store::path_in(&self.directory),
                lost: held.tally(),
                of_earlier_run: held.of_earlier_run,
            });
        };
        self.index.hand_out(key);
        Ok(Some(TakenBatch {
            key: BatchKey(key),
            batch: SpooledBatch { records: held.entry.records, events: held.entry.events, octets },
            pushed: held.entry.pushed,
            of_earlier_run: held.of_earlier_run,
        }))
    }

    /// Takes back a batch that was handed out. It is handed out again in its order.
    pub fn give_back(&mut self, key: BatchKey) {
        self.index.give_back(key.0);
    }

    /// Puts a batch in the place of one that was handed out and is no smaller: what the collector
    /// does not have of it. It is handed out again in the order of the old one, with its age.
    ///
    /// # Errors
    ///
    /// The file cannot be written. The old batch is in the spool then, and still handed out.
    pub fn replace(&mut self, key: BatchKey, batch: &SpooledBatch) -> Result<(), SpoolError> {
        self.reopen()?;
        let BatchKey(key) = key;
        let Some(old) = self.index.handed_out(key) else { return Ok(()) };
        let entry = Entry::new(batch, old.entry.pushed);
        debug_assert!(entry.octets <= old.entry.octets, "it is no larger");
        let added = VecDeque::from([(key, entry, batch.octets.as_slice())]);
        self.with_store(|store| store.commit(&[key], &added))?;
        self.index.replace(key, entry);
        Ok(())
    }

    /// Removes batches, in one transaction: the collector has them, or they are given up. Keys of
    /// batches that are not there are ignored.
    ///
    /// # Errors
    ///
    /// The file cannot be written. The batches are not handed out again in this run all the same,
    /// and are removed with the next change that succeeds. If there is none, they are in the spool
    /// of the next run.
    pub fn remove(&mut self, keys: &[BatchKey]) -> Result<(), SpoolError> {
        for &BatchKey(key) in keys {
            if self.index.remove(key) {
                self.leftovers.push(key);
            }
        }
        if self.leftovers.is_empty() {
            return Ok(());
        }
        self.reopen()?;
        let removed = mem::take(&mut self.leftovers);
        self.with_store(|store| store.commit(&removed, &VecDeque::new()))?;
        if self.index.tallies().total().batches == 0 {
            self.with_store(|store| match store.length() {
                0..=LENGTH_KEPT => Ok(()),
                _ => store.compact(),
            })?;
        }
        Ok(())
    }

    /// What is in the spool.
    pub fn stats(&self) -> SpoolStats {
        SpoolStats {
            held: self.index.tallies(),
            waiting: self.index.waiting_tallies(),
            oldest: self.index.oldest_pushed(),
            unreported: self.unreported,
        }
    }

    /// Opens the file again after an error, if the pause is over.
    fn reopen(&mut self) -> Result<(), SpoolError> {
        if self.store.is_some() {
            return Ok(());
        }
        if let Some((error, at)) = &self.failure
            && at.elapsed() < REOPEN_PAUSE
        {
            return Err(error.clone());
        }
        let (store, entries) = Store::open(&self.directory).map_err(|error| self.fail(error))?;
        let differences = self.index.reconcile(&entries);
        self.leftovers = differences.unknown;
        self.unreported += differences.missing;
        self.store = Some(store);
        Ok(())
    }

    /// Does this with the file, which must be open, and closes it after an error.
    fn with_store<T>(
        &mut self,
        action: impl FnOnce(&mut Store) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let store = self.store.as_mut().expect("reopen has opened it");
        action(store).map_err(|error| self.fail(error))
    }

    fn fail(&mut self, error: SpoolError) -> SpoolError {
        self.store = None;
        self.failure = Some((error.clone(), Instant::now()));
        error
    }
}

/// The directory, which no other spool uses.
struct DirectoryLock(File);

impl DirectoryLock {
    /// Makes the directory if there is none.
    fn new(directory: &Path) -> Result<Self, SpoolError> {
        let failed = |error| SpoolError::directory(directory, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let file = File::open(directory).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { path: directory.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file is not enough: between fork and exec a child process has it too. If this
        // fails, the lock goes with the last of them.
        drop(self.0.unlock());
    }
}
