//! The file of a spool, a redb database. Each change is one transaction.

use std::any::Any;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flow::RecordTally;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use twox_hash::XxHash64;

use super::batch::SpooledBatch;
use super::error::SpoolError;

/// The file of a spool, in its directory.
const FILE: &str = "spool.redb";

/// The file during its creation. The file with the name above is always complete.
const NEW_FILE: &str = "spool.redb.new";

/// Memory for pages of the file. Recently written batches are often the next to be read.
const CACHE: usize = 16 * 1024 * 1024;

/// redb stores a value in a power of two of pages. A batch is split into slices that fill 64 pages
/// of 4 KiB, without the overhead of a page. A batch as a single value would waste up to half.
const SLICE: usize = 256 * 1024 - 128;

/// Version of the layout below.
const LAYOUT: u64 = 1;

const LAYOUTS: TableDefinition<'_, &str, u64> = TableDefinition::new("layout");

/// Key: key of the batch.
const ENTRIES: TableDefinition<'_, u64, Row> = TableDefinition::new("entries");

/// Octets, their checksum; records with their packets and octets; events; time of the push in
/// nanoseconds since 1970; checksum of all these and the key.
type Row = (u64, u64, u64, u64, u64, u64, u64, u64);

/// Key: key of the batch and number of the slice.
const SLICES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("slices");

/// The description of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) octets: u64,
    pub(super) checksum: u64,
    pub(super) records: RecordTally,
    pub(super) events: u64,
    pub(super) pushed: SystemTime,
}

impl Entry {
    pub(super) fn new(batch: &SpooledBatch, pushed: SystemTime) -> Self {
        let &SpooledBatch { records, events, ref octets } = batch;
        Self { octets: octets.len() as u64, checksum: checksum(octets), records, events, pushed }
    }

    fn to_row(self, key: u64) -> Row {
        let pushed = self.pushed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let pushed = u64::try_from(pushed.as_nanos()).unwrap_or(u64::MAX);
        let Self { octets, checksum, events, .. } = self;
        let RecordTally { records, packets, octets: reported } = self.records;
        let words = [octets, checksum, records, packets, reported, events, pushed];
        let row_sum = row_checksum(key, words);
        (octets, checksum, records, packets, reported, events, pushed, row_sum)
    }

    /// Decodes a row; `None` if its checksum is wrong.
    fn from_row(key: u64, row: Row) -> Option<Self> {
        let (octets, checksum, records, packets, reported, events, pushed, row_sum) = row;
        let words = [octets, checksum, records, packets, reported, events, pushed];
        (row_checksum(key, words) == row_sum).then(|| Self {
            octets,
            checksum,
            records: RecordTally { records, packets, octets: reported },
            events,
            pushed: SystemTime::UNIX_EPOCH + Duration::from_nanos(pushed),
        })
    }
}

fn row_checksum(key: u64, words: [u64; 7]) -> u64 {
    checksum(words.map(u64::to_le_bytes).as_flattened()) ^ key
}

fn checksum(octets: &[u8]) -> u64 {
    XxHash64::oneshot(0, octets)
}

/// An open file.
pub(super) struct Store {
    path: PathBuf,
    /// `None` only while the store is dropped.
    database: Option<Database>,
}

impl Store {
    pub(super) fn path_in(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// Opens or creates the file in the directory, which this process has locked. Returns the
    /// batches in it, in ascending order of keys.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<(u64, Entry)>), SpoolError> {
        let path = Self::path_in(directory);
        let is_there = path.try_exists().map_err(|error| SpoolError::io(&path, &error))?;
        let database = if is_there {
            guarded(&path, || Ok(Builder::new().set_cache_size(CACHE).open(&path)?))?
        } else {
            create(directory, &path)?
        };
        let store = Self { path, database: Some(database) };
        let entries = guarded(&store.path, || entries(store.database()))?;
        Ok((store, entries))
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("the database is there until the store is dropped")
    }

    /// Removes and adds batches in one transaction, which is on the disk when this returns. After
    /// an error the store must be closed; the transaction was done completely or not at all.
    pub(super) fn commit(
        &self,
        removed: &[u64],
        added: &VecDeque<(u64, Entry, &[u8])>,
    ) -> Result<(), SpoolError> {
        guarded(&self.path, || {
            let mut transaction = self.database().begin_write()?;
            // The file can then be opened quickly after a kill, without a full check.
            transaction.set_quick_repair(true);
            {
                let mut entries = transaction.open_table(ENTRIES)?;
                let mut slices = transaction.open_table(SLICES)?;
                for &key in removed {
                    entries.remove(key)?;
                    slices.retain_in((key, 0)..=(key, u32::MAX), |_, _| false)?;
                }
                for &(key, entry, octets) in added {
                    entries.insert(key, entry.to_row(key))?;
                    for (number, slice) in (0..).zip(octets.chunks(SLICE)) {
                        slices.insert((key, number), slice)?;
                    }
                }
            }
            Ok(transaction.commit()?)
        })
    }

    /// The octets of a batch; `None` if their checksum is wrong.
    pub(super) fn read(&self, key: u64, entry: &Entry) -> Result<Option<Vec<u8>>, SpoolError> {
        guarded(&self.path, || {
            let slices = self.database().begin_read()?.open_table(SLICES)?;
            let mut octets = Vec::new();
            for slice in slices.range((key, 0)..=(key, u32::MAX))? {
                octets.extend_from_slice(slice?.1.value());
            }
            let is_whole =
                octets.len() as u64 == entry.octets && checksum(&octets) == entry.checksum;
            Ok(is_whole.then_some(octets))
        })
    }

    /// Returns the room of removed batches to the file system.
    pub(super) fn compact(&mut self) -> Result<(), SpoolError> {
        let Self { path, database } = self;
        let database = database.as_mut().expect("the database is there until the store is dropped");
        guarded(path, || match database.compact() {
            Ok(_) => Ok(()),
            Err(redb::CompactionError::Storage(error)) => Err(error.into()),
            // A transaction is open: compact later.
            Err(_) => Ok(()),
        })
    }

    /// The length of the file.
    pub(super) fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // An error here is ignored: all committed changes are on the disk.
        let closed = guarded(&self.path, || {
            drop(self.database.take());
            Ok(())
        });
        drop(closed);
    }
}

/// Creates the file under another name, so that a kill or a full disk leaves no incomplete file.
fn create(directory: &Path, path: &Path) -> Result<Database, SpoolError> {
    let new = directory.join(NEW_FILE);
    let in_file = |error| SpoolError::io(path, &error);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(in_file(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&new);
    let file = file.map_err(in_file)?;
    let database = guarded(path, || {
        let backend = FileBackend::new(file)?;
        let database = Builder::new().set_cache_size(CACHE).create_with_backend(backend)?;
        let transaction = database.begin_write()?;
        transaction.open_table(LAYOUTS)?.insert("layout", LAYOUT)?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(SLICES)?;
        transaction.commit()?;
        Ok(database)
    })?;
    fs::rename(&new, path).map_err(in_file)?;
    let sync = |place: &Path| File::open(place).and_then(|place| place.sync_all());
    sync(directory).map_err(in_file)?;
    // The directory may be new too. This user may have no right to open its parent.
    if let Some(parent) = fs::canonicalize(directory).map_err(in_file)?.parent() {
        drop(sync(parent));
    }
    Ok(database)
}

/// All batches, in ascending order of keys.
fn entries(database: &Database) -> Result<Vec<(u64, Entry)>, redb::Error> {
    let transaction = database.begin_read()?;
    // An empty file, or a file of another program, has no such table.
    let layout = transaction.open_table(LAYOUTS)?.get("layout")?.map(|layout| layout.value());
    if layout != Some(LAYOUT) {
        let problem = format!("table {} says {layout:?} for {LAYOUT}", LAYOUTS.name());
        return Err(redb::Error::Corrupted(problem));
    }
    let mut entries = Vec::new();
    for row in transaction.open_table(ENTRIES)?.iter()? {
        let (key, row) = row?;
        let key = key.value();
        let Some(entry) = Entry::from_row(key, row.value()) else {
            return Err(redb::Error::Corrupted(format!("the entry of batch {key} is wrong")));
        };
        entries.push((key, entry));
    }
    Ok(entries)
}

/// Runs an action. redb panics for some damage of a file; this returns an error instead.
fn guarded<T>(
    path: &Path,
    action: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, SpoolError> {
    match panic::catch_unwind(AssertUnwindSafe(action)) {
        Ok(result) => result.map_err(|error| SpoolError::redb(path, &error)),
        Err(payload) => Err(SpoolError::damaged(path, panic_text(payload.as_ref()))),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "its structure is wrong".to_owned())
}
