//! The output of totals.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use exporter::{FilesInUse, LineFile, ending, sentence};
use log::error;

use crate::host::signals::{self, Run};
use crate::report::totals::Totals;
use crate::report::{logger, stderr, stdout, terminal};
use crate::settings::config::Config;
use crate::settings::values::{LogFormat, Stats};

/// Writes totals: text to standard error, or lines of JSON to a place with nothing else.
#[derive(Debug)]
pub(crate) enum TotalsOutput {
    /// Text on standard error.
    Text,
    /// A message in JSON on standard error.
    Message {
        /// With `--quiet` too.
        always: bool,
    },
    /// A line of JSON on standard error. It has the messages in it, so that nothing else is there.
    Json,
    /// A line of JSON in a file.
    JsonFile(StatsFile),
    /// A line of JSON on standard output.
    JsonStdout,
}

#[derive(Debug)]
pub(crate) struct StatsFile {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: LineFile,
    /// Number of requests to reopen files at the last check.
    reopenings: usize,
}

impl TotalsOutput {
    /// # Errors
    ///
    /// The file cannot be made; in one sentence.
    pub(crate) fn open(config: &Config, run: Run) -> Result<Self, String> {
        let is_in_messages = config.log_format == LogFormat::Json;
        Ok(match &config.stats {
            Stats::Text if is_in_messages => Self::Message { always: false },
            Stats::Text => Self::Text,
            Stats::Json if is_in_messages => Self::Message { always: true },
            Stats::Json => {
                // The page of a replay stays behind the totals, and its address is to be seen
                // before.
                let stays = run == Run::Replay && config.http.is_some();
                if !stays && !io::stderr().is_terminal() {
                    logger::hold();
                }
                Self::Json
            }
            Stats::JsonStdout => Self::JsonStdout,
            Stats::JsonFile(path) => {
                Self::JsonFile(StatsFile::open(path, run, &config.context.files)?)
            }
        })
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }

    /// Says why the run failed before it began. Messages that are held come with totals of nothing.
    pub(crate) fn fail(&self, problems: &[String]) {
        problems.iter().for_each(|problem| error!("{problem}"));
        if logger::are_held() {
            let interrupted = ending::is_requested();
            self.print(false, &Totals { interrupted, ..Totals::default() });
        }
    }

    /// Prints the totals. JSON is printed with `--quiet` too. `false` if they could not be written.
    pub(crate) fn print(&self, quiet: bool, totals: &Totals) -> bool {
        match self {
            Self::Text | Self::Message { always: false } if quiet => {}
            Self::Text => stderr::write(totals.text(terminal::columns_of_stderr()).as_bytes()),
            Self::Message { .. } => logger::totals(&totals.json()),
            Self::Json => {
                let line = totals.json_with(logger::take_held()) + "\n";
                stderr::write(line.as_bytes());
            }
            Self::JsonStdout => return stdout::print((totals.json() + "\n").as_bytes()),
            Self::JsonFile(file) => {
                if let Err(problem) = file.write(&(totals.json() + "\n")) {
                    error!("cannot write the totals: {}", sentence(&problem));
                    return false;
                }
            }
        }
        true
    }
}

impl StatsFile {
    fn open(path: &Path, run: Run, in_use: &Arc<FilesInUse>) -> Result<Self, String> {
        let file = match run {
            Run::Replay => LineFile::anew(path, in_use),
            Run::Live => LineFile::append(path, in_use),
        };
        let file = file.map_err(|problem| {
            format!("--stats json:{}: {}", path.display(), sentence(&problem))
        })?;
        let open = Mutex::new(Open { file, reopenings: signals::reopenings() });
        Ok(Self { path: path.to_owned(), open })
    }

    fn write(&self, line: &str) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let reopenings = signals::reopenings();
        if std::mem::replace(&mut open.reopenings, reopenings) != reopenings
            && let Err(problem) = open.file.open_again()
        {
            let (path, problem) = (self.path.display(), sentence(&problem));
            error!("cannot open {path} again, the old file stays open: {problem}");
        }
        open.file.write(line.as_bytes())
    }
}
