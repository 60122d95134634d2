//! The file of `--template-store`: templates that the collector of the next run knows at once.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use collect::StoredTemplate;
use exporter::sentence;
use log::{error, info, warn};

/// Time between two files.
const PERIOD: Duration = Duration::from_secs(60);

/// Maximum size of a file that is read, in octets. All templates within the limits are smaller.
const SIZE_MAX: u64 = 64 << 20;

/// The first line.
const HEAD: &str = "# flowprobe templates 1";

/// The file.
#[derive(Debug)]
pub(crate) struct TemplateStore {
    path: PathBuf,
    next: Instant,
    /// The thread that writes a file.
    writing: Option<JoinHandle<()>>,
}

impl TemplateStore {
    /// Opens the file, which need not exist, and reads what is in it.
    ///
    /// # Errors
    ///
    /// The file can be neither read nor written, or is something else; in one sentence.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<StoredTemplate>), String> {
        let failed = |problem: io::Error| {
            format!("--template-store {}: {}", path.display(), sentence(&problem))
        };
        let text = match File::open(path) {
            Ok(file) => {
                let mut text = String::new();
                let size = file.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(failed)?;
                if size as u64 > SIZE_MAX || !text.starts_with(HEAD) {
                    return Err(failed(io::Error::new(ErrorKind::InvalidData, "not a store")));
                }
                text
            }
            Err(problem) if problem.kind() == ErrorKind::NotFound => String::new(),
            Err(problem) => return Err(failed(problem)),
        };
        let lines = text.lines().skip(1).filter(|line| !line.is_empty());
        let (templates, wrong): (Vec<_>, Vec<_>) =
            lines.map(StoredTemplate::of_line).partition(Option::is_some);
        let templates: Vec<_> = templates.into_iter().flatten().collect();
        let name = path.display();
        if !wrong.is_empty() {
            warn!("--template-store {name}: {} lines are no templates", wrong.len());
        }
        info!("--template-store {name}: {} templates of an earlier run", templates.len());
        write(path, &templates).map_err(failed)?;
        let next = Instant::now() + PERIOD;
        Ok((Self { path: path.to_owned(), next, writing: None }, templates))
    }

    /// Whether the next file is due.
    pub(crate) fn is_due(&self) -> bool {
        Instant::now() >= self.next && self.writing.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Writes a file on a thread of its own.
    pub(crate) fn begin(&mut self, templates: Vec<StoredTemplate>) {
        self.next = Instant::now() + PERIOD;
        let path = self.path.clone();
        let thread = thread::Builder::new().name("templates".to_owned());
        match thread.spawn(move || say(&path, write(&path, &templates))) {
            Ok(writing) => self.writing = Some(writing),
            Err(problem) => say(&self.path, Err(problem)),
        }
    }

    /// Writes the last file.
    pub(crate) fn finish(mut self, templates: &[StoredTemplate]) {
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
fn write(path: &Path, templates: &[StoredTemplate]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut text = format!("{HEAD}\n");
    for template in templates {
        text.push_str(&template.line());
        text.push('\n');
    }
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}
