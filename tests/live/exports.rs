//! The program's own messages on the mirror, and what it says while it runs.

use std::net::UdpSocket;

use serde_json::Value;

use crate::ends::{frames, packets};
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support;
use crate::support::capture::{Captured, pcap};
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
    let Some(network) = Network::new(Links::default()) else { return };
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port of the loopback");
    let collector = network.on(Host::Probe, bind);
    let port = collector.local_addr().unwrap().port();
    let folder = support::scratch();
    let file = support::write(&folder, "mirror.pcap", &mirror(port));
    let output = format!("ipfix://127.0.0.1:{port}");
    for method in METHODS {
        for (asked, metered) in [(&[][..], 4), (&["--meter-own-exports"][..], 6)] {
            let settings = [method, &PATIENT, &["-o", &output], asked];
            let probe = Probe::start(&network, &["rx0"], &settings);
            network.send_file("tx0", &file, &[]);
            let run = probe.stop();
            run.assert_conservation();
            assert_eq!(packets(&run.flows()), metered, "{method:?}: {}", run.stats);
            assert_eq!(run.count("ignored.filtered.packets"), 6 - metered, "{method:?}");
        }
    }
}

#[test]
fn totals_are_given_while_it_runs() {
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    for method in METHODS {
        let settings = [method, &PATIENT, &["--stats-interval", "1s"]];
        let mut probe = Probe::start(&network, &["rx0"], &settings);
        network.send_file("tx0", &file, &[]);
        let totals = |probe: &Probe| -> Vec<Value> {
            let messages = probe.messages();
            messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
        };
        probe.wait_until("the totals have all packets, in the table", |probe| {
            totals(probe).iter().any(|totals| totals["metered"]["packets"] == 100)
        });
        let last = totals(&probe).pop().unwrap();
        assert_eq!(last["active_flows"], 100, "{last}");
        assert_eq!(last["interfaces"][0]["frames"], 100, "{last}");
        assert_eq!(last["outputs"][0]["output"], "json:-", "{last}");
        assert_eq!(last["outputs"][0]["sent"]["records"], 0, "{last}");
        let run = probe.stop();
        assert_eq!(run.count("active_flows"), 0);
        assert_eq!(run.count("outputs.0.sent.records"), 100);
    }
}
