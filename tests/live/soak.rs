//! A day in compressed time: flows that are short and always new, outputs that go and come, and all
//! else that goes on at once. Memory stays as announced, and each record is accounted for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::probe::{METHODS, Probe, lost};
use crate::sink::Sink;
use crate::support::net::{Host, Links, Network};
use crate::support::{self, Run};

/// The length of the test, unless `FLOWPROBE_SOAK` says more.
const SECONDS: u64 = 60;

/// Packets a second; nearly each is a flow of its own.
const RATE: u64 = 30_000;

/// How long an output is there, and then not.
const SPELL: Duration = Duration::from_secs(4);

/// Octets of memory as the README announces them: the table, the output into the cluster (with
/// what is compressed) and its spool.
const TABLE: u64 = 200_000 * 93;
const OUTPUT: u64 = (8_000_000 + 3 * 1_000_000) * 11 / 10;
const SPOOL: u64 = 50_000_000 + 2 * 1_000_000;

/// A collector that listens for a spell, and takes what comes. Returns how often it came.
fn collect(address: SocketAddr, is_over: &AtomicBool) -> u32 {
    let mut spells = 0;
    while !is_over.load(Ordering::Relaxed) {
        let listener = TcpListener::bind(address).expect("the port is free again");
        listener.set_nonblocking(true).expect("a socket can be made so");
        let (begin, mut connections) = (Instant::now(), Vec::new());
        while begin.elapsed() < SPELL {
            connections.extend(listener.accept().ok().map(|(stream, _)| stream));
            for stream in &mut connections {
                stream.set_nonblocking(true).expect("a socket can be made so");
                while stream.read(&mut [0; 1 << 16]).is_ok_and(|read| read > 0) {}
            }
            thread::sleep(Duration::from_millis(2));
        }
        drop((listener, connections));
        spells += 1;
        thread::sleep(SPELL);
    }
    spells
}

/// A cluster that is there for a spell. In the end it stays. Returns how often it came.
fn index(first: Sink, is_over: &AtomicBool) -> u32 {
    let (mut sink, mut spells) = (first, 0);
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(SPELL);
        sink.close();
        thread::sleep(SPELL);
        sink = Sink::start_at(sink.address());
        spells += 1;
    }
    spells
}

#[test]
#[ignore = "takes a minute; FLOWPROBE_SOAK=600 makes it ten"]
fn memory_stays_as_announced_while_flows_and_outputs_go_and_come() {
    let Some(network) = Network::new(Links::default()) else { return };
    network.offload(Host::Probe, "rx0", "gro", "on");
    let seconds = std::env::var("FLOWPROBE_SOAK").map_or(SECONDS, |it| it.parse().unwrap());
    let folder = support::scratch();
    let sink = network.on(Host::Probe, Sink::start);
    let free = network.on(Host::Probe, || TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = free.local_addr().expect("it has an address");
    drop(free);
    let cluster = format!(
        "elastic+http://{}?memory=8M&batch=1M&connections=2&gzip=0&spool={}",
        sink.address(),
        folder.path().join("spool").display()
    );
    let collector = format!("ipfix+tcp://{address}?reconnect=1s");
    let probe = Probe::configured(
        &network,
        &support::write(&folder, "settings.toml", b"name = \"test\"\n"),
        &[
            METHODS[1],
            &["--max-flows", "200k", "--idle-timeout", "1s", "--active-timeout", "10s"],
            &["-o", &cluster, "-o", &collector],
        ],
    );
    let [rate, time] = [RATE, seconds].map(|it| it.to_string());
    let traffic = ["--flows", "4M", "--rate", &rate, "--seconds", &time];
    let announced = probe.memory() + TABLE + OUTPUT + SPOOL;
    let is_over = AtomicBool::new(false);
    let (sent, spells, early) = thread::scope(|scope| {
        let (network, is_over) = (&network, &is_over);
        let collecting = scope.spawn(|| network.on(Host::Probe, || collect(address, is_over)));
        let indexing = scope.spawn(|| network.on(Host::Probe, || index(sink, is_over)));
        let sending = scope.spawn(|| network.send_flows("tx0", &traffic));
        thread::sleep(Duration::from_secs(seconds / 2));
        let early = probe.memory();
        let sent = sending.join().expect("packets are sent").packets;
        is_over.store(true, Ordering::Relaxed);
        let spells = [collecting, indexing].map(|one| one.join().expect("it goes on"));
        (sent, spells, early)
    });
    let memory = probe.memory();
    println!("{sent} packets, {spells:?} spells, {early} and {memory} of {announced} octets");
    let run = probe.stop();
    assert_eq!(run.count("metered.packets") + lost(&run), sent, "{}", run.stats);
    assert!(spells.iter().all(|&spells| u64::from(spells) > seconds / 16), "{spells:?}");
    assert!(memory < announced * 11 / 10, "{memory}, announced: {announced}");
    // It has stopped growing.
    assert!(memory < early * 11 / 10, "{early}, then {memory}");
    // What is left in the spool is for the next run.
    let kept = run.count("outputs.0.sent.records") + run.count("outputs.0.spooled.records");
    assert!(kept > sent / 2, "{}", run.stats);
    assert_eq!(run.count("outputs.0.dropped.records"), 0, "{}", run.stats);
    assert!(run.count("outputs.1.sent.records") > 0, "{}", run.stats);
}

/// Packets a second of flows that last, and of flows that have one packet.
const LASTING: u64 = 470_000;
const PASSING: u64 = 30_000;

/// Time between two readings of the settings.
const RELOAD: Duration = Duration::from_secs(10);

/// What a browser with an open page asks for each second, without the addresses that it repeats.
fn watch(address: SocketAddr, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        for path in ["summary", "series?span=5m", "top?of=source&by=octets&span=5m&size=15"] {
            let mut stream = TcpStream::connect(address).expect("the page is there");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
            let words = "Host: 127.0.0.1\r\nConnection: close";
            write!(stream, "GET /api/v1/{path} HTTP/1.1\r\n{words}\r\n\r\n").expect("it is read");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Takes datagrams and forgets them.
fn forget(socket: &UdpSocket, is_over: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
    while !is_over.load(Ordering::Relaxed) {
        drop(socket.recv(&mut [0; 9000]));
    }
}

/// Where the outputs of [`books_balance_while_everything_goes_on`] go.
struct Targets {
    cluster: SocketAddr,
    collector: SocketAddr,
    datagrams: SocketAddr,
    folder: TempDir,
}

impl Targets {
    /// Writes the settings of a round. Returns their file.
    fn set(&self, round: u32) -> PathBuf {
        let Self { cluster, collector, datagrams, folder } = self;
        let timeout = 5 + round % 2;
        let files = folder.path().display();
        let settings = format!(
            r#"
active-timeout = "{timeout}s"
idle-timeout = "2s"
alerts = "json:{files}/alerts"
tags = "on"
payload = ["dns", "tls", "quic", "http"]
output = [
    "elastic+http://{cluster}?memory=8M&gzip=0&spool={files}/spool",
    "ipfix+tcp://{collector}?reconnect=1s",
    "ipfix://{datagrams}",
    "netflow9://{datagrams}",
    "netflow5://{datagrams}",
    "json:/dev/null",
    "ipfix-file:/dev/null",
]
"#
        );
        support::write(folder, "settings.toml", settings.as_bytes())
    }
}

/// Each record is in one count of each output, and each output has got many.
fn assert_balanced(run: &Run) {
    let sum = |counts: &Value| counts["records"].as_u64().unwrap_or(0);
    let ended: u64 = run.stats["ended"].as_object().expect("reasons").values().map(sum).sum();
    let outputs = run.stats["outputs"].as_array().expect("there are outputs");
    assert!(outputs.len() > 6, "{}", run.stats);
    for output in outputs {
        let of = |word: &str| sum(&output[word]);
        println!("{}: {} of {ended} sent", output["output"], of("sent"));
        let words =
            ["sent", "not_exportable", "failed", "dead_lettered", "spooled", "dropped", "absent"];
        assert_eq!(words.map(of).iter().sum::<u64>(), ended, "{output}");
        assert!(of("sent") > ended / 20, "{output}");
    }
}

/// All that the program does at once: two interfaces, outputs of all protocols of which two go and
/// come, detectors, tags, names, the page, and settings that change.
#[test]
#[ignore = "takes two minutes; FLOWPROBE_SOAK=3600 makes it an hour"]
fn books_balance_while_everything_goes_on() {
    let Some(network) = Network::new(Links { count: 2, ..Links::default() }) else { return };
    ["rx0", "rx1"].iter().for_each(|name| network.offload(Host::Probe, name, "gro", "on"));
    let seconds = std::env::var("FLOWPROBE_SOAK").map_or(SECONDS, |it| it.parse().unwrap());
    let sink = network.on(Host::Probe, Sink::start);
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let [collector, page] = [(); 2].map(|()| {
        let free = network.on(Host::Probe, || TcpListener::bind(local)).expect("a port");
        free.local_addr().expect("it has an address")
    });
    let socket = network.on(Host::Probe, || UdpSocket::bind(local)).expect("a port");
    let datagrams = socket.local_addr().expect("it has one");
    let folder = support::scratch();
    let targets = Targets { cluster: sink.address(), collector, datagrams, folder };
    let http = page.to_string();
    let more = ["-i", "rx1", "--max-flows", "400k", "--http", &http];
    let mut probe = Probe::configured(&network, &targets.set(0), &[METHODS[0], &more]);
    probe.wait_until_it_captures("rx1");
    let time = seconds.to_string();
    let send = |interface: &str, flows: &str, rate: u64| {
        let rate = rate.to_string();
        let words = ["--flows", flows, "--rate", &rate, "--seconds", &time];
        network.send_flows(interface, &words).packets
    };
    let is_over = AtomicBool::new(false);
    let (sent, early) = thread::scope(|scope| {
        let (network, is_over, send, socket) = (&network, &is_over, &send, &socket);
        scope.spawn(|| network.on(Host::Probe, || collect(collector, is_over)));
        scope.spawn(|| network.on(Host::Probe, || index(sink, is_over)));
        scope.spawn(|| network.on(Host::Probe, || watch(page, is_over)));
        scope.spawn(|| forget(socket, is_over));
        let lasting = scope.spawn(|| send("tx0", "100k", LASTING));
        let passing = scope.spawn(|| send("tx1", "4M", PASSING));
        let (begin, mut early, mut round) = (Instant::now(), None, 0);
        while !(lasting.is_finished() && passing.is_finished()) {
            thread::sleep(RELOAD);
            round += 1;
            targets.set(round);
            probe.signal(Signal::SIGHUP);
            if begin.elapsed().as_secs() >= seconds / 2 {
                early.get_or_insert_with(|| probe.memory());
            }
        }
        let sent = [lasting, passing].map(|one| one.join().expect("packets are sent"));
        is_over.store(true, Ordering::Relaxed);
        (sent.iter().sum::<u64>(), early.expect("half the time is over"))
    });
    let memory = probe.memory();
    let run = probe.stop();
    let lost = lost(&run);
    println!("{sent} packets, {lost} lost; {early} and then {memory} octets of memory");
    assert_eq!(run.count("metered.packets") + lost, sent, "{}", run.stats);
    assert!(memory < early * 11 / 10, "{early}, then {memory}");
    assert_balanced(&run);
    assert_eq!(run.count("reloads.refused"), 0, "{}", run.stats);
    assert!(run.count("reloads.applied") >= seconds / 20, "{}", run.stats);
}
