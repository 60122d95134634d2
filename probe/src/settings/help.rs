//! Parts of `--help` that do not belong to a single setting, the man page and completions.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Cli;
use crate::report::terminal;

/// Columns of the help on a wide terminal, and where there is none.
const COLUMNS_MAX: usize = 100;

/// Columns of the help on this terminal.
pub(super) fn columns() -> usize {
    terminal::columns().unwrap_or(COLUMNS_MAX).min(COLUMNS_MAX)
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
