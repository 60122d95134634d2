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
    /// Flows in the table now, the largest first
    Flows {
        #[command(flatten)]
        meant: FlowArguments,
        /// Which are first: octets, packets, start (the oldest) or latest [default: octets]
        #[arg(long, value_name = "ORDER")]
        sort: Option<String>,
        /// How many are shown: 1 to 1000 [default: 20]
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// A line of JSON
        #[arg(long)]
        json: bool,
    },
    /// End flows in the table now, so that their records are sent
    Expire {
        #[command(flatten)]
        meant: FlowArguments,
        /// All flows
        #[arg(long, conflicts_with = "FlowArguments")]
        all: bool,
    },
    /// Send nothing to an output, until it is resumed or the run ends. Its records are counted as
    /// absent. Needs --config
    Pause {
        /// The name of the output, as flowprobe ctl outputs shows it
        output: String,
    },
    /// Send records to a paused output again
    Resume {
        /// The name of the output
        output: String,
    },
    /// Read the file of --config again, as at SIGHUP, and say whether it is in force
    Reload,
    /// Change which messages are written, until the next start
    LogLevel {
        /// error, warn or info
        level: String,
    },
}

/// Which flows are meant. All conditions have to be true.
#[derive(Debug, Args)]
pub(crate) struct FlowArguments {
    /// Address or network of one side
    #[arg(long, value_name = "NETWORK")]
    host: Option<String>,
    /// Port of one side
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Address or network of the source
    #[arg(long, value_name = "NETWORK")]
    source: Option<String>,
    /// Port of the source
    #[arg(long, value_name = "PORT")]
    source_port: Option<String>,
    /// Address or network of the destination
    #[arg(long, value_name = "NETWORK")]
    destination: Option<String>,
    /// Port of the destination
    #[arg(long, value_name = "PORT")]
    destination_port: Option<String>,
    /// tcp, udp, icmp, icmpv6, sctp or a number
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,
}

impl FlowArguments {
    /// The words of a request.
    pub(crate) fn words(&self) -> Vec<String> {
        let words = [
            ("host", &self.host),
            ("port", &self.port),
            ("source", &self.source),
            ("source-port", &self.source_port),
            ("destination", &self.destination),
            ("destination-port", &self.destination_port),
            ("protocol", &self.protocol),
        ];
        let given = words.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.map(|(name, value)| format!("{name}={value}")).collect()
    }
}
