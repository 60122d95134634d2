//! The file of `--template-store`: templates that the collector of the next run knows at once.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use collect::StoredTemplate;
use exporter::sentence;
use log::{error, info, warn};

/// Least time between two files.
const PERIOD: Duration = Duration::from_secs(60);

/// Maximum size of a file that is read, in octets. All templates within the limits are smaller.
const SIZE_MAX: u64 = 64 << 20;

/// The first line.
const HEAD: &str = "# flowprobe templates 1";

/// Templates of several workers.
type Lists = Vec<Arc<[StoredTemplate]>>;

/// The file.
#[derive(Debug)]
pub(crate) struct TemplateStore {
    path: PathBuf,
    /// Time of the next file, if templates have changed by then.
    next: Instant,
    /// The number of changes up to the last file.
    written: u64,
    /// The thread that writes a file.
    writing: Option<JoinHandle<()>>,
}

impl TemplateStore {
    /// Opens the file, which need not exist, and reads what is in it.
    ///
    /// # Errors
    ///
    /// The file can be neither read nor written, or is something else; in one sentence.
    pub(crate) fn open(path: &Path) -> Result<(Self, Arc<[StoredTemplate]>), String> {
        let failed = |problem: io::Error| {
            format!("--template-store {}: {}", path.display(), sentence(&problem))
        };
        let text = match File::open(path) {
            Ok(file) => {
                let mut text = String::new();
                let size = file.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(failed)?;
                if size as u64 > SIZE_MAX {
                    let problem = format!("it has more than {} MiB", SIZE_MAX >> 20);
                    return Err(failed(io::Error::new(ErrorKind::FileTooLarge, problem)));
                }
                if !text.starts_with(HEAD) {
                    return Err(failed(io::Error::new(ErrorKind::InvalidData, "not a store")));
                }
                text
            }
            Err(problem) if problem.kind() == ErrorKind::NotFound => String::new(),
            Err(problem) => return Err(failed(problem)),
        };
        // A line without an end is cut.
        let lines = text.split_inclusive('\n').skip(1).map(|line| line.strip_suffix('\n'));
        let lines = lines.filter(|line| *line != Some(""));
        let (templates, wrong): (Vec<_>, Vec<_>) =
            lines.map(|line| line.and_then(StoredTemplate::of_line)).partition(Option::is_some);
        let templates: Arc<[_]> = templates.into_iter().flatten().collect();
        let name = path.display();
        if !wrong.is_empty() {
            warn!("--template-store {name}: {} lines are no templates", wrong.len());
        }
        info!("--template-store {name}: {} templates of an earlier run", templates.len());
        write(path, &[Arc::clone(&templates)]).map_err(failed)?;
        let (path, next) = (path.to_owned(), Instant::now());
        Ok((Self { path, next, written: 0, writing: None }, templates))
    }

    /// Whether a file may be written.
    pub(crate) fn is_due(&self) -> bool {
        Instant::now() >= self.next && self.writing.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Writes the lists of templates on a thread of its own. False if nothing has changed since the
    /// last file, by the number of changes up to now.
    pub(crate) fn begin(&mut self, templates: Lists, changes: u64) -> bool {
        if changes == self.written {
            return false;
        }
        (self.next, self.written) = (Instant::now() + PERIOD, changes);
        let path = self.path.clone();
        let thread = thread::Builder::new().name("templates".to_owned());
        match thread.spawn(move || say(&path, write(&path, &templates))) {
            Ok(writing) => self.writing = Some(writing),
            Err(problem) => say(&self.path, Err(problem)),
        }
        true
    }

    /// Writes the last file.
    pub(crate) fn finish(mut self, templates: &[Arc<[StoredTemplate]>]) {
        if let Some(writing) = self.writing.take() {
            drop(writing.join());
        }
        say(&self.path, write(&self.path, templates));
    }
}

fn say(path: &Path, written: io::Result<()>) {
    if let Err(problem) = written {
        error!("--template-store {}: {}", path.display(), sentence(&problem));
    }
}

/// Writes a whole file, and then puts it in the place of the old one.
fn write(path: &Path, templates: &[Arc<[StoredTemplate]>]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut text = format!("{HEAD}\n");
    for template in templates.iter().flat_map(|list| list.iter()) {
        text.push_str(&template.line());
        text.push('\n');
    }
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use flow::{ExportProtocol, Timestamp};

    use super::*;

    fn templates(addresses: u8) -> Lists {
        let one = |last: u8| StoredTemplate {
            address: IpAddr::from([192, 0, 2, last]),
            protocol: ExportProtocol::Ipfix,
            domain: 7,
            id: 300,
            scope: None,
            specifiers: [0, 8, 0, 4].into(),
            sent: Timestamp::from_millis(1_714_979_289_000),
        };
        vec![(0..addresses).map(one).collect(), Arc::from([])]
    }

    fn stored(path: &Path) -> usize {
        TemplateStore::open(path).unwrap().1.len()
    }

    #[test]
    fn a_file_is_written_if_templates_have_changed_and_not_more_often_than_each_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("templates");
        let (mut store, known) = TemplateStore::open(&path).unwrap();
        assert!(known.is_empty() && store.is_due());
        assert!(!store.begin(templates(0), 0), "nothing has changed");
        assert!(store.is_due(), "the first change does not wait for a minute");
        assert!(store.begin(templates(2), 2));
        assert!(!store.is_due());
        store.writing.take().unwrap().join().unwrap();
        assert_eq!(stored(&path), 2);
        assert!(store.next <= Instant::now() + PERIOD);
        store.next = Instant::now();
        assert!(store.is_due() && !store.begin(templates(2), 2));
        assert!(store.begin(templates(3), 3));
        store.finish(&templates(5));
        assert_eq!(stored(&path), 5);
    }

    /// A crash while a file is written leaves a part of it under another name.
    #[test]
    fn a_file_that_was_not_finished_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("templates");
        write(&path, &templates(4)).unwrap();
        fs::write(path.with_added_extension("new"), "# flowprobe templates 1\n192.0.2").unwrap();
        assert_eq!(stored(&path), 4);
        assert!(!path.with_added_extension("new").exists());
        // A file that was cut by other means: its whole lines count.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap();
        assert_eq!(stored(&path), 3);
    }
}
