//! The command line: what is measured, and the options that it heeds. Others are errors.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What is measured.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub(crate) subject: Option<Subject>,

    #[command(flatten)]
    pub(crate) peers: Peers,
}

/// What is measured instead of replays beside the peers.
#[derive(Debug, Subcommand)]
pub(crate) enum Subject {
    /// `flowprobe collect` beside nfcapd and goflow2 on the same datagrams; no report
    Collect(Collect),
    /// What `--decap` costs: packets without tunnels, and the same in VXLAN; no report
    Decap(Costs),
    /// What tags and detectors cost, on k1, m1 and new; no report
    Detect(Costs),
    /// Documents into clusters; no report
    Elastic(Documents),
    /// Documents into Kafka; no report
    Kafka(Documents),
    /// Live capture over a virtual link; takes half an hour, and needs root
    Live(Live),
    /// What `--http` costs while a page is open: a replay of k1, and live capture, which needs
    /// root; no report
    Page(Costs),
    /// What `--payload` costs: packets without names, and documents of a trace with names; no
    /// report
    Payload(Costs),
}

/// Replays beside the peers.
#[derive(Debug, Args)]
pub(crate) struct Peers {
    /// Number of rounds that count; one more before them is discarded
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: u32,

    /// Only check that all packets and octets are accounted for, on short traces; takes a minute
    #[arg(long, conflicts_with_all = ["rounds", "only", "against", "with", "report"])]
    pub(crate) quick: bool,

    /// Only these traces, in comparison with the peers; writes no report
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,

    /// Another build of flowprobe, which is measured instead of the peers; writes no report
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) against: Option<PathBuf>,

    /// Additional arguments for flowprobe, separated by spaces: runs with them and without them
    /// alternate, instead of the peers; writes no report
    #[arg(long, value_name = "ARGUMENTS", allow_hyphen_values = true)]
    pub(crate) with: Vec<String>,

    /// Where the traces are; 15 GB are written there and kept for the next time
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub(crate) folder: PathBuf,

    /// Folder of the report
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "docs",
        conflicts_with_all = ["only", "against", "with"]
    )]
    pub(crate) report: PathBuf,
}

impl Peers {
    /// Whether all of the report is measured.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_empty() && self.against.is_none() && self.with.is_empty() && !self.quick
    }
}

/// A part of the program, measured with it and without it.
#[derive(Debug, Args)]
pub(crate) struct Costs {
    /// Number of rounds that count; one more before them is discarded
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: u32,

    /// Where the traces are; they are kept for the next time
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub(crate) folder: PathBuf,
}

/// Documents into real engines.
#[derive(Debug, Args)]
pub(crate) struct Documents {
    /// One short round
    #[arg(long)]
    pub(crate) quick: bool,
}

/// The collector beside others.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Number of rounds that count; one more before them is discarded
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: u32,

    /// Only check that all datagrams are counted
    #[arg(long, conflicts_with = "rounds")]
    pub(crate) quick: bool,
}

/// Live capture.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// Number of rounds that count, with another build; one more before them is discarded
    #[arg(long, default_value_t = 5, requires = "against")]
    pub(crate) rounds: u32,

    /// Short runs
    #[arg(long, conflicts_with = "against")]
    pub(crate) quick: bool,

    /// Another build of flowprobe, which is measured instead of the peers; writes no report
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) against: Option<PathBuf>,

    /// Folder of the report
    #[arg(long, value_name = "FOLDER", default_value = "docs", conflicts_with = "against")]
    pub(crate) report: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn is_taken(words: &str) -> bool {
        Cli::try_parse_from(["bench"].into_iter().chain(words.split_whitespace())).is_ok()
    }

    #[test]
    fn options_that_a_measurement_does_not_heed_are_errors() {
        Cli::command().debug_assert();
        for words in [
            "",
            "--only k1 --rounds 3 --against other",
            "--with --decap=all",
            "--quick --folder /tmp",
            "live --against other --rounds 3",
            "live --quick --report /tmp",
            "kafka --quick",
            "elastic",
            "collect --rounds 1",
            "page --rounds 3 --folder /tmp",
        ] {
            assert!(is_taken(words), "{words}");
        }
        for words in [
            "--quick --only k1",
            "--quick --rounds 3",
            "--only k1 --report /tmp",
            "--only k1 live",
            "live --only k1",
            "live --rounds 3",
            "live --quick --against other",
            "live kafka",
            "kafka --with --decap=all",
            "elastic --rounds 3",
            "detect --quick",
            "collect --quick --rounds 3",
        ] {
            assert!(!is_taken(words), "{words}");
        }
    }
}
