//! Our own exports, collected: the documents are those of the replay, but for what a protocol does
//! not carry.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::program;
use crate::support::{self, Run};
use crate::traffic;

/// Replays a capture into documents and a collector. Returns the documents and the datagrams.
pub fn replay(file: &Path, scheme: &str, settings: &[&str]) -> (Vec<Value>, Vec<Vec<u8>>) {
    let (run, datagrams) = run_with_output(&["-r", file.to_str().unwrap()], scheme, settings);
    run.assert_conservation();
    (run.documents(), datagrams)
}

/// Runs the program into documents and a collector of this protocol. Returns what it did, and the
/// datagrams.
pub fn run_with_output(source: &[&str], scheme: &str, settings: &[&str]) -> (Run, Vec<Vec<u8>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let output = format!("{scheme}://127.0.0.1:{port}?pps=4000");
    let outputs = ["-o", "json:-", "-o", &output];
    let (run, datagrams) =
        received_by(&socket, || support::run(source.iter().chain(&outputs).chain(settings)));
    assert_eq!(run.status, 0, "{}", run.stderr);
    (run, datagrams)
}

/// What a sender returns, and the datagrams that came until nothing more comes after its end.
pub fn received_by<T>(socket: &UdpSocket, send: impl FnOnce() -> T) -> (T, Vec<Vec<u8>>) {
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let (mut datagrams, mut buffer) = (Vec::new(), [0; 65_536]);
            loop {
                match socket.recv(&mut buffer) {
                    Ok(length) => datagrams.push(buffer[..length].to_vec()),
                    Err(_) if has_ended.load(Ordering::Relaxed) => return datagrams,
                    Err(_) => {}
                }
            }
        });
        let sent = send();
        has_ended.store(true, Ordering::Relaxed);
        (sent, receiver.join().unwrap())
    })
}

/// Removes what no protocol carries, and what is about the exporter.
pub fn without_exporter(document: &mut Value) {
    for (object, fields) in [
        ("/event", &["created", "sequence"][..]),
        ("/agent", &["id", "name"]),
        ("/observer", &["ip"]),
        ("/observer/ingress/interface", &["name"]),
        ("/observer/egress/interface", &["name"]),
        ("/netflow", &["exporter"]),
        ("", &["flowprobe"]),
    ] {
        remove(document, object, fields);
    }
}

/// Removes what NetFlow v5 does not carry.
fn without_what_netflow5_lacks(document: &mut Value) {
    let lacking = ["flow_end_reason", "flow_direction", "minimum_ttl", "maximum_ttl", "vlan_id"];
    remove(document, "/netflow", &lacking);
    remove(document, "/network", &["vlan"]);
    // The end of a connection is told by the reason of the flow's end.
    if let Some(kinds) = document.pointer_mut("/event/type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "end");
    }
}

/// NetFlow v5 has counters of 32 bits: a larger flow is sent in parts, one behind the other.
fn joined(documents: Vec<Value>) -> Vec<Value> {
    const COUNTS: [&str; 6] = [
        "/source/bytes",
        "/source/packets",
        "/network/bytes",
        "/network/packets",
        "/netflow/octet_delta_count",
        "/netflow/packet_delta_count",
    ];
    let without_counts = |document: &Value| {
        let mut document = document.clone();
        COUNTS.iter().for_each(|path| *document.pointer_mut(path).unwrap() = Value::Null);
        document
    };
    let mut joined: Vec<Value> = Vec::new();
    for document in documents {
        match joined.last_mut() {
            Some(last) if without_counts(last) == without_counts(&document) => {
                for path in COUNTS {
                    let count =
                        |document: &Value| document.pointer(path).unwrap().as_u64().unwrap();
                    let sum = count(last) + count(&document);
                    *last.pointer_mut(path).unwrap() = sum.into();
                }
            }
            _ => joined.push(document),
        }
    }
    joined
}

fn remove(document: &mut Value, object: &str, fields: &[&str]) {
    if let Some(object) = document.pointer_mut(object).and_then(Value::as_object_mut) {
        fields.iter().for_each(|field| drop(object.remove(*field)));
    }
}

/// Replays the capture over each protocol, and compares.
fn check(file: &Path, settings: &[&str]) {
    for scheme in ["ipfix", "netflow9", "netflow5"] {
        let (expected, datagrams) = replay(file, scheme, settings);
        let folder = support::scratch();
        let capture = support::write(&folder, "sent.pcap", &program::capture(&datagrams));
        let run = program::collect(&[capture], &[]);
        compare(scheme, &file.display().to_string(), expected, &run);
    }
}

/// Compares the documents of a replay with those of a run that collected what it sent.
pub fn compare(scheme: &str, name: &str, mut expected: Vec<Value>, run: &Run) {
    let mut collected = run.documents();
    let lost = run.count("collected.lost") + run.count("collected.no_template");
    assert_eq!(lost, 0, "{scheme}: {}", run.stderr);
    assert_eq!(run.count("collected.times_invalid"), 0, "{scheme}: {}", run.stderr);
    if scheme == "netflow5" {
        expected.retain(|document| document["network"]["type"] == "ipv4");
        expected.iter_mut().chain(&mut collected).for_each(without_what_netflow5_lacks);
    }
    expected.iter_mut().chain(&mut collected).for_each(without_exporter);
    if scheme == "netflow5" {
        (expected, collected) = (joined(expected), joined(collected));
    }
    assert_eq!(collected.len(), expected.len(), "{scheme}, {name}");
    for (collected, expected) in collected.iter().zip(&expected) {
        assert_eq!(collected, expected, "{scheme}, {name}");
    }
}

#[test]
fn documents_are_those_of_the_replay() {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    check(&file, &[]);
    check(&file, &["--sample", "1:100"]);
}

/// Ten real captures, if they are here: one in gigabytes takes long, and a tiny one has few flows.
pub fn fitting_captures() -> Vec<PathBuf> {
    let is_fitting =
        |path: &PathBuf| path.metadata().is_ok_and(|it| (20_000..1_000_000).contains(&it.len()));
    let captures: Vec<_> = support::real_captures().into_iter().filter(is_fitting).collect();
    if captures.is_empty() {
        support::skip_without("a folder with captures");
    }
    captures.into_iter().take(10).collect()
}

#[test]
fn documents_of_real_captures_are_those_of_their_replay() {
    for file in fitting_captures() {
        check(&file, &[]);
    }
}
