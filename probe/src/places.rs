//! Databases and network lists with the places of addresses. They are read at the start, and in a
//! live run again when they change.
//!
//! A file is first read and checked as a whole. Then it replaces the old one. The stage that looks
//! addresses up uses the new files from its next batch on.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use analysis::places::{Atlas, Atlases, Database, Networks, PlaceCounts, PlaceStage};
use exporter::sentence;
use flow::KeyFields;
use log::{info, warn};
use sha2::{Digest, Sha256};

use crate::host::{priority, signals};
use crate::settings::places::PlaceSettings;

/// Maximum size of a file.
const FILE_OCTETS_MAX: u64 = 4 << 30;

/// Time between two checks for a request.
const LOOK: Duration = Duration::from_millis(100);

/// The places of a run.
pub(crate) struct Places {
    /// Milliseconds between two checks of the files.
    refresh_ms: AtomicU64,
    atlases: Arc<Atlases>,
    /// In the order of the command line. The list of own networks is last.
    files: Mutex<Vec<PlaceFile>>,
    reloads: AtomicU64,
    failures: AtomicU64,
}

/// Other files, read and checked.
pub(crate) struct PlaceChange {
    files: Vec<PlaceFile>,
    refresh: Duration,
}

/// A file.
#[derive(Clone)]
struct PlaceFile {
    path: PathBuf,
    form: Form,
    /// The state of the file at the last reading, even if that failed.
    seen: Option<Stamp>,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Database,
    Networks,
}

/// Metadata by which a change of a file is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    octets: u64,
    inode: u64,
}

/// Content of a file.
#[derive(Clone)]
struct Content {
    sha256: String,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Database(Arc<Database>),
    Networks(Arc<Networks>),
}

/// Report on the places of a run.
#[derive(Clone, Debug)]
pub(crate) struct PlaceReport {
    pub(crate) files: Vec<FileReport>,
    pub(crate) counts: PlaceCounts,
    /// Files that were read again.
    pub(crate) reloads: u64,
    /// Files that could not be read again. Their old content stays in use.
    pub(crate) reload_failures: u64,
}

/// Report on a file.
#[derive(Clone, Debug)]
pub(crate) struct FileReport {
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) kind: FileKind,
}

#[derive(Clone, Debug)]
pub(crate) enum FileKind {
    Database {
        database_type: String,
        /// Seconds since 1970.
        build_epoch: u64,
    },
    /// Number of networks.
    Networks(usize),
}

impl Places {
    /// Reads all files, if any are given.
    ///
    /// # Errors
    ///
    /// A file that cannot be used, in one sentence. For own networks, one sentence for each
    /// mistake.
    pub(crate) fn open(settings: &PlaceSettings) -> Result<Option<Self>, Vec<String>> {
        if !settings.is_given() {
            return Ok(None);
        }
        let files = named(settings).map(|(path, form)| PlaceFile::open(path, form));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Self {
            refresh_ms: AtomicU64::new(millis(settings.geo_refresh)),
            atlases: Atlases::new(atlas(&files)),
            files: Mutex::new(files),
            reloads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }))
    }

    /// Reads the files of other settings that are not in use yet.
    ///
    /// # Errors
    ///
    /// As [`Places::open`].
    pub(crate) fn prepare(&self, settings: &PlaceSettings) -> Result<PlaceChange, Vec<String>> {
        let known = self.files().clone();
        let files = named(settings).map(|(path, form)| {
            let same = known.iter().find(|file| file.is_at(path, form));
            same.cloned().map_or_else(|| PlaceFile::open(path, form), Ok)
        });
        Ok(PlaceChange { files: files.collect::<Result<_, _>>()?, refresh: settings.geo_refresh })
    }

    /// Takes other files. Files that stay may have been read again meanwhile.
    pub(crate) fn change(&self, PlaceChange { mut files, refresh }: PlaceChange) {
        self.refresh_ms.store(millis(refresh), Ordering::Relaxed);
        let mut current = self.files();
        for file in &mut files {
            if let Some(same) = current.iter().find(|it| it.is_at(&file.path, file.form)) {
                *file = same.clone();
            }
        }
        *current = files;
        self.atlases.replace(atlas(&current));
    }

    /// The stage that gives records their places.
    pub(crate) fn stage(&self, key: KeyFields) -> PlaceStage {
        PlaceStage::new(Arc::clone(&self.atlases), key)
    }

    pub(crate) fn report(&self) -> PlaceReport {
        PlaceReport {
            files: self.files().iter().map(PlaceFile::report).collect(),
            counts: self.atlases.counts(),
            reloads: self.reloads.load(Ordering::Relaxed),
            reload_failures: self.failures.load(Ordering::Relaxed),
        }
    }

    /// Checks the files regularly, on its own thread, until the watch is dropped. The thread has
    /// neither the real-time priority nor the capabilities of this one.
    pub(crate) fn watch(self: &Arc<Self>, is_real_time: bool) -> PlaceWatch {
        let (places, stop) = (Arc::clone(self), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("places".to_owned()).spawn(move || {
            priority::begin_ordinary(is_real_time);
            places.run(&stopped);
        });
        let thread = thread.inspect_err(|problem| {
            warn!("files of places are not read again: {}", sentence(problem));
        });
        PlaceWatch { stop, thread: thread.ok() }
    }

    fn run(&self, stop: &AtomicBool) {
        // The files may have been read before a request that came while the run began.
        let mut requests = 0;
        let mut last_look = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK);
            let asked = signals::reopenings();
            let is_asked = std::mem::replace(&mut requests, asked) != asked;
            let refresh = Duration::from_millis(self.refresh_ms.load(Ordering::Relaxed));
            let is_due = !refresh.is_zero() && last_look.elapsed() >= refresh;
            if is_asked || is_due {
                last_look = Instant::now();
                self.reload(is_asked);
            }
        }
    }

    /// Reads files again: those that have changed, or all. No other thread waits for it, because
    /// only the content is exchanged under the lock.
    fn reload(&self, all: bool) {
        let known = |file: &PlaceFile| (file.path.clone(), file.form, file.seen);
        let known: Vec<_> = self.files().iter().map(known).collect();
        let mut is_news = false;
        for (path, form, seen) in known {
            let stamp = fs::metadata(&path).ok().as_ref().map(Stamp::of);
            if stamp == seen && !all {
                continue;
            }
            let content = Content::read(&path, form);
            let mut files = self.files();
            // Other files may have been set meanwhile.
            let Some(file) = files.iter_mut().find(|file| file.is_at(&path, form)) else {
                continue;
            };
            file.seen = stamp;
            match content {
                Ok(content) => {
                    file.content = content;
                    is_news = true;
                    self.reloads.fetch_add(1, Ordering::Relaxed);
                    info!("{}: read again", path.display());
                }
                Err(problems) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    warn!("{}; what was read before stays", problems.join("; "));
                }
            }
        }
        if is_news {
            self.atlases.replace(atlas(&self.files()));
        }
    }

    fn files(&self) -> MutexGuard<'_, Vec<PlaceFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that checks the files. It ends when this is dropped.
pub(crate) struct PlaceWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for PlaceWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl PlaceFile {
    fn open(path: &Path, form: Form) -> Result<Self, Vec<String>> {
        // Before the file is read, so that a change during the reading is noticed later.
        let seen = fs::metadata(path).ok().as_ref().map(Stamp::of);
        let content = Content::read(path, form)?;
        Ok(Self { path: path.to_owned(), form, seen, content })
    }

    fn is_at(&self, path: &Path, form: Form) -> bool {
        self.path == path && self.form == form
    }

    fn report(&self) -> FileReport {
        FileReport {
            path: self.path.display().to_string(),
            sha256: self.content.sha256.clone(),
            kind: match &self.content.data {
                Data::Database(database) => FileKind::Database {
                    database_type: database.kind().to_owned(),
                    build_epoch: database.build_epoch(),
                },
                Data::Networks(networks) => FileKind::Networks(networks.len()),
            },
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            octets: metadata.len(),
            inode: metadata.ino(),
        }
    }
}

impl Content {
    fn read(path: &Path, form: Form) -> Result<Self, Vec<String>> {
        let name = path.display();
        let octets =
            read(path).map_err(|problem| vec![format!("{name}: {}", sentence(&problem))])?;
        let digest = Sha256::digest(&octets);
        let sha256 = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        let data = match form {
            Form::Database => Database::new(octets)
                .map(|database| Data::Database(Arc::new(database)))
                .map_err(|problem| vec![format!("{name}: {problem}")])?,
            Form::Networks => Networks::new(&octets)
                .map(|networks| Data::Networks(Arc::new(networks)))
                .map_err(|mistakes| {
                    mistakes.iter().map(|mistake| format!("{name}: {mistake}")).collect::<Vec<_>>()
                })?,
        };
        Ok(Self { sha256, data })
    }
}

/// The files of these settings.
fn named(settings: &PlaceSettings) -> impl Iterator<Item = (&PathBuf, Form)> {
    let databases = settings.geo.iter().map(|path| (path, Form::Database));
    databases.chain(settings.networks.iter().map(|path| (path, Form::Networks)))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > FILE_OCTETS_MAX {
        return Err(io::Error::other("the file is longer than 4 GiB"));
    }
    Ok(octets)
}

fn atlas(files: &[PlaceFile]) -> Atlas {
    let mut atlas = Atlas::default();
    for file in files {
        match &file.content.data {
            Data::Database(database) => atlas.databases.push(Arc::clone(database)),
            Data::Networks(networks) => atlas.networks = Arc::clone(networks),
        }
    }
    atlas
}
