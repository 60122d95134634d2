//! An interface that the host itself needs.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support::flows::Flow;
use crate::support::net::{Host, Links, Network};
use crate::support::{self, Run};

const SENDER: &str = "10.66.0.1";
const PROBE: &str = "10.66.0.2";
const PORT: u16 = 7777;

/// Octets of a transfer.
const TRANSFER: usize = 20_000_000;

/// A network whose hosts have addresses and know each other's, so that nothing has to be asked.
fn addressed() -> Option<Network> {
    let network = Network::new(Links::default())?;
    let ends = [(Host::Sender, "tx0", SENDER), (Host::Probe, "rx0", PROBE)];
    let link = |(host, interface, _): (Host, &str, &str)| {
        network.interface(host, interface)["address"].as_str().expect("an address").to_owned()
    };
    let links = ends.map(link);
    for (index, (host, interface, address)) in ends.into_iter().enumerate() {
        network.ip(host, &["addr", "add", &format!("{address}/24"), "dev", interface]);
        let (_, _, other) = ends[1 - index];
        let known = ["neigh", "replace", other, "lladdr", &links[1 - index], "dev", interface];
        network.ip(host, &known);
    }
    Some(network)
}

/// Sends octets from the sender to the probe's host, as fast as they go.
fn transfer(network: &Network, octets: usize) {
    let listener = network.on(Host::Probe, || TcpListener::bind((PROBE, PORT)).unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut received = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return received,
                count => received += count,
            }
        }
    });
    network.on(Host::Sender, || {
        let mut stream = TcpStream::connect((PROBE, PORT)).unwrap();
        stream.write_all(&vec![0x5a; octets]).unwrap();
    });
    assert_eq!(receiver.join().unwrap(), octets);
}

/// What an interface has sent: packets, octets.
fn transmitted(network: &Network, host: Host, interface: &str) -> (u64, u64) {
    let interface = network.interface(host, interface);
    let of = |key: &str| interface["stats64"]["tx"][key].as_u64().expect("a count");
    (of("packets"), of("bytes"))
}

/// The flow towards the probe's host.
fn forth(run: &Run) -> Flow {
    let flows = run.flows();
    let found: Vec<_> =
        flows.iter().filter(|flow| flow.destination_port == u64::from(PORT)).collect();
    let [flow] = found[..] else { panic!("one flow forth: {flows:?}") };
    flow.clone()
}

#[test]
fn auto_leaves_the_hosts_interface_to_the_host() {
    let Some(network) = addressed() else { return };
    network.ip(Host::Probe, &["route", "add", "default", "via", SENDER, "dev", "rx0"]);
    let probe = Probe::capture(&network, &["rx0"], &[&PATIENT]);
    assert!(network.interface(Host::Probe, "rx0").get("xdp").is_none());
    transfer(&network, 100_000);
    assert!(probe.messages().contains("AF_PACKET"), "{}", probe.messages());
    let run = probe.stop();
    assert!(forth(&run).octets > 100_000, "{}", run.stats);
}

#[test]
fn auto_takes_an_interface_that_the_host_does_not_need() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let probe = Probe::capture(&network, &["rx0"], &[]);
    assert!(network.interface(Host::Probe, "rx0").get("xdp").is_some());
    assert!(probe.messages().contains("AF_XDP"), "{}", probe.messages());
    probe.stop();
}

#[test]
fn offloads_that_falsify_counts_are_named_at_start() {
    for setting in ["on", "off"] {
        for (method, is_falsified) in METHODS.into_iter().zip([setting == "on", false]) {
            let Some(network) = Network::beside(Links::default()) else { return };
            let mut command = network.command(Host::Probe, "ethtool");
            let set = command.args(["-K", "rx0", "rxvlan", setting]).status().unwrap();
            assert!(set.success());
            let probe = Probe::capture(&network, &["rx0"], &[method]);
            let run = probe.stop();
            let said = run.stderr.contains("rxvlan of rx0 is on: ");
            assert_eq!(said, is_falsified, "{method:?} {setting}: {}", run.stderr);
            assert_eq!(run.stderr.contains("ethtool -K rx0 rxvlan off"), is_falsified);
        }
    }
}

#[test]
fn an_interface_of_the_host_is_not_taken_unasked() {
    let Some(network) = addressed() else { return };
    let program = support::flowprobe();
    let command = network.command(Host::Probe, program.get_program());
    let run = Probe::capture_by(command, &["rx0"], &[&["--capture", "afxdp"]]).wait();
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains("--take-interface"), "{}", run.stderr);
    assert!(network.interface(Host::Probe, "rx0").get("xdp").is_none());
}

/// The kernel puts segments together before a packet socket sees them. What is metered is what was
/// on the wire all the same.
#[test]
fn segments_that_the_kernel_put_together_are_counted_one_by_one() {
    for segmentation in ["off", "on"] {
        // A segment that is sent twice is two on the wire; how long it was nobody says.
        let is_plain = || transfer_and_check(segmentation);
        assert!((0..10).any(|_| is_plain()), "always some segment was sent twice");
    }
}

/// Whether the transfer went through without a segment sent twice; then its counts are right.
fn transfer_and_check(segmentation: &str) -> bool {
    let Some(network) = addressed() else { return true };
    network.offload(Host::Probe, "rx0", "gro", "on");
    for offload in ["tso", "gso"] {
        network.offload(Host::Sender, "tx0", offload, segmentation);
    }
    let before = transmitted(&network, Host::Sender, "tx0");
    let probe = Probe::capture(&network, &["rx0"], &[METHODS[1], &PATIENT]);
    transfer(&network, TRANSFER);
    let run = probe.stop();
    let after = transmitted(&network, Host::Sender, "tx0");
    let (packets, octets) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(lost(&run), 0, "{}", run.stats);
    let flow = forth(&run);
    assert!(flow.packets > TRANSFER as u64 / 1448, "segmentation {segmentation}");
    if segmentation == "off" {
        // The interface counts segments, with their Ethernet headers or without.
        assert_eq!(flow.packets, packets);
        let ethernet = octets - flow.octets;
        assert!(ethernet == 0 || ethernet == 14 * packets, "{octets} and {}", flow.octets);
    }
    if sent_again(&network) > 0 {
        return false;
    }
    // The first segment has 20 octets of options, all others 12.
    let headers = 52 * flow.packets + 8;
    assert_eq!(flow.octets, TRANSFER as u64 + headers, "segmentation {segmentation}");
    true
}

/// Segments that the sender has sent more than once.
fn sent_again(network: &Network) -> u64 {
    let read = || fs::read_to_string("/proc/thread-self/net/snmp").expect("the kernel's counts");
    let text = network.on(Host::Sender, read);
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut counts = names.split(' ').zip(values.split(' '));
    let count = counts.find_map(|(name, value)| (name == "RetransSegs").then_some(value));
    count.expect("RetransSegs").parse().expect("a number")
}

/// AF_XDP would take IP packets for Ethernet frames.
#[test]
fn an_interface_without_ethernet_is_captured_beside_the_stack() {
    let Some(network) = Network::beside(Links::default()) else { return };
    network.ip(Host::Probe, &["tuntap", "add", "tun7", "mode", "tun"]);
    network.ip(Host::Probe, &["link", "set", "tun7", "up"]);
    let probe = Probe::capture(&network, &["tun7"], &[]);
    assert!(network.interface(Host::Probe, "tun7").get("xdp").is_none());
    let run = probe.stop();
    assert!(
        run.stderr.contains("AF_PACKET, 1 socket: no AF_XDP: AF_XDP needs Ethernet"),
        "{}",
        run.stderr
    );
    let program = support::flowprobe();
    let command = network.command(Host::Probe, program.get_program());
    let refused = Probe::capture_by(command, &["tun7"], &[METHODS[0]]).wait();
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("AF_XDP needs Ethernet"), "{}", refused.stderr);
}
