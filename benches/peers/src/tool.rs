//! The measured programs: how to run them, and how to read their counts.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::process::{self, Cpus, Run};
use super::sink::Sink;
use super::trace::{Sums, Trace};
use commands::debian;

/// A program and its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Flowprobe,
    /// Another build of it.
    OtherFlowprobe,
    /// The same build with more arguments: their position in [`Place::more`].
    FlowprobeWith(usize),
    Nfpcapd,
    Softflowd,
    Tcpdump,
}

/// Environment of runs.
#[derive(Debug)]
pub(super) struct Place {
    /// The program of this project.
    pub(super) flowprobe: PathBuf,
    /// Another build, to compare with.
    pub(super) other: Option<PathBuf>,
    /// Arguments of [`Tool::FlowprobeWith`].
    pub(super) more: Vec<Vec<String>>,
    /// Folder for small files, in memory if possible.
    pub(super) memory: PathBuf,
}

/// A run and the counts of the program.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) run: Run,
    pub(super) records: u64,
    pub(super) packets: u64,
    pub(super) octets: u64,
}

/// Receive buffer of the socket to which softflowd sends.
const SINK_BUFFER: usize = 256 << 20;

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flowprobe => "flowprobe",
            Self::OtherFlowprobe => "other",
            Self::FlowprobeWith(_) => "with",
            Self::Nfpcapd => "nfpcapd",
            Self::Softflowd => "softflowd",
            Self::Tcpdump => "tcpdump",
        }
    }

    /// Whether it is a build of this project.
    pub(super) fn is_flowprobe(self) -> bool {
        matches!(self, Self::Flowprobe | Self::OtherFlowprobe | Self::FlowprobeWith(_))
    }

    /// Whether the program is installed. Prints a message if not.
    pub(super) fn is_there(self) -> bool {
        let there = self.is_flowprobe()
            || Command::new(self.name()).arg("-h").env("PATH", debian::path()).output().is_ok();
        if !there {
            println!("{} is missing: left out", self.name());
        }
        there
    }

    /// Meters a trace, with room for its flows.
    pub(super) fn run(self, place: &Place, trace: &Trace) -> Result<Counted> {
        let flows_max = trace.sums.flows.max(FLOWS_MAX_LEAST);
        match self {
            Self::Flowprobe | Self::OtherFlowprobe | Self::FlowprobeWith(_) => {
                let flows_max = with_room(flows_max);
                let mut arguments = vec!["-o", "ipfix-file:/dev/null", "--max-flows", &flows_max];
                let other = place.other.as_deref().filter(|_| self == Self::OtherFlowprobe);
                if let Self::FlowprobeWith(position) = self {
                    arguments.extend(place.more[position].iter().map(String::as_str));
                }
                let program = other.unwrap_or(&place.flowprobe);
                replay(place, program, Cpus::All, trace, &arguments)
            }
            Self::Nfpcapd => nfpcapd(place, trace, flows_max),
            Self::Softflowd => softflowd(place, trace, flows_max),
            Self::Tcpdump => tcpdump(place, trace),
        }
    }

    /// The expected counts for a trace if nothing is lost: packets and octets. `None` for octets if
    /// the program counts others.
    pub(super) fn expected(self, sums: &Sums) -> (u64, Option<u64>) {
        match self {
            Self::Flowprobe | Self::OtherFlowprobe | Self::FlowprobeWith(_) => {
                (sums.packets, Some(sums.octets))
            }
            // It counts a fragmented datagram as one packet with one IP header.
            Self::Nfpcapd => {
                (sums.packets - sums.later_fragments, Some(sums.octets - sums.later_headers))
            }
            // It counts the padding of short frames.
            Self::Softflowd => (sums.packets, Some(sums.padded_octets)),
            Self::Tcpdump => (sums.packets, None),
        }
    }
}

/// Room for the flows of a trace in all tables of flowprobe, as an argument. It is 1 % more,
/// because two workers do not get exactly half of the flows each.
pub(super) fn with_room(flows: u64) -> String {
    (flows + flows / 100).to_string()
}

/// Replays with more arguments. The statistics must be consistent.
pub(super) fn flowprobe(
    place: &Place,
    cpus: Cpus,
    trace: &Trace,
    arguments: &[&str],
) -> Result<Counted> {
    replay(place, &place.flowprobe, cpus, trace, arguments)
}

fn replay(
    place: &Place,
    program: &Path,
    cpus: Cpus,
    trace: &Trace,
    arguments: &[&str],
) -> Result<Counted> {
    let mut all = vec![OsString::from("-r"), trace.path.clone().into()];
    all.extend(["--quiet", "--stats", "json"].map(OsString::from));
    all.extend(arguments.iter().map(OsString::from));
    let run = process::run(&place.memory, cpus, program.as_os_str(), &all)?;
    let line = run.stderr.lines().last().unwrap_or("");
    let stats: Value = serde_json::from_str(line).with_context(|| format!("statistics: {line}"))?;
    let ended = &stats["ended"];
    let sum = |key| {
        let reasons = ended.as_object().into_iter().flat_map(|reasons| reasons.values());
        reasons.map(|reason| number(&reason[key])).sum::<u64>()
    };
    let counted =
        Counted { records: sum("records"), packets: sum("packets"), octets: sum("octets"), run };
    let received = number(&stats["received"]["packets"]);
    ensure!(received == trace.sums.packets, "flowprobe received {received} packets: {stats}");
    let sent = &stats["outputs"][0]["sent"];
    ensure!(number(&sent["records"]) == counted.records, "flowprobe lost records: {stats}");
    ensure!(number(&sent["octets"]) == counted.octets, "flowprobe lost octets: {stats}");
    Ok(counted)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// Writes its files, in its own format, to memory. Its timeouts are the same as ours.
fn nfpcapd(place: &Place, trace: &Trace, flows_max: u64) -> Result<Counted> {
    let folder = place.memory.join("nfpcapd");
    fs::create_dir_all(&folder).context("making a folder for nfpcapd")?;
    let mut arguments = vec![OsString::from("-r"), trace.path.clone().into()];
    arguments.extend([OsString::from("-w"), folder.clone().into()]);
    let cache = flows_max.max(NFPCAPD_CACHE).to_string();
    arguments.extend(["-B", &cache, "-e", "60,15"].map(OsString::from));
    let run = process::run(&place.memory, Cpus::All, OsStr::new("nfpcapd"), &arguments)?;
    let mut nfdump = Command::new("nfdump");
    nfdump.arg("-R").arg(&folder).arg("-I").env("PATH", debian::path());
    let output = nfdump.output().context("starting nfdump")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        lines.filter_map(|number| number.trim().parse::<u64>().ok()).sum()
    };
    let counted =
        Counted { run, records: value("Flows"), packets: value("Packets"), octets: value("Bytes") };
    fs::remove_dir_all(&folder).context("removing the folder of nfpcapd")?;
    Ok(counted)
}

/// Minimum size of tables.
pub(super) const FLOWS_MAX_LEAST: u64 = 10_000;

/// The default of nfpcapd's `-B`.
const NFPCAPD_CACHE: u64 = 524_288;

/// Sends NetFlow v9 to a socket with a reader.
fn softflowd(place: &Place, trace: &Trace, flows_max: u64) -> Result<Counted> {
    let sink = Sink::open(SINK_BUFFER)?;
    let mut arguments = vec![OsString::from("-r"), trace.path.clone().into()];
    let to = sink.address().to_string();
    let flows_max = flows_max.to_string();
    arguments.extend(["-n", &to, "-v", "9", "-m", &flows_max, "-d"].map(OsString::from));
    let id = place.memory.join("softflowd.pid");
    arguments.extend([OsString::from("-p"), id.into(), "-c".into(), "none".into()]);
    for timeout in ["general=15", "tcp=15", "udp=15", "maxlife=60"] {
        arguments.extend([OsString::from("-t"), timeout.into()]);
    }
    let run = process::run(&place.memory, Cpus::All, OsStr::new("softflowd"), &arguments);
    let received = sink.finish()?;
    Ok(Counted {
        run: run?,
        records: received.records,
        packets: received.packets,
        octets: received.octets,
    })
}

/// Only reads and writes packets.
fn tcpdump(place: &Place, trace: &Trace) -> Result<Counted> {
    let arguments = [
        OsString::from("-r"),
        trace.path.clone().into(),
        OsString::from("-w"),
        OsString::from("/dev/null"),
    ];
    let run = process::run(&place.memory, Cpus::All, OsStr::new("tcpdump"), &arguments)?;
    Ok(Counted { run, records: 0, packets: trace.sums.packets, octets: 0 })
}

impl Place {
    /// Creates a folder, in memory if possible.
    pub(super) fn open(flowprobe: PathBuf, other: Option<PathBuf>) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let memory = parent.join(format!("flowprobe-bench-{}", std::process::id()));
        fs::create_dir_all(&memory).with_context(|| format!("making {}", memory.display()))?;
        Ok(Self { flowprobe, other, more: Vec::new(), memory })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.memory) {
            println!("{}: not removed: {error}", self.memory.display());
        }
    }
}
