//! `flowprobe elastic setup` and `check` where a cluster has parts already: older indexes, other
//! templates, settings that are not given again.

use serde_json::{Value, json};

use crate::client::Client;
use crate::engine::Engine;
use crate::kind::Kind;
use crate::scripted::{Answer, Step};
use crate::setup::{body, changes, cluster, elastic, level, output};

const STREAM: &str = "logs-netflow.log-old";

/// A template as a cluster has it of its own: some fields have other types.
fn other_template(priority: u32) -> Value {
    let ip = json!({"properties": {"ip": {"type": "keyword"}}});
    json!({
        "index_patterns": ["logs-*-*"],
        "data_stream": {},
        "priority": priority,
        "template": {
            "settings": {"number_of_replicas": 0},
            "mappings": {"properties": {"@timestamp": {"type": "date"}, "source": ip}},
        },
    })
}

/// Runs a command that succeeds.
#[track_caller]
fn done(command: &str, url: &str, arguments: &[&str]) -> (Value, String) {
    let (status, found, said) = elastic(command, url, arguments);
    assert_eq!(status, 0, "{said}");
    (found, said)
}

fn has(found: &Value, subject: &str) -> bool {
    let mut findings = found["findings"].as_array().unwrap().iter();
    findings.any(|finding| finding["subject"] == subject)
}

/// The check creates nothing, where a document would get the types of another template.
fn check_creates_nothing(client: &Client, url: &str) {
    client.put_index_template("logs", &other_template(100));
    let (_, found, said) = elastic("check", url, &[]);
    assert_eq!(level(&found, "template"), "warn", "{said}");
    assert_eq!(level(&found, "document"), "note", "{said}");
    assert_eq!(client.get(&format!("/{STREAM}/_mapping")).status, 404);
}

/// What was there before the templates goes on in a new index, or is named.
fn check_older_indexes(client: &Client, urls: [&str; 2], retention: &str) {
    let document = json!({"@timestamp": "2026-11-30T00:00:00Z", "source": {"ip": "192.0.2.1"}});
    client.bulk(format!("{{\"create\":{{\"_index\":\"{STREAM}\"}}}}\n{document}\n"));
    let arguments = ["--retention", retention, "--replicas", "0"];
    let (found, said) = done("setup", urls[0], &arguments);
    assert!(
        said.contains(&format!("flowprobe-flows is there; a new index for {STREAM}")),
        "{said}"
    );
    assert!(said.contains("logs-netflow.log-plain is an index and no data stream"), "{said}");
    assert_eq!(level(&found, "index"), "warn", "{said}");
    let (found, said) = done("check", urls[0], &[]);
    assert_eq!(level(&found, "template"), "ok", "{said}");
    assert!(!has(&found, "index"), "{said}");
    let (found, said) = done("check", urls[1], &[]);
    assert_eq!(level(&found, "index"), "warn", "{said}");
    assert!(said.contains("fields have no type") && said.contains("_reindex"), "{said}");
}

/// An index with other types under the right template: check names it, setup begins a new one.
fn check_stale_index(client: &Client, url: &str) {
    client.put_index_template("other", &other_template(300));
    client.post(&format!("/{STREAM}/_rollover"), &json!({})).done();
    client.put_index_template("other", &other_template(10));
    let (found, said) = done("check", url, &[]);
    assert_eq!(level(&found, "template"), "ok", "{said}");
    assert_eq!(level(&found, "index"), "warn", "{said}");
    // Numbers that are not given stay.
    let (_, said) = done("setup", url, &["--retention", "none"]);
    let words = format!(
        "flowprobe-flows is there already, number_of_replicas stays 0; a new index for {STREAM}"
    );
    assert!(said.contains(&words), "{said}");
    let (found, said) = done("check", url, &[]);
    assert!(!has(&found, "index"), "{said}");
}

fn check_missing_template(client: &Client, url: &str) {
    client.delete("/_index_template/flowprobe-alerts").done();
    let (found, said) = done("check", url, &[]);
    assert_eq!(level(&found, "template"), "warn", "{said}");
    assert!(said.contains("flowprobe-alerts is missing"), "{said}");
    done("setup", url, &["--retention", "none"]);
    assert_eq!(level(&done("check", url, &[]).0, "template"), "ok");
}

/// Watermarks below what this disk has in use.
fn check_watermarks(client: &Client, url: &str) {
    let (found, said) = done("check", url, &[]);
    assert_eq!(level(&found, "disk"), "note", "off in tests: {said}");
    let name = |name: &str| format!("cluster.routing.allocation.disk.{name}");
    let settings = json!({"persistent": {
        name("threshold_enabled"): true,
        name("watermark.low"): "0.01%",
        name("watermark.high"): "99.98%",
        name("watermark.flood_stage"): "99.99%",
    }});
    client.put("/_cluster/settings", &settings).done();
    let (found, said) = done("check", url, &[]);
    assert_eq!(level(&found, "disk"), "warn", "{said}");
    assert!(said.contains("above low, no new shards come here"), "{said}");
}

/// The index of the URL is what is checked.
fn check_index(client: &Client, engine: &Engine) {
    let url = output(&engine.url(), "index=flows-%25Y.%25m.%25d");
    let (status, found, said) = elastic("check", &url, &[]);
    assert_eq!((status, level(&found, "template")), (1, "fail"), "{said}");
    assert!(said.contains("no template gives fields of flows-20"), "{said}");
    assert_eq!(level(&found, "document"), "note", "{said}");
    // OpenSearch takes no constant keyword without a value.
    let template = exporter::index_template().to_string().replace("constant_keyword", "keyword");
    let mut template: Value = serde_json::from_str(&template).unwrap();
    template["index_patterns"] = json!(["flows-*"]);
    template.as_object_mut().unwrap().remove("data_stream");
    client.put_index_template("flows", &template);
    let (found, said) = done("check", &url, &[]);
    assert_eq!(level(&found, "lifecycle"), "note", "{said}");
    assert!(said.contains("one was written into flows-20"), "{said}");
    client.refresh("flows-*");
    assert_eq!(client.count("flows-*"), 0);
}

fn check_existing(kind: Kind, retention: &str) {
    let Some(engine) = Engine::start(kind) else { return };
    let client = engine.client();
    let settings = json!({"settings": {"number_of_replicas": 0}});
    client.put("/logs-netflow.log-plain", &settings).done();
    let urls = ["namespace=old", "namespace=plain"].map(|it| output(&engine.url(), it));
    check_creates_nothing(&client, &urls[0]);
    check_older_indexes(&client, [&urls[0], &urls[1]], retention);
    check_stale_index(&client, &urls[0]);
    check_missing_template(&client, &urls[0]);
    check_watermarks(&client, &urls[0]);
    check_index(&client, &engine);
}

#[test]
fn parts_of_elasticsearch_8_that_are_there_are_seen() {
    check_existing(Kind::Elasticsearch8, "365d");
}

#[test]
fn parts_of_opensearch_2_that_are_there_are_seen() {
    check_existing(Kind::OpenSearch2, "none");
}

/// The policy of an engine in which nothing else is.
#[test]
fn retention_stays_until_it_is_given() {
    let Some(engine) = Engine::start(Kind::Elasticsearch8) else { return };
    let (client, url) = (engine.client(), output(&engine.url(), ""));
    let phases = || {
        let policy = client.get("/_ilm/policy/flowprobe");
        policy.body["flowprobe"]["policy"]["phases"].clone()
    };
    // Without a policy nothing is rolled over, and that is said.
    let (found, said) = done("setup", &url, &["--retention", "none"]);
    assert_eq!((level(&found, "lifecycle"), phases()), ("note", Value::Null), "{said}");
    assert!(said.contains("neither rolled over nor deleted"), "{said}");
    let (found, said) = done("check", &url, &[]);
    assert_eq!(level(&found, "lifecycle"), "note", "{said}");

    for (arguments, words, age) in [
        (
            &["--retention", "365d"][..],
            "flowprobe is there: indexes are deleted 365d",
            json!("365d"),
        ),
        (&[], "flowprobe is there already: indexes are deleted 365d", json!("365d")),
        (&["--retention", "none"], "flowprobe is there: no index is deleted", Value::Null),
        (&[], "flowprobe is there already: no index is deleted", Value::Null),
    ] {
        let (_, said) = done("setup", &url, arguments);
        assert!(said.contains(words), "{said}");
        let phases = phases();
        assert!(phases["hot"]["actions"]["rollover"].is_object(), "{phases}");
        assert_eq!(phases["delete"]["min_age"], age, "{phases}");
        assert_eq!(level(&done("check", &url, &[]).0, "lifecycle"), "ok");
    }
    // Another policy that is not there.
    let path = "/_index_template/flowprobe-flows";
    let mut template = client.get(path).done()["index_templates"][0]["index_template"].take();
    template["template"]["settings"]["index"]["lifecycle"]["name"] = json!("gone");
    client.put(path, &template).done();
    let (found, said) = done("check", &url, &[]);
    assert_eq!(level(&found, "lifecycle"), "warn", "{said}");
    assert!(said.contains("policy gone is missing"), "{said}");
}

/// The real one has no such plugin here.
#[test]
fn policy_of_opensearch_stays_and_its_copies_are_named() {
    let server = cluster(Some("opensearch"), "2.11.0");
    let url = output(&server.url(), "");
    let policy = "/_plugins/_ism/policies/flowprobe";
    let transition = json!({"state_name": "delete", "conditions": {"min_index_age": "366d"}});
    let present = json!({
        "_seq_no": 7,
        "_primary_term": 2,
        "policy": {"states": [{"name": "hot", "transitions": [transition]}]},
    });
    server.always(policy, Step::answer(Answer::json(200, &present)));
    let (_, said) = done("setup", &url, &[]);
    assert!(said.contains("is there already: indexes are deleted at an age of 366d"), "{said}");
    assert!(changes(&server).iter().all(|request| request.path() != policy));

    let (found, said) = done("setup", &url, &["--retention", "none"]);
    assert_eq!(level(&found, "lifecycle"), "note", "{said}");
    assert!(said.contains("no index is deleted") && said.contains("change_policy"), "{said}");
    let sent = changes(&server);
    let put = sent.iter().find(|request| request.path() == policy).unwrap();
    let states = &body(put)["policy"]["states"];
    assert_eq!((states.as_array().unwrap().len(), &states[0]["name"]), (1, &json!("hot")));

    let absent = Answer::error(404, "status_exception", "Policy not found");
    server.always(policy, Step::answer(absent));
    let (_, found, said) = elastic("check", &url, &[]);
    assert_eq!(level(&found, "lifecycle"), "warn", "{said}");
    assert!(said.contains("policy flowprobe is missing"), "{said}");
}
