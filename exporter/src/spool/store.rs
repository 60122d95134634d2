//! The file of a spool, by redb. One transaction for each change.

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

use super::{SpoolError, SpooledBatch};

/// The file of a spool, in its directory.
const FILE: &str = "spool.redb";

/// The file while it is made, so that a file with the name above is always whole.
const NEW_FILE: &str = "spool.redb.new";

/// Memory for pages of the file: some batches that were just written. They are often the next to be
/// read.
const CACHE: usize = 16 * 1024 * 1024;

/// redb gives a value a power of two of pages. A batch is cut into slices that fill 64 pages of
/// 4 KiB but for the few octets of a page's own: a batch as one value would waste up to half.
const SLICE: usize = 256 * 1024 - 128;

/// The number of the layout below.
const LAYOUT: u64 = 1;

const LAYOUTS: TableDefinition<'_, &str, u64> = TableDefinition::new("layout");

/// By key of the batch.
const ENTRIES: TableDefinition<'_, u64, Row> = TableDefinition::new("entries");

/// Octets, their checksum, records, packets, octets that these report, events, time of the push in
/// nanoseconds since 1970, checksum of all this and the key.
type Row = (u64, u64, u64, u64, u64, u64, u64, u64);

/// By key of the batch and number of the slice.
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

    /// None if the row is not as it was written.
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

/// The open file.
pub(super) struct Store {
    path: PathBuf,
    /// Always there, until the store is dropped.
    database: Option<Database>,
}

impl Store {
    pub(super) fn path_in(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// Opens the file in the directory, which this process has locked, or makes it. Gives the
    /// batches in it, by rising key.
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
    /// an error the store is of no more use, and either all of it has happened or nothing.
    pub(super) fn commit(
        &self,
        removed: &[u64],
        added: &VecDeque<(u64, Entry, &[u8])>,
    ) -> Result<(), SpoolError> {
        guarded(&self.path, || {
            let mut transaction = self.database().begin_write()?;
            // After a kill the file is open again at once, without a walk through all of it.
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

    /// The octets of a batch, or none if they are not as they were pushed.
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

    /// Gives the room of removed batches back to the file system.
    pub(super) fn compact(&mut self) -> Result<(), SpoolError> {
        let Self { path, database } = self;
        let database = database.as_mut().expect("the database is there until the store is dropped");
        guarded(path, || match database.compact() {
            Ok(_) => Ok(()),
            Err(redb::CompactionError::Storage(error)) => Err(error.into()),
            // Something still reads: another time.
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
        // An error here is of no consequence: all that was promised is on the disk.
        let closed = guarded(&self.path, || {
            drop(self.database.take());
            Ok(())
        });
        drop(closed);
    }
}

/// Makes the file under another name, so that a kill or a full disk leaves no half of it.
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
    // The directory may be as new as the file. Its parent need not be open to this user.
    if let Some(parent) = fs::canonicalize(directory).map_err(in_file)?.parent() {
        drop(sync(parent));
    }
    Ok(database)
}

/// All batches, by rising key.
fn entries(database: &Database) -> Result<Vec<(u64, Entry)>, redb::Error> {
    let transaction = database.begin_read()?;
    // A file that is empty or of another program has no such table.
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

/// Runs this. redb answers some damage of a file by a panic, which is an error here.
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
