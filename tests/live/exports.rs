//! The program's own messages on the mirror, and what it says while it runs.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::ends::{frames, packets};
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support;
use crate::support::capture::{Captured, pcap};
use crate::support::ipfix::{number, session, whole_messages};
use crate::support::net::{Host, Links, Network};
use crate::support::packet::{ethernet, ipv4, tcp, udp};

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [192, 0, 2, 7];

/// A mirror that shows the program's messages to a collector at this port of the loopback, and
/// what looks like them: of another host, to another host, to another port, by another protocol.
fn mirror(port: u16) -> Vec<u8> {
    let packets = [
        ipv4(LOOPBACK, LOOPBACK, 17, &udp(50_000, port, 300)),
        ipv4(LOOPBACK, LOOPBACK, 17, &udp(port, 50_000, 20)),
        ipv4(OTHER, LOOPBACK, 17, &udp(50_000, port, 300)),
        ipv4(LOOPBACK, OTHER, 17, &udp(50_000, port, 300)),
        ipv4(LOOPBACK, LOOPBACK, 17, &udp(50_000, port ^ 1, 300)),
        ipv4(LOOPBACK, LOOPBACK, 6, &tcp(50_000, port, 0x10, 300)),
    ];
    pcap(&packets.map(|packet| Captured::at(0, ethernet(&packet))))
}

#[test]
fn own_messages_are_not_metered_unless_asked_for() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port of the loopback");
    let collector = network.on(Host::Probe, bind);
    let port = collector.local_addr().unwrap().port();
    let folder = support::scratch();
    let file = support::write(&folder, "mirror.pcap", &mirror(port));
    let output = format!("ipfix://127.0.0.1:{port}");
    for method in METHODS {
        for (asked, metered) in [(&[][..], 4), (&["--meter-own-exports"][..], 6)] {
            let settings = [method, &PATIENT, &["-o", &output], asked];
            let probe = Probe::capture(&network, &["rx0"], &settings);
            network.send_file("tx0", &file, &[]);
            let run = probe.stop();
            run.assert_conservation();
            assert_eq!(packets(&run.flows()), metered, "{method:?}: {}", run.stats);
            assert_eq!(run.count("ignored.filtered.packets"), 6 - metered, "{method:?}");
        }
    }
}

/// Records of NetFlow v5 messages, and from the first message to the last.
fn records(collector: &UdpSocket, count: usize) -> (usize, Duration) {
    let (mut message, mut records, mut begin) = ([0; 2000], 0, None);
    while records < count {
        let length = collector.recv(&mut message).expect("more messages");
        begin.get_or_insert_with(Instant::now);
        records += (length - 24) / 48;
    }
    (records, begin.map_or(Duration::ZERO, |begin| begin.elapsed()))
}

#[test]
fn flows_that_end_together_leave_at_the_pace_of_the_output() {
    const FLOWS: usize = 9000;
    let Some(network) = Network::new(Links::default()) else { return };
    network.offload(Host::Probe, "rx0", "gro", "on");
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port of the loopback");
    let collector = network.on(Host::Probe, bind);
    collector.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = collector.local_addr().unwrap().port();
    // 300 messages of 30 records.
    let output = format!("netflow5://127.0.0.1:{port}?pps=100");
    let timeouts = ["--idle-timeout", "1h", "--active-timeout", "2s"];
    for method in METHODS {
        let probe = Probe::capture(&network, &["rx0"], &[method, &timeouts, &["-o", &output]]);
        network.send_flows("tx0", &["--flows", "9k", "--packets", "9k", "--rate", "30k"]);
        let (records, elapsed) = records(&collector, FLOWS);
        // Others write as fast as they can, and none waits for another.
        assert_eq!(probe.flows().len(), FLOWS, "{method:?}");
        let run = probe.stop();
        run.assert_conservation();
        assert_eq!(records, FLOWS, "{method:?}: {}", run.stats);
        assert!(elapsed > Duration::from_millis(2500), "{method:?}: in {elapsed:?}");
        assert!(run.flows().iter().all(|flow| flow.end_reason == 2), "{method:?}");
        assert_eq!(
            run.count("outputs.0.dropped.records") + run.count("outputs.1.dropped.records"),
            0
        );
    }
}

#[test]
fn totals_are_given_while_it_runs() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    for method in METHODS {
        let settings = [method, &PATIENT, &["--stats-interval", "1s"]];
        let mut probe = Probe::capture(&network, &["rx0"], &settings);
        network.send_file("tx0", &file, &[]);
        probe.wait_until("the totals have all packets, in the table", |probe| {
            probe.totals().iter().any(|totals| totals["metered"]["packets"] == 100)
        });
        let last = probe.totals().pop().unwrap();
        assert_eq!(last["active_flows"], 100, "{last}");
        assert_eq!(last["interfaces"][0]["frames"], 100, "{last}");
        assert_eq!(last["outputs"][0]["output"], "json:-", "{last}");
        assert_eq!(last["outputs"][0]["sent"]["records"], 0, "{last}");
        let run = probe.stop();
        assert_eq!(run.count("active_flows"), 0);
        assert_eq!(run.count("outputs.0.sent.records"), 100);
    }
}

#[test]
fn collectors_are_told_the_names_of_interfaces() {
    let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
    let folder = support::scratch();
    let file = folder.path().join("flows.ipfix");
    let output = format!("ipfix-file:{}", file.display());
    let numbers = ["--ifindex", "rx1=4711"];
    let settings = [METHODS[0], &["-o", &output], &numbers];
    let mut probe = Probe::capture(&network, &["rx0", "rx1"], &settings);
    probe.wait_until("names were told", |_| names(&file).len() == 2);
    probe.stop();
    let number = network.interface(Host::Probe, "rx0")["ifindex"].as_u64().unwrap();
    let names = names(&file);
    let expected = [(number, "rx0".to_owned()), (4711, "rx1".to_owned())];
    assert!(expected.iter().all(|one| names.contains(one)), "{names:?}");
}

/// The Observation Domain ID that the program says it has, on a host with this name and this text
/// in the file of its machine id.
fn domain_of(network: &Network, name: &str, machine: &Path, output: &str) -> u64 {
    let set = "mount --bind \"$1\" /etc/machine-id; echo \"$2\" > /proc/sys/kernel/hostname; \
               shift 2; exec \"$@\"";
    let mut command = network.command(Host::Probe, "unshare");
    command.args(["--uts", "--mount", "sh", "-ec", set, "sh"]).arg(machine).arg(name);
    command.arg(support::flowprobe().get_program());
    let mut probe = Probe::capture_by(command, &["rx0"], &[METHODS[1], &["-o", output]]);
    probe.wait_until("it captures", |probe| probe.messages().contains("rx0: "));
    let run = probe.stop();
    let said = format!("{}: Observation Domain ID ", output.split('?').next().unwrap());
    let (_, rest) = run.stderr.split_once(&said).expect("it is said at the start");
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().expect("a number")
}

#[test]
fn domain_is_that_of_the_host_and_the_output() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let id = support::write(&folder, "id", b"0123456789abcdef0123456789abcdef\n");
    let other_id = support::write(&folder, "other", b"0123456789abcdef0123456789abcdee\n");
    let of = |name: &str, id: &Path, output: &str| domain_of(&network, name, id, output);
    let domain = of("hosta", &id, "ipfix://127.0.0.1");
    assert_ne!(domain, 0);
    assert_eq!(of("hostb", &id, "ipfix://127.0.0.1?mtu=1400"), domain, "a host that is renamed");
    let others =
        [of("hosta", &other_id, "ipfix://127.0.0.1"), of("hosta", &id, "ipfix://127.0.0.1:4740")];
    assert!(others.iter().all(|other| *other != domain && *other != 0), "{domain}: {others:?}");
    assert_eq!(of("hosta", &id, "netflow5://127.0.0.1?odid=7"), 7);
    // Images and containers have no machine id.
    for text in ["", "uninitialized\n"] {
        let none = support::write(&folder, "none", text.as_bytes());
        let a = of("hosta", &none, "ipfix://127.0.0.1");
        let b = of("hostb", &none, "ipfix://127.0.0.1");
        assert!(a != b && a != domain, "{text:?}: {a} {b}");
        assert_eq!(of("hosta", &none, "ipfix://127.0.0.1"), a, "{text:?}");
    }
}

/// ingressInterface and interfaceName of all records that have both.
fn names(file: &Path) -> Vec<(u64, String)> {
    let octets = fs::read(file).unwrap_or_default();
    let messages = session(whole_messages(&octets));
    let records = messages.iter().flat_map(|message| &message.sets).flat_map(|set| &set.records);
    let mut names: Vec<_> = records
        .filter(|record| record.contains_key(&82))
        .map(|record| {
            let name = String::from_utf8(record[&82].clone()).expect("a name");
            (number(record, 10), name.trim_end_matches('\0').to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
