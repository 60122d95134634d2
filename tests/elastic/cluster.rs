//! Many probes and one cluster of three nodes, one process each.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::engine::Engine;
use crate::kind::Kind;
use crate::replay::{self, assert_accounted, delivered, ended, output, packets, stream};
use crate::streams::template_for_three_nodes;
use crate::support::capture::{Captured, pcap};
use crate::support::{self, Run};

const NAMESPACE: &str = "probes";
const PROBES: u32 = 8;
/// Of one probe.
const FLOWS: u32 = 4000;

/// How long all may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// The packets of the capture of a probe: its flows have one to three packets.
fn part(probe: u32) -> Vec<Captured> {
    let first = packets(probe * FLOWS..(probe + 1) * FLOWS);
    let more = first.iter().enumerate().flat_map(|(index, packet)| {
        let again = move |count: usize| Captured {
            nanos: packet.nanos + 1_000_000 * count as u64,
            ..packet.clone()
        };
        (0..=index % 3).map(again)
    });
    let mut packets: Vec<_> = more.collect();
    packets.sort_by_key(|packet| packet.nanos);
    packets
}

/// Documents, packets and octets.
type Sums = (u64, u64, u64);

fn sums_of_cluster(client: &Client) -> Sums {
    let stream = stream(NAMESPACE);
    client.refresh(&stream);
    let sum = |field| client.sum(&stream, field) as u64;
    (client.count(&stream), sum("network.packets"), sum("network.bytes"))
}

fn sums_of_run(run: &Run) -> Sums {
    (ended(run), run.count("metered.packets"), run.count("metered.octets"))
}

/// Waits until the cluster has some documents.
fn wait_for_documents(client: &Client, count: u64) {
    let begin = Instant::now();
    loop {
        let path = format!("/{}/_count", stream(NAMESPACE));
        let reply = client.get(&path);
        if reply.body["count"].as_u64().is_some_and(|found| found >= count) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{reply:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn many_probes_have_all_in_one_cluster_though_a_node_and_a_probe_crash() {
    let Some(mut engine) = Engine::start_with(Kind::OpenSearch2, 3, &[]) else { return };
    let client = engine.client();
    client.put_index_template(NAMESPACE, &template_for_three_nodes(NAMESPACE));
    let folder = support::scratch();
    let files: Vec<PathBuf> = (0..PROBES)
        .map(|probe| support::write(&folder, &format!("{probe}.pcap"), &pcap(&part(probe))))
        .collect();
    let output = output(&engine.urls(), &format!("namespace={NAMESPACE}&batch=100k&gzip=0"));
    let start = |file: &PathBuf| replay::start(file, &output);
    let mut probes: Vec<_> = files.iter().map(start).collect();
    wait_for_documents(&client, 1000);
    engine.kill_node(1);
    probes.remove(3).kill();
    thread::sleep(Duration::from_secs(1));
    // The part is replayed again whole.
    probes.push(start(&files[3]));
    engine.restart();
    let runs: Vec<_> = probes.into_iter().map(|probe| probe.end_within(PATIENCE).0).collect();
    for run in &runs {
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_accounted(run);
        let sent = delivered(run, "accepted") + delivered(run, "duplicate");
        assert_eq!(sent, u64::from(FLOWS), "{}", run.stats);
    }
    let again = runs.last().unwrap();
    assert!(delivered(again, "duplicate") > 0, "some were there: {}", again.stats);
    assert!(runs.iter().any(|run| run.count("outputs.0.errors") > 0), "they noticed");
    // What one replay of the whole counts.
    let arguments = files.iter().flat_map(|file| ["-r", file.to_str().unwrap()]);
    let whole = support::run(arguments.chain(["-o", "json:/dev/null"]));
    assert_eq!(whole.status, 0, "{}", whole.stderr);
    assert_eq!(sums_of_cluster(&client), sums_of_run(&whole));
}
