//! A spool: batches on disk, between the Metering Process and a slow or unreachable collector.
//!
//! A batch has a number of records, encoded by the output. The spool does not read them. An output
//! pushes batches, takes the oldest, and sends it. It removes the batch when the collector has
//! acknowledged it, or gives it back.
//!
//! # Durability
//!
//! [`Spool::push_all`] and [`Spool::remove`] return when the change is on the disk (two
//! `fdatasync(2)`, by redb's two-phase commit). So after a crash of the process or of the host:
//!
//! - a batch that was pushed successfully is there, complete;
//! - a batch that was removed successfully does not come back;
//! - a batch whose push had not returned is there completely or not at all;
//! - a batch that was handed out and not removed is there, and is handed out again. The collector
//!   may have it already.
//!
//! A power failure loses more only if the disk reports a write that it has not done. Batches that
//! the output has not pushed yet are lost.
//!
//! Each batch has a checksum. A batch that was damaged on the disk is not handed out:
//! [`SpoolError::BatchDamaged`] has the number of lost records.
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
//! The octets of all batches are at most `octets_max`. The file takes a few per cent more of the
//! disk, until the spool is empty. The file has holes: its length may be twice that. There are at
//! most [`BATCHES_MAX`] batches, with some 100 octets of memory each. Opening reads only the
//! descriptions of the batches.

mod batch;
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

pub use self::batch::{BatchKey, BatchTally, RunTallies, SpooledBatch, TakenBatch};
pub use self::error::SpoolError;
use self::index::Index;
pub use self::index::{BATCHES_MAX, WhenFull};
use self::store::{Entry, Store};

/// Pause after an error before the file is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// A longer file is compacted when the spool is empty.
const LENGTH_KEPT: u64 = 64 * 1024 * 1024;

/// State of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolStats {
    /// All batches, including those that are handed out.
    pub held: RunTallies,
    /// The most octets that they may have.
    pub octets_max: u64,
    /// Batches that are not handed out.
    pub waiting: RunTallies,
    /// Time of the push of the oldest batch.
    pub oldest: Option<SystemTime>,
    /// Batches that the file had lost after an error. The next push reports them.
    pub unreported: RunTallies,
}

/// Batches on disk, in the order of pushes.
pub struct Spool {
    directory: PathBuf,
    octets_max: u64,
    when_full: WhenFull,
    index: Index,
    /// `None` after an error.
    store: Option<Store>,
    /// The last error, and its time.
    failure: Option<(SpoolError, Instant)>,
    /// Batches in the file but not in the index: the next commit removes them.
    leftovers: Vec<u64>,
    /// Batches in the index that the file had lost after an error. The next push reports them.
    unreported: RunTallies,
    /// The lock of the directory. It must be dropped last.
    _lock: DirectoryLock,
}

impl Spool {
    /// Opens the spool in this directory. Creates both if needed; a new directory is private (mode
    /// 0700).
    ///
    /// # Errors
    ///
    /// The directory or the file cannot be used, is in use, or is damaged. No batch is lost.
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
    /// As [`Spool::push_all`].
    pub fn push(&mut self, batch: &SpooledBatch) -> Result<RunTallies, SpoolError> {
        self.push_all(slice::from_ref(batch))
    }

    /// Pushes batches, in one transaction. Returns the batches that were dropped because the spool
    /// is full: older ones, or some of the new ones.
    ///
    /// # Errors
    ///
    /// The file cannot be written. Then no batch was added, and none was dropped.
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

    /// Hands out the oldest waiting batch. It stays in the spool until its removal.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or this batch is damaged and lost. The next call can take the next
    /// one.
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

    /// Takes back a batch that was handed out. It keeps its place in the order.
    pub fn give_back(&mut self, key: BatchKey) {
        self.index.give_back(key.0);
    }

    /// Replaces a batch that was handed out by the part that the collector does not have, which is
    /// not larger. It keeps the place and the age of the old batch.
    ///
    /// # Errors
    ///
    /// The file cannot be written. Then the old batch stays in the spool, still handed out.
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

    /// Removes batches, in one transaction: the collector has them, or they are given up. Unknown
    /// keys are ignored.
    ///
    /// # Errors
    ///
    /// The file cannot be written. The batches are still not handed out again in this run, and the
    /// next successful change removes them. If there is none, they are in the spool of the next
    /// run.
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

    /// State of the spool.
    pub fn stats(&self) -> SpoolStats {
        SpoolStats {
            held: self.index.tallies(),
            octets_max: self.octets_max,
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

    /// Runs an action with the open file. Closes the file after an error.
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

/// An exclusive lock of the directory.
struct DirectoryLock(File);

impl DirectoryLock {
    /// Creates the directory if needed, and locks it.
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
        // Closing the file is not enough, because a child process has it too between fork and exec.
        // If the unlock fails, the lock ends when the last copy is closed.
        drop(self.0.unlock());
    }
}
