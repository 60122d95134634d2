//! `flowprobe elastic setup` and `check`: real engines take what is sent, and requests are exact.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::kind::Kind;
use crate::scripted::{Answer, Request, Server, Step};
use crate::support::{self, Run};

pub fn elastic<'a>(command: &'a str, url: &'a str, arguments: &[&'a str]) -> (i32, Value, String) {
    let all = [&["elastic", command, url, "--json"], arguments].concat();
    let output = support::flowprobe().args(all).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = text + &String::from_utf8(output.stderr).unwrap();
    let status = output.status.code().unwrap();
    (status, serde_json::from_str(&said).unwrap_or(Value::Null), said)
}

pub fn output(url: &str, settings: &str) -> String {
    format!("elastic+{url}?{settings}")
}

/// The level of what was found about a subject; the worst of several.
#[track_caller]
pub fn level<'a>(found: &'a Value, subject: &str) -> &'a str {
    let findings = found["findings"].as_array().expect("findings");
    let levels = findings.iter().filter(|finding| finding["subject"] == subject);
    let levels: Vec<_> = levels.map(|finding| finding["level"].as_str().unwrap()).collect();
    ["fail", "warn", "note", "ok"]
        .into_iter()
        .find(|level| levels.contains(level))
        .unwrap_or_else(|| panic!("{subject}: {found}"))
}

/// An engine without and then with the templates: check says so, setup may run again, and what a
/// replay writes is found with its types.
fn check_setup(kind: Kind, retention: &str) {
    let Some(engine) = Engine::start(kind) else { return };
    let (client, namespace) = (engine.client(), "office");
    let url = output(&engine.url(), &format!("namespace={namespace}"));
    let (status, found, said) = elastic("check", &url, &[]);
    assert_eq!((status, level(&found, "template")), (1, "fail"), "{said}");
    assert_eq!(level(&found, "document"), "note", "{said}");
    // The command of a remedy has the URL that was given.
    let command = format!("flowprobe elastic setup '{url}'");
    assert!(remedies(&found).contains(&command), "{said}");

    let arguments = ["--retention", retention, "--replicas", "0"];
    for words in ["is there", "is there already"] {
        let (status, found, said) = elastic("setup", &url, &arguments);
        assert_eq!(status, 0, "{said}");
        assert!(found["findings"].as_array().unwrap().len() >= 3, "{said}");
        assert!(said.contains(&format!("flowprobe-flows {words}\"")), "{said}");
        assert!(!said.contains("copies of shards"), "{said}");
    }
    let (status, found, said) = elastic("check", &url, &[]);
    assert_eq!(status, 0, "{said}");
    for subject in ["cluster", "template", "document", "clock"] {
        assert_eq!(level(&found, subject), "ok", "{said}");
    }
    // The check has left nothing behind.
    let stream = format!("logs-netflow.log-{namespace}");
    client.refresh(&stream);
    assert_eq!(client.count(&stream), 0);

    let sample = support::office();
    let run: Run = support::run(["-r", sample.to_str().unwrap(), "-o", &url]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    client.refresh(&stream);
    assert_eq!(client.sum(&stream, "network.packets"), run.count("metered.packets") as f64);

    // Another template begins a new index.
    let arguments = ["--retention", retention, "--replicas", "0", "--shards", "2"];
    let (status, _, said) = elastic("setup", &url, &arguments);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("flowprobe-flows is replaced"), "{said}");
    if !matches!(kind, Kind::Elasticsearch7) {
        assert!(said.contains(&format!("a new index for {stream}")), "{said}");
        let streams = client.get(&format!("/_data_stream/{stream}")).done();
        let indices = streams["data_streams"][0]["indices"].as_array().unwrap();
        assert_eq!(indices.len(), 2, "{streams}");
    }

    // Copies of shards have no place on this node. Setup says so, and does what it is told.
    let arguments = ["--retention", retention, "--replicas", "1"];
    let (status, found, said) = elastic("setup", &url, &arguments);
    assert_eq!((status, level(&found, "replicas")), (0, "note"), "{said}");
    assert!(said.contains("flowprobe-flows is replaced"), "{said}");
    let command = format!("{command} --replicas 0");
    assert!(remedies(&found).contains(&command), "{said}");
    let (_, found, said) = elastic("check", &url, &[]);
    if level(&found, "health") != "ok" {
        assert!(remedies(&found).contains(&command), "{said}");
    }
}

#[test]
fn setup_and_check_of_elasticsearch_8() {
    check_setup(Kind::Elasticsearch8, "30d");
}

#[test]
#[ignore = "the newest engine: 10 to 40 s"]
fn setup_and_check_of_elasticsearch_9() {
    check_setup(Kind::Elasticsearch9, "36h");
}

#[test]
#[ignore = "the oldest engine: 10 to 40 s"]
fn setup_and_check_of_elasticsearch_7() {
    check_setup(Kind::Elasticsearch7, "none");
}

#[test]
fn setup_and_check_of_opensearch_2() {
    check_setup(Kind::OpenSearch2, "none");
}

#[test]
#[ignore = "the newest engine: 10 to 40 s"]
fn setup_and_check_of_opensearch_3() {
    check_setup(Kind::OpenSearch3, "none");
}

/// The test engine has no such plugin, and so setup does not say that documents are deleted.
#[test]
fn retention_that_a_cluster_cannot_keep_is_an_error() {
    let Some(engine) = Engine::shared(Kind::OpenSearch2) else { return };
    let (status, found, said) = elastic("setup", &output(&engine.url(), ""), &[]);
    assert_eq!((status, level(&found, "lifecycle")), (1, "fail"), "{said}");
    assert!(said.contains("--retention none"), "{said}");
}

/// A server that answers as a cluster of this kind does.
pub fn cluster(distribution: Option<&str>, number: &str) -> Server {
    let server = Server::start();
    let mut version = json!({"number": number});
    if let Some(distribution) = distribution {
        version["distribution"] = json!(distribution);
    }
    server.always("/", Step::answer(Answer::json(200, &json!({"version": version}))));
    let done = json!({"acknowledged": true, "success": true, "successCount": 3});
    let absent = Answer::error(404, "resource_not_found_exception", "none");
    for name in ["flows", "alerts"] {
        let path = format!("/_index_template/flowprobe-{name}");
        server.next(&path, Step::answer(absent.clone()));
        server.always(&path, Step::answer(Answer::json(200, &done)));
    }
    let import = "/api/saved_objects/_import";
    server.always(import, Step::answer(Answer::json(200, &done)));
    let status = json!({"version": {"number": "8.15.0"}});
    server.always("/api/status", Step::answer(Answer::json(200, &status)));
    server
}

pub fn changes(server: &Server) -> Vec<Request> {
    let mut requests = server.requests();
    requests.retain(|request| request.method() != "GET");
    requests
}

pub fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The request that imports dashboards: a form with one file (RFC 7578).
#[track_caller]
fn assert_import(request: &Request, header: &str, file: &str) {
    assert_eq!((request.method(), request.path()), ("POST", "/api/saved_objects/_import"));
    assert_eq!(request.parameter("overwrite"), Some("true"));
    assert_eq!(request.header(header), Some("true"));
    let kind = request.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let content = std::fs::read_to_string(support::root().join("deploy/elastic").join(file));
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\
         Content-Type: application/ndjson\r\n\r\n{}\r\n--{boundary}--\r\n",
        content.unwrap()
    );
    assert!(request.body == expected.as_bytes(), "{file}");
}

#[test]
fn elasticsearch_gets_exactly_these_requests() {
    let server = cluster(None, "8.15.0");
    let policy = "/_ilm/policy/flowprobe";
    let absent = Answer::error(404, "resource_not_found_exception", "none");
    server.next(policy, Step::answer(absent));
    server.always(policy, Step::answer(Answer::json(200, &json!({"acknowledged": true}))));
    let folder = support::scratch();
    let key = support::write(&folder, "key", b"id:key\n");
    let url = output(&server.url(), &format!("api-key-file={}", key.display()));
    let kibana = server.url();
    let arguments = ["--retention", "7d", "--dashboards", kibana.as_str()];
    let (status, _, said) = elastic("setup", &url, &arguments);
    assert_eq!(status, 0, "{said}");
    let sent = changes(&server);
    let paths: Vec<_> = sent.iter().map(|sent| (sent.method(), sent.path())).collect();
    assert_eq!(
        paths,
        [
            ("PUT", policy),
            ("PUT", "/_index_template/flowprobe-flows"),
            ("PUT", "/_index_template/flowprobe-alerts"),
            ("PUT", "/_index_template/flowprobe-dns"),
            ("POST", "/api/saved_objects/_import"),
        ]
    );
    assert!(sent.iter().all(|sent| sent.header("authorization") == Some("ApiKey aWQ6a2V5")));
    let rollover = json!({"max_age": "1d", "max_primary_shard_size": "50gb"});
    assert_eq!(
        body(&sent[0]),
        json!({"policy": {"phases": {
            "hot": {"actions": {"rollover": rollover}},
            "delete": {"min_age": "7d", "actions": {"delete": {}}},
        }}})
    );
    let templates = [exporter::index_template, exporter::alert_template, exporter::dns_template];
    for (request, template) in sent[1..4].iter().zip(templates) {
        let mut expected = template();
        let mut body = body(request);
        expected["template"]["settings"]["index"]["lifecycle"] = json!({"name": "flowprobe"});
        assert!(body["_meta"].as_object_mut().unwrap().remove("digest").is_some());
        assert_eq!(body, expected);
    }
    assert_import(&sent[4], "kbn-xsrf", "kibana.ndjson");
}

#[test]
fn opensearch_gets_exactly_these_requests() {
    let server = cluster(Some("opensearch"), "2.11.0");
    let policy = "/_plugins/_ism/policies/flowprobe";
    let present = json!({"_id": "flowprobe", "_seq_no": 7, "_primary_term": 2, "policy": {}});
    server.always(policy, Step::answer(Answer::json(200, &present)));
    let dashboards = server.url();
    let arguments = ["--retention", "12h", "--dashboards", dashboards.as_str()];
    let (status, _, said) = elastic("setup", &output(&server.url(), ""), &arguments);
    assert_eq!(status, 0, "{said}");
    let sent = changes(&server);
    assert_eq!((sent[0].method(), sent[0].path()), ("PUT", policy));
    assert_eq!(sent[0].parameter("if_seq_no"), Some("7"));
    assert_eq!(sent[0].parameter("if_primary_term"), Some("2"));
    let hot = json!({
        "name": "hot",
        "actions": [{"rollover": {"min_index_age": "12h", "min_size": "50gb"}}],
        "transitions": [{"state_name": "delete", "conditions": {"min_index_age": "1d"}}],
    });
    let delete = json!({"name": "delete", "actions": [{"delete": {}}], "transitions": []});
    let patterns = ["logs-netflow.log-*", "logs-flowprobe.alert-*", "logs-flowprobe.dns-*"];
    let policy = json!({"policy": {
        "description": "Documents of flowprobe",
        "default_state": "hot",
        "states": [hot, delete],
        "ism_template": [{"index_patterns": patterns, "priority": 150}],
    }});
    assert_eq!(body(&sent[0]), policy);
    // It came with 2.14.
    let template = body(&sent[1]).to_string();
    assert!(!template.contains("constant_keyword") && !template.contains("lifecycle"));
    assert_import(&sent[4], "osd-xsrf", "opensearch-dashboards.ndjson");
}

#[test]
fn dry_run_prints_requests_and_sends_none() {
    let server = cluster(None, "8.15.0");
    let absent = Answer::error(404, "resource_not_found_exception", "none");
    server.always("/_ilm/policy/flowprobe", Step::answer(absent));
    let url = output(&server.url(), "");
    let kibana = server.url();
    let all = ["elastic", "setup", &url, "--dry-run", "--dashboards", &kibana];
    let output = support::flowprobe().args(all).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in [
        "PUT /_ilm/policy/flowprobe",
        "PUT /_index_template/flowprobe-flows",
        "PUT /_index_template/flowprobe-alerts",
        "PUT /_index_template/flowprobe-dns",
        "POST /api/saved_objects/_import?overwrite=true",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert_eq!(changes(&server).len(), 0);
}

#[test]
fn a_cluster_that_is_refused_or_too_old_is_said_with_a_remedy() {
    let server = cluster(None, "6.8.23");
    let (status, found, said) = elastic("setup", &output(&server.url(), ""), &[]);
    assert_eq!((status, level(&found, "cluster")), (1, "fail"), "{said}");
    assert!(said.contains("7.9") && changes(&server).is_empty(), "{said}");

    let refused = Answer::error(401, "security_exception", "missing authentication");
    server.always("/", Step::answer(refused));
    let (status, found, said) = elastic("check", &output(&server.url(), ""), &[]);
    assert_eq!((status, level(&found, "cluster")), (1, "fail"), "{said}");
    assert!(said.contains("401") && said.contains("api-key-file"), "{said}");

    let (status, _, said) = elastic("check", "json:-", &[]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("elastic+https://"), "{said}");
}

/// What to do about each problem that was found.
fn remedies(found: &Value) -> String {
    let findings = found["findings"].as_array().expect("findings").iter();
    findings.filter_map(|finding| finding["remedy"].as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_right_is_named_where_it_is_missing_and_not_elsewhere() {
    let templates = "/_index_template/flowprobe-flows";
    let import = "/api/saved_objects/_import";
    for (path, right) in [(templates, "manage_index_templates"), (import, "save dashboards")] {
        for (status, kind, remedy) in [
            (403, "security_exception", right),
            (401, "security_exception", "api-key-file"),
            (403, "cluster_block_exception", ""),
            (400, "illegal_argument_exception", ""),
            (500, "illegal_state_exception", ""),
        ] {
            let server = cluster(None, "8.15.0");
            server.always(path, Step::answer(Answer::error(status, kind, "because")));
            let (url, kibana) = (output(&server.url(), ""), server.url());
            let arguments = ["--retention", "none", "--dashboards", &kibana];
            let (code, found, said) = elastic("setup", &url, &arguments);
            assert_eq!(code, 1, "{said}");
            assert!(said.contains(kind) && said.contains("because"), "{said}");
            let remedies = remedies(&found);
            assert_eq!(remedies.is_empty(), remedy.is_empty(), "{kind}: {remedies}");
            assert!(remedies.contains(remedy), "{kind}: {remedies}");
        }
    }
}

/// A server that answers the questions of a check: as a cluster that is well, or in need.
fn examined(is_well: bool) -> Server {
    let server = cluster(None, "8.15.0");
    let answers =
        |path: &str, body: Value| server.always(path, Step::answer(Answer::json(200, &body)));
    let stream = "logs-netflow.log-default";
    let health = if is_well { "green" } else { "red" };
    answers("/_cluster/health", json!({"status": health, "number_of_nodes": 3}));
    let rights = json!({stream: {"create_doc": is_well, "auto_configure": true}});
    let rights = json!({"username": "flows", "index": rights});
    answers("/_security/user/_has_privileges", rights);
    let mut template = exporter::index_template()["template"].take();
    if !is_well {
        template["mappings"]["properties"]["network"]["properties"]["bytes"]["type"] =
            json!("text");
    }
    let path = format!("/_index_template/_simulate_index/{stream}");
    answers(&path, json!({"template": template}));
    let alerts = exporter::alert_template();
    answers("/_index_template/_simulate_index/logs-flowprobe.alert-default", alerts);
    let mark = |name: &str| format!("cluster.routing.allocation.disk.watermark.{name}");
    let marks = json!({mark("low"): "85%", mark("high"): "90%", mark("flood_stage"): "95%"});
    answers("/_cluster/settings", json!({"defaults": marks}));
    let free = if is_well { "50000" } else { "4000" };
    let disk = json!([{"node": "es1", "disk.avail": free, "disk.total": "100000"}]);
    answers("/_cat/allocation", disk);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let shift = Duration::from_secs(if is_well { 0 } else { 3600 });
    let time = u64::try_from((now + shift).as_millis()).unwrap();
    answers("/_nodes/stats/os", json!({"nodes": {"a": {"name": "es1", "timestamp": time}}}));
    server
}

#[test]
fn check_says_what_is_missing_and_what_to_do() {
    let subjects = ["cluster", "health", "rights", "template", "disk", "clock"];
    let server = examined(true);
    let (_, found, said) = elastic("check", &output(&server.url(), ""), &[]);
    assert_eq!(subjects.map(|subject| level(&found, subject)), ["ok"; 6], "{said}");

    // A template of DNS transactions is missed where they are written.
    assert!(!said.contains("flowprobe.dns"), "{said}");
    let (_, _, said) = elastic("check", &output(&server.url(), "events=dns"), &[]);
    assert!(said.contains("logs-flowprobe.dns-default"), "{said}");

    let server = examined(false);
    let (status, found, said) = elastic("check", &output(&server.url(), ""), &[]);
    let levels = ["ok", "fail", "fail", "warn", "fail", "warn"];
    assert_eq!((status, subjects.map(|subject| level(&found, subject))), (1, levels), "{said}");
    for words in [
        "red, nodes: 3: some shards are missing",
        "give flows the index privileges create_doc on logs-netflow.log-default",
        "1 of ",
        "network.bytes",
        "above flood_stage, indexes are read-only",
        "node es1 is +3600 s from this host",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn kibana_that_is_too_old_gets_no_dashboards() {
    let server = cluster(None, "8.15.0");
    let status = json!({"version": {"number": "8.6.2"}});
    server.always("/api/status", Step::answer(Answer::json(200, &status)));
    let kibana = server.url();
    let arguments = ["--retention", "none", "--dashboards", kibana.as_str()];
    let (status, found, said) = elastic("setup", &output(&server.url(), ""), &arguments);
    assert_eq!((status, level(&found, "dashboards")), (1, "fail"), "{said}");
    assert!(server.requests_to("/api/saved_objects/_import").is_empty());
}
