//! Prometheus itself reads the metrics, and evaluates all that is in deploy/.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Shown;
use crate::support::{self, Killed, free_port};

/// What the names of metrics begin with that only a live run has.
const OF_LIVE: [&str; 2] = ["flowprobe_interface_", "flowprobe_queue_"];

const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus that asks a page every second, with the rules of deploy/.
pub struct Prometheus {
    _program: Killed,
    address: String,
    _folder: TempDir,
}

impl Prometheus {
    pub fn start(page: &Shown) -> Self {
        let folder = support::scratch();
        let rules = support::root().join("deploy/prometheus/alerts.yml");
        let settings = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{:?}]\n\
             scrape_configs:\n  - job_name: flowprobe\n    static_configs:\n      \
             - targets: [{:?}]\n",
            rules, page.address
        );
        let file = support::write(&folder, "prometheus.yml", settings.as_bytes());
        let address = format!("127.0.0.1:{}", free_port());
        let log = fs::File::create(folder.path().join("log")).expect("a file");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Prometheus starts");
        Self { _program: Killed(child), address, _folder: folder }
    }

    /// The result of a question, or `None` if there is no answer yet.
    fn ask(&self, path: &str) -> Option<Value> {
        let answer = ureq::get(format!("http://{}{path}", self.address)).call();
        let text = answer.ok()?.body_mut().read_to_string().ok()?;
        let answer: Value = serde_json::from_str(&text).ok()?;
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        Some(answer["data"].clone())
    }

    /// The number that an expression has, once it has one.
    pub fn number(&self, expression: &str) -> f64 {
        let values = self.evaluate(expression);
        values[0]["value"][1].as_str().and_then(|it| it.parse().ok()).expect("a number")
    }

    /// The values that an expression has, once it has some.
    fn evaluate(&self, expression: &str) -> Vec<Value> {
        let begin = Instant::now();
        loop {
            let data = self.ask(&format!("/api/v1/query?query={}", encoded(expression)));
            let result = data.and_then(|data| data["result"].as_array().cloned());
            if let Some(result) = result.filter(|result| !result.is_empty()) {
                return result;
            }
            assert!(begin.elapsed() < PATIENCE, "{expression} has no value");
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

fn dashboard() -> Value {
    let path = support::root().join("deploy/grafana/prometheus.json");
    serde_json::from_slice(&fs::read(path).expect("it is there")).expect("it is JSON")
}

/// The expressions of the dashboard, as Grafana would ask them.
fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels").clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let asked = targets.map(|target| {
        let expression = target["expr"].as_str().expect("an expression");
        expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
    });
    asked.collect()
}

#[test]
fn prometheus_reads_the_totals_and_knows_every_metric_of_the_dashboard() {
    if !support::has_tool("prometheus") {
        support::skip("Prometheus is not installed");
        return;
    }
    let page = Shown::sample(&[]);
    let prometheus = Prometheus::start(&page);
    let value = |expression: &str| prometheus.number(expression);
    let statistics = page.get("/stats").json();
    let metered = statistics["metered"]["packets"].as_f64().expect("a count");
    assert_eq!(value("sum(flowprobe_ended_packets_total)"), metered);
    assert_eq!(value("flowprobe_metered_packets_total"), metered);
    let octets = statistics["metered"]["octets"].as_f64().expect("a count");
    assert_eq!(value("sum(flowprobe_output_sent_octets_total{output!=\"page\"})"), octets);
    // A replay has no interfaces, and no queues that drop: those of a live run have no value here.
    let is_live = |it: &str| OF_LIVE.iter().any(|name| it.contains(name));
    for expression in expressions().iter().filter(|it| !is_live(it)) {
        prometheus.evaluate(expression);
    }
    let rules = prometheus.ask("/api/v1/rules").expect("it answers");
    let rules = rules["groups"][0]["rules"].as_array().expect("rules").clone();
    assert!(rules.len() >= 6, "{rules:?}");
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
        assert_ne!(rule["state"], "firing", "{rule}");
    }
}

/// Each rule fires for what it is about, and not before.
#[test]
fn rules_fire_when_they_should() {
    if !support::has_tool("promtool") {
        support::skip("promtool of Prometheus is not installed");
        return;
    }
    let tests = support::root().join("tests/page/alerts_test.yml");
    let promtool = Command::new("promtool").args(["test", "rules"]).arg(tests).output();
    let promtool = promtool.expect("promtool runs");
    let words = String::from_utf8_lossy(&[promtool.stdout, promtool.stderr].concat()).into_owned();
    assert!(promtool.status.success(), "{words}");
}
