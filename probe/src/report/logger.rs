//! Messages on standard error, and a progress bar that stays intact between them.
//!
//! Where standard error is for the totals alone, messages are held for them.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use flow::words::noun;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::report::message::Form;
use crate::report::stderr;
use crate::settings::values::LogFormat;

static LOGGER: Logger =
    Logger { form: OnceLock::new(), bar: Mutex::new(None), held: Mutex::new(None) };

struct Logger {
    form: OnceLock<Form>,
    bar: Mutex<Option<ProgressBar>>,
    held: Mutex<Option<Held>>,
}

/// Messages that wait for the next totals.
#[derive(Default)]
struct Held {
    /// Each has its label.
    messages: Vec<(Level, String)>,
    /// Number of messages over the limit.
    others: u64,
}

/// Maximum number of held messages.
const HELD_MAX: usize = 1000;

/// Sends the messages of all crates to standard error.
pub(crate) fn init(quiet: bool, format: LogFormat) {
    LOGGER.form.get_or_init(|| Form::find(format));
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(if quiet { LevelFilter::Warn } else { LevelFilter::Info });
    }
}

/// Holds messages from now on, until they are taken or released.
pub(crate) fn hold() {
    *LOGGER.held() = Some(Held::default());
}

/// The held messages; `None` if messages are not held. The next ones are held too.
pub(crate) fn take_held() -> Option<Vec<String>> {
    let held = LOGGER.held().as_mut().map(std::mem::take)?;
    Some(held.all().into_iter().map(|(_, message)| message).collect())
}

/// Whether messages are held that were not taken yet.
pub(crate) fn are_held() -> bool {
    LOGGER.held().as_ref().is_some_and(|held| !held.messages.is_empty())
}

/// Writes the messages that are held. Later ones are not held.
pub(crate) fn release() {
    let held = LOGGER.held().take().unwrap_or_default();
    let form = LOGGER.form();
    held.all().iter().for_each(|(level, message)| write(&form.text(*level, message)));
}

/// Writes totals, an object of JSON, as a message.
pub(crate) fn totals(json: &str) {
    LOGGER.write(&LOGGER.form().totals(json, SystemTime::now()));
}

impl Held {
    fn add(&mut self, level: Level, message: String) {
        if self.messages.len() < HELD_MAX {
            self.messages.push((level, message));
        } else {
            self.others += 1;
        }
    }

    fn all(mut self) -> Vec<(Level, String)> {
        if self.others > 0 {
            let more = format!("{} more {}", self.others, noun(self.others, "message", "messages"));
            self.messages.push((Level::Warn, Form::labelled(Level::Warn, &more)));
        }
        self.messages
    }
}

fn write(line: &str) {
    stderr::write(line.as_bytes());
}

impl Logger {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn form(&self) -> Form {
        *self.form.get_or_init(|| Form::find(LogFormat::Text))
    }

    /// Writes a line, below which the progress bar is drawn again.
    fn write(&self, line: &str) {
        match self.bar.lock() {
            Ok(bar) => match &*bar {
                Some(bar) => bar.suspend(|| write(line)),
                None => write(line),
            },
            Err(_) => write(line),
        }
    }
}

impl Log for Logger {
    /// Log messages of the eBPF loader are for its developers. Its errors are returned as values.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && !metadata.target().starts_with("aya")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = record.level();
        if let Some(held) = self.held().as_mut() {
            return held.add(level, Form::labelled(level, record.args()));
        }
        self.write(&self.form().line(level, record.args(), SystemTime::now()));
    }

    fn flush(&self) {}
}

/// Progress of a replay. Shown on a terminal if it takes longer than a second.
pub(crate) struct Progress {
    begin: Instant,
    shown: Option<ProgressBar>,
    wanted: bool,
}

const SHOW_AFTER: Duration = Duration::from_secs(1);

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let is_for_people = LOGGER.form().format == LogFormat::Text && io::stderr().is_terminal();
        Self { begin: Instant::now(), shown: None, wanted: !quiet && is_for_people }
    }

    /// `done` octets of the input were read, of `size` if that is known.
    pub(crate) fn update(&mut self, done: u64, size: Option<u64>) {
        if !self.wanted || self.begin.elapsed() < SHOW_AFTER {
            return;
        }
        let bar = self.shown.get_or_insert_with(|| {
            let bar = bar(size);
            if let Ok(mut logged) = LOGGER.bar.lock() {
                *logged = Some(bar.clone());
            }
            bar
        });
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
            if let Ok(mut logged) = LOGGER.bar.lock() {
                *logged = None;
            }
        }
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let (bar, form) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{wide_bar} {percent:>3} %  {decimal_bytes_per_sec}  {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {decimal_bytes} read  {decimal_bytes_per_sec}  {elapsed}",
        ),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    bar.with_style(ProgressStyle::with_template(form).expect("the form is well-formed"))
}
