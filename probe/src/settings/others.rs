//! Options of other probes, which users of those try here.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options that other probes have, and what does the same here.
const OPTIONS: [(&str, &str); 9] = [
    ("-n", "a collector is an output, such as -o netflow9://HOST:PORT"),
    ("--collector", "a collector is an output, such as -o netflow9://HOST:PORT"),
    ("--collector-port", "flows of other exporters: flowprobe collect -l flow://:2055"),
    ("-t", "timeouts are --active-timeout 60s and --idle-timeout 15s"),
    ("-d", "timeouts are --active-timeout 60s and --idle-timeout 15s"),
    ("--lifetime-timeout", "the same is --active-timeout 60s"),
    ("-f", "a filter is --filter EXPRESSION"),
    ("--in", "a capture file is -r FILE, an interface is -i NAME"),
    ("--out", "an output is -o URL, such as -o ipfix+tcp://HOST"),
];

/// Where the rest stands.
const TABLES: &str = "docs/migration.md has what other probes call their options";

/// An error of clap, in which an option of another probe has a tip that is right. Clap's own tips
/// name an option that is spelled alike, or take the word for a file.
pub(super) fn explained(mut error: clap::Error, words: usize) -> clap::Error {
    if error.kind() == ErrorKind::DisplayVersion && words > 2 {
        let text = "-V prints the version, and nothing may stand beside it; NetFlow v9 is \
                    -o netflow9://HOST:PORT";
        return clap::Error::raw(ErrorKind::ArgumentConflict, format!("{text}\n"));
    }
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let tip = OPTIONS.iter().find(|(option, _)| option == given).map(|(_, tip)| *tip);
    let is_short = !given.starts_with("--");
    if tip.is_none() && !is_short {
        return error;
    }
    let tips = tip.into_iter().chain([TABLES]).map(StyledStr::from).collect();
    error.remove(ContextKind::SuggestedArg);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}
