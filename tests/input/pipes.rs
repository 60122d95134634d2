//! What comes through a pipe leaves while the pipe is open.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::datagram;
use crate::support::capture::pcap;
use crate::support::{flowprobe, scratch};

#[test]
fn records_of_an_open_pipe_leave_within_seconds() {
    let folder = scratch();
    let documents = folder.path().join("flows.json");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut child = flowprobe()
        .args(["-r", "-", "--idle-timeout", "1s", "--max-flows", "1k", "-q"])
        .args(["-o", &format!("json:{}", documents.display())])
        .args(["-o", &format!("ipfix://{}", socket.local_addr().unwrap())])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A packet and a flow each second of packet time, far fewer than fill a block or a message.
    let packets: Vec<_> = (1..=200).map(|n| datagram(n, u64::from(n) * 1_000_000_000)).collect();
    stdin.write_all(&pcap(&packets)).unwrap();
    let begin = Instant::now();
    let (mut lines, mut datagrams) = (0, 0);
    while (lines < 100 || datagrams < 2) && begin.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(50));
        lines = fs::read_to_string(&documents).unwrap_or_default().lines().count();
        datagrams += usize::from(socket.recv(&mut [0; 2000]).is_ok());
    }
    assert!(child.try_wait().unwrap().is_none(), "the pipe is open");
    assert!(lines >= 100, "{lines} documents of 200 flows, most of which are over");
    // Templates, and records.
    assert!(datagrams >= 2, "{datagrams} datagrams");
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&documents).unwrap().lines().count(), 200);
}

/// Each second of packet time is looked at, also where next to nothing comes in it.
#[test]
fn hours_of_a_quiet_pipe_cost_little() {
    let documents = tempfile::NamedTempFile::new().unwrap();
    let mut child = flowprobe()
        .args(["-r", "-", "-q", "-o", &format!("json:{}", documents.path().display())])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let packets: Vec<_> = (1..=20_000).map(|n| datagram(n, u64::from(n) * 1_000_000_000)).collect();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&pcap(&packets)).unwrap();
    let begin = Instant::now();
    let count = || fs::read_to_string(documents.path()).unwrap().lines().count();
    while count() < 19_900 {
        assert!(begin.elapsed() < Duration::from_secs(60), "{} documents", count());
        thread::sleep(Duration::from_millis(100));
    }
    // Of all its fields, 14 and 15 are hundredths of a second of processor time; names come before.
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let hundredths: u32 =
        [fields[11], fields[12]].map(|field| field.parse::<u32>().unwrap()).iter().sum();
    assert!(hundredths < 300, "{hundredths} hundredths of a second for 20,000 s of packet time");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// A table of a million flows takes long to sweep for those who only look at it now and then.
#[test]
fn records_of_a_slow_pipe_leave_within_a_second_of_packet_time() {
    let mut child = flowprobe()
        .args(["-r", "-", "--idle-timeout", "1s", "-q", "-o", "json:-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A flow each millisecond for 20 s, which is over a second later.
    let packets: Vec<_> = (1..=20_000).map(|n| datagram(n, u64::from(n) * 1_000_000)).collect();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        stdin.write_all(&pcap(&packets)).unwrap();
        stdin
    });
    let documents = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || documents.for_each(|_| sender.send(()).unwrap_or_default()));
    for count in 0..18_000 {
        let document = receiver.recv_timeout(Duration::from_secs(10));
        assert!(document.is_ok(), "{count} documents of 20,000 flows, 18,000 of which are over");
    }
    // The pipe was open until here.
    drop(feeder.join().unwrap());
    reader.join().unwrap();
    assert_eq!(receiver.iter().count(), 2000);
    assert!(child.wait().unwrap().success());
}
