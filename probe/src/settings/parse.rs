//! Converts the words of the command line, and of the file of `--config`, to settings.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};
use exporter::without_secrets;

use super::args::{Arguments, Cli, Command, name_of};
use super::contradictions;
use super::file::{self, FromFile};
use super::help;
use super::known::CommandLine;
use super::others;
use crate::report::escape::Escaped;

/// Settings that are refused.
enum Refused {
    /// The words of the command line, or those that a file stands for.
    Words(clap::Error),
    /// All mistakes of the file, each in a line.
    File(Vec<String>),
}

/// The command whose settings are those of metering.
pub(super) const COLLECT: &str = "collect";

/// Parses the command line and the file of `--config`.
///
/// # Errors
///
/// Wrong usage, as text; for a file, all mistakes.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    read(words).map_err(|refused| match refused {
        Refused::Words(error) => error,
        Refused::File(mistakes) => {
            Cli::command().error(ErrorKind::InvalidValue, mistakes.join("\n"))
        }
    })
}

/// Parses the same command line again, with the file as it is now.
///
/// # Errors
///
/// All mistakes, each in a line.
pub(super) fn parse_again(words: &[OsString]) -> Result<Cli, Vec<String>> {
    read(words.iter().cloned()).map_err(|refused| match refused {
        Refused::Words(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            vec![first.strip_prefix("error: ").unwrap_or(first).to_owned()]
        }
        Refused::File(mistakes) => mistakes,
    })
}

fn read(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Refused> {
    let words: Vec<OsString> = words.into_iter().collect();
    // A setting may need one that is in the file, so the file is read before any check.
    let given = Cli::command().ignore_errors(true).try_get_matches_from(&words).ok();
    let given = given.map(|given| given.subcommand_matches(COLLECT).cloned().unwrap_or(given));
    let path = given.as_ref().and_then(|given| given.get_one::<PathBuf>("config"));
    let (Some(path), Some(given)) = (path, &given) else {
        return checked(words, FromFile::default()).map_err(Refused::Words);
    };
    let (settings, mut mistakes) = file::read(path, &CommandLine);
    // The command line overrides the file. It replaces a list as a whole.
    let is_given =
        |name: &str| given.value_source(&name.replace('-', "_")) == Some(ValueSource::CommandLine);
    let from_file = settings.into_iter().filter(|setting| !is_given(&setting.name));
    let from_file: Vec<_> = from_file.flat_map(|setting| setting.words).collect();
    let file_words: Vec<_> = from_file.iter().map(|word| OsString::from(&word.text)).collect();
    let mut words = words.into_iter().peekable();
    let program = words.next();
    let command = words.next_if(|word| word == COLLECT);
    let words = program.into_iter().chain(command).chain(file_words).chain(words).collect();
    let cli = checked(words, FromFile::new(path, from_file));
    if mistakes.is_empty() {
        return cli.map_err(Refused::Words);
    }
    // Contradictions of the other settings are reported too. A setting that seems to be missing may
    // be in a wrong line, so that is not reported.
    if let Ok(cli) = &cli {
        let clashes = contradictions::of(&cli.args).into_iter().filter(|problem| !problem.is_lack);
        mistakes.extend(clashes.filter_map(|clash| cli.from_file.located_in_file(&clash.sentence)));
    }
    Err(Refused::File(mistakes.iter().map(|it| Escaped(it).to_string()).collect()))
}

/// Checks all words. Error messages show words without secrets, and with control characters
/// escaped.
fn checked(words: Vec<OsString>, from_file: FromFile) -> Result<Cli, clap::Error> {
    let checked = from_words(&words).map_err(|error| {
        let shown = words.iter().map(|word| harmless(&word.to_string_lossy()).into());
        let shown: Vec<OsString> = shown.collect();
        let same = from_words(&shown).err().filter(|other| other.kind() == error.kind());
        same.unwrap_or_else(|| {
            let text = error.to_string();
            let parts: Vec<_> = text.trim_end().split(' ').map(harmless).collect();
            Cli::command().error(error.kind(), parts.join(" "))
        })
    });
    checked.map(|cli| Cli { from_file, ..cli })
}

/// A word for messages.
fn harmless(word: &str) -> String {
    Escaped(without_secrets(word)).to_string()
}

fn from_words(words: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = help::command(words).try_get_matches_from(words);
    let matches = matches.map_err(|error| others::explained(error, words.len()))?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let mut matches = matches;
    if let Some(Command::Collect { args }) = cli.command {
        matches = matches.remove_subcommand().map_or(matches, |(_, collect)| collect);
        cli.args = Arguments { collects: true, ..*args };
        cli.command = None;
    }
    let mut inputs = Vec::new();
    for name in ["read", "files"] {
        let (places, paths) = (matches.indices_of(name), matches.get_many::<PathBuf>(name));
        inputs.extend(places.into_iter().flatten().zip(paths.into_iter().flatten()));
    }
    inputs.sort();
    cli.args.inputs = inputs.into_iter().map(|(_, path)| path.clone()).collect();
    let is_given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let ids = matches.ids().map(|id| id.as_str());
    cli.args.given = ids.filter(is_given).map(name_of).collect();
    for argument in Cli::command().get_arguments() {
        let id = argument.get_id().as_str();
        let texts = matches.get_raw(id).into_iter().flatten();
        cli.args.texts.insert(name_of(id), texts.map(OsStr::to_owned).collect());
    }
    Ok(cli)
}
