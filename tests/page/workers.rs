//! Counts of workers and of queues: in the statistics, in the metrics, and on the page.

use serde_json::Value;

use crate::browser::{Seen, grouped};
use crate::client::Shown;
use crate::support::net::{Host, Links, Network};
use crate::support::{self, assert_workers_add_up};

/// The sum of a metric over all its labels.
fn sum(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    values
        .map(|line| {
            line.rsplit(' ').next().and_then(|it| it.parse::<f64>().ok()).expect("a number")
        })
        .sum()
}

#[test]
fn workers_of_a_replay_add_up_to_the_totals() {
    for workers in ["1", "2", "4"] {
        let page = Shown::sample(&["--workers", workers]);
        let metrics = page.get("/metrics").body;
        let statistics = page.end();
        let list = statistics["workers"].as_array().expect("a list");
        assert_eq!(list.len().to_string(), workers, "{statistics}");
        assert_workers_add_up(&statistics);
        // A replay waits for room in a queue, so no queue drops.
        assert_eq!(statistics["queues"], serde_json::json!([]));
        let metered = statistics["metered"]["packets"].as_f64().expect("a count");
        assert_eq!(sum(&metrics, "flowprobe_worker_metered_packets_total"), metered, "{metrics}");
        assert_eq!(sum(&metrics, "flowprobe_worker_ended_packets_total"), metered, "{metrics}");
        let busy = list.iter().filter(|worker| worker["metered"]["packets"] != 0).count();
        assert_eq!(busy, list.len(), "each has a part: {statistics}");
    }
}

/// Two queues of a card, and a worker for each.
#[test]
fn workers_and_queues_of_a_live_run_add_up_to_the_totals() {
    let Some(network) = Network::new(Links { queues: 2, ..Links::default() }) else { return };
    let mut command = network.command(Host::Probe, support::flowprobe().get_program());
    command.args(["-i", "rx0", "--capture", "afxdp", "--take-interface", "--workers", "2"]);
    command.args(["--http", "127.0.0.1:0", "-o", "json:/dev/null", "--stats", "json"]);
    command.args(["--idle-timeout", "1s"]);
    let page = Shown::spawn(command);
    page.wait_for("rx0: ");
    let settings = ["--flows", "500", "--rate", "20k", "--packets", "20k"];
    let sent = network.send_flows("tx0", &settings).packets;
    let metrics = network.on(Host::Probe, || {
        if let Some(seen) = Seen::open(&page) {
            seen.go("health");
            seen.wait_for("#counters", &format!("packets metered\t{}", grouped(sent)));
            seen.wait_for("#queues", "behind the workers");
            seen.wait_for("#queues", "to json:/dev/null");
            let shown = page.get("/stats").json();
            for worker in shown["workers"].as_array().expect("a list") {
                let metered = worker["metered"]["packets"].as_u64().expect("a count");
                seen.wait_for("#workers", &grouped(metered));
            }
            let frames = shown["interfaces"][0]["queues"][0]["frames"].as_u64().expect("a count");
            seen.wait_for("#rings", &grouped(frames));
            seen.pictures("health-live");
            seen.assert_silent();
        }
        page.get("/metrics").body
    });
    let statistics = page.end();
    assert_eq!(statistics["metered"]["packets"], sent, "{statistics}");
    assert_workers_add_up(&statistics);
    for name in ["worker_packets", "worker_metered_packets", "interface_queue_packets"] {
        assert_eq!(sum(&metrics, &format!("flowprobe_{name}_total")), sent as f64, "{metrics}");
    }
    let interface = &statistics["interfaces"][0];
    let queues = interface["queues"].as_array().expect("a list");
    assert_eq!(queues.len(), 2, "{statistics}");
    let frames: u64 = queues.iter().filter_map(|queue| queue["frames"].as_u64()).sum();
    assert_eq!(interface["frames"], frames, "{statistics}");
    let names = |list: &Value, key: &str| {
        let list = list.as_array().expect("a list").iter();
        list.map(|one| one[key].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&statistics["queues"], "queue"), ["workers", "json:/dev/null", "page"]);
    assert_eq!(names(&statistics["workers"], "worker"), ["0", "1"]);
}
