//! A cluster of three brokers: the leaders of partitions move to others, and nothing is lost.

use std::thread;
use std::time::Duration;

use crate::broker::Broker;
use crate::consumer::sums;
use crate::replay::{capture, delivered, start};
use crate::support;

const FLOWS: u32 = 20_000;

/// How long the replay may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
#[ignore = "takes a minute: three brokers"]
fn leaders_move_and_each_document_is_there_once() {
    let Some(mut brokers) = Broker::start_many(3) else { return };
    brokers.create("flows", 6, &["min.insync.replicas=2"]);
    let folder = support::scratch();
    let file = capture(&folder, FLOWS);
    // One small batch at a time takes longer than what happens.
    let settings = "batch=50k&connections=1&memory=200k&compression=none";
    let mut probe = start(&file, &brokers.output("flows", settings));
    thread::sleep(Duration::from_millis(500));
    // Each is the leader of two partitions. This one gives them to the others before it ends.
    brokers.stop_node(0);
    brokers.restart();
    probe.wait_until("a leader crashes", |_| true);
    brokers.kill_node(1);
    thread::sleep(Duration::from_secs(1));
    brokers.restart();
    let run = probe.wait_for(PATIENCE);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(delivered(&run, "accepted"), u64::from(FLOWS), "{}", run.stats);
    let sums = sums(&brokers, "flows");
    assert_eq!([sums.messages, sums.ids], [u64::from(FLOWS); 2], "{sums:?}");
    let metered = ["packets", "octets"].map(|of| run.count(&format!("metered.{of}")));
    assert_eq!([sums.packets, sums.octets], metered, "{sums:?}");
    assert!(sums.partitions.iter().all(|&messages| messages > 0), "{sums:?}");
    run.assert_conservation();
}
