//! Settings of a run that is a service, and the command line of `flowprobe ctl`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::LogFormat;

/// Settings of a service.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArguments {
    /// Form of messages on standard error. json is a line for each, with the fields of ECS, and
    /// totals are such a line too. In the journal of systemd both have priorities
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Unix socket for flowprobe ctl. The program's user and group may use it
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
}

/// Where the service has its socket.
const SOCKET: &str = "/run/flowprobe/control";

/// The arguments of `flowprobe ctl`.
#[derive(Debug, Args)]
pub(crate) struct CtlArguments {
    /// The socket of --control
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    pub(crate) socket: PathBuf,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

/// Request to a run.
#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// The totals so far, a line of JSON as that of --stats json
    Stats,
    /// The outputs: a line for each
    Outputs,
    /// Read the file of --config again, as at SIGHUP, and say whether it is in force
    Reload,
    /// Change which messages are written, until the next start
    LogLevel {
        /// error, warn or info
        level: String,
    },
}
