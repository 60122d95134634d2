//! The broker goes away and comes back: each document arrives once, or is counted.

use std::thread;
use std::time::{Duration, Instant};

use exporter::{Context, Destination, ExportCounts, Exporter, Patience};
use flow::{Batch, Timestamp};

use crate::broker::Broker;
use crate::consumer::{assert_delivered, consume};
use crate::replay::{capture, end, replay, start};
use crate::support;
use crate::support::record::datagram;

const FLOWS: u32 = 60_000;

#[test]
fn replay_waits_for_a_broker_that_comes_back() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create("flows", 4, &[]);
    broker.stop();
    let folder = support::scratch();
    let probe = start(&capture(&folder, FLOWS), &broker.output("flows", ""));
    thread::sleep(Duration::from_secs(4));
    broker.restart();
    let run = end(probe);
    assert_delivered(&run, &broker, FLOWS);
    assert!(run.stderr.contains("Connection refused"), "{}", run.stderr);
}

#[test]
fn broker_that_crashes_in_the_middle_has_each_document_once() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create("flows", 4, &[]);
    let folder = support::scratch();
    let file = capture(&folder, FLOWS);
    let settings = "batch=20k&connections=1&memory=100k&compression=none";
    let mut probe = start(&file, &broker.output("flows", settings));
    thread::sleep(Duration::from_millis(700));
    broker.kill();
    thread::sleep(Duration::from_secs(2));
    probe.assert_runs("the broker is back");
    broker.restart();
    let run = end(probe);
    assert_delivered(&run, &broker, FLOWS);
}

#[test]
fn replay_gives_up_when_no_broker_comes() {
    let folder = support::scratch();
    // Nobody listens there.
    let run = replay(&capture(&folder, 10), "kafka://127.0.0.1:9/flows?give-up=2s");
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains("10 documents were not accepted in time"), "{}", run.stderr);
    assert_eq!(run.count("outputs.0.failed.records"), 10, "{}", run.stats);
    run.assert_conservation();
}

/// An output of a live run, in this process.
fn open_live(url: &str) -> Box<dyn Exporter> {
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

fn export(exporter: &mut dyn Exporter, records: usize) {
    let batch = Batch { records: vec![datagram(); records], ..Batch::default() };
    exporter.export(&batch).unwrap();
    exporter.tick(Timestamp::from_millis(1_714_979_290_000)).unwrap();
}

#[track_caller]
fn wait_until(exporter: &dyn Exporter, is_so: impl Fn(&ExportCounts) -> bool) {
    let begin = Instant::now();
    while !is_so(&exporter.counts()) {
        assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", exporter.counts());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn live_run_spools_while_a_broker_is_away_and_sends_it_in_the_next_run() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create("flows", 4, &[]);
    let folder = support::scratch();
    let settings = format!("spool={}&timeout=2s", folder.path().display());
    let url = broker.output("flows", &settings);
    let mut first = open_live(&url);
    export(&mut *first, 100);
    wait_until(&*first, |counts| counts.sent.records == 100);
    broker.stop();
    export(&mut *first, 200);
    wait_until(&*first, |counts| counts.spooled.records == 200);
    first.finish().unwrap();
    let counts = first.counts();
    assert_eq!((counts.sent.records, counts.spooled.records), (100, 200), "{counts:?}");
    assert_eq!(counts.failed.records, 0, "{counts:?}");
    drop(first);
    broker.restart();
    let mut second = open_live(&url.replace("timeout", "run=second&timeout"));
    export(&mut *second, 50);
    let earlier = |counts: &ExportCounts| {
        counts.delivery.and_then(|delivery| delivery.spool).unwrap().earlier_runs.accepted
    };
    wait_until(&*second, |counts| counts.sent.records == 50 && earlier(counts) == 200);
    second.finish().unwrap();
    assert_eq!(consume(&broker, "flows").len(), 350);
}

#[test]
fn documents_wait_in_the_spool_when_a_topic_is_deleted() {
    let Some(broker) = Broker::shared() else { return };
    broker.create("deleted", 1, &[]);
    let folder = support::scratch();
    let settings = format!("spool={}&timeout=2s", folder.path().display());
    let mut exporter = open_live(&broker.output("deleted", &settings));
    export(&mut *exporter, 100);
    wait_until(&*exporter, |counts| counts.sent.records == 100);
    broker.delete("deleted");
    export(&mut *exporter, 100);
    wait_until(&*exporter, |counts| counts.spooled.records == 100);
    broker.create("deleted", 1, &[]);
    wait_until(&*exporter, |counts| counts.sent.records == 200);
    exporter.finish().unwrap();
    assert_eq!(consume(broker, "deleted").len(), 100);
}
