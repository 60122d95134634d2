//! `--config`: a TOML file with the same names as the command line.
//!
//! ```toml
//! read = ["a.pcap", "b.pcap"]
//! output = "ipfix://10.0.0.5:4739"
//! idle-timeout = "30s"
//! max-flows = "2M"
//! ```
//!
//! Its settings become words of a command line, so that both are checked by the same rules.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory};
use exporter::sentence;
use toml::{Table, Value};

use crate::settings::args::Cli;

/// The command line with the settings of the file before its own. A list on the command line
/// takes the place of the file's.
pub(crate) fn expand(
    path: &Path,
    words: &[OsString],
    given: &ArgMatches,
) -> Result<Vec<OsString>, clap::Error> {
    let wrong = |problem: String| {
        let text = format!("configuration file {}: {}", path.display(), problem.trim_end());
        Cli::command().error(ErrorKind::InvalidValue, text)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(sentence(&error)))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let command = Cli::command();
    let mut expanded: Vec<OsString> = words.iter().take(1).cloned().collect();
    for (name, value) in &table {
        let argument = command.get_arguments().find(|argument| {
            argument.get_long() == Some(name.as_str()) && !NOT_IN_A_FILE.contains(&name.as_str())
        });
        let argument = argument.ok_or_else(|| wrong(format!("there is no setting {name}")))?;
        let id = argument.get_id().as_str();
        if given.value_source(id) == Some(ValueSource::CommandLine) {
            continue;
        }
        let flag = matches!(argument.get_action(), ArgAction::SetTrue);
        let list = matches!(argument.get_action(), ArgAction::Append);
        if let (Value::Boolean(set), true) = (value, flag) {
            if *set {
                expanded.push(format!("--{name}").into());
            }
        } else if let (Value::Array(values), true) = (value, list) {
            for value in values {
                expanded.push(word(name, value).map_err(wrong)?);
            }
        } else {
            expanded.push(word(name, value).map_err(wrong)?);
        }
    }
    expanded.extend(words.iter().skip(1).cloned());
    Ok(expanded)
}

/// Settings that make no sense in a file.
const NOT_IN_A_FILE: [&str; 3] = ["config", "help", "version"];

fn word(name: &str, value: &Value) -> Result<OsString, String> {
    match value {
        Value::String(text) => Ok(format!("--{name}={text}").into()),
        Value::Integer(number) => Ok(format!("--{name}={number}").into()),
        Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => Err(format!("{name} = {value} is neither a text nor a number")),
    }
}
