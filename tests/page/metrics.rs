//! The metrics, as Prometheus reads them.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::Shown;
use crate::support;

/// A value of a metric with these labels, as they are written.
pub fn value(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok())
}

#[test]
fn each_count_of_the_statistics_is_a_metric() {
    let page = Shown::sample(&[]);
    let answer = page.get("/metrics");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{answer:?}");
    let statistics = page.end();
    assert_eq!(web::without_metric(&statistics), Vec::<String>::new());
    for (name, place) in [
        ("flowprobe_received_packets_total", "/received/packets"),
        ("flowprobe_ignored_packets_total{reason=\"not_ip\"}", "/ignored/not_ip/packets"),
        ("flowprobe_ended_octets_total{reason=\"idle\"}", "/ended/idle/octets"),
        (
            "flowprobe_output_sent_records_total{output=\"json:/dev/null\"}",
            "/outputs/0/sent/records",
        ),
    ] {
        let counted = statistics.pointer(place).and_then(serde_json::Value::as_f64);
        assert!(counted.is_some_and(|count| count > 0.0), "{place}");
        assert_eq!(value(&answer.body, name), counted, "{name}\n{}", answer.body);
    }
}

#[test]
fn promtool_finds_no_fault() {
    if !support::has_tool("promtool") {
        support::skip("promtool of Prometheus is not installed");
        return;
    }
    let page = Shown::sample(&[]);
    let metrics = page.get("/metrics").body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let stdin = promtool.stdin.take().expect("a pipe");
    { stdin }.write_all(metrics.as_bytes()).expect("promtool reads");
    let found = promtool.wait_with_output().expect("promtool ends");
    let words = [found.stdout, found.stderr].concat();
    assert!(found.status.success() && words.is_empty(), "{}", String::from_utf8_lossy(&words));
}
