//! The program replays a capture into a topic.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::capture::{Captured, pcap};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::probe::Probe;
use crate::support::{self, Run};

/// How long a replay may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A capture of so many flows of one packet, each between addresses of its own.
pub fn capture(folder: &TempDir, flows: u32) -> PathBuf {
    capture_of(folder, "flows.pcap", 0..flows)
}

/// A capture of the flows with these numbers.
pub fn capture_of(folder: &TempDir, name: &str, flows: Range<u32>) -> PathBuf {
    let packet = |number: u32| {
        let [_, high, middle, low] = number.to_be_bytes();
        let ip = ipv4([10, high, middle, low], [192, 0, 2, 1], 17, &udp(1000, 53, 10));
        Captured::at(1_700_000_000_000 + u64::from(number) / 10, ethernet(&ip))
    };
    let packets: Vec<_> = flows.map(packet).collect();
    support::write(folder, name, &pcap(&packets))
}

/// The command of a replay.
pub fn command(file: &Path, output: &str) -> Command {
    let mut command = support::flowprobe();
    command.args(["-r", file.to_str().unwrap(), "-o", output, "--stats", "json"]);
    command.args(["--name", "test"]);
    command
}

pub fn start(file: &Path, output: &str) -> Probe {
    Probe::start(command(file, output))
}

/// A whole replay.
pub fn replay(file: &Path, output: &str) -> Run {
    end(start(file, output))
}

/// A whole replay by this command.
pub fn replay_by(command: Command) -> Run {
    end(Probe::start(command))
}

/// Waits for the end of a replay.
pub fn end(probe: Probe) -> Run {
    probe.wait_for(PATIENCE)
}

/// A count of what became of documents.
pub fn delivered(run: &Run, what: &str) -> u64 {
    run.count(&format!("outputs.0.delivery.{what}"))
}
