//! The command line, as it is written. Nothing is checked here that needs more than one setting.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use exporter::Destination;
use flow::{BURST_MAX, KeyField, KeyFields};

use crate::capture::packet::Direction;
use crate::settings::config_file;

/// Turns packets of a mirror port or of capture files into flows and exports them as NetFlow v5,
/// NetFlow v9, IPFIX or JSON.
#[derive(Debug, Parser)]
#[command(
    name = "flowprobe",
    version,
    args_override_self = true,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
pub(crate) struct Cli {
    /// What to do instead of metering.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Settings of metering.
    #[command(flatten)]
    pub(crate) args: Arguments,
}

/// Other jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say whether capture on an interface would work, and what would falsify it
    Doctor {
        /// The interface; may be given several times
        #[arg(short, long, value_name = "NAME", required = true)]
        interface: Vec<String>,
        /// A line of JSON for each interface
        #[arg(long)]
        json: bool,
    },
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: Shell,
    },
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

Outputs are URLs; settings of one output are query parameters:
  netflow5://HOST[:PORT]   odid, mtu, pps
  netflow9://HOST[:PORT]   odid, mtu, pps, template-refresh, template-packets
  ipfix://HOST[:PORT]      the same
  ipfix+tcp://HOST[:PORT]  odid, reconnect
  ipfix+tls://HOST[:PORT]  odid, reconnect, ca, cert, key
  ipfix-file:PATH          odid
  json:PATH                odid
as in ipfix://10.0.0.5?odid=7&mtu=1400&pps=20000.

Exit status: 0 done, 1 something failed or was interrupted, 2 wrong usage.";

/// Settings of metering; a configuration file has the same names.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Interface to capture from; may be given several times
    #[arg(short, long, value_name = "IFACE", conflicts_with = "read")]
    pub(crate) interface: Vec<String>,

    /// Capture file to replay (pcap or pcapng; plain, gzip or zstd), - for standard input;
    /// several are merged by packet time
    #[arg(short, long, value_name = "FILE")]
    pub(crate) read: Vec<PathBuf>,

    /// Where flows go; may be given several times. Without it, a table on the terminal
    #[arg(short, long, value_name = "URL")]
    pub(crate) output: Vec<Destination>,

    /// A flow is over after so long without a packet
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = timeout)]
    pub(crate) idle_timeout: Duration,

    /// A flow that goes on is reported after so long [default: 60s; 5s for a live table]
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    pub(crate) active_timeout: Option<Duration>,

    /// The most flows in memory at a time, 93 octets each; with more, the one that has been idle
    /// longest where a new one wants its place is reported early
    #[arg(long, value_name = "N", default_value = "1M", value_parser = flow_count)]
    pub(crate) max_flows: NonZeroU32,

    /// Fields that tell flows apart
    #[arg(long, value_name = "FIELDS", default_value = "src,dst,sport,dport,proto,tos,iface",
          value_parser = key_fields)]
    pub(crate) flow_key: KeyFields,

    /// Meter one of N packets
    #[arg(long, value_name = "1:N", default_value = "1:1", value_parser = sampling)]
    pub(crate) sample: NonZeroU32,

    /// Threads that keep flows; a replay with several has one more that reads
    /// [default: 2, but 1 for less than 10,000 flows and of standard input; live as many as there
    /// are queues, or processors if that is less]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroU32>,

    /// Name of this exporter in documents [default: the host's name]
    #[arg(long, value_name = "HOST")]
    pub(crate) name: Option<String>,

    /// Number of an interface, by its name; may be given several times
    #[arg(long, value_name = "NAME=N", value_parser = interface_number)]
    pub(crate) ifindex: Vec<(String, u32)>,

    /// Seed of the hash, or random; the order of records depends on it, flows do not
    /// [default: 1; live random]
    #[arg(long, value_name = "N", value_parser = hash_seed)]
    pub(crate) hash_seed: Option<Seed>,

    /// Flows in the table on the terminal [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "output")]
    pub(crate) top: Option<usize>,

    /// What the table is ordered by [default: octets]
    #[arg(long, value_name = "COUNT", conflicts_with = "output")]
    pub(crate) order: Option<Order>,

    /// How totals are given at the end, on standard error
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) stats: StatsForm,

    /// Settings from a TOML file; those on the command line come before it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Only warnings and errors on standard error, and the totals only as JSON if asked for
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Packets that are looked up together; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = BURST_MAX, hide = true,
          value_parser = clap::value_parser!(u16).range(1..=BURST_MAX.into()))]
    pub(crate) burst: u16,

    #[command(flatten)]
    pub(crate) live: LiveArguments,
}

/// Settings of live capture: they need an interface.
#[derive(Debug, Args)]
#[command(next_help_heading = "Live capture")]
#[group(multiple = true, requires = "interface", conflicts_with = "read")]
pub(crate) struct LiveArguments {
    /// How packets are taken; auto takes them past the host's stack where the host does not need
    /// them
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) capture: CaptureMethod,

    /// Take packets past the stack though the host may use the interface: it gets none of them
    #[arg(long)]
    pub(crate) take_interface: bool,

    /// Which packets, seen from this host; afxdp sees only incoming ones
    #[arg(long, value_name = "WHICH", default_value = "in")]
    pub(crate) direction: Direction,

    /// Descriptors in each ring of an AF_XDP socket, a power of two: so many frames can wait
    /// [default: 32768, or less where --umem-max has no room for that]
    #[arg(long, value_name = "N", value_parser = ring)]
    pub(crate) ring: Option<u32>,

    /// Most memory for all AF_XDP sockets together
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    pub(crate) umem_max: u64,

    /// Memory of the ring of an AF_PACKET socket
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub(crate) packet_ring: u64,

    /// Workers of AF_XDP do not go before other programs (as real-time threads), though they may
    #[arg(long)]
    pub(crate) no_realtime: bool,

    /// Run as this user once everything is open
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// Keep the rights to open an interface again that went away and came back
    #[arg(long)]
    pub(crate) keep_capabilities: bool,

    /// Meter also the messages that this program sends, where the mirror shows them
    #[arg(long)]
    pub(crate) meter_own_exports: bool,

    /// How often the totals are given while capture goes on; 0s: only at the end
    #[arg(long, value_name = "TIME", default_value = "60s",
          value_parser = humantime::parse_duration)]
    pub(crate) stats_interval: Duration,
}

/// How packets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CaptureMethod {
    /// AF_XDP where the host does not need the packets, AF_PACKET elsewhere.
    Auto,
    /// Past the host's stack, which gets none of them.
    Afxdp,
    /// Copies of what the host's stack gets.
    Packet,
}

/// A fixed seed, or one drawn for this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// The same each time.
    Fixed(u64),
    /// Another each time.
    Random,
}

/// What the table on the terminal is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// The most octets first.
    Octets,
    /// The most packets first.
    Packets,
}

/// How totals are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatsForm {
    /// For people.
    Text,
    /// A line of JSON, for programs.
    Json,
}

/// Parses the command line, with the settings of `--config` before it.
///
/// # Errors
///
/// Wrong usage, in words.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    // What a setting needs beside it may be in the file: nothing is checked before that is read.
    let given = Cli::command().ignore_errors(true).try_get_matches_from(&words);
    match given.as_ref().ok().and_then(|given| Some((given.get_one::<PathBuf>("config")?, given))) {
        Some((path, given)) => Cli::try_parse_from(config_file::expand(path, &words, given)?),
        None => Cli::try_parse_from(words),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    const RANGE: &str = "a time from 1ms to 1day, such as 15s or 2min";
    let time = humantime::parse_duration(text).map_err(|_error| format!("not {RANGE}"))?;
    let most = Duration::from_millis(flow::TIMEOUT_MS_MAX.into());
    if (Duration::from_millis(1)..=most).contains(&time) {
        Ok(time)
    } else {
        Err(format!("out of range: {RANGE} is needed"))
    }
}

/// A power of two.
fn ring(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number: &u32| number.is_power_of_two());
    number
        .filter(|number| (64..=65_536).contains(number))
        .ok_or_else(|| "not a power of two from 64 to 65536".to_owned())
}

/// Octets, with an optional k, M or G (powers of 1024), from 1 MiB to 64 GiB.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.strip_suffix(['k', 'K', 'M', 'G']) {
        Some(digits) if text.ends_with('G') => (digits, 30),
        Some(digits) if text.ends_with('M') => (digits, 20),
        Some(digits) => (digits, 10),
        None => (text, 0),
    };
    let octets = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    octets
        .filter(|octets| (1 << 20..=64 << 30).contains(octets))
        .ok_or_else(|| "not a size from 1M to 64G, such as 64M".to_owned())
}

/// A count with an optional k or M.
fn flow_count(text: &str) -> Result<NonZeroU32, String> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, 1_000_000),
            None => (text, 1),
        },
    };
    let count = digits.parse::<u32>().ok().and_then(|count| count.checked_mul(unit));
    count
        .filter(|&count| count <= FLOWS_MAX)
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("not a number from 1 to {}M, such as 500k", FLOWS_MAX / 1_000_000))
}

/// 93 GB of memory.
const FLOWS_MAX: u32 = 1_000_000_000;

fn key_fields(text: &str) -> Result<KeyFields, String> {
    let mut fields = Vec::new();
    for name in text.split(',') {
        let field = KeyField::ALL.into_iter().find(|field| field.name() == name);
        let field = field.ok_or_else(|| {
            let names = KeyField::ALL.map(KeyField::name).join(",");
            format!("no field {name}; there are {names}")
        })?;
        if fields.contains(&field) {
            return Err(format!("{name} is there twice"));
        }
        fields.push(field);
    }
    Ok(KeyFields::new(fields))
}

fn sampling(text: &str) -> Result<NonZeroU32, String> {
    let interval = text.strip_prefix("1:").and_then(|interval| interval.parse().ok());
    interval.ok_or_else(|| "not of the form 1:N, such as 1:100".to_owned())
}

fn interface_number(text: &str) -> Result<(String, u32), String> {
    let (name, number) = text.rsplit_once('=').ok_or("not of the form NAME=N")?;
    let number = number.parse().map_err(|_error| format!("{number} is not a number"))?;
    if name.is_empty() {
        return Err("no name before =".to_owned());
    }
    Ok((name.to_owned(), number))
}

fn hash_seed(text: &str) -> Result<Seed, String> {
    if text == "random" {
        return Ok(Seed::Random);
    }
    text.parse().map(Seed::Fixed).map_err(|_error| "neither a number nor random".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn counts_take_units_and_have_limits() {
        for (text, count) in [("1", 1), ("500k", 500_000), ("2M", 2_000_000), ("1000M", FLOWS_MAX)]
        {
            assert_eq!(flow_count(text).unwrap().get(), count);
        }
        for text in ["0", "-1", "1G", "M", "1001M", "99999999999", "1.5M", ""] {
            assert!(flow_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn key_fields_are_read_by_name() {
        assert_eq!(key_fields("src,dst,sport,dport,proto,tos,iface").unwrap(), KeyFields::SEVEN);
        assert!(key_fields("src,vlan").unwrap().contains(KeyField::Vlan));
        for text in ["", "src,", "source", "src,src"] {
            assert!(key_fields(text).is_err(), "{text}");
        }
    }
}
