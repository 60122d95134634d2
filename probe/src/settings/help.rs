//! Help: the summary without words, a line for each setting with `-h`, and the parts of `--help`
//! that do not belong to a single setting. Also the man page and completions.

use std::ffi::OsString;
use std::io;

use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use exporter::wrapped;

use super::args::Cli;
use super::listen::CollectArguments;
use super::parse::COLLECT;
use crate::report::terminal;

/// Columns of the help on a wide terminal, and where there is none.
const COLUMNS_MAX: usize = 100;

/// Columns of the help on this terminal.
pub(super) fn columns() -> usize {
    terminal::columns().unwrap_or(COLUMNS_MAX).min(COLUMNS_MAX)
}

/// The command line, with the help that fits these words: a summary if there are none, and a line
/// for each setting with `-h`.
pub(super) fn command(words: &[OsString]) -> Command {
    let command = Cli::command();
    let has = |sought: &str| words.iter().any(|word| word == sought);
    match words {
        [_] => command.override_help(SUMMARY),
        [_, word] if word == COLLECT => {
            command.mut_subcommand(COLLECT, |collect| collect.override_help(SUMMARY_OF_COLLECT))
        }
        _ if has("-h") && !has("--help") => {
            let text = in_lines(&command, "flowprobe");
            command.override_help(text).mut_subcommand(COLLECT, |collect| {
                let text = in_lines(&collect, "flowprobe collect");
                collect.override_help(text)
            })
        }
        _ => command,
    }
}

/// The commands and the settings of a command, a line for each.
fn in_lines(command: &Command, name: &str) -> String {
    let mut text = format!("Usage: {name} [SETTINGS]\n");
    let is_whole = command.has_subcommands();
    if is_whole {
        text += "\nCommands:\n";
    }
    for other in command.get_subcommands() {
        let about = other.get_about().map(ToString::to_string).unwrap_or_default();
        text += &line(other.get_name(), NAME_COLUMNS, first_clause(&about));
    }
    let mut sections: Vec<(&str, Vec<&Arg>)> = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let heading = argument.get_help_heading().unwrap_or(SETTINGS);
        match sections.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, section)) => section.push(argument),
            None => sections.push((heading, vec![argument])),
        }
    }
    // They need the command collect, whose help has them.
    sections.retain(|(heading, _)| !is_whole || *heading != CollectArguments::HEADING);
    for (heading, mut section) in sections {
        section.sort_by_key(|argument| argument.get_display_order());
        text += &format!("\n{heading}:\n");
        for argument in section {
            text += &line(&written(argument), WRITTEN_COLUMNS, &meaning(argument));
        }
        if heading == SETTINGS {
            text += &line("-h, --help", WRITTEN_COLUMNS, "This list, or all of each setting");
        }
        if heading == SETTINGS && is_whole {
            text += &line("-V, --version", WRITTEN_COLUMNS, "The version of the program");
        }
    }
    let outputs = format!("\nOutputs: {}\n", exporter::forms());
    text += &wrapped(&outputs, columns(), "Outputs: ".len());
    let end = format!(
        "\n[...] is a default. {name} --help says all of each setting, and has the settings of \
         outputs, examples, exit status and signals.\n"
    );
    text + &wrapped(&end, columns(), 0)
}

/// The heading of settings without one.
const SETTINGS: &str = "Settings";

/// Columns of the names of commands, and of settings as they are written.
const NAME_COLUMNS: usize = 12;
const WRITTEN_COLUMNS: usize = 32;

fn line(left: &str, width: usize, right: &str) -> String {
    wrapped(&format!("  {left:<width$}  {right}\n"), columns(), width + 4)
}

/// A setting as it is written on a command line.
fn written(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let names = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let Some(long) = argument.get_long() else { return format!("[{names}]...") };
    let short = argument.get_short().map_or_else(|| "    ".to_owned(), |it| format!("-{it}, "));
    let names = if argument.get_action().takes_values() { names } else { String::new() };
    format!("{short}--{long} {names}").trim_end().to_owned()
}

/// The first clause of a setting's help, with its values or its default.
fn meaning(argument: &Arg) -> String {
    let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let text = first_clause(&text);
    if !argument.get_action().takes_values() {
        return text.to_owned();
    }
    let values = argument.get_possible_values();
    let values: Vec<_> = values.iter().map(|value| value.get_name()).collect();
    let default = argument.get_default_values().first();
    match default.map(|default| default.display()) {
        _ if !values.is_empty() => format!("{text} ({})", values.join(", ")),
        Some(default) => format!("{text} [{default}]"),
        None => text.to_owned(),
    }
}

/// The first clause of a help text, which says what a setting is.
fn first_clause(text: &str) -> &str {
    let ends = ["; ", ". ", ": ", " (", " ["];
    let end = ends.iter().filter_map(|end| text.find(*end)).min();
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// What follows the settings.
pub(super) fn end() -> String {
    EXAMPLES.to_owned() + &exporter::help(columns())
}

/// The completion script of a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "flowprobe", &mut script);
    script
}

/// The man page, in roff.
///
/// # Errors
///
/// Memory cannot be written, which does not happen.
pub(crate) fn man_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

const SUMMARY: &str = "\
flowprobe turns packets into flows, and exports them in NetFlow, IPFIX or JSON.

Usage: flowprobe -r FILE                     flows of a capture file, a table
       flowprobe -r FILE -o json:-           the same, a JSON document for each
       flowprobe -i IFACE                    flows of an interface, a table
       flowprobe -i IFACE -o ipfix://HOST    the same, to a collector
       flowprobe collect -l flow://:2055 -o json:-
                                             the flows that other exporters send
       flowprobe doctor -i IFACE             whether capture would work

flowprobe -h has a line for each setting; flowprobe --help shows all settings.
";

const SUMMARY_OF_COLLECT: &str = "\
flowprobe collect takes the flows of other exporters: NetFlow, IPFIX and sFlow.

Usage: flowprobe collect -l flow://:2055 -o json:-   as exporters send them
       flowprobe collect -r FILE -o json:-           from a capture of datagrams
       flowprobe collect -l flow://:2055 -o elastic+http://HOST
                                                     into Elasticsearch

flowprobe collect -h has a line for each setting; flowprobe collect --help shows
all settings. Without -o there is a table on the terminal.
";

const EXAMPLES: &str = "\
Examples:
  flowprobe -i eth1 -o ipfix://10.0.0.5:4739
      a mirror port to a collector
  flowprobe -r trace.pcap
      a table of the biggest flows, and the totals
  flowprobe -r trace.pcap -o ipfix://10.0.0.5:4739
      replay a capture file to a collector
  flowprobe -r a.pcap -r b.pcapng.gz -o json:-
      several files merged by packet time, a JSON document for each flow
  flowprobe collect -r datagrams.pcap -o json:-
      the flows of other exporters, out of a capture of their datagrams
  flowprobe collect -l flow://:2055 -o json:-
      the flows of other exporters, as they send them

Exit status: 0 done, 1 something failed, was lost in a replay, or was interrupted, 2 wrong usage, \
3 something was lost and --fail-on-loss is set.

Signals: SIGINT, SIGTERM and SIGQUIT end in good order; a second one after 2 s or more waits for \
no output. SIGHUP opens files again and reads the file of --config again if live capture has no \
terminal, and otherwise ends too. SIGUSR1 prints totals.

Outputs are URLs; their settings are query parameters, as in ipfix://10.0.0.5?odid=7&mtu=1400:
";
