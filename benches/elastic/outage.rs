//! Live capture while the cluster accepts no documents: memory stays bounded, and no packet is
//! lost.

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

/// Packets per second, and flows that end per second.
const PACKETS: &str = "200k";
const FLOWS: &str = "20k";

/// Time before and after the outage.
const MARGIN: Duration = Duration::from_secs(5);

/// Default settings of the output, in octets and requests.
const MEMORY: f64 = 64e6;
const BATCH: f64 = 5e6;
const CONNECTIONS: f64 = 8.0;

pub fn run(effort: Effort) {
    let Some(network) = Network::new(Links::default()) else { return };
    // The load generator needs GRO at the other end.
    network.offload(Host::Probe, "rx0", "gro", "on");
    // Builds the load generator now, so that it is not built while the program runs.
    network.send_flows("tx0", &["--flows", "1", "--packets", "1"]);
    let sink = network.on(Host::Probe, Sink::start);
    let folder = scratch();
    let report = folder.path().join("stats.json");
    let url = format!("elastic+http://{}", sink.address());
    let stats = format!("json:{}", report.display());
    let mut command = network.command(Host::Probe, flowprobe().get_program());
    command.args(["-i", "rx0", "--capture", "packet", "--active-timeout", "1s"]);
    command.args(["--idle-timeout", "1s", "--stats", &stats, "-o", &url]);
    let log = File::create(folder.path().join("log")).expect("a file for messages");
    let mut probe = command.stderr(log).stdout(Stdio::null()).spawn().expect("the program starts");
    thread::sleep(Duration::from_secs(2));
    let outage = Duration::from_secs(effort.outage_seconds);
    let seconds = (outage + 2 * MARGIN).as_secs().to_string();
    let settings = ["--flows", FLOWS, "--rate", PACKETS, "--seconds", &seconds];
    let (sent, [before, during]) = thread::scope(|scope| {
        let sent = scope.spawn(|| network.send_flows("tx0", &settings));
        let before = peak_memory(&probe, MARGIN);
        sink.stop(true);
        let during = peak_memory(&probe, outage);
        sink.stop(false);
        (sent.join().expect("packets are sent"), [before, during])
    });
    signal(probe.id(), Signal::SIGTERM).expect("it runs");
    let status = probe.wait().expect("it ends");
    // There are totals regularly, and at the end.
    let totals = fs::read_to_string(report).expect("totals");
    let last = totals.lines().last().expect("totals at the end");
    let stats: Value = serde_json::from_str(last).expect("JSON");
    let count = |pointer: &str| stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    println!("\nthe cluster takes nothing for {outage:?}, {PACKETS} packets/s, {FLOWS} flows/s:");
    println!(
        "packets: {} sent, {} metered, {} lost",
        sent.packets,
        count("/metered/packets"),
        count("/interfaces/0/lost")
    );
    println!("documents: {}; {status}", stats["outputs"][0]["delivery"]);
    let announced = MEMORY + (CONNECTIONS + 1.0) * BATCH;
    println!(
        "memory: {:.0} MB before, {:.0} MB then; it grew by {:.0} % of what is announced",
        before / 1e6,
        during / 1e6,
        100.0 * (during - before) / announced
    );
}

/// The maximum memory of a process during this time, in octets.
fn peak_memory(process: &Child, time: Duration) -> f64 {
    let begin = Instant::now();
    let mut peak: f64 = 0.0;
    while begin.elapsed() < time {
        let path = format!("/proc/{}/status", process.id());
        let status = fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        peak = peak.max(kilobytes * 1024.0);
        thread::sleep(Duration::from_millis(100));
    }
    peak
}
