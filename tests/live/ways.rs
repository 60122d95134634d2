//! The way to a collector changes while the program runs: addresses, routes, names.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ends::frames;
use crate::probe::{METHODS, Probe};
use crate::support;
use crate::support::ipfix::session;
use crate::support::net::{Host, Links, Network};

/// Flows leave soon.
const SOON: [&str; 2] = ["--idle-timeout", "200ms"];

/// The probe captures from one link, and sends over another, or over two.
fn network(links: u32) -> Option<Network> {
    let network = Network::beside(Links { count: 1 + links, ..Links::default() })?;
    for link in 1..=links {
        network.ip(Host::Sender, &["addr", "add", &format!("10.77.{link}.2/24"), "dev", &tx(link)]);
        network.ip(Host::Probe, &["addr", "add", &format!("10.77.{link}.1/24"), "dev", &rx(link)]);
    }
    Some(network)
}

fn tx(link: u32) -> String {
    format!("tx{link}")
}

fn rx(link: u32) -> String {
    format!("rx{link}")
}

/// A collector on the sender's host, or on the probe's.
struct Collector {
    socket: UdpSocket,
    datagrams: BTreeMap<SocketAddr, Vec<u8>>,
}

impl Collector {
    fn start(network: &Network, host: Host, address: &str) -> Self {
        let socket = network.on(host, || UdpSocket::bind(address).expect("the port is free"));
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Self { socket, datagrams: BTreeMap::new() }
    }

    /// The number of flows in the datagrams so far, by the address that they came from. Each
    /// exporter has sent templates before flows.
    fn flows(&mut self) -> Vec<(SocketAddr, usize)> {
        let mut datagram = [0; 9000];
        while let Ok((length, from)) = self.socket.recv_from(&mut datagram) {
            self.datagrams.entry(from).or_default().extend(&datagram[..length]);
        }
        let flows = |octets: &Vec<u8>| session(octets).iter().map(|one| one.flows().count()).sum();
        self.datagrams.iter().map(|(from, octets)| (*from, flows(octets))).collect()
    }

    fn wait_for(&mut self, probe: &mut Probe, flows: usize) {
        probe.wait_until("flows arrive", |_| {
            self.flows().iter().map(|(_, flows)| flows).sum::<usize>() >= flows
        });
    }
}

/// Sends ten flows past the probe.
fn send(network: &Network, folder: &tempfile::TempDir) {
    let file = folder.path().join("ten.pcap");
    fs::write(&file, frames(10)).expect("a file for the test");
    network.send_file("tx0", &file, &[]);
}

fn start(network: &Network, output: &str) -> Probe {
    Probe::capture(network, &["rx0"], &[METHODS[1], &SOON, &["-o", output]])
}

/// A collector, and a probe that has sent it ten flows.
fn sending(network: &Network, folder: &tempfile::TempDir) -> (Collector, Probe) {
    let mut collector = Collector::start(network, Host::Sender, "0.0.0.0:4739");
    let mut probe = start(network, "ipfix://10.77.1.2");
    send(network, folder);
    collector.wait_for(&mut probe, 10);
    (collector, probe)
}

/// The command of the program where this file takes the place of one in /etc.
fn with_file(network: &Network, file: &Path, place: &str) -> Command {
    let mut command = network.command(Host::Probe, "unshare");
    let set = "mount --bind \"$1\" \"$2\"; shift 2; exec \"$@\"";
    command.args(["--mount", "sh", "-ec", set, "sh"]).arg(file).arg(place);
    command.arg(support::flowprobe().get_program());
    command
}

/// Starts it where this file is /etc/hosts.
fn start_with_hosts(network: &Network, hosts: &Path, settings: &[&str]) -> Probe {
    let command = with_file(network, hosts, "/etc/hosts");
    let mut probe = Probe::capture_by(command, &["rx0"], &[METHODS[1], &SOON, settings]);
    probe.wait_until("it captures", |probe| probe.messages().contains("rx0: "));
    probe
}

#[test]
fn source_address_that_goes_costs_no_flow_that_leaves_later() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let (mut collector, mut probe) = sending(&network, &folder);
    network.ip(Host::Probe, &["addr", "del", "10.77.1.1/24", "dev", "rx1"]);
    network.ip(Host::Probe, &["addr", "add", "10.77.1.50/24", "dev", "rx1"]);
    probe.wait_until("it notices", |probe| probe.messages().contains("from 10.77.1.50"));
    send(&network, &folder);
    collector.wait_for(&mut probe, 20);
    let run = probe.stop();
    let flows = collector.flows();
    assert_eq!(
        flows.iter().map(|(from, flows)| (from.ip().to_string(), *flows)).collect::<Vec<_>>(),
        [("10.77.1.1".to_owned(), 10), ("10.77.1.50".to_owned(), 10)]
    );
    assert_eq!(run.count("outputs.0.sent.records"), 20, "{}", run.stats);
    assert_eq!(run.count("outputs.0.failed.records"), 0, "{}", run.stats);
    assert_eq!(run.count("outputs.0.reconnects"), 1, "{}", run.stats);
}

#[test]
fn no_way_for_a_while_is_a_counted_loss_and_no_more() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let (mut collector, mut probe) = sending(&network, &folder);
    network.ip(Host::Probe, &["addr", "del", "10.77.1.1/24", "dev", "rx1"]);
    send(&network, &folder);
    probe.wait_until("it says so", |probe| probe.messages().contains("cannot send to ipfix://"));
    // All of them are lost before it is back.
    probe.wait_until("all have left", |probe| probe.flows().len() == 20);
    thread::sleep(Duration::from_millis(600));
    network.ip(Host::Probe, &["addr", "add", "10.77.1.1/24", "dev", "rx1"]);
    let ways = |probe: &Probe| probe.messages().matches("sending to 10.77.1.2:4739").count();
    probe.wait_until("it is back", |probe| ways(probe) == 2);
    send(&network, &folder);
    collector.wait_for(&mut probe, 20);
    let run = probe.stop();
    assert_eq!(run.count("outputs.0.sent.records"), 20, "{}", run.stats);
    assert_eq!(run.count("outputs.0.failed.records"), 10, "{}", run.stats);
    assert!(run.stderr.contains("network is unreachable"), "{}", run.stderr);
}

#[test]
fn connection_whose_address_goes_is_made_again_soon() {
    let Some(network) = network(1) else { return };
    let listener =
        network.on(Host::Sender, || TcpListener::bind("0.0.0.0:4739").expect("the port is free"));
    listener.set_nonblocking(true).unwrap();
    let mut probe = start(&network, "ipfix+tcp://10.77.1.2");
    let mut taken = Vec::new();
    let mut connected_from = |probe: &mut Probe, address: &str| {
        probe.wait_until("it connects", |_| {
            taken.extend(listener.accept().ok());
            taken.iter().any(|(_, from)| from.ip().to_string() == address)
        });
    };
    connected_from(&mut probe, "10.77.1.1");
    network.ip(Host::Probe, &["addr", "del", "10.77.1.1/24", "dev", "rx1"]);
    network.ip(Host::Probe, &["addr", "add", "10.77.1.50/24", "dev", "rx1"]);
    connected_from(&mut probe, "10.77.1.50");
    let run = probe.stop();
    assert!(run.stderr.contains("this host has no address 10.77.1.1 any more"), "{}", run.stderr);
}

#[test]
fn another_uplink_that_takes_over_is_used_with_its_address() {
    let Some(network) = network(2) else { return };
    let folder = support::scratch();
    network.ip(Host::Sender, &["addr", "add", "10.88.0.1/32", "dev", "lo"]);
    for link in 1..=2 {
        let via = format!("10.77.{link}.2");
        let words = ["route", "add", "10.88.0.1", "via", &via, "metric", &link.to_string()];
        network.ip(Host::Probe, &words);
    }
    let mut collector = Collector::start(&network, Host::Sender, "0.0.0.0:4739");
    let mut probe = start(&network, "ipfix://10.88.0.1");
    send(&network, &folder);
    collector.wait_for(&mut probe, 10);
    network.ip(Host::Probe, &["route", "del", "10.88.0.1", "via", "10.77.1.2"]);
    probe.wait_until("it notices", |probe| probe.messages().contains("from 10.77.2.1"));
    send(&network, &folder);
    collector.wait_for(&mut probe, 20);
    let run = probe.stop();
    assert!(
        collector
            .flows()
            .iter()
            .any(|(from, flows)| from.ip().to_string() == "10.77.2.1" && *flows == 10)
    );
    assert_eq!(run.count("outputs.0.failed.records"), 0, "{}", run.stats);
}

#[test]
fn collector_that_cannot_be_found_at_the_start_stops_nobody_and_is_found_later() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    network.ip(Host::Probe, &["addr", "del", "10.77.1.1/24", "dev", "rx1"]);
    let hosts = support::write(&folder, "hosts", b"127.0.0.1 localhost\n");
    let mut collector = Collector::start(&network, Host::Sender, "0.0.0.0:4739");
    // Without a route, without a name, and one that waits for both.
    let outputs = [
        "-o",
        "ipfix://10.77.1.2",
        "-o",
        "netflow9://no-such-host.invalid",
        "-o",
        "ipfix://collector.test:4739?resolve=1s",
    ];
    let mut probe = start_with_hosts(&network, &hosts, &outputs);
    for said in [
        "ipfix://10.77.1.2: 10.77.1.2:4739: network is unreachable; trying again",
        "cannot send to netflow9://no-such-host.invalid: ",
    ] {
        assert!(probe.messages().contains(said), "{}", probe.messages());
    }
    send(&network, &folder);
    probe.wait_until("documents are written", |probe| probe.flows().len() == 10);
    network.ip(Host::Probe, &["addr", "add", "10.77.1.1/24", "dev", "rx1"]);
    // Written in place: the file is mounted.
    fs::write(&hosts, "127.0.0.1 localhost\n10.77.1.2 collector.test\n").unwrap();
    for name in ["ipfix://10.77.1.2", "ipfix://collector.test:4739"] {
        let said = format!("{name}: sending to 10.77.1.2:4739 from 10.77.1.1");
        probe.wait_until("it is found", |probe| probe.messages().contains(&said));
    }
    send(&network, &folder);
    collector.wait_for(&mut probe, 20);
    let run = probe.stop();
    for (output, sent) in [(0, 10), (1, 0), (2, 10)] {
        assert_eq!(run.count(&format!("outputs.{output}.sent.records")), sent, "{}", run.stats);
        assert_eq!(run.count(&format!("outputs.{output}.failed.records")), 20 - sent);
    }
}

#[test]
fn required_outputs_are_errors_at_the_start() {
    let Some(network) = network(1) else { return };
    let output = ["-o", "ipfix://no-such-host.invalid", "--require-outputs"];
    let command = network.command(Host::Probe, support::flowprobe().get_program());
    let run = Probe::capture_by(command, &["rx0"], &[METHODS[1], &output]).wait();
    assert_eq!(run.status, 1, "{}", run.stderr);
    for said in ["error: output ipfix://no-such-host.invalid ", "--require-outputs"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    // One that is there is enough.
    let output = ["-o", "ipfix://10.77.1.2", "--require-outputs"];
    Probe::capture(&network, &["rx0"], &[METHODS[1], &output]).stop();
}

#[test]
fn collector_whose_name_moves_is_found() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let hosts = support::write(&folder, "hosts", b"10.77.1.2 collector.test\n");
    network.ip(Host::Sender, &["addr", "add", "10.77.1.3/24", "dev", "tx1"]);
    let [mut old, mut new] = ["10.77.1.2:4739", "10.77.1.3:4739"]
        .map(|address| Collector::start(&network, Host::Sender, address));
    let output = ["-o", "ipfix://collector.test?resolve=1s"];
    let mut probe = start_with_hosts(&network, &hosts, &output);
    send(&network, &folder);
    old.wait_for(&mut probe, 10);
    fs::write(&hosts, "10.77.1.3 collector.test\n").unwrap();
    probe.wait_until("it is found", |probe| probe.messages().contains("to 10.77.1.3:4739"));
    send(&network, &folder);
    new.wait_for(&mut probe, 10);
    let run = probe.stop();
    assert_eq!(run.count("outputs.0.sent.records"), 20, "{}", run.stats);
    assert_eq!(run.count("outputs.0.failed.records"), 0, "{}", run.stats);
}

#[test]
fn collector_whose_host_is_gone_is_lost_and_looked_up_at_once() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let hosts = support::write(&folder, "hosts", b"10.77.1.9 collector.test\n");
    let mut new = Collector::start(&network, Host::Sender, "10.77.1.2:4739");
    // Nobody on the link has the first address, and the name is looked up once an hour.
    let output = ["-o", "ipfix://collector.test?resolve=1h"];
    let mut probe = start_with_hosts(&network, &hosts, &output);
    // Flows end between two looks.
    let send_and_wait = || {
        send(&network, &folder);
        thread::sleep(Duration::from_millis(500));
    };
    probe.wait_until("the loss is noticed", |probe| {
        send_and_wait();
        probe.messages().contains("to 10.77.1.9:4739 are lost: ")
    });
    fs::write(&hosts, "10.77.1.2 collector.test\n").unwrap();
    probe.wait_until("the name is looked up", |probe| {
        send_and_wait();
        probe.messages().contains("to 10.77.1.2:4739")
    });
    send(&network, &folder);
    new.wait_for(&mut probe, 10);
    let run = probe.stop();
    assert!(run.count("outputs.0.failed.records") >= 10, "{}", run.stats);
}

#[test]
fn address_that_refuses_is_followed_by_the_next() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let hosts = support::write(&folder, "hosts", b"127.0.0.1 c.test\n127.0.0.2 c.test\n");
    let file = support::write(&folder, "ten.pcap", &frames(10));
    // Whichever is taken first.
    for listening in ["127.0.0.1:4739", "127.0.0.2:4739"] {
        let mut collector = Collector::start(&network, Host::Probe, listening);
        let mut probe = start_with_hosts(&network, &hosts, &["-o", "ipfix://c.test"]);
        send(&network, &folder);
        collector.wait_for(&mut probe, 10);
        let run = probe.stop();
        assert_eq!(run.count("outputs.0.sent.records"), 10, "{}", run.stats);
        assert_eq!(run.count("outputs.0.failed.records"), 0, "{}", run.stats);
        // A replay does so too.
        let mut command = with_file(&network, &hosts, "/etc/hosts");
        let output = command
            .arg("-r")
            .arg(&file)
            .args(["-o", "ipfix://c.test", "--stats", "json"])
            .output()
            .unwrap();
        let run = support::finished(output);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_eq!(run.count("outputs.0.sent.records"), 10, "{}", run.stats);
        let counts: Vec<_> = collector.flows().into_iter().map(|(_, flows)| flows).collect();
        assert_eq!(counts, [10, 10]);
    }
}

#[test]
fn collector_that_moves_to_its_other_address_is_followed() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let hosts = support::write(&folder, "hosts", b"127.0.0.1 c.test\n127.0.0.2 c.test\n");
    let mut first = Collector::start(&network, Host::Probe, "127.0.0.1:4739");
    let mut probe = start_with_hosts(&network, &hosts, &["-o", "ipfix://c.test"]);
    send(&network, &folder);
    first.wait_for(&mut probe, 10);
    drop(first);
    let mut second = Collector::start(&network, Host::Probe, "127.0.0.2:4739");
    // The refusal of one message is heard with the next.
    let mut sent = 10;
    while !probe.messages().contains("sending to 127.0.0.2:4739") {
        send(&network, &folder);
        sent += 10;
        thread::sleep(Duration::from_millis(700));
        assert!(sent < 200, "{}", probe.messages());
    }
    send(&network, &folder);
    second.wait_for(&mut probe, 10);
    let run = probe.stop();
    let taken: usize = second.flows().iter().map(|(_, flows)| flows).sum();
    assert_eq!(run.count("outputs.0.sent.records"), 10 + taken as u64, "{}", run.stats);
}

#[test]
fn multicast_arrives_from_the_source_that_is_asked_for() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "ten.pcap", &frames(10));
    network.ip(Host::Probe, &["route", "add", "default", "via", "10.77.1.2"]);
    let mut collector = Collector::start(&network, Host::Sender, "0.0.0.0:4739");
    let (group, ours) = ("239.1.2.3".parse().unwrap(), "10.77.1.2".parse().unwrap());
    collector.socket.join_multicast_v4(&group, &ours).unwrap();
    for source in ["", "&source=10.77.1.1", "&source=rx1"] {
        let mut command = network.command(Host::Probe, support::flowprobe().get_program());
        let output = format!("ipfix://239.1.2.3?ttl=8{source}");
        let output = command.arg("-r").arg(&file).args(["-o", &output]).output().unwrap();
        let run = support::finished(output);
        assert_eq!(run.status, 0, "{}", run.stderr);
    }
    let counts: Vec<_> = collector.flows().into_iter().map(|(_, flows)| flows).collect();
    assert_eq!(counts, [10, 10, 10]);
}

/// How long a resolver waits for a server that is silent: longer than a test may.
const SILENT: &[u8] = b"nameserver 10.77.1.2\noptions timeout:20\n";

#[test]
fn signal_ends_the_wait_for_a_name_server_at_the_start() {
    let Some(network) = network(1) else { return };
    let folder = support::scratch();
    let resolver = support::write(&folder, "resolv.conf", SILENT);
    let file = support::write(&folder, "ten.pcap", &frames(10));
    for scheme in ["ipfix", "ipfix+tcp"] {
        // A new one each time: the resolver asks more than once.
        let server = Collector::start(&network, Host::Sender, "10.77.1.2:53").socket;
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut command = with_file(&network, &resolver, "/etc/resolv.conf");
        command.arg("-r").arg(&file).args(["-o", &format!("{scheme}://collector.test")]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        server.recv(&mut [0; 512]).expect("a question for the name");
        let begin = Instant::now();
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let output = child.wait_with_output().unwrap();
        let took = begin.elapsed();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(took < Duration::from_secs(3), "{took:?}: {said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("the run was interrupted"), "{said}");
    }
}
