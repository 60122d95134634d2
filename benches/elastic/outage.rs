//! Live capture while the cluster accepts no documents: memory stays bounded, and no packet is
//! lost.
//!
//! The cluster is a server that answers at once: an engine would take the processor time that the
//! generator and the program need.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::Effort;
use crate::sink::Sink;
use crate::support::net::{Host, Links, Network};
use crate::support::{flowprobe, scratch, signal};

/// Packets a second, and flows that have some in each second. Each second ends a record of each.
const PACKETS: f64 = 200e3;
pub const FLOWS: f64 = 20e3;

/// Time before and after the outage.
const MARGIN: Duration = Duration::from_secs(5);

/// Default settings of the output, in octets and requests.
const MEMORY: f64 = 64e6;
const BATCH: f64 = 5e6;
const CONNECTIONS: f64 = 8.0;

/// The memory of an output, as the README has it: with what is compressed.
const ANNOUNCED: f64 = (MEMORY + (CONNECTIONS + 1.0) * BATCH) * 1.1;

/// The memory of a spool besides, as the README has it.
const ANNOUNCED_OF_SPOOL: f64 = 50e6 + 2.0 * BATCH;

/// How a cluster is not there.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// It takes requests, and does not answer.
    Silent,
    /// It takes no connections.
    Down,
}

pub fn run(effort: Effort) {
    let Some(network) = Network::new(Links::default()) else { return };
    // The load generator needs GRO at the other end.
    network.offload(Host::Probe, "rx0", "gro", "on");
    // Builds the load generator now, so that it is not built while the program runs.
    network.send_flows("tx0", &["--flows", "1", "--packets", "1"]);
    let without =
        measure(&network, "json:/dev/null", FLOWS, 2 * MARGIN, |load| load.peak(2 * MARGIN));
    println!("\nno cluster: {:.0} MB, {}", without.memory / 1e6, without.packets);
    for (outage, has_spool) in [
        (Outage::Silent, false),
        (Outage::Down, false),
        (Outage::Silent, true),
        (Outage::Down, true),
    ] {
        let mut sink = network.on(Host::Probe, Sink::start);
        let folder = scratch();
        let url = format!("elastic+http://{}", sink.address());
        let spool = format!("?spool={}", folder.path().join("spool").display());
        let output = if has_spool { url + &spool } else { url };
        let time = Duration::from_secs(effort.outage_seconds);
        let done = measure(&network, &output, FLOWS, time + 2 * MARGIN, |load| {
            load.peak(MARGIN);
            let peak = match outage {
                Outage::Silent => {
                    sink.stop(true);
                    let peak = load.peak(time);
                    sink.stop(false);
                    peak
                }
                Outage::Down => {
                    sink.close();
                    let peak = load.peak(time);
                    sink = network.on(Host::Probe, || Sink::start_at(sink.address()));
                    peak
                }
            };
            peak.max(load.peak(MARGIN))
        });
        let announced = ANNOUNCED + if has_spool { ANNOUNCED_OF_SPOOL } else { 0.0 };
        let grown = done.memory - without.memory;
        let with = if has_spool { "with a spool" } else { "without a spool" };
        println!("\n{outage:?} for {time:?}, {with}: {}", done.packets);
        println!("documents: {}", done.documents);
        println!(
            "memory: {:.0} MB, of which the output has {:.0}; announced are {:.0}, that is {:.0} %",
            done.memory / 1e6,
            grown / 1e6,
            announced / 1e6,
            100.0 * grown / announced
        );
    }
}

/// What a run came to.
pub struct Measured {
    /// The most memory while it was looked at, in octets.
    pub memory: f64,
    pub packets: String,
    pub documents: Value,
}

/// The program under load.
pub struct Load<'a>(&'a Child);

impl Load<'_> {
    /// The most memory that the program has during this time, in octets.
    pub fn peak(&self, time: Duration) -> f64 {
        let begin = Instant::now();
        let mut peak: f64 = 0.0;
        while begin.elapsed() < time {
            let path = format!("/proc/{}/status", self.0.id());
            let status = fs::read_to_string(path).expect("it runs");
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = line.map_or("0", |line| line.trim().trim_end_matches(" kB"));
            peak = peak.max(kilobytes.parse::<f64>().expect("a number") * 1024.0);
            thread::sleep(Duration::from_millis(20));
        }
        peak
    }
}

/// Runs the program under load of so many flows for this time, in which something is done.
pub fn measure(
    network: &Network,
    output: &str,
    flows: f64,
    time: Duration,
    meanwhile: impl FnOnce(&Load) -> f64,
) -> Measured {
    let folder = scratch();
    let report = folder.path().join("stats.json");
    let stats = format!("json:{}", report.display());
    let mut command = network.command(Host::Probe, flowprobe().get_program());
    command.args(["-i", "rx0", "--capture", "packet", "--active-timeout", "1s"]);
    command.args(["--stats", &stats, "-o", output]);
    let log = File::create(folder.path().join("log")).expect("a file for messages");
    let mut probe = command.stderr(log).stdout(Stdio::null()).spawn().expect("the program starts");
    thread::sleep(Duration::from_secs(2));
    let [flows, rate, seconds] = [flows, PACKETS, time.as_secs_f64()].map(|n| n.to_string());
    let settings = ["--flows", &flows, "--rate", &rate, "--seconds", &seconds];
    let (sent, memory) = thread::scope(|scope| {
        let sending = scope.spawn(|| network.send_flows("tx0", &settings));
        let memory = meanwhile(&Load(&probe));
        (sending.join().expect("packets are sent"), memory)
    });
    // The packets that were sent last are taken.
    thread::sleep(Duration::from_secs(1));
    signal(probe.id(), Signal::SIGTERM).expect("it runs");
    let status = probe.wait().expect("it ends");
    // There are totals regularly, and at the end.
    let totals = fs::read_to_string(report).expect("totals");
    let last = totals.lines().last().expect("totals at the end");
    let stats: Value = serde_json::from_str(last).expect("JSON");
    let count = |pointer: &str| stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let ended = stats["ended"].as_object().expect("counts of records").values();
    let records: u64 = ended.filter_map(|cause| cause["records"].as_u64()).sum();
    let packets = format!(
        "{:.0} packets/s, {} sent, {} metered, {} lost, {:.0} records/s; {status}",
        sent.packets as f64 / sent.time.as_secs_f64(),
        sent.packets,
        count("/metered/packets"),
        count("/interfaces/0/lost"),
        records as f64 / sent.time.as_secs_f64()
    );
    Measured { memory, packets, documents: stats["outputs"][0]["delivery"].clone() }
}
