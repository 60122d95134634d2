//! Incidents that the detectors find, and where alerts go.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::Value;
use support::capture::{Captured, pcap};
use support::packet::{ethernet, ipv4, tcp};
use tempfile::TempDir;

fn sample() -> String {
    support::office().to_str().unwrap().to_owned()
}

/// The alerts of a run, as they are in the file.
fn alerts(file: &str, more: &[&str]) -> Vec<u8> {
    let (run, alerts) = run(file, more);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(run.count("alerts.late"), 0);
    alerts
}

/// A run that writes alerts, and these; none if the file is no capture.
fn run(file: &str, more: &[&str]) -> (support::Run, Vec<u8>) {
    let folder = support::scratch();
    let path = folder.path().join("alerts.json");
    let to = format!("json:{}", path.display());
    let mut words = vec!["-r", file, "-o", "json:/dev/null", "--alerts", &to];
    words.extend(more);
    let run = support::run(words);
    (run, fs::read(path).unwrap_or_default())
}

/// The rule and the hosts of incidents that were opened.
fn opened(alerts: &[u8]) -> BTreeSet<(String, String)> {
    let documents = support::documents(alerts);
    let opened = documents.iter().filter_map(|document| {
        let action = document["event"]["action"].as_str()?;
        let rule = action.strip_suffix("-opened")?;
        let host = document["source"]["ip"].as_str().or(document["destination"]["ip"].as_str());
        Some((rule.to_owned(), host.unwrap_or_default().to_owned()))
    });
    opened.collect()
}

#[test]
fn office_has_the_expected_incidents_and_no_other() {
    let worms = [66, 23, 27, 29, 34, 38, 41, 45, 50];
    let worms = worms.map(|last| ("worm-port".to_owned(), format!("10.10.0.{last}")));
    let others = [
        ("scan-horizontal", "203.0.113.66"),
        ("scan-vertical", "203.0.113.66"),
        ("syn-flood", "192.0.2.80"),
    ];
    let others = others.map(|(rule, host)| (rule.to_owned(), host.to_owned()));
    let expected: BTreeSet<_> = worms.into_iter().chain(others).collect();
    let found = alerts(&sample(), &["--workers", "1"]);
    assert_eq!(opened(&found), expected);
    // Each was opened and closed, with one id.
    let mut actions = BTreeMap::<String, Vec<String>>::new();
    for document in support::documents(&found) {
        let event = &document["event"];
        let action = event["action"].as_str().unwrap().rsplit('-').next().unwrap().to_owned();
        actions.entry(event["id"].as_str().unwrap().to_owned()).or_default().push(action);
        assert_eq!(document["observer"]["name"], "test");
    }
    assert_eq!(actions.len(), expected.len());
    assert!(actions.values().all(|actions| actions == &["opened", "closed"]), "{actions:?}");
}

#[test]
fn alerts_do_not_depend_on_workers_or_bursts() {
    let first = alerts(&sample(), &["--workers", "1"]);
    for more in [
        &["--workers", "1"][..],
        &["--workers", "2"],
        &["--workers", "4"],
        &["--workers", "1", "--burst", "1"],
        &["--workers", "4", "--burst", "3"],
    ] {
        assert!(alerts(&sample(), more) == first, "{more:?}");
    }
}

#[test]
fn a_terminal_replay_ends_with_the_incidents() {
    let run = support::run(["-r", &sample()]);
    let screen = String::from_utf8(run.stdout.clone()).unwrap();
    let (_, incidents) = screen.split_once("\nIncident ").expect("there are incidents");
    let lines: Vec<&str> = incidents.lines().skip(1).collect();
    assert_eq!(lines.len(), 12, "{screen}");
    assert!(lines[..9].iter().all(|line| line.starts_with("critical  ")), "{screen}");
    assert!(lines[9].starts_with("high ") && lines[9].contains("192.0.2.80 got SYN packets at"));
    assert!(lines[11].contains("203.0.113.66 tried "), "{screen}");
    assert_eq!(run.count("alerts.rules.worm-port.opened"), 9);
}

#[test]
fn without_alerts_an_output_costs_no_detectors() {
    let run = support::run(["-r", &sample(), "-o", "json:-"]);
    assert_eq!(run.stats["alerts"], Value::Null);
    assert!(run.documents().iter().all(|document| document["event"]["kind"] == "event"));
    let run = support::run(["-r", &sample(), "-o", "json:-", "--alerts", "outputs"]);
    let documents = run.documents();
    let alerts = documents.iter().filter(|document| document["event"]["kind"] == "alert");
    assert_eq!(alerts.count(), 24);
    assert_eq!(run.count("outputs.0.events.sent"), 24);
    run.assert_conservation();
}

/// A scan of so many hosts by 203.0.113.9.
fn scan(folder: &TempDir, hosts: u8) -> String {
    let packets = (1..=hosts).map(|host| {
        let packet = ipv4([203, 0, 113, 9], [10, 0, 0, host], 6, &tcp(4000, 22, 2, 0));
        Captured::at(1_800_000_000_000 + u64::from(host), ethernet(&packet))
    });
    let file = pcap(&packets.collect::<Vec<_>>());
    support::write(folder, &format!("scan-{hosts}.pcap"), &file).to_str().unwrap().to_owned()
}

fn rules_of(alerts: &[u8]) -> Vec<String> {
    opened(alerts).into_iter().map(|(rule, _)| rule).collect()
}

#[test]
fn rules_are_tuned_on_the_command_line_and_in_a_file() {
    let folder = support::scratch();
    let file = scan(&folder, 40);
    assert_eq!(rules_of(&alerts(&file, &[])), ["scan-horizontal"]);
    let slow = ["--rule", "scan-slow.enabled=false"];
    let with = |word| alerts(&file, &[slow[0], slow[1], "--rule", word]);
    assert_eq!(rules_of(&with("scan-horizontal.enabled=false")), [""; 0]);
    assert_eq!(rules_of(&with("scan-horizontal.threshold=60")), [""; 0]);
    assert_eq!(rules_of(&with("scan-horizontal.ignore=203.0.113.0/24")), [""; 0]);
    let toml = "[groups]\nscanners = [\"203.0.113.9\"]\n\n[rule.scan-horizontal]\n\
                threshold = 30\nwindow = \"30s\"\nignore = [\"192.0.2.1\"]\n\n\
                [rule.scan-horizontal.groups]\nscanners = 60\n\
                [rule.scan-slow]\nenabled = false\n";
    let config = support::write(&folder, "probe.toml", toml.as_bytes());
    assert_eq!(rules_of(&alerts(&file, &["--config", config.to_str().unwrap()])), [""; 0]);
    let config = support::write(&folder, "2.toml", toml.replace("= 60", "= 35").as_bytes());
    let found = alerts(&file, &["--config", config.to_str().unwrap()]);
    assert_eq!(rules_of(&found), ["scan-horizontal"]);
    let document = &support::documents(&found)[0];
    assert_eq!(document["flowprobe"]["alert"]["threshold"], 35);
}

#[test]
fn wrong_settings_of_rules_are_refused() {
    let refused = |words: &[&str], needed: &str| {
        let file = sample();
        let run = support::run(["-r", &file].iter().chain(words));
        assert_eq!(run.status, 2, "{words:?}");
        assert!(run.stderr.contains(needed), "{words:?}: {}", run.stderr);
    };
    refused(&["--rule", "scan.threshold=1"], "there is no rule scan");
    let limits = "a whole number from 1 to 2000 is needed";
    for threshold in ["x", "-1", "0", "2001", "1.5"] {
        let rule = format!("scan-slow.threshold={threshold}");
        refused(&["--rule", &rule], &format!("{limits}\n"));
        let folder = support::scratch();
        let toml = format!("[rule.scan-slow]\nthreshold = {}", threshold.replace('x', "\"x\""));
        let path = support::write(&folder, "a.toml", toml.as_bytes());
        let line = format!("a.toml:2: rule.scan-slow.threshold = {}: {limits}", &toml[29..]);
        refused(&["--config", path.to_str().unwrap()], &line);
    }
    refused(&["--rule", "scan-slow.ignore=nobody"], "there is no group nobody");
    refused(&["--alerts", "outputs"], "there is no output of documents");
    refused(&["--alerts", "syslog:x"], "json:PATH");
    refused(&["--alerts", "json:-", "-o", "json:-"], "only one output can go to standard output");
    refused(&["--alerts", "json:/dev/null", "--flow-key", "src,dst"], "--alerts needs");
}

#[test]
fn rules_are_listed() {
    let run = support::flowprobe().arg("rules").output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success());
    assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), 21);
    assert!(text.contains("threshold 25 hosts, 100 for sources inside; window 60 s"), "{text}");
    assert!(text.contains("threshold 50 peers; sliding 60 s, 60 together"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

/// Answers requests with these statuses, and then gives what it was sent.
fn server(statuses: &'static [u16]) -> (String, thread::JoinHandle<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?key=secret", listener.local_addr().unwrap());
    let run = move || {
        let mut bodies = Vec::new();
        for status in statuses {
            let (mut peer, _) = listener.accept().unwrap();
            bodies.push(request(&mut peer));
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n");
            write!(peer, "{answer}Connection: close\r\n\r\n").unwrap();
        }
        bodies
    };
    (url, thread::spawn(run))
}

fn request(peer: &mut TcpStream) -> Value {
    let mut octets = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = peer.read(&mut buffer).unwrap();
        assert!(count > 0, "the request is whole");
        octets.extend(&buffer[..count]);
        let text = String::from_utf8_lossy(&octets);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("POST /hook?key=secret HTTP/1.1"), "{head}");
        let length = head.to_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().trim().parse::<usize>().unwrap() {
            return serde_json::from_str(body).unwrap();
        }
    }
}

#[test]
fn a_webhook_gets_a_request_for_each_alert_and_again_after_errors() {
    let folder = support::scratch();
    let file = scan(&folder, 40);
    let (url, server) = server(&[503, 200, 204]);
    let run = support::run(["-r", &file, "-o", "json:/dev/null", "--alerts", &url]);
    let bodies = server.join().unwrap();
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(bodies[0], bodies[1], "it was sent again");
    assert_eq!(bodies[1]["event"]["action"], "scan-horizontal-opened");
    assert_eq!(bodies[2]["event"]["action"], "scan-horizontal-closed");
    assert_eq!(run.count("alerts.outputs.0.sent"), 2);
    assert_eq!(run.count("alerts.outputs.0.retried"), 1);
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
}

#[test]
fn alerts_that_a_webhook_refuses_are_lost_and_counted() {
    let folder = support::scratch();
    let file = scan(&folder, 40);
    let (url, server) = server(&[500, 500, 500, 200]);
    let run = support::run(["-r", &file, "-o", "json:/dev/null", "--alerts", &url]);
    assert_eq!(server.join().unwrap().len(), 4);
    assert_eq!(run.count("alerts.outputs.0.sent"), 1);
    assert_eq!(run.count("alerts.outputs.0.failed"), 1);
    assert_eq!(run.status, 1, "a loss");
}

#[test]
fn ordinary_captures_give_no_alert() {
    let captures = support::real_captures();
    if captures.is_empty() {
        support::skip_without("captures of ordinary applications (FLOWPROBE_CAPTURES)");
    }
    for file in captures {
        let file = file.to_str().unwrap();
        // Some of them are damaged.
        let (_, found) = run(file, &["--workers", "1", "--max-flows", "9000"]);
        assert_eq!(opened(&found), BTreeSet::new(), "{file}");
    }
}

#[test]
fn a_real_scan_is_found_and_backscatter_is_none() {
    let Some(folder) = support::material("FLOWPROBE_SCANS", "scans") else {
        support::skip_without("captures of scans (FLOWPROBE_SCANS)");
        return;
    };
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let found = alerts(&path("port_scan.pcap"), &["--rule", "scan-vertical.threshold=10"]);
    let scanner = ("scan-vertical".to_owned(), "192.168.2.154".to_owned());
    assert_eq!(opened(&found), BTreeSet::from([scanner]));
    assert_eq!(opened(&alerts(&path("port_scan.pcap"), &[])), BTreeSet::new());
    assert_eq!(opened(&alerts(&path("backscatter.trace"), &[])), BTreeSet::new());
}
