//! Collectors that listen: how they are started, fed, and asked what they have counted.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::load::Load;
use crate::process::{self, Cpus};
use crate::program::{Program, statistics};
use crate::rounds::whole;
use crate::tool::Place;
use commands::{debian, root};

/// A collector, and what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collector {
    /// Documents that nobody keeps.
    FlowprobeJson,
    /// IPFIX in a file, in memory.
    FlowprobeIpfix,
    /// Its own files, in memory.
    Nfcapd,
    /// JSON that nobody keeps.
    Goflow2,
    /// Its messages of Protocol Buffers, which nobody keeps.
    Goflow2Binary,
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// Processor time of the program, from the first datagram on.
    pub(super) cpu: Duration,
    /// Of this, that of its thread that receives and decodes; our program only.
    pub(super) decoding: Option<Duration>,
}

/// Where goflow2 is, if the tests have built it.
const GOFLOW2: &str = "target/goflow2-v2.2.6/goflow2";

/// Datagrams that are sent before the receiver is looked at.
const CHUNK: usize = 32;

/// Memory of waiting datagrams at the receiver beyond which no more are sent. The smallest buffer
/// of the programs is 208 KiB.
const WAITING_MAX: u64 = 64 << 10;

/// A program that took less than a fiftieth of this time has nothing to do any more.
const LOOK: Duration = Duration::from_millis(250);

/// Maximum time to start, to take all, and to end.
const PATIENCE: Duration = Duration::from_secs(90);

impl Collector {
    pub(super) const ALL: [Self; 5] = [
        Self::FlowprobeJson,
        Self::FlowprobeIpfix,
        Self::Nfcapd,
        Self::Goflow2,
        Self::Goflow2Binary,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FlowprobeJson => "flowprobe, JSON to /dev/null",
            Self::FlowprobeIpfix => "flowprobe, IPFIX to a file",
            Self::Nfcapd => "nfcapd, its files",
            Self::Goflow2 => "goflow2, JSON to /dev/null",
            Self::Goflow2Binary => "goflow2, binary to /dev/null",
        }
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::FlowprobeJson | Self::FlowprobeIpfix)
    }

    /// Whether it takes a minute for a million records.
    pub(super) fn is_slow(self) -> bool {
        matches!(self, Self::Goflow2 | Self::Goflow2Binary)
    }

    /// Whether the program is there. Prints a message if not.
    pub(super) fn is_there(self) -> bool {
        let program = match self {
            Self::FlowprobeJson | Self::FlowprobeIpfix => return true,
            Self::Nfcapd => PathBuf::from("nfcapd"),
            Self::Goflow2 | Self::Goflow2Binary => root().join(GOFLOW2),
        };
        let there = Command::new(&program).arg("-h").env("PATH", debian::path()).output().is_ok();
        if !there {
            println!("{} is missing: left out", program.display());
        }
        there
    }

    /// Sends all datagrams to the program, as fast as it takes them. All must be counted.
    pub(super) fn run(self, place: &Place, load: &Load) -> Result<Took> {
        let mut running = Running::start(self, place)?;
        let before = running.program.threads()?;
        running.send(load)?;
        running.catch_up()?;
        let after = running.program.threads()?;
        let sum = |threads: &[(String, Duration)]| threads.iter().map(|(_, time)| *time).sum();
        let (first, last): (Duration, Duration) = (sum(&before), sum(&after));
        let decoding = after.iter().find(|(name, _)| name == "worker");
        let decoding = decoding.filter(|_| self.is_ours()).map(|(_, time)| *time);
        let counted = running.finish()?;
        ensure!(load.sums.starts_with(&counted), "{}: {counted:?} of {:?}", self.name(), load.sums);
        Ok(Took { cpu: last.saturating_sub(first), decoding })
    }

    /// Reads a capture of the datagrams, with all threads on one processor. Our program only.
    pub(super) fn read(self, place: &Place, capture: &Path, load: &Load) -> Result<Took> {
        let mut arguments = vec!["collect".into(), "-r".into(), capture.into()];
        let output = self.output(&place.memory);
        arguments.extend(["-o", &output, "--stats", "json", "--quiet"].map(Into::into));
        let run = process::run(&place.memory, Cpus::One, place.flowprobe.as_os_str(), &arguments)?;
        let counted = of_flowprobe(&run.stderr)?;
        ensure!(counted == load.sums, "{}: {counted:?} of {:?}", self.name(), load.sums);
        Ok(Took { cpu: Duration::from_secs_f64(run.cpu_seconds), decoding: None })
    }

    /// The output of our program, with its files in this folder.
    fn output(self, folder: &Path) -> String {
        match self {
            Self::FlowprobeJson => "json:/dev/null".to_owned(),
            Self::FlowprobeIpfix | Self::Nfcapd | Self::Goflow2 | Self::Goflow2Binary => {
                format!("ipfix-file:{}", folder.join("flows").display())
            }
        }
    }
}

/// A collector that listens.
struct Running {
    collector: Collector,
    program: Program,
    /// Where it listens, and where goflow2 tells its counts.
    port: u16,
    metrics: u16,
}

impl Running {
    fn start(collector: Collector, place: &Place) -> Result<Self> {
        let folder = place.memory.join("collector");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let (port, metrics) = (free_port()?, free_port()?);
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        match collector {
            Collector::FlowprobeJson | Collector::FlowprobeIpfix => {
                command.arg(&place.flowprobe).args(["collect", "--workers", "1", "-l"]);
                command.arg(format!("flow://127.0.0.1:{port}"));
                command.args(["-o", &collector.output(&folder), "--stats", "json"]);
            }
            Collector::Nfcapd => {
                command.args(["nfcapd", "-b", "127.0.0.1", "-p", &port.to_string()]);
                command.args(["-t", "3600", "-w", "."]);
            }
            Collector::Goflow2 | Collector::Goflow2Binary => {
                let format = if collector == Collector::Goflow2 { "json" } else { "bin" };
                command.arg(root().join(GOFLOW2)).arg("-listen");
                command.arg(format!("netflow://127.0.0.1:{port}?count=1&workers=1"));
                command.args(["-format", format, "-transport.file", "/dev/null", "-addr"]);
                command.arg(format!("127.0.0.1:{metrics}"));
            }
        }
        command.stdin(Stdio::null()).env("PATH", debian::path()).current_dir(&folder);
        let mut program = Program::start(collector.name(), command, folder, PATIENCE)?;
        program.wait_until("it listens", |_| Ok(waiting(port)?.is_some()))?;
        Ok(Self { collector, program, port, metrics })
    }

    fn send(&mut self, load: &Load) -> Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a port")?;
        socket.connect((Ipv4Addr::LOCALHOST, self.port)).context("connecting")?;
        for datagrams in load.datagrams.chunks(CHUNK) {
            for datagram in datagrams {
                socket.send(datagram).context("sending a datagram")?;
            }
            let begin = Instant::now();
            // While other sockets come and go, the kernel may leave one out of its list.
            while waiting(self.port)?.is_none_or(|octets| octets > WAITING_MAX) {
                ensure!(begin.elapsed() < PATIENCE, "{} takes nothing", self.collector.name());
                thread::yield_now();
            }
        }
        let port = self.port;
        self.program.wait_until("it takes all", |_| Ok(waiting(port)? == Some(0)))
    }

    /// Waits until it has nothing to do.
    fn catch_up(&mut self) -> Result<()> {
        let mut before = Duration::ZERO;
        self.program.wait_until("it has caught up", |program| {
            thread::sleep(LOOK);
            let now: Duration = program.threads()?.iter().map(|(_, time)| *time).sum();
            Ok(now.saturating_sub(std::mem::replace(&mut before, now)) < LOOK / 50)
        })
    }

    /// Ends it, and gives what it has counted.
    fn finish(mut self) -> Result<Vec<u64>> {
        let of_goflow2 = match self.collector {
            Collector::Goflow2 | Collector::Goflow2Binary => Some(self.of_goflow2()?),
            Collector::FlowprobeJson | Collector::FlowprobeIpfix | Collector::Nfcapd => None,
        };
        self.program.end()?;
        let messages = self.program.messages();
        match of_goflow2 {
            Some(counts) => Ok(counts),
            None if self.collector.is_ours() => of_flowprobe(&messages),
            None => of_nfcapd(&messages),
        }
    }

    /// The records that it has counted. It sums neither packets nor octets.
    fn of_goflow2(&self) -> Result<Vec<u64>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.metrics))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics).context("reading goflow2's metrics")?;
        let is_it = |line: &&str| {
            line.starts_with("goflow2_flow_process_nf_flowset_records_total{")
                && line.contains("\"DataFlowSet\"")
        };
        let records = metrics.lines().find(is_it).and_then(|line| line.rsplit(' ').next());
        Ok(vec![whole(records.context("records of goflow2")?.parse()?)])
    }
}

/// Octets of memory of datagrams that wait at the socket of this port. `None` if it has none.
fn waiting(port: u16) -> Result<Option<u64>> {
    let sockets = fs::read_to_string("/proc/net/udp").context("reading /proc/net/udp")?;
    let address = format!(": 0100007F:{port:04X} ");
    let Some((_, socket)) = sockets.split_once(&address) else { return Ok(None) };
    let queue = socket.split(':').nth(2).and_then(|rest| rest.split(' ').next());
    let octets = u64::from_str_radix(queue.context("a queue")?, 16)?;
    Ok(Some(octets))
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn of_flowprobe(messages: &str) -> Result<Vec<u64>> {
    let stats = statistics(messages)?;
    let sent = stats["outputs"][0]["sent"]["records"].as_u64();
    ensure!(sent == stats["collected"]["records"].as_u64(), "not all was written: {stats}");
    let count = |name: &str| stats["collected"][name].as_u64().context("a count");
    ["records", "packets", "record_octets"].into_iter().map(count).collect()
}

/// `Ident: 'none' Flows: 48000, Packets: 2404510, Bytes: 2395710342, Sequence Errors: 0, ...`
fn of_nfcapd(messages: &str) -> Result<Vec<u64>> {
    let (_, counts) = messages.rsplit_once("Flows:").context("no sums of nfcapd")?;
    let count = |words: &str| {
        let digits = words.rsplit(' ').next().unwrap_or_default();
        digits.parse::<u64>().with_context(|| format!("a count of nfcapd: {words}"))
    };
    counts.split(',').take(3).map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_what_programs_print() {
        let text = "Startup nfcapd.\nIdent: 'none' Flows: 48, Packets: 24, Bytes: 23, Sequence \
                    Errors: 0, Bad Packets: 0\nTerminating nfcapd.\n";
        assert_eq!(of_nfcapd(text).unwrap(), [48, 24, 23]);
        let text = "info: ends\n{\"collected\":{\"records\":7,\"packets\":8,\"record_octets\":9},\
                    \"outputs\":[{\"sent\":{\"records\":7}}]}\n";
        assert_eq!(of_flowprobe(text).unwrap(), [7, 8, 9]);
        assert!(of_flowprobe(&text.replace("\"records\":7}", "\"records\":6}")).is_err());
    }
}
