//! The place that totals are written to.

use std::fs::File;
use std::io::{self, Write};

use anstream::stderr;
use exporter::sentence;
use log::error;

use crate::report::stdout;
use crate::report::totals::Totals;
use crate::settings::values::Stats;

/// Writes totals: to standard error, or lines of JSON to a file or stream that has nothing else.
#[derive(Debug)]
pub(crate) enum TotalsOutput {
    /// For people.
    Text,
    /// A line of JSON between the messages.
    Json,
    /// A line of JSON in a file.
    JsonFile(File),
    /// A line of JSON on standard output.
    JsonStdout,
}

impl TotalsOutput {
    /// # Errors
    ///
    /// The file cannot be made; in one sentence.
    pub(crate) fn open(stats: &Stats) -> Result<Self, String> {
        Ok(match stats {
            Stats::Text => Self::Text,
            Stats::Json => Self::Json,
            Stats::JsonStdout => Self::JsonStdout,
            Stats::JsonFile(path) => Self::JsonFile(File::create(path).map_err(|problem| {
                format!("--stats json:{}: {}", path.display(), sentence(&problem))
            })?),
        })
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }

    /// Prints the totals. JSON is printed with `--quiet` too. `false` if they could not be written.
    pub(crate) fn print(&self, quiet: bool, totals: &Totals) -> bool {
        let written = match self {
            Self::Text if quiet => Ok(()),
            Self::Text => to_stderr(&totals.text()),
            Self::Json => to_stderr(&(totals.json() + "\n")),
            Self::JsonStdout => return stdout::print((totals.json() + "\n").as_bytes()),
            Self::JsonFile(file) => (&*file).write_all((totals.json() + "\n").as_bytes()),
        };
        if let Err(problem) = &written {
            error!("cannot write the totals: {}", sentence(problem));
        }
        written.is_ok()
    }
}

/// There is no other place for a message about a failure, so there is none.
fn to_stderr(text: &str) -> io::Result<()> {
    drop(stderr().write_all(text.as_bytes()));
    Ok(())
}
