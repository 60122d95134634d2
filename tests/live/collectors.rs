//! NetFlow v5, v9 and IPFIX of live traffic arrive at a collector.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use std::{fs, str};

use serde_json::Value;

use crate::captures;
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support::flows::Flow;
use crate::support::net::{Host, Links, Network};
use crate::support::{self, Killed, wait_until};

const PORT: u16 = 9995;

/// ICMP and ICMPv6.
const ICMP: [u64; 2] = [1, 58];

/// Source, destination, their ports, protocol, packets, octets.
type Counted = (String, String, u64, u64, u64, u64, u64);

/// nfcapd on the probe's host; killed when a test fails.
struct Nfcapd(Killed);

impl Nfcapd {
    fn start(network: &Network, folder: &Path) -> Self {
        let mut nfcapd = network.command(Host::Probe, "nfcapd");
        nfcapd.args(["-t", "3600", "-p", &PORT.to_string(), "-w"]).arg(folder);
        nfcapd.stdout(Stdio::null()).stderr(Stdio::null());
        let nfcapd = Self(Killed(nfcapd.spawn().expect("nfcapd starts")));
        wait_until("nfcapd listens", || queue(network).is_some());
        nfcapd
    }

    /// Waits until it has read all, stops it, and gives what it has stored.
    fn stop(mut self, network: &Network, folder: &Path) -> Vec<Counted> {
        wait_until("nfcapd has read all", || queue(network) == Some(0));
        thread::sleep(Duration::from_millis(300));
        let terminate = nix::sys::signal::Signal::SIGTERM;
        support::signal(self.0.0.id(), terminate).expect("nfcapd runs");
        self.0.0.wait().expect("nfcapd ends");
        let mut nfdump = Command::new("nfdump");
        let output = nfdump.args(["-q", "-o", "json", "-R"]).arg(folder).output();
        let output = output.expect("nfdump runs").stdout;
        let text = str::from_utf8(&output).expect("nfdump's text");
        let records: Vec<Value> = serde_json::from_str(&format!("[{text}]")).expect("its JSON");
        let mut flows: Vec<_> = records.iter().map(counted).collect();
        flows.sort();
        flows
    }
}

/// Octets that wait in the collector's socket.
fn queue(network: &Network) -> Option<u64> {
    let read = || {
        let tables = ["udp", "udp6"].map(|table| format!("/proc/thread-self/net/{table}"));
        tables.iter().filter_map(|path| fs::read_to_string(path).ok()).collect::<String>()
    };
    let tables = network.on(Host::Probe, read);
    let suffix = format!(":{PORT:04X}");
    let of = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_it = columns.get(1)?.ends_with(&suffix);
        let (_, receive) = columns.get(4).filter(|_| is_it)?.split_once(':')?;
        u64::from_str_radix(receive, 16).ok()
    };
    tables.lines().find_map(of)
}

fn counted(record: &Value) -> Counted {
    let number = |key: &str| record[key].as_u64().unwrap_or(0);
    let address = |side: &str| {
        let of = |family: &str| record[format!("{side}{family}_addr")].as_str();
        of("4").or_else(|| of("6")).expect("an address").to_owned()
    };
    // In place of ports ICMP has its type and code, which nfdump shows in ways of its own.
    let is_icmp = ICMP.contains(&number("proto"));
    let ports = if is_icmp { (0, 0) } else { (number("src_port"), number("dst_port")) };
    let counts = (number("in_packets"), number("in_bytes"));
    (address("src"), address("dst"), ports.0, ports.1, number("proto"), counts.0, counts.1)
}

/// What a protocol can say: NetFlow v5 has no IPv6.
fn expected(flows: &[Flow], protocol: &str) -> Vec<Counted> {
    let is_reported = |flow: &&Flow| protocol != "netflow5" || !flow.source.contains(':');
    let of = |flow: &Flow| {
        let (source_port, protocol, destination_port) = match flow.ports() {
            (_, protocol, _) if ICMP.contains(&protocol) => (0, protocol, 0),
            ports => ports,
        };
        let (packets, octets, ..) = flow.counts();
        let (source, destination) = (flow.source.clone(), flow.destination.clone());
        (source, destination, source_port, destination_port, protocol, packets, octets)
    };
    let mut flows: Vec<_> = flows.iter().filter(is_reported).map(of).collect();
    flows.sort();
    flows
}

#[test]
fn nfcapd_receives_what_is_captured() {
    if !support::has_tool("nfcapd") || !support::has_tool("nfdump") {
        return support::skip("nfdump is not installed");
    }
    let Some(network) = Network::new(Links { queues: 2, ..Links::default() }) else { return };
    let captures = captures::made();
    let capture = captures.iter().find(|capture| capture.name == "office").unwrap();
    let folder = support::scratch();
    let file = support::write(&folder, "office.pcap", &capture.file());
    for method in METHODS {
        for protocol in ["netflow5", "netflow9", "ipfix"] {
            let stored = support::scratch();
            let nfcapd = Nfcapd::start(&network, stored.path());
            let output = format!("{protocol}://127.0.0.1:{PORT}");
            let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, &["-o", &output]]);
            network.send_file("tx0", &file, &["--gaps"]);
            let flows = probe.stop().flows();
            let reported = nfcapd.stop(&network, stored.path());
            assert!(!flows.is_empty(), "{method:?}, {protocol}");
            let expected = expected(&flows, protocol);
            for (reported, expected) in reported.iter().zip(&expected) {
                assert_eq!(reported, expected, "{method:?}, {protocol}");
            }
            assert_eq!(reported.len(), expected.len(), "{method:?}, {protocol}");
        }
    }
}
