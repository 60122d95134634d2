//! The same capture gives the same octets each time, whatever the bursts and the speed of input.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::capture::{Captured, pcap};
use support::packet::{ethernet, ipv4, tcp};

fn sample(name: &str) -> PathBuf {
    support::root().join("tests/data").join(name)
}

/// All that leaves in a run.
#[derive(PartialEq, Eq)]
struct Left {
    documents: Vec<u8>,
    file: Vec<u8>,
    /// Of NetFlow v5, v9 and IPFIX.
    datagrams: [Vec<Vec<u8>>; 3],
}

/// How the input comes.
#[derive(Clone, Copy)]
enum Input {
    File,
    /// Through a pipe, in pieces of this number of octets.
    Pieces(usize),
}

fn replay(name: &str, input: Input, settings: &[&str]) -> Left {
    let folder = support::scratch();
    let path = folder.path().join("flows.ipfix");
    let sockets = ["netflow5", "netflow9", "ipfix"].map(|scheme| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        (scheme, socket)
    });
    let mut command = support::flowprobe();
    command.args(["--stats", "json", "--name", "test", "-o", "json:-", "-o"]);
    command.arg(format!("ipfix-file:{}", path.display())).args(settings);
    for (scheme, socket) in &sockets {
        // At a pace at which a socket's buffer holds all until this test comes to it.
        let address = socket.local_addr().unwrap();
        command.args(["-o", &format!("{scheme}://{address}?pps=2000")]);
    }
    let file = match input {
        Input::File => sample(name),
        Input::Pieces(_) => PathBuf::from("-"),
    };
    command.arg("-r").arg(file).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = match input {
        Input::File => None,
        Input::Pieces(octets) => {
            let file = fs::read(sample(name)).unwrap();
            Some(thread::spawn(move || {
                file.chunks(octets).for_each(|piece| stdin.write_all(piece).unwrap());
            }))
        }
    };
    let over = AtomicBool::new(false);
    let (run, datagrams) = thread::scope(|scope| {
        let threads = sockets.map(|(_, socket)| scope.spawn(|| receive(socket, &over)));
        let run = support::finished(child.wait_with_output().unwrap());
        over.store(true, Ordering::Relaxed);
        (run, threads.map(|thread| thread.join().unwrap()))
    });
    feeder.into_iter().for_each(|feeder| feeder.join().unwrap());
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    for (index, datagrams) in datagrams.iter().enumerate() {
        let messages = run.count(&format!("outputs.{}.messages", index + 2));
        assert_eq!(datagrams.len() as u64, messages, "all arrive");
    }
    Left { documents: run.stdout, file: fs::read(path).unwrap(), datagrams }
}

/// Receives until the program is over and nothing more comes.
fn receive(socket: UdpSocket, over: &AtomicBool) -> Vec<Vec<u8>> {
    let mut buffer = [0; 65_536];
    let mut datagrams = Vec::new();
    loop {
        let was_over = over.load(Ordering::Relaxed);
        match socket.recv(&mut buffer) {
            Ok(length) => datagrams.push(buffer[..length].to_vec()),
            Err(_) if was_over => return datagrams,
            Err(_) => {}
        }
    }
}

/// Checks that runs which must not differ do not, with these settings and 1 and 2 workers. A pipe
/// that one worker reads has its own order of records, which does not depend on its pieces.
fn check(name: &str, settings: &[&str]) {
    for workers in ["1", "2"] {
        let with = |burst| [settings, &["--workers", workers, "--burst", burst]].concat();
        let file = [
            ("at first", Input::File, "16"),
            ("again", Input::File, "16"),
            ("packet by packet", Input::File, "1"),
            ("in small bursts", Input::File, "3"),
        ];
        let pipe = [
            ("in small pieces", Input::Pieces(700), "16"),
            ("in large pieces", Input::Pieces(100_000), "7"),
            ("in large pieces, packet by packet", Input::Pieces(100_000), "1"),
        ];
        for ways in [&file[..], &pipe[..]] {
            let mut runs =
                ways.iter().map(|&(how, input, burst)| (how, replay(name, input, &with(burst))));
            let (_, first) = runs.next().unwrap();
            assert!(!first.documents.is_empty());
            for (how, other) in runs {
                assert!(first == other, "{name} {settings:?}, {workers} workers: {how} it differs");
            }
        }
    }
}

#[test]
fn same_capture_gives_the_same_octets() {
    check("office.pcap", &[]);
    check("interfaces.pcapng", &[]);
}

#[test]
fn same_capture_gives_the_same_octets_when_the_table_is_full() {
    check("office.pcap", &["--max-flows", "100"]);
}

/// The flows without the order in which they left.
fn flows(settings: &[&str]) -> Vec<support::flows::Flow> {
    let path = sample("office.pcap");
    let run = support::run([&["-r", path.to_str().unwrap(), "-o", "json:-"], settings].concat());
    run.assert_conservation();
    run.sorted_flows()
}

#[test]
fn pipes_give_the_same_flows_in_their_own_order() {
    let octets = fs::read(sample("office.pcap")).unwrap();
    let run = support::run_with_input(["-r", "-", "-o", "json:-"], &octets);
    run.assert_conservation();
    assert!(run.sorted_flows() == flows(&["--workers", "1"]));
}

#[test]
fn flows_do_not_depend_on_workers_or_the_seed_of_the_hash() {
    let expected = flows(&[]);
    for settings in [["--workers", "2"], ["--workers", "5"], ["--hash-seed", "random"]] {
        assert!(flows(&settings) == expected, "{settings:?}");
    }
}

#[test]
fn pipe_that_is_read_to_its_end_is_closed_in_good_order() {
    // The writer is still there when the last packet has been read.
    let frame = ethernet(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &tcp(1, 2, 0x12, 3)));
    let mut child = support::flowprobe()
        .args(["-r", "-", "-o", "json:-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&pcap(&[Captured::at(1000, frame)])).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none(), "there may be more");
    drop(stdin);
    let mut document = String::new();
    child.stdout.take().unwrap().read_to_string(&mut document).unwrap();
    assert!(child.wait().unwrap().success());
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["source"]["bytes"], 43);
}

/// A file of an hour has the records that were exported in this hour.
#[test]
fn files_by_time_have_the_records_of_their_time() {
    const PACKETS: u64 = 3000;
    let frames: Vec<_> = (0..PACKETS)
        .map(|number| {
            let port = u16::try_from(1000 + number).unwrap();
            let packet = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &tcp(port, 80, 0x10, 0));
            Captured::at(number * 6000, ethernet(&packet))
        })
        .collect();
    let folder = support::scratch();
    let capture = support::write(&folder, "hours.pcap", &pcap(&frames));
    let files = folder.path().join("files");
    let output = format!("json:{}?rotate=1h", files.join("%H").display());
    let run = support::run(["-r".as_ref(), capture.as_os_str(), "-o".as_ref(), output.as_ref()]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let mut records = 0;
    for file in fs::read_dir(&files).unwrap() {
        let file = file.unwrap();
        let hour = file.file_name().into_string().unwrap();
        for document in support::documents(&fs::read(file.path()).unwrap()) {
            let exported = document["netflow"]["exporter"]["timestamp"].as_str().unwrap();
            assert_eq!(exported[11..13], hour, "{document}");
            records += 1;
        }
    }
    assert_eq!(records, PACKETS);
}
