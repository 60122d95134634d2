//! The same datagrams of two exporters, to collectors of others beside ours: records, packets and
//! octets of each exporter are equal.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::collector::Collector;
use crate::messages::{be32, raw_header, sflow_part};
use crate::others::{accounted, goflow2, pmacct, printed};
use crate::peers::{Sums, sums_of_nfdump};
use crate::program;
use crate::round_trip::replay;
use crate::sockets::{end, listen};
use crate::support::capture::{Captured, pcap};
use crate::support::{self, packet};
use crate::traffic;

/// The addresses of the exporters, on the loopback interface.
const EXPORTERS: [[u8; 4]; 2] = [[127, 0, 0, 1], [127, 0, 0, 2]];

/// The datagrams of each exporter.
type Datagrams = [Vec<Vec<u8>>; 2];

/// The sums of each exporter.
type All = BTreeMap<IpAddr, Sums>;

/// Collectors that listen.
struct Judges {
    folder: tempfile::TempDir,
    nfdump: Option<Collector>,
    pmacct: Option<Collector>,
    goflow2: Option<Collector>,
}

impl Judges {
    fn start(scheme: &str) -> Self {
        let folder = support::scratch();
        let of = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            path
        };
        let (nfdump, pmacctd) = match scheme {
            "sflow" => ("sfcapd", "sfacctd"),
            _ => ("nfcapd", "nfacctd"),
        };
        Self {
            nfdump: capd(nfdump, &of("nfdump")),
            pmacct: pmacct(pmacctd, &of("pmacct"), "127.0.0.1", "peer_src_ip"),
            goflow2: goflow2(&of("goflow2"), scheme),
            folder,
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let all = [&self.nfdump, &self.pmacct, &self.goflow2].into_iter().flatten();
        all.map(|judge| SocketAddr::from(([127, 0, 0, 1], judge.port))).collect()
    }

    /// Compares the sums of each judge with these. They count so many octets of a packet more.
    fn compare(self, ours: &All, more: u64) {
        let folder = |name: &str| self.folder.path().join(name);
        let with = |[records, packets, octets]: Sums| [records, packets, octets + more * packets];
        let expected: All = ours.iter().map(|(address, sums)| (*address, with(*sums))).collect();
        let records = ours.values().map(|sums| sums[0]).sum();
        if let Some(judge) = self.nfdump {
            judge.wait_until_read();
            judge.stop("TERM");
            let sums = |address: [u8; 4]| sums_of_nfdump(&folder("nfdump").join(name(address)));
            let found = EXPORTERS.map(|address| (IpAddr::from(address), sums(address)));
            assert_eq!(All::from(found), expected, "nfdump");
        }
        if let Some(judge) = self.pmacct {
            let found = accounted(judge, &folder("pmacct"));
            let mut found = sums(&found, "peer_ip_src", ["packets", "bytes"]);
            // It has one line for each exporter.
            for (address, sums) in &mut found {
                sums[0] = ours[address][0];
            }
            assert_eq!(found, expected, "pmacct");
        }
        if let Some(judge) = self.goflow2 {
            let found = printed(judge, &folder("goflow2"), records);
            let found = sums(&found, "sampler_address", ["packets", "bytes"]);
            assert_eq!(found, expected, "goflow2");
        }
    }
}

fn name(exporter: [u8; 4]) -> String {
    Ipv4Addr::from(exporter).to_string()
}

/// Starts `nfcapd` or `sfcapd`, if it is installed, with a folder for each exporter.
fn capd(program: &str, folder: &Path) -> Option<Collector> {
    if !support::has_tool(program) || !support::has_tool("nfdump") {
        support::skip("nfdump and nfdump-sflow are not installed");
        return None;
    }
    Some(Collector::start(folder, |port| {
        let mut command = Command::new(program);
        command.args(["-b", "127.0.0.1", "-t", "3600", "-p", &port.to_string()]);
        for exporter in EXPORTERS.map(name) {
            let own = folder.join(&exporter);
            fs::create_dir(&own).expect("a folder");
            command.args(["-n", &format!("{exporter},{exporter},{}", own.display())]);
        }
        command
    }))
}

/// Sums of documents by exporter.
fn sums(documents: &[Value], exporter: &str, counts: [&str; 2]) -> All {
    let mut all = All::new();
    for document in documents {
        let at = |path: &str| path.split('/').fold(document, |value, key| &value[key]);
        let address = at(exporter).as_str().and_then(|text| text.parse().ok());
        let sums = all.entry(address.expect("an address")).or_default();
        sums[0] += 1;
        for (sum, count) in sums[1..].iter_mut().zip(counts) {
            *sum += at(count).as_u64().expect("a count");
        }
    }
    all
}

/// Sends the datagrams to all collectors, and returns our sums.
fn send(datagrams: &Datagrams, judges: &Judges) -> All {
    let (ours, own) = listen(&["flow://127.0.0.1:0"], &[]);
    let to: Vec<_> = judges.addresses().into_iter().chain([own[0]]).collect();
    for (exporter, datagrams) in EXPORTERS.into_iter().zip(datagrams) {
        let socket = UdpSocket::bind((Ipv4Addr::from(exporter), 0)).expect("127/8 is the loopback");
        for datagram in datagrams {
            for collector in &to {
                socket.send_to(datagram, collector).expect("it can be sent");
            }
        }
    }
    let sent = datagrams.iter().map(Vec::len).sum::<usize>();
    let run = end(ours, sent as u64, 0);
    sums(&run.documents(), "observer/ip", ["network/packets", "network/bytes"])
}

/// What tshark reads of these fields in the datagrams of an exporter, each value of each field.
fn dissected(datagrams: &[Vec<u8>], protocol: &str, fields: &[&str]) -> Option<Vec<Vec<u64>>> {
    if !support::has_tshark() {
        return None;
    }
    let folder = support::scratch();
    let frames = datagrams
        .iter()
        .map(|datagram| Captured::at(traffic::BEGIN, program::frame(EXPORTERS[0], datagram)));
    let file = support::write(&folder, "sent.pcap", &pcap(&frames.collect::<Vec<_>>()));
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-d", &format!("udp.port==2055,{protocol}"), "-T", "fields", "-r"]);
    tshark.arg(file).args(["-E", "occurrence=a"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().expect("tshark runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("tshark's text");
    let mut values = vec![Vec::new(); fields.len()];
    for line in text.lines() {
        for (values, column) in values.iter_mut().zip(line.split('\t')) {
            let numbers = column.split(',').filter(|number| !number.is_empty());
            values.extend(numbers.map(|number| number.parse::<u64>().expect("a number")));
        }
    }
    Some(values)
}

#[test]
fn sums_of_netflow_and_ipfix_are_those_of_others() {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    for scheme in ["ipfix", "netflow9", "netflow5"] {
        let of = |settings: &[&str]| replay(&file, scheme, settings).1;
        let datagrams = [of(&[]), of(&["--filter", "tcp"])];
        let judges = Judges::start("netflow");
        let ours = send(&datagrams, &judges);
        assert!(ours.len() == 2 && ours.values().all(|sums| sums[0] > 3), "{ours:?}");
        judges.compare(&ours, 0);
        for (exporter, datagrams) in EXPORTERS.into_iter().zip(&datagrams) {
            let fields = ["cflow.packets", "cflow.octets"];
            let Some(values) = dissected(datagrams, "cflow", &fields) else { continue };
            let sum = |at: usize| values[at].iter().sum::<u64>();
            let theirs = [values[0].len() as u64, sum(0), sum(1)];
            assert_eq!(theirs, ours[&IpAddr::from(exporter)], "tshark, {scheme}");
        }
    }
}

/// Datagrams of sFlow with samples of so many packets, and the counters of an interface.
fn agent(address: [u8; 4], packets: u32) -> Vec<Vec<u8>> {
    let sample = |number: u32| {
        let payload = usize::try_from(number % 1200).expect("it is small");
        let udp = packet::udp(4000, 53, payload);
        let ip = packet::ipv4([192, 0, 2, 10], [203, 0, 113, 5], 17, &udp);
        let frame = packet::unpadded(&ip);
        let length = u32::try_from(frame.len() + 4).expect("it is small");
        let header = raw_header(1, length, &frame[..frame.len().min(128)]);
        sflow_part(1, &[be32(&[number, 3, 1, number, 0, 3, 4, 1]), header].concat())
    };
    let numbers: Vec<u32> = (1..=packets).collect();
    let datagram = |(numbers, sequence): (&[u32], u32)| {
        let samples: Vec<u8> = numbers.iter().flat_map(|number| sample(*number)).collect();
        let count = u32::try_from(numbers.len()).expect("it is small");
        let head = [be32(&[5, 1]), address.to_vec(), be32(&[0, sequence, 60_000, count])];
        [head.concat(), samples].concat()
    };
    numbers.chunks(7).zip(1..).map(datagram).collect()
}

/// Others count the sampled frame, and we its IP packet: the header of Ethernet, and the frame
/// check sequence.
const ETHERNET: u64 = 14 + 4;

#[test]
fn sums_of_sflow_are_those_of_others() {
    let datagrams = [agent(EXPORTERS[0], 300), agent(EXPORTERS[1], 100)];
    let judges = Judges::start("sflow");
    let ours = send(&datagrams, &judges);
    let records: Vec<u64> = ours.values().map(|sums| sums[0]).collect();
    assert_eq!(records, [300, 100]);
    judges.compare(&ours, ETHERNET);
    for (exporter, datagrams) in EXPORTERS.into_iter().zip(&datagrams) {
        let fields = ["sflow.flow_sample.sampling_rate", "ip.len"];
        let Some(values) = dissected(datagrams, "sflow", &fields) else { continue };
        let outer = datagrams.iter().map(|datagram| datagram.len() as u64 + 28).sum::<u64>();
        let octets = values[1].iter().sum::<u64>() - outer;
        let packets = values[0].iter().sum();
        let theirs = [values[0].len() as u64, packets, octets];
        assert_eq!(theirs, ours[&IpAddr::from(exporter)], "tshark");
    }
}
