//! A disk is full: that of the broker, or that of the spool.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::broker::Broker;
use crate::consumer::{assert_delivered, consume};
use crate::disk::Disk;
use crate::replay::{capture, command, end, replay_by, start};
use crate::support;
use crate::support::net::{Host, Links, Network};
use crate::support::probe::Probe;

const FLOWS: u32 = 20_000;

/// The broker ends when its disk is full. The replay waits until it is back on a larger one.
#[test]
fn replay_waits_while_the_disk_of_the_broker_is_full() {
    let Some(disk) = Disk::new(16) else { return };
    let Some(mut broker) = Broker::start_on(disk, &["log.index.size.max.bytes=100000"]) else {
        return;
    };
    broker.create("flows", 2, &[]);
    let folder = support::scratch();
    // Some 30 MB of documents.
    let settings = "batch=100k&connections=1&memory=1M&compression=none";
    let mut probe = start(&capture(&folder, FLOWS), &broker.output("flows", settings));
    broker.wait_for_end(0);
    assert!(broker.log().contains("No space left on device"), "{}", broker.log());
    probe.assert_runs("there is room");
    broker.disk().resize(200);
    broker.restart();
    let run = end(probe);
    assert_delivered(&run, &broker, FLOWS);
}

/// No broker, and a spool on a small disk: what has no room is counted, the rest arrives later.
#[test]
fn what_a_full_spool_has_no_room_for_is_counted() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let Some(disk) = Disk::new(4) else { return };
    let spool = disk.folder().join("spool");
    let settings = format!("memory=1M&batch=100k&timeout=1s&spool={}", spool.display());
    // Nobody listens there.
    let output = format!("kafka://127.0.0.1:9/spooled?{settings}");
    let mut program = network.command(Host::Probe, "setsid");
    program.arg(support::flowprobe().get_program());
    program.args(["-i", "rx0", "--name", "test", "--idle-timeout", "1s", "-o", &output]);
    let mut live = Probe::start_with_totals(disk.command(&program), &[]);
    live.wait_until_it_captures("rx0");
    let folder = support::scratch();
    // Some 10 MB of documents.
    network.send_file("tx0", &capture(&folder, 6000), &[]);
    live.wait_until("the disk is full", |live| live.messages().contains("no room to write"));
    thread::sleep(Duration::from_secs(3));
    live.signal(Signal::SIGTERM);
    let run = live.wait();
    run.assert_conservation();
    let spooled = run.count("outputs.0.spooled.records");
    let lost = run.count("outputs.0.dropped.records") + run.count("outputs.0.failed.records");
    assert_eq!(spooled + lost, 6000, "{}", run.stats);
    assert!(spooled > 500 && lost > 500, "{}", run.stats);
    assert_eq!(run.status, 1, "a loss is not silent: {}", run.stderr);
    // A later run sends what is there, once.
    let Some(broker) = Broker::shared() else { return };
    broker.create("spooled", 2, &[]);
    disk.resize(64);
    let output = broker.output("spooled", &format!("run=later&{settings}"));
    let later = replay_by(disk.command(&command(&capture(&folder, 1), &output)));
    assert_eq!(later.status, 0, "{}", later.stderr);
    let messages = consume(broker, "spooled");
    let ids: BTreeSet<_> = messages.iter().map(|message| message.text("id")).collect();
    assert_eq!((messages.len(), ids.len() as u64), (ids.len(), spooled + 1));
}
