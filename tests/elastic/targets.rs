//! Where documents go, and what is in them.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::replay::{self, PATIENCE, capture};
use crate::scripted::{Answer, Server, Step};
use crate::support;
use crate::support::capture::{Captured, pcap};
use crate::support::packet::{ethernet, ipv4, udp};

#[test]
fn index_follows_the_day_of_the_document() {
    let server = Server::start();
    let folder = support::scratch();
    let midnight = 1_709_164_800_000;
    let packet = |number: u8, millis| {
        let ip = ipv4([10, 0, 0, number], [192, 0, 2, 1], 17, &udp(1000, 53, 10));
        Captured::at(millis, ethernet(&ip))
    };
    let packets = [packet(1, midnight - 1), packet(2, midnight), packet(3, midnight + 1)];
    let file = support::write(&folder, "midnight.pcap", &pcap(&packets));
    let url = format!("elastic+{}?index=flows-%25Y.%25m.%25d", server.url());
    let run = support::run(["-r", file.to_str().unwrap(), "-o", &url]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let documents = server.documents();
    assert_eq!(documents.len(), 3);
    for item in documents {
        let day = if item.document["source"]["ip"] == "10.0.0.1" { "28" } else { "29" };
        assert_eq!(item.index, format!("flows-2024.02.{day}"), "{}", item.document);
    }
}

#[test]
fn namespace_and_pipeline_are_those_of_the_settings() {
    let server = Server::start();
    let folder = support::scratch();
    let url = format!("elastic+{}?namespace=office&pipeline=geo%26more", server.url());
    let run = replay::replay(&capture(&folder, 10), &url);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let requests = server.requests_to("/logs-netflow.log-office/_bulk");
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(request.parameter("pipeline"), Some("geo%26more"));
    }
    for item in server.documents() {
        assert_eq!(item.document["data_stream"]["namespace"], "office");
    }
}

#[test]
fn lean_documents_have_each_value_once() {
    let server = Server::start();
    let file = support::office();
    let name = file.to_str().unwrap();
    for fields in ["full", "lean"] {
        let url = format!("elastic+{}?fields={fields}&run={fields}&odid=77", server.url());
        let run = support::run(["-r", name, "-o", &url]);
        assert_eq!(run.status, 0, "{}", run.stderr);
    }
    let mut items = server.documents();
    items.sort_by_key(|item| item.id.contains("lean"));
    let half = items.len() / 2;
    let octets = |items: &[crate::scripted::Item]| -> usize {
        items.iter().map(|item| item.document.to_string().len()).sum()
    };
    assert!(octets(&items[half..]) * 4 < octets(&items[..half]) * 3, "a quarter is gone");
    for (full, lean) in items[..half].iter().zip(&items[half..]) {
        let (full, lean) = (&full.document, &lean.document);
        assert_eq!(full["agent"]["id"], "77");
        // The other fields are the same.
        for key in ["@timestamp", "event", "agent", "observer", "source", "destination", "network"]
        {
            assert_eq!(full[key], lean[key], "{key}");
        }
        assert!(full["related"].is_object() && lean["related"].is_null());
        let keys = lean["netflow"].as_object().unwrap();
        assert!(!keys.contains_key("octet_delta_count") && !keys.contains_key("exporter"));
        assert!(keys.contains_key("flow_end_reason"), "{lean}");
        assert_eq!(full["netflow"]["ingress_interface"], lean["netflow"]["ingress_interface"]);
        assert!(keys.contains_key("ingress_interface"), "panels read it: {lean}");
        for (key, value) in keys {
            assert_eq!(full["netflow"][key], *value, "{key}");
        }
    }
}

#[test]
fn cluster_without_data_streams_is_told_from_others() {
    let server = Server::start();
    let old = json!({"version": {"number": "6.8.23", "build_flavor": "default"}});
    server.always("/", Step::answer(Answer::json(200, &old)));
    let folder = support::scratch();
    let file = capture(&folder, 10);
    let output = format!("elastic+{}", server.url());
    let replay = replay::start(&file, &output);
    let begin = Instant::now();
    while server.requests_to("/").len() < 2 && begin.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(10));
    }
    // It is updated.
    let new = json!({"version": {"number": "8.19.0", "build_flavor": "default"}});
    let before = server.documents().len();
    server.always("/", Step::answer(Answer::json(200, &new)));
    let run = replay.wait_for(PATIENCE);
    assert_eq!(before, 0);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("Elasticsearch 6.8.23 has no data streams; ?index="),
        "{}",
        run.stderr
    );
    assert_eq!(server.documents().len(), 10);
    // An index it can have.
    server.always("/", Step::answer(Answer::json(200, &old)));
    let run = support::run(["-r", file.to_str().unwrap(), "-o", &format!("{output}?index=flows")]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(server.documents().len(), 20);
}
