//! The engines themselves: what an output of documents has to expect of them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::thread;

use serde_json::{Value, json};

use crate::client::{Client, Reply};
use crate::engine::Engine;
use crate::kind::Kind;
use crate::scripted::Server;

const DOCUMENTS: u64 = 1_000;

/// A template by which a data stream is made, for the names that begin so.
fn data_stream_template(prefix: &str, settings: &Value) -> Value {
    json!({
        "index_patterns": [format!("{prefix}*")],
        "priority": 150,
        "data_stream": {},
        "template": {"settings": settings, "mappings": mappings()},
    })
}

fn mappings() -> Value {
    json!({
        "dynamic": "strict",
        "properties": {
            "@timestamp": {"type": "date"},
            "source": {"properties": {"ip": {"type": "ip"}}},
            "network": {"properties": {"bytes": {"type": "long"}}},
        },
    })
}

/// So many documents, with the sum of octets that they have.
fn documents(index: &str, count: u64) -> (String, f64) {
    let mut lines = String::new();
    for number in 0..count {
        let action = json!({"create": {"_index": index, "_id": format!("flow-{number}")}});
        let document = json!({
            "@timestamp": "2026-11-23T08:00:00.000Z",
            "source": {"ip": "192.0.2.1"},
            "network": {"bytes": number},
        });
        writeln!(lines, "{action}\n{document}").expect("a string takes all");
    }
    (lines, (0..count).sum::<u64>() as f64)
}

/// An engine says what it is.
fn check_version(client: &Client, kind: Kind) {
    let version = &client.get("/").done()["version"];
    assert_eq!(version["number"], kind.version(), "{version}");
    let distribution = if kind.is_opensearch() { json!("opensearch") } else { Value::Null };
    assert_eq!(version["distribution"], distribution, "{version}");
}

/// Sends documents twice: first all are taken, then none again.
fn assert_taken_once(client: &Client, index: &str) {
    let (lines, octets) = documents(index, DOCUMENTS);
    let reply = client.bulk(lines.clone());
    assert_eq!(reply.body["errors"], false, "{reply:?}");
    assert_eq!(reply.item_statuses(), vec![201; DOCUMENTS as usize]);
    let again = client.bulk(lines);
    assert_eq!(again.status, 200);
    assert_eq!(again.body["errors"], true);
    assert_eq!(again.item_statuses(), vec![409; DOCUMENTS as usize]);
    for item in again.body["items"].as_array().unwrap() {
        assert_eq!(item["create"]["error"]["type"], "version_conflict_engine_exception", "{item}");
    }
    assert_holds(client, index, DOCUMENTS, octets);
}

fn assert_holds(client: &Client, index: &str, documents: u64, octets: f64) {
    client.refresh(index);
    assert_eq!(client.count(index), documents);
    assert_eq!(client.sum(index, "network.bytes"), octets);
}

/// The type of the error of a whole request.
fn error_type(reply: &Reply) -> &str {
    reply.body["error"]["type"].as_str().unwrap_or_else(|| panic!("no type of error: {reply:?}"))
}

/// A data stream takes each document once.
fn check_data_stream(client: &Client, prefix: &str) {
    let settings = json!({"number_of_replicas": 0, "codec": "best_compression"});
    client.put_index_template(prefix, &data_stream_template(prefix, &settings));
    let stream = format!("{prefix}-default");
    assert_taken_once(client, &stream);
    let shown = client.get(&format!("/_data_stream/{stream}")).done();
    assert_eq!(shown["data_streams"][0]["name"], stream, "{shown}");
    assert_eq!(shown["data_streams"][0]["timestamp_field"]["name"], "@timestamp", "{shown}");
    // It takes nothing but new documents.
    let lines = format!("{{\"index\":{{\"_index\":\"{stream}\",\"_id\":\"flow-0\"}}}}\n{{}}\n");
    let reply = client.bulk(lines);
    let item = &reply.body["items"][0]["index"];
    assert_eq!(item["status"], 400, "{reply:?}");
    assert_eq!(item["error"]["type"], "illegal_argument_exception", "{reply:?}");
}

/// A template can name a lifecycle policy, which is checked.
fn check_lifecycle_policy(client: &Client, name: &str) {
    let rollover = |condition: &str| {
        let hot = json!({"actions": {"rollover": {condition: "1d"}}});
        let delete = json!({"min_age": "7d", "actions": {"delete": {}}});
        json!({"policy": {"phases": {"hot": hot, "delete": delete}}})
    };
    let path = format!("/_ilm/policy/{name}");
    let wrong = client.put(&path, &rollover("max_agee"));
    assert_eq!((wrong.status, error_type(&wrong)), (400, "x_content_parse_exception"));
    assert_eq!(client.get(&path).status, 404);
    client.put(&path, &rollover("max_age")).done();
    let policy = client.get(&path).done();
    let rollover = &policy[name]["policy"]["phases"]["hot"]["actions"]["rollover"];
    assert_eq!(rollover["max_age"], "1d", "{policy}");
    let settings = json!({"number_of_replicas": 0, "index.lifecycle.name": name});
    client.put_index_template(name, &data_stream_template(name, &settings));
    let (lines, _) = documents(&format!("{name}-default"), 1);
    assert_eq!(client.bulk(lines).item_statuses(), [201]);
}

/// Documents that do not fit are refused one by one.
fn check_bad_documents(client: &Client, kind: Kind, index: &str) {
    client.put(&format!("/{index}"), &json!({"mappings": mappings()})).done();
    let parsing = match kind {
        Kind::Elasticsearch7 | Kind::OpenSearch2 | Kind::OpenSearch3 => "mapper_parsing_exception",
        Kind::Elasticsearch8 | Kind::Elasticsearch9 => "document_parsing_exception",
    };
    let bad = [
        (json!({"unknown": 1}), "strict_dynamic_mapping_exception"),
        (json!({"source": {"ip": "somewhere"}}), parsing),
        (json!({"@timestamp": "yesterday"}), parsing),
    ];
    let mut lines = String::new();
    for (number, (document, _)) in bad.iter().enumerate() {
        let action = json!({"create": {"_index": index, "_id": format!("bad-{number}")}});
        writeln!(lines, "{action}\n{document}").expect("a string takes all");
    }
    let (good, octets) = documents(index, 2);
    let reply = client.bulk(lines + &good);
    assert_eq!(reply.item_statuses(), [400, 400, 400, 201, 201], "{reply:?}");
    for (number, (_, kind)) in bad.iter().enumerate() {
        let error = &reply.body["items"][number]["create"]["error"];
        assert_eq!(error["type"], *kind, "{error}");
    }
    assert_holds(client, index, 2, octets);
}

/// Requests that are refused as a whole.
fn check_bad_requests(client: &Client, index: &str) {
    let (lines, _) = documents(index, 1);
    let unended = client.bulk(lines.trim_end());
    assert_eq!((unended.status, error_type(&unended)), (400, "illegal_argument_exception"));
    let plain = client.send("POST", "/_bulk", "text/plain", lines.into_bytes()).unwrap();
    assert_eq!(plain.status, 406, "{plain:?}");
    let empty = client.bulk("\n");
    assert_eq!(empty.status, 400, "{empty:?}");
}

/// While the cluster is read-only a request is refused as a whole. Later the same is taken.
fn check_read_only_block(client: &Client, index: &str) {
    let block = |value: Value| {
        let settings = json!({"persistent": {"cluster.blocks.read_only": value}});
        client.put("/_cluster/settings", &settings).done();
    };
    let (lines, octets) = documents(index, DOCUMENTS);
    block(json!(true));
    let reply = client.bulk(lines.clone());
    block(Value::Null);
    assert_eq!((reply.status, error_type(&reply)), (403, "cluster_block_exception"));
    assert_eq!(client.bulk(lines).item_statuses(), vec![201; DOCUMENTS as usize]);
    assert_holds(client, index, DOCUMENTS, octets);
}

/// With the block of a disk that is too full each item is refused.
fn check_full_disk_block(client: &Client, index: &str) {
    client.put(&format!("/{index}"), &json!({"mappings": mappings()})).done();
    let block = json!({"index.blocks.read_only_allow_delete": true});
    client.put(&format!("/{index}/_settings"), &block).done();
    let (lines, _) = documents(index, 2);
    let reply = client.bulk(lines);
    assert_eq!(reply.status, 200, "{reply:?}");
    let error = &reply.body["items"][0]["create"]["error"];
    assert_eq!(error["type"], "cluster_block_exception", "{reply:?}");
    assert_eq!(reply.item_statuses(), [429, 429], "{reply:?}");
}

/// What was acknowledged is there after a crash.
fn check_crash(engine: &mut Engine, index: &str) {
    let (lines, octets) = documents(index, DOCUMENTS);
    let (client, url) = (engine.client(), engine.url());
    assert_eq!(client.bulk(lines.clone()).item_statuses(), vec![201; DOCUMENTS as usize]);
    engine.kill();
    let refused = client.send("GET", "/", "application/json", Vec::new());
    assert!(refused.is_err(), "{refused:?}");
    engine.restart();
    assert_eq!(engine.url(), url);
    assert_eq!(client.bulk(lines).item_statuses(), vec![409; DOCUMENTS as usize]);
    assert_holds(&client, index, DOCUMENTS, octets);
    engine.stop();
    engine.restart();
    assert_holds(&client, index, DOCUMENTS, octets);
}

/// The settings of an engine with short queues.
const SHORT_QUEUES: [&str; 2] = ["thread_pool.write.size=1", "thread_pool.write.queue_size=6"];

/// Some of many requests at once are too many: whole ones, or items of them. What was acknowledged
/// is there.
fn check_too_many(client: &Client, index: &str) -> BTreeSet<&'static str> {
    let settings = json!({"number_of_shards": 8, "number_of_replicas": 0});
    client.put(&format!("/{index}"), &json!({"settings": settings})).done();
    let sender = |sender: u64| {
        let client = client.clone();
        let index = index.to_owned();
        thread::spawn(move || {
            let (mut taken, mut seen) = (0, BTreeSet::new());
            for round in 0..10 {
                let (lines, _) = documents(&index, 400);
                let reply = client.bulk(lines.replace("flow-", &format!("{sender}-{round}-")));
                if reply.status == 429 {
                    seen.insert("request");
                    continue;
                }
                let statuses = reply.item_statuses();
                assert!(statuses.iter().all(|status| [201, 429].contains(status)), "{statuses:?}");
                let refused = statuses.iter().filter(|status| **status == 429).count();
                taken += statuses.len() - refused;
                if refused > 0 {
                    seen.insert("items");
                }
            }
            (taken as u64, seen)
        })
    };
    let senders: Vec<_> = (0..12).map(sender).collect();
    let mut seen = BTreeSet::new();
    let mut taken = 0;
    for sender in senders {
        let (documents, kinds) = sender.join().expect("a sender ends");
        taken += documents;
        seen.extend(kinds);
    }
    assert!(taken > 0);
    client.refresh(index);
    assert_eq!(client.count(index), taken);
    seen
}

/// The engines that every run of the tests has.
const MAIN: [Kind; 2] = [Kind::Elasticsearch8, Kind::OpenSearch2];

/// Checks the main engines, shared with other tests.
fn with_main(check: impl Fn(&Client, Kind)) {
    for kind in MAIN {
        let Some(engine) = Engine::shared(kind) else { continue };
        check(&engine.client(), kind);
    }
}

#[test]
fn engines_say_their_version() {
    with_main(check_version);
}

#[test]
fn data_streams_take_each_document_once() {
    with_main(|client, _| check_data_stream(client, "engines-stream"));
}

#[test]
fn lifecycle_policies_are_checked() {
    let Some(engine) = Engine::shared(Kind::Elasticsearch8) else { return };
    check_lifecycle_policy(&engine.client(), "engines-policy");
}

#[test]
fn indices_take_each_document_once() {
    with_main(|client, _| assert_taken_once(client, "engines-2026.11.23"));
}

#[test]
fn documents_that_do_not_fit_are_refused_alone() {
    with_main(|client, kind| check_bad_documents(client, kind, "engines-documents"));
}

#[test]
fn malformed_requests_are_refused() {
    with_main(|client, _| check_bad_requests(client, "engines-requests"));
}

#[test]
fn items_for_a_full_disk_are_refused_for_now() {
    with_main(|client, _| check_full_disk_block(client, "engines-full"));
}

/// What a client sees of an answer: statuses and types of errors, not their words.
fn outline(reply: &Reply) -> Value {
    let item = |item: &Value| {
        let actions = item.as_object().expect("an item is an object").iter();
        let facts = actions.map(|(action, result)| {
            json!([
                action,
                result["_id"],
                result["status"],
                result["result"],
                result["error"]["type"]
            ])
        });
        facts.collect::<Value>()
    };
    let items = reply.body["items"].as_array().map(|items| items.iter().map(item).collect());
    json!([
        reply.status,
        reply.body["error"]["type"],
        reply.body["errors"],
        items.unwrap_or(Value::Null)
    ])
}

#[test]
fn scripted_server_answers_as_elasticsearch_8() {
    let action = |action: &str, id: &str| {
        format!("{{\"{action}\":{{\"_index\":\"engines-scripted\",\"_id\":\"{id}\"}}}}\n")
    };
    let create = |id: &str| action("create", id) + "{\"number\":1}\n";
    let cases = [
        ("/_bulk", create("a") + &create("b")),
        ("/_bulk", create("a") + &create("c")),
        ("/_bulk", action("index", "a") + "{\"number\":2}\n" + &action("index", "d") + "{}\n"),
        ("/engines-scripted/_bulk", "{\"create\":{\"_id\":\"e\"}}\n{}\n".to_owned()),
        ("/_bulk?filter_path=errors,items.*.status", create("a") + &create("f")),
        ("/_bulk?filter_path=took,errors,items.*.error.type", create("a") + &create("g")),
        ("/_bulk?filter_path=items.*.error", create("h")),
        ("/_bulk", create("i").trim_end().to_owned()),
        ("/_bulk", String::new()),
        ("/_bulk", "\n".to_owned()),
        ("/_bulk", "{}\n{}\n".to_owned()),
        ("/_bulk", "{\"create\":{}}\n{}\n".to_owned()),
        ("/_bulk", action("create", "j")),
        ("/_bulk", create("j") + &action("create", "k")),
        ("/_bulk", action("destroy", "k") + "{}\n"),
        ("/_bulk", "no document\n{}\n".to_owned()),
        ("/_bulk", action("create", "l") + "no document\n"),
    ];
    let Some(engine) = Engine::shared(Kind::Elasticsearch8) else { return };
    let server = Server::start();
    for (path, lines) in cases {
        let [real, scripted] = [&engine.url(), &server.url()].map(|url| {
            let body = lines.clone().into_bytes();
            Client::new(url).send("POST", path, "application/x-ndjson", body).unwrap()
        });
        assert_eq!(outline(&scripted), outline(&real), "{path} {lines}\n{scripted:?}\n{real:?}");
    }
}

/// What changes a whole engine, which is therefore one of its own.
fn check_own(engine: &mut Engine) {
    let client = engine.client();
    check_read_only_block(&client, "blocked");
    let seen = check_too_many(&client, "many");
    assert!(!seen.is_empty(), "no request was too many");
    check_crash(engine, "crash");
}

/// All of it.
fn check_all(kind: Kind) {
    let Some(mut engine) = Engine::start_with(kind, 1, &SHORT_QUEUES) else { return };
    let client = engine.client();
    check_version(&client, kind);
    if kind == Kind::Elasticsearch7 {
        assert_taken_once(&client, "flows-2026.11.23");
    } else {
        check_data_stream(&client, "flows");
    }
    if kind == Kind::Elasticsearch9 {
        check_lifecycle_policy(&client, "policy");
    }
    check_bad_documents(&client, kind, "documents");
    check_bad_requests(&client, "requests");
    check_full_disk_block(&client, "full");
    check_own(&mut engine);
}

#[test]
fn elasticsearch_8_refuses_what_is_too_much_and_keeps_what_it_took() {
    let engine = Engine::start_with(Kind::Elasticsearch8, 1, &SHORT_QUEUES);
    let Some(mut engine) = engine else { return };
    check_own(&mut engine);
}

#[test]
fn opensearch_2_refuses_what_is_too_much_and_keeps_what_it_took() {
    let engine = Engine::start_with(Kind::OpenSearch2, 1, &SHORT_QUEUES);
    let Some(mut engine) = engine else { return };
    check_own(&mut engine);
}

#[test]
fn engine_ends_with_a_test_that_panics() {
    let Some(engine) = Engine::start(Kind::OpenSearch2) else { return };
    let client = engine.client();
    client.get("/").done();
    let test = thread::spawn(move || {
        let _engine = engine;
        panic!("as a test does that fails");
    });
    assert!(test.join().is_err());
    assert!(client.send("GET", "/", "application/json", Vec::new()).is_err());
}

#[test]
#[ignore = "the oldest engine: 10 to 40 s"]
fn elasticsearch_7_does_the_same() {
    check_all(Kind::Elasticsearch7);
}

#[test]
#[ignore = "the newest engine: 10 to 40 s"]
fn elasticsearch_9_does_the_same() {
    check_all(Kind::Elasticsearch9);
}

#[test]
#[ignore = "the newest engine: 10 to 40 s"]
fn opensearch_3_does_the_same() {
    check_all(Kind::OpenSearch3);
}

#[test]
#[ignore = "three nodes: 15 to 40 s"]
fn opensearch_cluster_goes_on_without_a_node() {
    let Some(mut engine) = Engine::start_with(Kind::OpenSearch2, 3, &[]) else { return };
    let client = engine.client();
    let settings = json!({"number_of_shards": 3, "number_of_replicas": 1});
    client.put("/flows", &json!({"settings": settings})).done();
    client.get("/_cluster/health/flows?wait_for_status=green&timeout=30s").done();
    let (lines, octets) = documents("flows", DOCUMENTS);
    assert_eq!(client.bulk(lines.clone()).item_statuses(), vec![201; DOCUMENTS as usize]);
    engine.kill_node(0);
    for url in &engine.urls()[1..] {
        let client = Client::new(url);
        let reply = client.bulk(lines.clone());
        assert_eq!(reply.item_statuses(), vec![409; DOCUMENTS as usize], "{url}");
        assert_holds(&client, "flows", DOCUMENTS, octets);
    }
    engine.restart();
    assert_holds(&client, "flows", DOCUMENTS, octets);
    assert_eq!(client.delete("/flows").status, 200);
}
