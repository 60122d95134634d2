//! Eight probes into a cluster of search engines, directly and by way of Kafka.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::client::Client;
use crate::distribution::distribution;
use crate::engine::Engine;
use crate::kind::Kind;
use crate::replay::{capture_of, command};
use crate::streams::{stream, template_for_three_nodes};
use crate::support::probe::Probe;
use crate::support::{self, Killed};

const PROBES: u32 = 8;
/// Of one probe.
const FLOWS: u32 = 4000;

/// The namespaces of both ways.
const DIRECT: &str = "direct";
const BY_KAFKA: &str = "kafka";

/// How long all may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);

/// Starts the consumer that writes documents into the cluster.
fn index(brokers: &Broker, topic: &str, engine: &Engine, log: &Path) -> Killed {
    let log = File::create(log).expect("a file for what it says");
    let child = Command::new("python3")
        .arg(support::root().join("tests/kafka/index.py"))
        .args([&brokers.address(), topic, &engine.urls().join(","), &stream(BY_KAFKA)])
        .env("PYTHONPATH", &distribution().expect("brokers run").python)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn();
    Killed(child.expect("python can be started"))
}

/// Documents, packets and octets that the cluster has.
fn sums(client: &Client, namespace: &str) -> [u64; 3] {
    let stream = stream(namespace);
    client.refresh(&stream);
    let sum = |field| client.sum(&stream, field) as u64;
    [client.count(&stream), sum("network.packets"), sum("network.bytes")]
}

/// Waits until the cluster has some documents of this way.
fn wait_for_documents(client: &Client, namespace: &str, count: u64, said: impl Fn() -> String) {
    let begin = Instant::now();
    loop {
        let reply = client.get(&format!("/{}/_count", stream(namespace)));
        if reply.body["count"].as_u64().is_some_and(|found| found >= count) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{namespace}: {reply:?}: {}", said());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "takes minutes: three brokers, three nodes of a cluster and eight probes"]
fn eight_probes_have_all_in_a_cluster_directly_and_by_kafka_though_all_crash() {
    let Some(mut brokers) = Broker::start_many(3) else { return };
    let Some(mut engine) = Engine::start_with(Kind::Elasticsearch8, 3, &[]) else { return };
    let client = engine.client();
    for namespace in [DIRECT, BY_KAFKA] {
        client.put_index_template(namespace, &template_for_three_nodes(namespace));
    }
    brokers.create("flows", 6, &["min.insync.replicas=2"]);
    let folder = support::scratch();
    let said = folder.path().join("indexer");
    let _indexer = index(&brokers, "flows", &engine, &said);
    let said = || fs::read_to_string(&said).unwrap_or_default();
    let by_kafka = brokers.output("flows", "batch=50k&memory=500k&connections=1");
    let nodes: Vec<_> =
        engine.urls().iter().map(|url| url.trim_start_matches("http://").to_owned()).collect();
    let nodes = nodes.join(",");
    let direct = format!("elastic+http://{nodes}?namespace={DIRECT}&batch=50k&memory=500k&gzip=0");
    let parts = (0..PROBES)
        .map(|part| capture_of(&folder, &format!("{part}.pcap"), part * FLOWS..(part + 1) * FLOWS));
    let parts: Vec<_> = parts.collect();
    let start = |part: &PathBuf| {
        let mut command = command(part, &by_kafka);
        command.args(["-o", &direct]);
        Probe::start(command)
    };
    let mut probes: Vec<_> = parts.iter().map(start).collect();
    for namespace in [DIRECT, BY_KAFKA] {
        wait_for_documents(&client, namespace, 500, said);
    }
    brokers.kill_node(1);
    engine.kill_node(1);
    probes.remove(3).kill();
    thread::sleep(Duration::from_secs(1));
    // The part is replayed again whole.
    probes.push(start(&parts[3]));
    brokers.restart();
    engine.restart();
    for probe in probes {
        let (run, _) = probe.end_within(PATIENCE);
        assert_eq!(run.status, 0, "{}", run.stderr);
        run.assert_conservation();
        let sent = [0, 1].map(|output| run.count(&format!("outputs.{output}.sent.records")));
        assert_eq!(sent, [u64::from(FLOWS); 2], "{}", run.stats);
    }
    // What one replay of the whole counts.
    let arguments = parts.iter().flat_map(|file| ["-r", file.to_str().unwrap()]);
    let whole = support::run(arguments.chain(["-o", "json:/dev/null"]));
    let metered = ["packets", "octets"].map(|of| whole.count(&format!("metered.{of}")));
    let whole = [u64::from(PROBES * FLOWS), metered[0], metered[1]];
    wait_for_documents(&client, BY_KAFKA, whole[0], said);
    assert_eq!(sums(&client, DIRECT), whole, "directly");
    assert_eq!(sums(&client, BY_KAFKA), whole, "by way of Kafka: {}", said());
}
