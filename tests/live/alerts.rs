//! Alerts while packets come.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::hangup::start;
use crate::probe::{METHODS, Probe, lost};
use crate::support;
use crate::support::capture::{Captured, pcap};
use crate::support::net::{Host, Links, Network};
use crate::support::packet::{ethernet, ipv4, tcp};

const SYN: u8 = 2;

/// A host tries the first ports of another, which does not answer.
fn scan(ports: u16) -> Vec<u8> {
    let frame =
        |port| ethernet(&ipv4([203, 0, 113, 9], [10, 0, 0, 5], 6, &tcp(40_000, port, SYN, 0)));
    pcap(&(1..=ports).map(|port| Captured::at(0, frame(port))).collect::<Vec<_>>())
}

fn alerts(path: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(path).unwrap_or_default();
    lines.lines().map(|line| serde_json::from_str(line).expect("whole documents")).collect()
}

#[test]
fn a_scan_is_said_while_it_is_seen() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let (below, above) = (scan(24), scan(60));
    let files = [("below", below), ("above", above)]
        .map(|(name, octets)| support::write(&folder, name, &octets));
    for method in METHODS {
        for (file, expected) in files.iter().zip([0, 1]) {
            let path = folder.path().join("alerts.json");
            let output = format!("json:{}", path.display());
            let settings: [&[&str]; 3] = [
                method,
                &["--idle-timeout", "200ms", "--active-timeout", "300ms"],
                &["--alerts", &output, "--rule", "scan-vertical.window=1s"],
            ];
            let mut probe = start(&network, &settings);
            network.send_file("tx0", file, &[]);
            if expected == 1 {
                probe.wait_until("there is an alert", |_| !alerts(&path).is_empty());
            }
            let run = probe.stop();
            run.assert_conservation();
            let alerts = alerts(&path);
            let opened: Vec<_> = alerts
                .iter()
                .filter(|alert| alert["event"]["action"] == "scan-vertical-opened")
                .collect();
            assert_eq!(opened.len(), expected, "{method:?}: {alerts:?}");
            for alert in &alerts {
                assert_eq!(alert["rule"]["id"], "scan-vertical", "{alert}");
                assert_eq!(alert["source"]["ip"], "203.0.113.9", "{alert}");
                assert_eq!(alert["destination"]["ip"], "10.0.0.5", "{alert}");
            }
            fs::remove_file(&path).unwrap();
        }
    }
}

/// 100,000 packets a second, each a new flow with a record of its own: the queues before and behind
/// the stages drop nothing, and each record is judged.
#[test]
fn a_hundred_thousand_new_flows_a_second_are_tagged_and_judged() {
    let Some(network) = Network::new(Links::default()) else { return };
    network.offload(Host::Probe, "rx0", "gro", "on");
    for method in METHODS {
        let settings: [&[&str]; 4] = [
            method,
            // Room for half a second, on a machine that is busy with other things.
            &["--ring", "65536", "--max-flows", "400k", "--idle-timeout", "1s"],
            &["--tags", "on", "--alerts", "json:/dev/null"],
            &["-o", "ipfix-file:/dev/null"],
        ];
        let probe = Probe::capture(&network, &["rx0"], &settings);
        let sent =
            network.send_flows("tx0", &["--flows", "4M", "--rate", "100k", "--seconds", "4"]);
        let run = probe.stop();
        run.assert_conservation();
        assert_eq!(run.count("metered.packets") + lost(&run), sent.packets, "{}", run.stats);
        assert!(lost(&run) * 100 < sent.packets, "{method:?}: {}", run.stats);
        for output in 0..2 {
            let dropped = run.count(&format!("outputs.{output}.dropped.records"));
            assert_eq!(dropped, 0, "{method:?}: {}", run.stats);
        }
    }
}
