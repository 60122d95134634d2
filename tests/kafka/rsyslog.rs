//! rsyslog reads a topic and writes the documents into Elasticsearch, by the file of `deploy`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::engine::Engine;
use crate::kind::Kind;
use crate::replay::{delivered, replay};
use crate::streams::{stream, strict_template};
use crate::support::{self, Killed};

/// How long all may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const NAMESPACE: &str = "rsyslog";

/// Starts rsyslog with one configuration, without others of the machine.
fn read(folder: &Path, configuration: &str) -> Killed {
    let path = folder.join("rsyslog.conf");
    let settings = format!("global(workDirectory=\"{}\")\n", folder.display());
    fs::write(&path, settings + configuration).expect("a file for the configuration");
    let child = Command::new("rsyslogd")
        .arg("-n")
        .arg("-f")
        .arg(&path)
        .arg("-i")
        .arg(folder.join("pid"))
        .stdin(Stdio::null())
        .spawn();
    Killed(child.expect("it can be started"))
}

#[test]
fn rsyslog_reads_a_topic_and_writes_its_documents_into_a_cluster_once() {
    if !support::has_tool("rsyslogd") {
        return support::skip("rsyslog is not installed");
    }
    let Some(broker) = Broker::shared() else { return };
    let Some(engine) = Engine::start_with(Kind::Elasticsearch8, 1, &[]) else { return };
    let client = engine.client();
    client.put_index_template(NAMESPACE, &strict_template(NAMESPACE));
    broker.create("flows", 4, &[]);
    // Each document is there twice.
    let output = broker.output("flows", "run=same");
    let runs = [0, 1].map(|_| replay(&support::office(), &output));
    let documents = delivered(&runs[0], "accepted");
    assert!(runs.iter().all(|run| delivered(run, "accepted") == documents && documents > 0));
    let file = support::root().join("deploy/rsyslog/kafka.conf");
    let mut configuration = fs::read_to_string(file).expect("it is in the repository");
    let stream = stream(NAMESPACE);
    let elastic = engine.url().replace("http://", "");
    for (example, actual) in [
        ("kafka1:9092", &broker.address()),
        ("elastic1:9200", &elastic),
        ("logs-netflow.log-default", &stream),
    ] {
        assert!(configuration.contains(example));
        configuration = configuration.replace(example, actual);
    }
    let folder = support::scratch();
    let _reader = read(folder.path(), &configuration);
    let begin = Instant::now();
    loop {
        let reply = client.get(&format!("/{stream}/_count"));
        if reply.body["count"].as_u64() == Some(documents) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{documents}: {reply:?}");
        thread::sleep(Duration::from_millis(200));
        if reply.status == 200 {
            client.refresh(&stream);
        }
    }
    // What comes twice comes until then.
    thread::sleep(Duration::from_secs(5));
    client.refresh(&stream);
    assert_eq!(client.count(&stream), documents);
    let sums = ["network.packets", "network.bytes"].map(|field| client.sum(&stream, field) as u64);
    assert_eq!(sums, ["packets", "octets"].map(|of| runs[0].count(&format!("metered.{of}"))));
}
