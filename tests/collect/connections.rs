//! `flowprobe collect --listen` with IPFIX over TCP, plain and under TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use serde_json::Value;
use tempfile::TempDir;

use crate::messages::{FIELDS, be32, flow, ipfix, netflow9, set, template};
use crate::round_trip::compare;
use crate::sockets::{end, listen};
use crate::support::authority::Authority;
use crate::support::{self, Run};
use crate::traffic;

/// Replays the usual capture into a collector. Returns the documents and the messages.
pub fn replay_to(output: &str, settings: &[&str]) -> (Run, u64) {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    let source = ["-r", file.to_str().unwrap(), "-o", "json:-", "-o", output];
    let run = support::run(source.iter().chain(settings));
    let messages = run.count("outputs.1.messages");
    (run, messages)
}

/// A connection from this address.
pub fn connection(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let SocketAddr::V4(to) = to else { panic!("{to}") };
    let opened = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let from = SockaddrIn::new(from[0], from[1], from[2], from[3], 0);
    bind(opened.as_raw_fd(), &from).unwrap();
    connect(opened.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    opened.into()
}

pub fn templates() -> Vec<u8> {
    ipfix(0, &[set(2, &template(300, &FIELDS))])
}

pub fn records(sequence: u32) -> Vec<u8> {
    ipfix(sequence, &[set(300, &[flow(1), flow(2)].concat())])
}

/// Whether the peer closes the connection within this time.
pub fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(octets) => octets == 0,
        Err(problem) => problem.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn documents_over_tcp_are_those_of_the_replay() {
    for settings in [&[][..], &["--sample", "1:100"]] {
        let (probe, addresses) = listen(&["ipfix+tcp://127.0.0.1:0"], &[]);
        let (sent, messages) = replay_to(&format!("ipfix+tcp://{}", addresses[0]), settings);
        assert_eq!(sent.status, 0, "{}", sent.stderr);
        let run = end(probe, messages, 0);
        compare("ipfix+tcp", "traffic", sent.documents(), &run);
        let of = |name: &str| run.count(&format!("collected.{name}"));
        assert_eq!((of("connections"), of("connections_cut"), of("malformed")), (1, 0, 0));
        assert_eq!(of("exporters"), 1, "it is still known when its connection has ended");
    }
}

/// Files of a collector's and of an exporter's certificate, and of their authority.
pub fn certificates() -> (TempDir, [PathBuf; 5]) {
    let (folder, authority) = (support::scratch(), Authority::new());
    let collector = authority.certify("127.0.0.1");
    let exporter = authority.certify("exporter");
    let files = [
        ("ca.pem", authority.pem),
        ("collector.pem", collector.pem),
        ("collector.key", collector.key.serialize_pem()),
        ("exporter.pem", exporter.pem),
        ("exporter.key", exporter.key.serialize_pem()),
    ];
    let files = files.map(|(name, text)| support::write(&folder, name, text.as_bytes()));
    (folder, files)
}

#[test]
fn documents_over_tls_are_those_of_the_replay() {
    let (_folder, files) = certificates();
    let [ca, collector, collector_key, exporter, exporter_key] =
        files.each_ref().map(|file| file.display());
    let listener = format!("ipfix+tls://127.0.0.1:0?cert={collector}&key={collector_key}");
    for (listener, own) in [
        (listener.clone(), String::new()),
        (format!("{listener}&ca={ca}"), format!("&cert={exporter}&key={exporter_key}")),
    ] {
        let (probe, addresses) = listen(&[&listener], &[]);
        let output = format!("ipfix+tls://{}?ca={ca}{own}", addresses[0]);
        let (sent, messages) = replay_to(&output, &[]);
        assert_eq!(sent.status, 0, "{}", sent.stderr);
        let run = end(probe, messages, 0);
        compare("ipfix+tls", "traffic", sent.documents(), &run);
    }
}

#[test]
fn exporters_without_a_certificate_are_turned_away() {
    let (_folder, files) = certificates();
    let [ca, collector, key, ..] = files.each_ref().map(|file| file.display());
    let listener = format!("ipfix+tls://127.0.0.1:0?cert={collector}&key={key}&ca={ca}");
    let (probe, addresses) = listen(&[&listener], &[]);
    let output = format!("ipfix+tls://{}?ca={ca}&wait=1s", addresses[0]);
    let (sent, _) = replay_to(&output, &[]);
    assert_eq!(sent.status, 1, "{}", sent.stderr);
    let run = end(probe, 0, 0);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("records"), of("connections")), (0, of("connections_reset")));
    assert!(of("connections_reset") > 0, "{}", run.stderr);
    assert!(run.stderr.contains("is closed: the exporter shows no certificate"), "{}", run.stderr);
}

/// Templates are those of a connection (RFC 7011 section 8), whatever else its exporter sends.
#[test]
fn templates_are_of_their_connection() {
    let (probe, addresses) = listen(&["ipfix+tcp://127.0.0.1:0", "flow://127.0.0.1:0"], &[]);
    let mut one = connection([127, 0, 8, 1], addresses[0]);
    let mut other = connection([127, 0, 8, 1], addresses[0]);
    let longer = [&FIELDS[..], &[(152, 8)]].concat();
    one.write_all(&templates()).unwrap();
    other.write_all(&ipfix(0, &[set(2, &template(300, &longer))])).unwrap();
    let datagrams = UdpSocket::bind("127.0.8.1:0").unwrap();
    let message = netflow9(5, &[set(0, &template(300, &FIELDS)), set(300, &flow(3))]);
    datagrams.send_to(&message, addresses[1]).unwrap();
    // A message in two pieces, and two in one.
    let message = records(0);
    let (begin, rest) = message.split_at(20);
    one.write_all(begin).unwrap();
    thread::sleep(Duration::from_millis(200));
    one.write_all(&[rest, &records(2)].concat()).unwrap();
    let record = [&flow(4)[..], &[0; 8]].concat();
    other.write_all(&ipfix(0, &[set(300, &record)])).unwrap();
    // A withdrawal: data that follows has no template.
    one.write_all(&ipfix(4, &[set(2, &template(300, &[]))])).unwrap();
    one.write_all(&records(4)).unwrap();
    drop((one, other));
    let run = end(probe, 8, 0);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("records"), of("lost"), of("no_template")), (6, 0, 1), "{}", run.stderr);
    assert_eq!((of("withdrawals"), of("withdrawals_ignored"), of("templates")), (1, 0, 1));
    assert_eq!((of("exporters"), of("connections")), (1, 2), "{}", run.stderr);
    let ports = |document: &Value| document["source"]["port"].as_u64().unwrap();
    let mut ports: Vec<_> = run.documents().iter().map(ports).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 1, 2, 2, 3, 4]);
}

#[test]
fn an_exporter_of_both_kinds_comes_to_one_worker() {
    let listeners = ["ipfix+tcp://127.0.0.1:0", "ipfix://127.0.0.1:0"];
    let (probe, addresses) = listen(&listeners, &["--workers=3"]);
    for host in 1..=40 {
        let mut stream = connection([127, 0, 9, host], addresses[0]);
        stream.write_all(&[templates(), records(0)].concat()).unwrap();
        let datagrams = UdpSocket::bind((Ipv4Addr::new(127, 0, 9, host), 0)).unwrap();
        datagrams.send_to(&templates(), addresses[1]).unwrap();
    }
    let run = end(probe, 120, 0);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("exporters"), of("records"), of("templates")), (40, 80, 40), "{}", run.stderr);
    let reported = run.stats["exporters"].as_array().unwrap();
    let datagrams: Vec<_> = reported.iter().map(|it| it["datagrams"].as_u64()).collect();
    assert_eq!(datagrams, vec![Some(3); 40]);
}

/// A malformed message ends its connection (RFC 7011 section 9.1), and no other.
#[test]
fn hostile_peers_lose_their_connection() {
    let settings = ["--allow", "127.0.10.0/24"];
    let (probe, addresses) = listen(&["ipfix+tcp://127.0.0.1:0"], &settings);
    let mut good = connection([127, 0, 10, 1], addresses[0]);
    good.write_all(&templates()).unwrap();
    let short_set = ipfix(0, &[be32(&[0x0002_0003])]);
    let hostile = [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 10, 0, 15], &[0, 9, 0, 20], &short_set];
    for octets in hostile {
        let mut stream = connection([127, 0, 10, 2], addresses[0]);
        stream.write_all(octets).unwrap();
        assert!(is_closed(&mut stream, Duration::from_secs(20)), "{octets:?}");
    }
    let mut other = connection([127, 0, 11, 1], addresses[0]);
    assert!(is_closed(&mut other, Duration::from_secs(20)), "it is not allowed");
    good.write_all(&records(0)).unwrap();
    // The last one ends within a message.
    let mut cut = connection([127, 0, 10, 3], addresses[0]);
    cut.write_all(&records(0)[..30]).unwrap();
    drop((cut, good));
    let run = end(probe, 6, 0);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("records"), of("malformed"), of("connections")), (2, 4, 6), "{}", run.stderr);
    let ends = (of("connections_reset"), of("connections_refused"), of("connections_cut"));
    assert_eq!(ends, (4, 1, 1), "{}", run.stderr);
}

/// 32 connections to a worker. Those that say nothing give way, and one that is slow is closed.
#[test]
fn connections_are_bounded() {
    let listeners = ["ipfix+tcp://127.0.0.1:0"];
    let (probe, addresses) = listen(&listeners, &["--workers=16"]);
    let connection = || connection([127, 0, 12, 1], addresses[0]);
    let silent: Vec<_> = (0..40).map(|_| connection()).collect();
    let mut talking: Vec<_> = (0..31).map(|_| connection()).collect();
    for stream in &mut talking {
        stream.write_all(&[templates(), records(0)].concat()).unwrap();
    }
    let begin = Instant::now();
    let mut slow = connection();
    slow.write_all(&templates()[..10]).unwrap();
    assert!(is_closed(&mut slow, Duration::from_secs(60)));
    assert!(begin.elapsed() > Duration::from_secs(9), "{:?}", begin.elapsed());
    // A message may come in two pieces after a silence that is longer than a message may take.
    let message = records(2);
    talking[0].write_all(&message[..10]).unwrap();
    let mut last = connection();
    last.write_all(&templates()).unwrap();
    thread::sleep(Duration::from_secs(1));
    talking[0].write_all(&message[10..]).unwrap();
    let mut refused = connection();
    assert!(is_closed(&mut refused, Duration::from_secs(20)), "all places are in use");
    drop((silent, talking, last));
    let run = end(probe, 64, 0);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("records"), of("connections")), (64, 73), "{}", run.stderr);
    let ends = (of("connections_slow"), of("connections_refused"), of("connections_reset"));
    assert_eq!(ends, (41, 1, 0), "{}", run.stderr);
}
