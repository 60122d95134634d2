//! A million documents, while the broker is away and while it crashes.

use std::thread;
use std::time::Duration;

use crate::broker::Broker;
use crate::consumer::sums;
use crate::replay::{capture, command, delivered};
use crate::support;
use crate::support::probe::Probe;

const FLOWS: u32 = 1_000_000;

const PARTITIONS: u64 = 8;

/// How long the broker is away the first time.
const AWAY: Duration = Duration::from_secs(30);

/// How long the replay may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Octets on the disk of the broker, some thousands of documents, after which it is away.
const SOME: u64 = 1_000_000;

#[test]
#[ignore = "takes minutes: a million documents, and a broker that is away for 30 s"]
fn million_documents_are_there_once_though_the_broker_stops_and_crashes() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create("flows", 8, &[]);
    let folder = support::scratch();
    let file = capture(&folder, FLOWS);
    let mut command = command(&file, &broker.output("flows", ""));
    command.args(["--idle-timeout", "1s"]);
    let mut probe = Probe::start(command);
    probe.wait_until("it sends", |_| broker.stored("flows") > SOME);
    broker.stop();
    let before = broker.stored("flows");
    thread::sleep(AWAY);
    broker.restart();
    probe.wait_until("it sends again", |_| broker.stored("flows") > before + SOME);
    broker.kill();
    thread::sleep(Duration::from_secs(2));
    probe.assert_runs("the broker is back");
    broker.restart();
    let run = probe.wait_for(PATIENCE);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(delivered(&run, "accepted"), u64::from(FLOWS), "{}", run.stats);
    let sums = sums(&broker, "flows");
    assert_eq!([sums.messages, sums.ids], [u64::from(FLOWS); 2], "{sums:?}");
    let metered = ["packets", "octets"].map(|of| run.count(&format!("metered.{of}")));
    assert_eq!([sums.packets, sums.octets], metered, "{sums:?}");
    let even = u64::from(FLOWS) / PARTITIONS;
    let is_even = |count: &u64| count.abs_diff(even) < even / 5;
    assert!(sums.partitions.iter().all(is_even), "{sums:?}");
}
