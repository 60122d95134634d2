//! Settings of the command line that are permitted in a file.

use std::ffi::OsStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, CommandFactory};
use exporter::nearest;

use super::args::Cli;
use super::file::{Known, ValueKind};

/// The settings of the command line, for a file.
pub(super) struct CommandLine;

/// Settings that are not permitted in a file.
const NOT_IN_A_FILE: [&str; 4] = ["check-config", "config", "help", "version"];

/// Settings of one value that has parts with commas between them.
const OF_PARTS: [&str; 6] =
    ["decap", "flow-key", "l2tpv3", "payload", "payload-dns-ports", "vxlan-ports"];

impl Known for CommandLine {
    fn takes(&self, name: &str) -> Option<ValueKind> {
        let command = Cli::command();
        let argument = command.get_arguments().find(|it| it.get_long() == Some(name))?;
        let action = argument.get_action();
        (!NOT_IN_A_FILE.contains(&name)).then_some(if matches!(action, ArgAction::SetTrue) {
            ValueKind::Switch
        } else if matches!(action, ArgAction::Append) {
            let names = argument.get_value_names().unwrap_or_default();
            if names.iter().any(|name| name.contains('=')) {
                ValueKind::Pairs
            } else {
                ValueKind::List
            }
        } else if OF_PARTS.contains(&name) {
            ValueKind::Parts
        } else {
            ValueKind::Value
        })
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let command = Cli::command();
        let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
        let names = shown.filter_map(Arg::get_long).filter(|it| !NOT_IN_A_FILE.contains(it));
        nearest(name, names).map(str::to_owned)
    }

    fn has_commas(&self, name: &str) -> bool {
        let command = Cli::command();
        let argument = command.get_arguments().find(|it| it.get_long() == Some(name));
        argument.is_some_and(|it| it.get_value_delimiter() == Some(','))
    }

    fn check(&self, name: &str, value: &str) -> Result<(), String> {
        let word = format!("--{name}={value}");
        let words = ["flowprobe", word.as_str()].map(OsStr::new);
        let Err(error) = Cli::command().try_get_matches_from(words) else { return Ok(()) };
        if error.kind() == ErrorKind::ValueValidation {
            let source = std::error::Error::source(&error);
            return Err(source.map_or_else(|| error.to_string(), ToString::to_string));
        }
        if error.kind() != ErrorKind::InvalidValue {
            // Dependencies on other settings are checked when all settings are known.
            return Ok(());
        }
        Err(match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(values)) => {
                format!("one of {} is needed", values.join(", "))
            }
            Some(_) | None => "another value is needed".to_owned(),
        })
    }
}
