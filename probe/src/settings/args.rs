//! The command line as given. Checks here concern only one setting.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use exporter::Destination;
use flow::{BURST_MAX, KeyFields};

use super::contradictions;
use super::detect::DetectArguments;
use super::elastic::ElasticCommand;
use super::file::FromFile;
use super::help;
use super::http::HttpArguments;
use super::listen::CollectArguments;
use super::payload::PayloadArguments;
use super::places::PlaceSettings;
use super::selector::{Selector, selector};
use super::service::{CtlArguments, ServiceArguments};
use super::site::SiteArguments;
use super::timeouts::TimeoutArguments;
use super::tunnels::TunnelArguments;
use super::values::{
    Seed, Stats, ethertype, flow_count, hash_seed, interface_number, interval, key_fields, ring,
    rows, sampling, size, stats, timeout, workers,
};
use crate::capture::packet::Direction;

/// Turns packets of a mirror port or of capture files into flows and exports them as NetFlow v5,
/// NetFlow v9, IPFIX or JSON.
#[derive(Debug, Parser)]
#[command(
    name = "flowprobe",
    version,
    args_override_self = true,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    term_width = help::columns(),
    after_help = help::end()
)]
pub(crate) struct Cli {
    /// The command, if the program is not to meter packets.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Settings of metering.
    #[command(flatten)]
    pub(crate) args: Arguments,
    /// The values among them that come from a file.
    #[arg(skip)]
    pub(crate) from_file: FromFile,
}

/// Other jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check whether capture on an interface would work, and what would make counts wrong
    #[command(override_usage = "flowprobe doctor -i NAME [--json], as flowprobe doctor -i eth1")]
    Doctor {
        /// The interface, or a pattern of existing ones; may be given several times
        #[arg(short, long, value_name = "NAME", required = true, value_parser = selector)]
        interface: Vec<Selector>,
        /// A line of JSON for each interface
        #[arg(long)]
        json: bool,
    },
    /// Collect the flows of other exporters: NetFlow v5, NetFlow v9, IPFIX and sFlow, from sockets
    /// or from datagrams in captures
    #[command(
        arg_required_else_help = true,
        args_override_self = true,
        mut_args(contradictions::shown_for_collect)
    )]
    Collect {
        /// Settings. Those of metering alone are refused, and the help does not show them.
        #[command(flatten)]
        args: Box<Arguments>,
    },
    /// Set up Elasticsearch or OpenSearch for flows, or check the setup
    Elastic {
        /// The command.
        #[command(subcommand)]
        command: ElasticCommand,
    },
    /// Ask a run with --control: totals, flows, outputs, new settings
    Ctl(CtlArguments),
    /// List the rules of the detectors: meanings and thresholds
    Rules,
    /// Print the man page: flowprobe man > flowprobe.1
    Man,
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Settings of metering. A configuration file has the same names.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Capture files to replay (pcap or pcapng; plain, or compressed by gzip, zstd, xz, bzip2 or
    /// LZ4); a folder means the files in it, - is standard input; several are merged by packet time
    #[arg(short, long, value_name = "FILE")]
    pub(crate) read: Vec<PathBuf>,

    /// More capture files: -r a.pcap b.pcap, or a.pcap alone
    #[arg(value_name = "FILE", value_parser = OsStringValueParser::new().try_map(lone_file))]
    pub(crate) files: Vec<PathBuf>,

    /// Destination of flows; may be given several times [default: a table on the terminal]
    #[arg(short, long, value_name = "URL")]
    pub(crate) output: Vec<Destination>,

    /// A flow ends after this time without a packet: 1ms to 1day. A packet that is late by more
    /// than half of it belongs to another clock, and to another flow
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = timeout)]
    pub(crate) idle_timeout: Duration,

    /// A longer flow is exported each time this time has passed: 1ms to 1day [default: 60s; 5s for
    /// a live table]
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    pub(crate) active_timeout: Option<Duration>,

    /// Maximum number of flows in memory, 93 octets each: 1 to 1000M. When full, the longest-idle
    /// flow of the same group is exported early (reason 5)
    #[arg(long, value_name = "N", default_value = "1M", value_parser = flow_count)]
    pub(crate) max_flows: NonZeroU32,

    /// Fields of the flow key: src, dst, sport, dport, proto, tos, iface, vlan, direction
    #[arg(long, value_name = "FIELDS", default_value = "src,dst,sport,dport,proto,tos,iface",
          value_parser = key_fields)]
    pub(crate) flow_key: KeyFields,

    /// Another Ethertype of VLAN tags: besides 0x8100, 0x88a8 and 0x9100, from 0x0600 on; up to 4
    /// times
    #[arg(long, value_name = "ETHERTYPE", value_parser = ethertype)]
    pub(crate) tpid: Vec<u16>,

    /// Meter only frames that match an expression in tcpdump's language. For frames with VLAN tags
    /// it needs the word vlan: 'vlan and port 53' [default: all frames]
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) filter: Option<String>,

    /// Meter one packet of N (systematic sampling)
    #[arg(long, value_name = "1:N", default_value = "1:1", value_parser = sampling)]
    pub(crate) sample: NonZeroU32,

    /// Number of worker threads, which keep flows: 1 to 256. A replay with several has another
    /// thread that reads [default: 2, but 1 for fewer than 10,000 flows, for pipes, and for outputs
    /// with a file for each period; live the number of queues, or of processors if that is less;
    /// with collect 1]
    #[arg(long, value_name = "N", value_parser = workers)]
    pub(crate) workers: Option<NonZeroU32>,

    /// Name of this exporter in documents [default: the host's name]
    #[arg(long, value_name = "HOST")]
    pub(crate) name: Option<String>,

    /// Number of an interface in records. In capture files NAME can be a position from 1 on: 1=N
    /// for a classic pcap file; may be given several times
    #[arg(long, value_name = "NAME=N", value_parser = interface_number)]
    pub(crate) ifindex: Vec<(String, u32)>,

    /// Seed of the hash, or random. Only the order of records depends on it. Do not fix it live: a
    /// sender who knows it can make lookups 5 to 17 times slower [default: 1; live random]
    #[arg(long, value_name = "N", value_parser = hash_seed)]
    pub(crate) hash_seed: Option<Seed>,

    /// Rows of the table on the terminal [default: 10]
    #[arg(long, value_name = "N", value_parser = rows)]
    pub(crate) top: Option<usize>,

    /// Order of the table: the largest first [default: octets]
    #[arg(long, value_name = "COUNT")]
    pub(crate) order: Option<Order>,

    /// Form of the totals. text and json go to standard error. json is one line and has the
    /// messages in it, so that nothing else is there. json:FILE writes the line to a file, json:-
    /// to standard output
    #[arg(long, value_name = "FORM", default_value = "text", value_parser = stats)]
    pub(crate) stats: Stats,

    /// TOML file with settings; the command line overrides it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Say whether the settings are right, and end: status 0, or 2 with all mistakes. Nothing is
    /// captured, written or sent
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Write only warnings and errors to standard error; totals only with --stats json
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// End with status 3 after a loss: packets, records or events were lost and nothing else failed
    #[arg(long)]
    pub(crate) fail_on_loss: bool,

    /// Packets that are looked up together: 1 to 16; records do not depend on it
    #[arg(long, value_name = "N", default_value_t = BURST_MAX, hide = true,
          value_parser = clap::value_parser!(u16).range(1..=BURST_MAX.into()))]
    pub(crate) burst: u16,

    #[command(flatten)]
    pub(crate) timeouts: TimeoutArguments,

    #[command(flatten)]
    pub(crate) http: HttpArguments,

    #[command(flatten)]
    pub(crate) service: ServiceArguments,

    #[command(flatten)]
    pub(crate) tunnels: TunnelArguments,

    #[command(flatten)]
    pub(crate) payload: PayloadArguments,

    #[command(flatten)]
    pub(crate) places: PlaceSettings,

    #[command(flatten)]
    pub(crate) live: LiveSettings,

    #[command(flatten)]
    pub(crate) site: SiteArguments,

    #[command(flatten)]
    pub(crate) detect: DetectArguments,

    #[command(flatten)]
    pub(crate) collect: CollectArguments,

    /// All names of capture files, in the order of the command line.
    #[arg(skip)]
    pub(crate) inputs: Vec<PathBuf>,

    /// The names of the given settings.
    #[arg(skip)]
    pub(crate) given: BTreeSet<String>,

    /// All settings by their names, as they were written.
    #[arg(skip)]
    pub(crate) texts: BTreeMap<String, Vec<OsString>>,

    /// Flows of other exporters are collected; no packets are metered.
    #[arg(skip)]
    pub(crate) collects: bool,
}

/// Settings of live capture: they need an interface.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = Self::HEADING)]
#[group(multiple = true)]
pub(crate) struct LiveSettings {
    /// Interface to capture from: a name, a pattern such as 'eth*', or any; may be given several
    /// times. An interface that is created later and matches a pattern is captured then
    #[arg(short, long, value_name = "IFACE", help_heading = None, display_order = 0,
          value_parser = selector)]
    pub(crate) interface: Vec<Selector>,

    /// Wait for the interfaces if none of them exists yet. If at least one exists, the program
    /// always waits for the others
    #[arg(long)]
    pub(crate) wait: bool,

    /// Capture method: afxdp bypasses the host's network stack, packet copies the packets that the
    /// stack gets, auto uses afxdp if the host does not need the packets
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) capture: CaptureMethod,

    /// Use AF_XDP even if the host needs the interface: with --capture afxdp; the host then gets no
    /// packets from it
    #[arg(long)]
    pub(crate) take_interface: bool,

    /// Direction of the packets, seen from this host; afxdp sees incoming packets only. With both,
    /// the direction is a field of the flow key
    #[arg(long, value_name = "WHICH", default_value = "in")]
    pub(crate) direction: Direction,

    /// Frames that can wait in each ring of an AF_XDP socket: a power of two from 64 to 65536
    /// [default: 32768, or less if --umem-max has no room for it]
    #[arg(long, value_name = "N", value_parser = ring)]
    pub(crate) ring: Option<u32>,

    /// Maximum memory for all AF_XDP sockets together
    #[arg(long, value_name = "SIZE", default_value = "1Gi", value_parser = size)]
    pub(crate) umem_max: u64,

    /// Memory of the ring of each AF_PACKET socket [default: 64Mi, or less if --packet-ring-max has
    /// no room for it]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) packet_ring: Option<u64>,

    /// Maximum memory for all AF_PACKET rings together
    #[arg(long, value_name = "SIZE", default_value = "1Gi", value_parser = size)]
    pub(crate) packet_ring_max: u64,

    /// Do not run AF_XDP workers with real-time priority
    #[arg(long)]
    pub(crate) no_realtime: bool,

    /// Run as this user once everything is open
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// Keep the capabilities that open interfaces: to open one again after it was deleted, or when
    /// its queues or its MTU change. They are also kept for patterns and for interfaces that do not
    /// exist yet
    #[arg(long)]
    pub(crate) keep_capabilities: bool,

    /// Also meter the messages that this program sends; the mirror may show them
    #[arg(long)]
    pub(crate) meter_own_exports: bool,

    /// End with status 1 if a collector cannot be reached at the start; without it, try again
    #[arg(long)]
    pub(crate) require_outputs: bool,

    /// Time between two totals while capture runs; 0s gives totals only at the end
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = interval)]
    pub(crate) stats_interval: Duration,
}

impl Arguments {
    /// Default settings of a run on this interface.
    pub(crate) fn defaults(interface: &str) -> Self {
        let words = ["flowprobe", "--interface", interface];
        Cli::try_parse_from(words).expect("an interface is enough").args
    }
}

impl LiveSettings {
    /// Their heading in the help.
    pub(super) const HEADING: &str = "Live capture";

    /// Time between two totals; `None`: only at the end.
    pub(crate) fn interval(&self) -> Option<Duration> {
        (!self.stats_interval.is_zero()).then_some(self.stats_interval)
    }
}

/// Capture method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CaptureMethod {
    /// AF_XDP if the host does not need the packets, otherwise AF_PACKET.
    Auto,
    /// Packets bypass the host's network stack, which gets none of them.
    Afxdp,
    /// Copies of the packets that the host's network stack gets.
    Packet,
}

/// Order of the table on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// The most octets first.
    Octets,
    /// The most packets first.
    Packets,
}

/// The name of a setting in the notation of users.
pub(super) fn name_of(id: &str) -> String {
    id.replace('_', "-")
}

/// clap takes the name of a command for a file if it follows a setting.
fn lone_file(name: OsString) -> Result<PathBuf, String> {
    if Cli::command().get_subcommands().any(|command| command.get_name() == name) {
        let name = name.display();
        return Err(format!("command {name} takes no settings before it; a file is ./{name}"));
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
