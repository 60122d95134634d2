//! When templates and options are sent, and when messages that are not full.

use flow::{Batch, FlowRecord};

use crate::collector::{Session, context, open};
use crate::message::{read_stream, split_file};
use crate::record::{T0, udp4};
use crate::support;

/// Flows of each message; templates and options are shown as `T`.
fn outline(datagrams: &[Vec<u8>]) -> String {
    let parts = read_stream(datagrams).into_iter().map(|message| {
        if message.is_announcement() { "T".to_owned() } else { message.flows().len().to_string() }
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn check(scheme: &str, settings: &str, records: &[FlowRecord], expected: &str) {
    let mut session = Session::open(scheme, settings, &context());
    session.export(records);
    let (datagrams, _) = session.finish();
    assert_eq!(outline(&datagrams), expected, "{scheme} {settings}");
}

#[test]
fn templates_are_sent_again_after_so_many_messages() {
    let records = vec![udp4(T0); 75];
    let settings = "mtu=576&template-packets=5";
    check("ipfix", settings, &records, "T 7 7 7 7 7 T 7 7 7 7 7 T 5 T");
    check("netflow9", settings, &records, "T 9 9 9 9 9 T 9 9 9 3 T");
    check("ipfix", "template-packets=1", &records, "T 21 T 21 T 21 T 12 T");
}

#[test]
fn templates_are_sent_again_after_100_messages_unless_set() {
    for (scheme, full) in [("ipfix", 21), ("netflow9", 25)] {
        let mut session = Session::open(scheme, "", &context());
        session.export(&vec![udp4(T0); full * 200]);
        let (datagrams, _) = session.finish();
        let messages = read_stream(&datagrams);
        let announced: Vec<_> =
            (0..messages.len()).filter(|&index| messages[index].is_announcement()).collect();
        assert_eq!(announced, [0, 101, 202], "{scheme}");
    }
}

#[test]
fn templates_are_sent_again_by_trace_time() {
    let at = |seconds: u64| udp4(T0 + seconds * 1000);
    let records: Vec<_> = [0, 25, 50, 59, 60, 61, 119, 120, 500].map(at).into();
    for scheme in ["ipfix", "netflow9"] {
        check(scheme, "", &records, "T 4 T 3 T 1 T 1 T");
        check(scheme, "template-refresh=5m", &records, "T 8 T 1 T");
        check(scheme, "template-refresh=1s", &records[..3], "T 1 T 1 T 1 T");
    }
}

#[test]
fn netflow5_datagrams_of_a_replay_leave_when_full_and_at_the_end() {
    let records: Vec<_> = (0..40).map(|minute| udp4(T0 + minute * 60_000)).collect();
    check("netflow5", "", &records, "30 10");
}

#[test]
fn tick_sends_what_was_gathered_and_templates_that_are_due() {
    for scheme in ["ipfix", "netflow9"] {
        let mut session = Session::open(scheme, "", &context());
        session.tick(T0);
        assert_eq!(outline(session.datagrams()), "T", "before any flow");
        session.tick(T0 + 1000);
        session.export(&[udp4(T0 + 1000); 3]);
        assert_eq!(outline(session.datagrams()), "T");
        session.tick(T0 + 2000);
        assert_eq!(outline(session.datagrams()), "T 3");
        session.tick(T0 + 59_999);
        session.export(&[udp4(T0 + 59_999)]);
        session.tick(T0 + 60_000);
        assert_eq!(outline(session.datagrams()), "T 3 1 T");
        assert_eq!(outline(&session.finish().0), "T 3 1 T T");
    }
}

#[test]
fn netflow5_has_nothing_but_flows_to_send() {
    let mut session = Session::open("netflow5", "", &context());
    session.tick(T0);
    session.export(&[udp4(T0); 2]);
    session.tick(T0 + 1000);
    session.tick(T0 + 100_000);
    assert_eq!(outline(&session.finish().0), "2");
}

#[test]
fn templates_are_in_a_file_once() {
    let folder = support::scratch();
    let path = folder.path().join("flows.ipfix");
    let mut exporter = open(&format!("ipfix-file:{}", path.display()), &context());
    for minute in 0..10 {
        exporter.export(&Batch::from(&vec![udp4(T0 + minute * 60_000); 200][..])).unwrap();
    }
    exporter.finish().unwrap();
    let messages = read_stream(&split_file(&std::fs::read(path).unwrap()));
    let templates = messages.iter().flat_map(|message| &message.sets).filter(|set| set.id == 2);
    assert_eq!(templates.count(), 1);
}
