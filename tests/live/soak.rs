//! A day in compressed time: flows that are short and always new, and outputs that go and come.
//! Memory stays as announced, and each record is accounted for.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::probe::{METHODS, Probe, lost};
use crate::sink::Sink;
use crate::support;
use crate::support::net::{Host, Links, Network};

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
