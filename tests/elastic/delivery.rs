//! Documents of replays into real engines: each arrives once, whatever happens to the engine.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::engine::Engine;
use crate::kind::Kind;
use crate::replay::{self, PATIENCE, assert_accounted, capture, delivered, replay, stream};
use crate::streams::strict_template;
use crate::support::{self, Run};

pub fn prepare(client: &Client, namespace: &str) {
    client.put_index_template(namespace, &strict_template(namespace));
}

/// The output into an engine, with settings beside the namespace.
pub fn output(urls: &[String], namespace: &str, settings: &str) -> String {
    replay::output(urls, &format!("namespace={namespace}{settings}"))
}

/// The engine has what the replay has metered, once.
#[track_caller]
pub fn assert_complete(client: &Client, namespace: &str, run: &Run) {
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_accounted(run);
    let stream = stream(namespace);
    client.refresh(&stream);
    let delivered = run.count("outputs.0.sent.records");
    assert_eq!(client.count(&stream), delivered, "{}", run.stats);
    for (field, metered) in [("network.packets", "packets"), ("network.bytes", "octets")] {
        let metered = run.count(&format!("metered.{metered}"));
        assert_eq!(client.sum(&stream, field), metered as f64, "{field}");
    }
}

fn check_replay(kind: Kind, namespace: &str) {
    let Some(engine) = Engine::shared(kind) else { return };
    let client = engine.client();
    prepare(&client, namespace);
    let file = support::office();
    let output = output(&[engine.url()], namespace, "&batch=100k");
    let first = replay(&file, &output);
    assert_complete(&client, namespace, &first);
    let delivery = &first.stats["outputs"][0]["delivery"];
    assert_eq!(delivery["accepted"], first.stats["outputs"][0]["sent"]["records"], "{delivery}");
    // The same again adds nothing.
    let again = replay(&file, &output);
    assert_complete(&client, namespace, &again);
    let delivery = &again.stats["outputs"][0]["delivery"];
    assert_eq!(delivery["accepted"], 0, "{delivery}");
    assert_eq!(delivery["duplicate"], again.stats["outputs"][0]["sent"]["records"], "{delivery}");
    // Other settings make other flows, or another run.
    let other = replay(&file, &format!("{output}&run=other"));
    assert_eq!(other.stats["outputs"][0]["delivery"]["duplicate"], 0, "{}", other.stats);
}

#[test]
fn replay_twice_is_there_once() {
    check_replay(Kind::Elasticsearch8, "twice");
}

#[test]
fn replay_twice_is_there_once_in_opensearch() {
    check_replay(Kind::OpenSearch2, "twice");
}

/// An index for each day instead of the data stream, which takes each document once, too.
fn check_daily_index(kind: Kind) {
    let Some(engine) = Engine::shared(kind) else { return };
    let client = engine.client();
    let file = support::office();
    let output = replay::output(&[engine.url()], "index=daily-%25Y.%25m.%25d");
    let first = replay(&file, &output);
    let again = replay(&file, &output);
    client.refresh("daily-*");
    let sent = first.count("outputs.0.sent.records");
    assert_eq!(delivered(&first, "accepted"), sent, "{}", first.stats);
    assert_eq!(delivered(&again, "duplicate"), sent, "{}", again.stats);
    assert_eq!(client.count("daily-*"), sent);
    let packets = first.count("metered.packets");
    assert_eq!(client.sum("daily-*", "network.packets"), packets as f64);
}

#[test]
fn daily_index_takes_all() {
    check_daily_index(Kind::Elasticsearch8);
    check_daily_index(Kind::OpenSearch2);
}

#[test]
#[ignore = "the oldest and the newest engines: 30 to 120 s"]
fn daily_index_takes_all_in_other_versions() {
    for kind in [Kind::Elasticsearch7, Kind::Elasticsearch9, Kind::OpenSearch3] {
        check_daily_index(kind);
    }
}

/// Each kind of document fits the index template, which takes no unknown field.
fn check_documents(kind: Kind) {
    let Some(engine) = Engine::shared(kind) else { return };
    let client = engine.client();
    prepare(&client, "kinds");
    let folder = support::root().join("tests/data/wire");
    let mut lines = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "json") {
            let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let action = json!({"create": {"_index": stream("kinds")}});
            lines += &format!("{action}\n{document}\n");
        }
    }
    let reply = client.bulk(lines);
    let statuses = reply.item_statuses();
    assert!(statuses.len() > 3 && statuses.iter().all(|&status| status == 201), "{reply:?}");
    let unknown = json!({"@timestamp": "2026-11-23T08:00:00Z", "netflow": {"unknown": 1}});
    let action = json!({"create": {"_index": stream("kinds")}});
    assert_eq!(client.bulk(format!("{action}\n{unknown}\n")).item_statuses(), [400]);
}

#[test]
fn each_kind_of_document_fits_the_template() {
    check_documents(Kind::Elasticsearch8);
    check_documents(Kind::OpenSearch2);
}

fn check_crashes(kind: Kind) {
    let Some(mut engine) = Engine::start(kind) else { return };
    prepare(&engine.client(), "crash");
    let folder = support::scratch();
    let file = capture(&folder, 60_000);
    let output = output(&[engine.url()], "crash", "&batch=200k&gzip=0");
    let replay = replay::start(&file, &output);
    for crash in [Engine::kill, Engine::stop] {
        thread::sleep(Duration::from_millis(1500));
        crash(&mut engine);
        thread::sleep(Duration::from_millis(500));
        engine.restart();
    }
    let run = replay.wait_for(PATIENCE);
    assert_complete(&engine.client(), "crash", &run);
    assert!(run.count("outputs.0.errors") > 0, "it noticed: {}", run.stats);
}

#[test]
fn engine_that_crashes_in_the_middle_of_a_replay_has_all_in_the_end() {
    check_crashes(Kind::Elasticsearch8);
}

#[test]
fn engine_that_crashes_in_the_middle_of_a_replay_has_all_in_the_end_in_opensearch() {
    check_crashes(Kind::OpenSearch2);
}

/// Checks that a stream which takes nothing for a time has all in the end. `block` begins and ends
/// that time.
fn check_block(client: &Client, url: &str, namespace: &str, block: impl Fn(&Client, bool)) {
    prepare(client, namespace);
    let folder = support::scratch();
    let output = output(&[url.to_owned()], namespace, "");
    // The stream exists before it is blocked.
    let first = replay(&support::root().join("tests/data/interfaces.pcapng"), &output);
    block(client, true);
    let replay = replay::start(&capture(&folder, 5000), &output);
    thread::sleep(Duration::from_secs(2));
    block(client, false);
    let run = replay.wait_for(PATIENCE);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_accounted(&run);
    client.refresh(&stream(namespace));
    let sent = [&first, &run].map(|run| run.count("outputs.0.sent.records"));
    assert_eq!(client.count(&stream(namespace)), sent.iter().sum::<u64>());
    assert!(run.count("outputs.0.errors") > 0, "it was blocked: {}", run.stats);
}

/// Blocks the stream of a namespace, as a person or a disk that is nearly full does.
fn block_index(client: &Client, namespace: &str, block: &str, is_blocked: bool) {
    let value = if is_blocked { json!(true) } else { Value::Null };
    let settings = json!({format!("index.blocks.{block}"): value});
    client.put(&format!("/{}/_settings", stream(namespace)), &settings).done();
}

fn check_blocks_of_the_index(kind: Kind) {
    let Some(engine) = Engine::shared(kind) else { return };
    for block in ["write", "read_only", "read_only_allow_delete"] {
        let set = |client: &Client, is_blocked| block_index(client, block, block, is_blocked);
        check_block(&engine.client(), &engine.url(), block, set);
    }
}

#[test]
fn read_only_index_takes_all_once_it_is_lifted() {
    check_blocks_of_the_index(Kind::Elasticsearch8);
}

#[test]
fn read_only_index_takes_all_once_it_is_lifted_in_opensearch() {
    check_blocks_of_the_index(Kind::OpenSearch2);
}

#[test]
fn read_only_cluster_takes_all_once_it_is_lifted() {
    let Some(engine) = Engine::start(Kind::Elasticsearch8) else { return };
    check_block(&engine.client(), &engine.url(), "readonly", |client, is_blocked| {
        let value = if is_blocked { json!(true) } else { Value::Null };
        let settings = json!({"persistent": {"cluster.blocks.read_only": value}});
        client.put("/_cluster/settings", &settings).done();
    });
}

/// Checks that all arrives where the engine refuses what its queue has no room for.
fn check_short_queue(kind: Kind, queue: u32, shards: u32) {
    let queue = format!("thread_pool.write.queue_size={queue}");
    let settings = [queue.as_str(), "thread_pool.write.size=1"];
    let Some(engine) = Engine::start_with(kind, 1, &settings) else { return };
    let client = engine.client();
    let mut template = strict_template("queue");
    template["template"]["settings"]["index"]["number_of_shards"] = json!(shards);
    client.put_index_template("queue", &template);
    let folder = support::scratch();
    let file = capture(&folder, 20_000);
    let output = output(&[engine.url()], "queue", "&batch=500k&connections=32&gzip=0");
    let run = replay(&file, &output);
    assert_complete(&client, "queue", &run);
    assert!(run.count("outputs.0.retried") > 0, "the queue was full: {}", run.stats);
}

#[test]
fn cluster_with_a_short_queue_takes_all() {
    // Documents of a request are refused, and whole requests.
    check_short_queue(Kind::Elasticsearch8, 6, 8);
}

#[test]
fn cluster_with_a_queue_of_one_takes_all() {
    // Each request is for 2 shards: one of them is refused.
    check_short_queue(Kind::Elasticsearch8, 1, 2);
    check_short_queue(Kind::OpenSearch2, 1, 2);
}

#[test]
fn documents_that_do_not_fit_are_kept_with_the_reason() {
    let Some(engine) = Engine::shared(Kind::Elasticsearch8) else { return };
    let client = engine.client();
    let mut template = strict_template("conflict");
    // Some documents have a VLAN, and it is no address.
    template["template"]["mappings"]["properties"]["netflow"]["properties"]["vlan_id"]["type"] =
        json!("ip");
    client.put_index_template("conflict", &template);
    let folder = support::scratch();
    let kept = folder.path().join("dead.ndjson");
    let settings = format!("&dead-letter={}", kept.display());
    let file = support::office();
    let run = replay(&file, &output(&[engine.url()], "conflict", &settings));
    assert_accounted(&run);
    let dead = run.count("outputs.0.dead_lettered.records");
    assert!(dead > 0, "{}", run.stats);
    let lines = fs::read_to_string(kept).unwrap();
    assert_eq!(lines.lines().count() as u64, dead);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["error"]["type"], "document_parsing_exception", "{line}");
        assert!(line["error"]["reason"].as_str().unwrap().contains("vlan_id"), "{line}");
        assert!(line["document"]["netflow"]["vlan_id"].is_u64(), "{line}");
    }
    let stream = stream("conflict");
    client.refresh(&stream);
    assert_eq!(
        client.count(&stream) + dead,
        run.count("ended.idle.records")
            + run.count("ended.active.records")
            + run.count("ended.end.records")
            + run.count("ended.forced.records")
    );
}
