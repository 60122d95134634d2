//! The program replays a capture into a cluster.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use exporter::{Context, Destination, Exporter, Patience};
use tempfile::TempDir;

pub use crate::streams::stream;
use crate::support::capture::{Captured, pcap};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::probe::Probe;
use crate::support::{self, Run};

/// How long a replay may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Where requests for the namespace `default` go.
pub const BULK: &str = "/logs-netflow.log-default/_bulk";

/// The output into the hosts of a cluster, with settings of a query.
pub fn output(urls: &[String], settings: &str) -> String {
    let (scheme, _) = urls[0].split_once("://").expect("a URL has a scheme");
    let hosts: Vec<_> = urls.iter().map(|url| url.rsplit('/').next().unwrap()).collect();
    format!("elastic+{scheme}://{}?{settings}", hosts.join(","))
}

/// A capture of so many flows of one packet, each between addresses of its own.
pub fn capture(folder: &TempDir, flows: u32) -> PathBuf {
    capture_of(folder, 0..flows)
}

/// A capture of the flows with these numbers, as [`packets`] has them.
pub fn capture_of(folder: &TempDir, flows: Range<u32>) -> PathBuf {
    support::write(folder, "flows.pcap", &pcap(&packets(flows)))
}

/// Packets with these numbers, each of a flow of its own.
pub fn packets(numbers: Range<u32>) -> Vec<Captured> {
    let packet = |number: u32| {
        let [_, high, middle, low] = number.to_be_bytes();
        let size = u16::try_from(number % 100).unwrap();
        let ip = ipv4([10, high, middle, low], [192, 0, 2, 1], 17, &udp(1000, 53, size.into()));
        Captured::at(1_700_000_000_000 + u64::from(number) / 10, ethernet(&ip))
    };
    numbers.map(packet).collect()
}

/// The command of a replay.
pub fn command(file: &Path, output: &str) -> Command {
    let mut command = support::flowprobe();
    command.args(["-r", file.to_str().unwrap(), "-o", output, "--stats", "json"]);
    command
}

pub fn start(file: &Path, output: &str) -> Probe {
    Probe::start(command(file, output))
}

/// A whole replay.
pub fn replay(file: &Path, output: &str) -> Run {
    start(file, output).wait_for(PATIENCE)
}

/// Documents that the replay has made.
pub fn ended(run: &Run) -> u64 {
    let ended = run.stats["ended"].as_object().unwrap_or_else(|| panic!("{}", run.stderr));
    ended.values().map(|cause| cause["records"].as_u64().expect("a count")).sum()
}

/// A count of what became of documents.
pub fn delivered(run: &Run, what: &str) -> u64 {
    run.count(&format!("outputs.0.delivery.{what}"))
}

/// What became of each document is known.
#[track_caller]
pub fn assert_accounted(run: &Run) {
    run.assert_conservation();
    let fates = ["accepted", "duplicate", "dead_lettered", "refused", "dropped", "unsent"];
    let sum: u64 = fates.iter().map(|fate| delivered(run, fate)).sum();
    assert_eq!(sum, ended(run), "{}", run.stats);
    assert_eq!(delivered(run, "in_flight"), 0, "{}", run.stats);
}

/// An output of a live run, in this process.
pub fn open_live(url: &str) -> Box<dyn Exporter> {
    let destination: Destination = url.parse().unwrap();
    let context = Context {
        patience: Patience::GoOn,
        name: "test".to_owned(),
        version: "1".to_owned(),
        run: "run".to_owned(),
        ..Context::default()
    };
    destination.open(&context).unwrap()
}
