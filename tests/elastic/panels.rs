//! What panels show of a capture in which each attack is known: their searches run on real engines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dashboards::{BOARDS, Group, Measure, Panel, Source};
use serde_json::Value;

use crate::client::Client;
use crate::engine::Engine;
use crate::kind::Kind;
use crate::seeded::*;
use crate::support::{self, Run};

/// The names of groups, the outer one first, and what was measured of the inner one. Time is no
/// group here: what was measured of its groups is added up.
type Rows = BTreeMap<Vec<String>, Vec<f64>>;

#[test]
fn panels_of_elasticsearch_8() {
    check_panels(Kind::Elasticsearch8);
}

#[test]
#[ignore = "the newest engine: 10 to 40 s"]
fn panels_of_elasticsearch_9() {
    check_panels(Kind::Elasticsearch9);
}

#[test]
#[ignore = "the oldest engine: 10 to 40 s"]
fn panels_of_elasticsearch_7() {
    check_panels(Kind::Elasticsearch7);
}

#[test]
fn panels_of_opensearch_2() {
    check_panels(Kind::OpenSearch2);
}

#[test]
#[ignore = "the newest engine: 10 to 40 s"]
fn panels_of_opensearch_3() {
    check_panels(Kind::OpenSearch3);
}

fn check_panels(kind: Kind) {
    let Some(engine) = Engine::start(kind) else { return };
    let (client, run) = (engine.client(), fill(&engine));
    let shown: BTreeMap<_, _> = BOARDS
        .iter()
        .flat_map(|board| board.panels)
        .map(|panel| (panel.id, rows(panel, &search(&client, panel))))
        .collect();
    for (id, rows) in &shown {
        assert!(!rows.is_empty(), "{id} shows nothing");
    }
    check_fields(&client);
    check_sums(&shown, &run);
    check_attacks(&shown);
    check_incidents(&shown);
}

/// Sets the engine up and replays the capture into it.
fn fill(engine: &Engine) -> Run {
    let folder = support::scratch();
    let (url, path) = (format!("elastic+{}", engine.url()), capture(&folder));
    let setup = ["elastic", "setup", &url, "--retention", "none", "--replicas", "0"];
    let done = support::flowprobe().args(setup).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let places = database(&folder);
    let [path, places] = [&path, &places].map(|path| path.to_str().unwrap());
    let words = ["-r", path, "-o", &url, "--alerts", "outputs", "--geo", places];
    let run = support::run(words);
    let refused = run.count("outputs.0.delivery.refused");
    assert_eq!((run.status, refused), (0, 0), "{}", run.stderr);
    run.assert_conservation();
    for source in [Source::Flows, Source::Alerts] {
        engine.client().refresh(source.pattern());
    }
    run
}

/// Every field of the documents has a type in the templates.
fn check_fields(client: &Client) {
    let templates = [exporter::index_template(), exporter::alert_template()];
    for (source, template) in [Source::Flows, Source::Alerts].into_iter().zip(templates) {
        let reply = client.get(&format!("/{}/_search?size=5000", source.pattern())).done();
        let documents = reply["hits"]["hits"].as_array().expect("hits");
        assert!(documents.len() > 10, "{reply}");
        let found = documents.iter().flat_map(|document| names_of_fields(&document["_source"]));
        for field in found.collect::<BTreeSet<_>>() {
            // A point is an object with one type.
            let field = field.strip_suffix(&["lat".to_owned()]).unwrap_or(&field);
            let field = field.strip_suffix(&["lon".to_owned()]).unwrap_or(field);
            let path = format!("/template/mappings/properties/{}/type", field.join("/properties/"));
            assert!(template.pointer(&path).is_some_and(Value::is_string), "{field:?}");
        }
    }
}

/// The names of the fields of a document, each with those of the objects that it is in.
fn names_of_fields(document: &Value) -> Vec<Vec<String>> {
    let Some(members) = document.as_object() else { return vec![Vec::new()] };
    let of = |(name, inner): (&String, &Value)| {
        let inner = names_of_fields(inner).into_iter();
        inner.map(|rest| [vec![name.clone()], rest].concat()).collect::<Vec<_>>()
    };
    members.iter().flat_map(of).collect()
}

/// What the engine answers to the search of a panel.
#[track_caller]
fn search(client: &Client, panel: &Panel) -> Value {
    let path = format!("/{}/_search", panel.source.pattern());
    let reply = client.post(&path, &panel.search()).done();
    let shards = &reply["_shards"];
    assert_eq!((&shards["failed"], &reply["timed_out"]), (&0.into(), &false.into()), "{reply}");
    reply
}

fn rows(panel: &Panel, reply: &Value) -> Rows {
    let mut rows = Rows::new();
    if panel.groups.is_empty() {
        let mut all = reply["aggregations"].clone();
        all["doc_count"] = reply["hits"]["total"]["value"].clone();
        rows.insert(Vec::new(), measures(panel, &all));
    } else {
        collect(panel, panel.groups, &reply["aggregations"]["group"], &[], &mut rows);
    }
    rows
}

fn collect(panel: &Panel, groups: &[Group], of: &Value, names: &[String], rows: &mut Rows) {
    let (group, inner) = groups.split_first().expect("a group is in one of the panel's");
    for (name, bucket) in buckets(&of["buckets"]) {
        let mut names = names.to_vec();
        if !matches!(group, Group::Time) {
            names.push(name);
        }
        if !inner.is_empty() {
            collect(panel, inner, &bucket["group"], &names, rows);
            continue;
        }
        let values = measures(panel, bucket);
        match rows.get_mut(&names) {
            Some(sums) => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
            None => drop(rows.insert(names, values)),
        }
    }
}

/// Groups of an aggregation: an object where they have names of their own, otherwise a list.
fn buckets(of: &Value) -> Vec<(String, &Value)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match of {
        Value::Object(named) => named.iter().map(|(name, it)| (name.clone(), it)).collect(),
        Value::Array(list) => list.iter().map(|it| (text(&it["key"]), it)).collect(),
        other => panic!("no groups: {other}"),
    }
}

/// What was measured of a group. The first group of a time has no change.
fn measures(panel: &Panel, of: &Value) -> Vec<f64> {
    let measure = |(number, measure): (usize, &Measure)| match measure {
        Measure::Count => of["doc_count"].as_f64(),
        Measure::Percentile95(_) => of[format!("m{number}")]["values"]["95.0"].as_f64(),
        Measure::Change(_) => Some(of[format!("m{number}")]["value"].as_f64().unwrap_or(0.0)),
        _ => of[format!("m{number}")]["value"].as_f64(),
    };
    let all = panel.measures.iter().enumerate();
    all.map(|pair| measure(pair).unwrap_or_else(|| panic!("{}: {of}", panel.id))).collect()
}

type Shown = BTreeMap<&'static str, Rows>;

/// Panels of all traffic show all of it.
fn check_sums(shown: &Shown, run: &Run) {
    let [packets, octets] = ["metered.packets", "metered.octets"].map(|key| run.count(key) as f64);
    let ended = run.stats["ended"].as_object().unwrap();
    let records: f64 = ended.values().map(|cause| cause["records"].as_f64().unwrap()).sum();
    let sum = |id: &str, measure: usize| shown[id].values().map(|row| row[measure]).sum::<f64>();
    assert_eq!((sum("throughput", 0), sum("throughput", 1)), (octets, packets));
    for id in ["transports", "direction"] {
        assert_eq!(sum(id, 0), octets, "{id}");
    }
    for (id, measures) in [("versions", [0, 1]), ("interfaces", [0, 1]), ("exporters", [1, 0])] {
        assert_eq!(measures.map(|measure| sum(id, measure)), [octets, records], "{id}");
    }
    for id in ["counts", "reasons", "sizes"] {
        assert_eq!(sum(id, 0), records, "{id}");
    }
    let other = ["DNS", "NTP", "SYN only", "other UDP", "ICMP"];
    let spikes: BTreeSet<_> = shown["spikes"].keys().map(|names| names[0].as_str()).collect();
    assert_eq!(spikes, other.into());
    let inside: f64 = shown["interfaces"][&names(&["1"])][0];
    assert_eq!(shown["vlans"][&names(&["7"])][0], inside);
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Exactly these groups have at least so much of what the panel measures first.
#[track_caller]
fn assert_found(shown: &Shown, id: &str, least: f64, expected: &[(&[&str], &[f64])]) {
    let mut found = shown[id].clone();
    found.retain(|_, row| row[0] >= least);
    let expected: Rows = expected.iter().map(|(group, row)| (names(group), row.to_vec())).collect();
    let mut table = String::new();
    for (group, row) in &found {
        writeln!(table, "{group:?} {row:?}").unwrap();
    }
    assert!(found.keys().eq(expected.keys()), "{id}:\n{table}");
    for (row, expected) in found.values().zip(expected.values()) {
        // Engines estimate how many different values there are.
        let is_near = |(one, other): (&f64, &f64)| (one - other).abs() <= other / 50.0;
        assert!(
            row.len() == expected.len() && row.iter().zip(expected).all(is_near),
            "{id}:\n{table}"
        );
    }
}

fn check_attacks(shown: &Shown) {
    let found =
        |id, least, expected: &[(&[&str], &[f64])]| assert_found(shown, id, least, expected);
    let flooders = f64::from(FLOODERS);
    found("syn-targets", 100.0, &[(&[FLOODED], &[flooders, flooders])]);
    let [hosts, worm, red] = [SCANNED_HOSTS, WORM_TARGETS, CODE_RED_TARGETS].map(f64::from);
    let scanners: [(&[&str], &[f64]); 3] =
        [(&[HOST_SCANNER], &[hosts, hosts]), (&[WORM], &[worm, worm]), (&[CODE_RED], &[red, red])];
    found("syn-scanners", 20.0, &scanners);
    found("port-scanners", 100.0, &[(&[PORT_SCANNER], &[f64::from(SCANNED_PORTS), 1.0])]);
    found("dns-participation", 100.0, &[(&[RESOLVER], &[200.0, 5.0])]);
    let octets = 1428.0 * f64::from(REFLECTED_PACKETS) * f64::from(REFLECTORS);
    found("reflection", 1.0, &[(&["53", REFLECTED], &[octets, f64::from(REFLECTORS)])]);
    let mails = f64::from(MAIL_SERVERS);
    found("code-red", 1.0, &[(&[CODE_RED], &[red])]);
    found("mail", 10.0, &[(&[MAILER], &[mails, mails])]);
    let worms: [(&[&str], &[f64]); 3] = [
        (&["tcp/445", WORM], &[worm, worm]),
        (&["tcp/25", MAILER], &[mails, mails]),
        (&["Code Red", CODE_RED], &[red, red]),
    ];
    found("worms", 20.0, &worms);
    let octets = f64::from(PEERS) * (140.0 + 128.0) / 2.0;
    found("p2p", 1.0, &[(&[PEER], &[octets, f64::from(PEERS)])]);
    let heavy = f64::from(HEAVY_PACKETS) * f64::from(HEAVY_OCTETS);
    let rows: Vec<_> = shown["heavy"].iter().filter(|(_, row)| row[0] == heavy).collect();
    assert!(rows.len() == 1 && rows[0].0[1..] == names(&HEAVY), "{rows:?}");
    let icmp = ICMP.map(|(_, _, packets)| [f64::from(packets)]);
    let kinds = ["network unreachable (768)", "host unreachable (769)"];
    let kinds = [kinds[0], kinds[1], "port unreachable (771)", "echo (2048)"];
    let groups = kinds.map(|kind| [kind, ROUTER]);
    let rows: Vec<(&[&str], &[f64])> =
        groups.iter().zip(&icmp).map(|(group, row)| (&group[..], &row[..])).collect();
    found("icmp", 1.0, &rows);
    let spoofed = shown["spoofed"].iter().filter(|(group, _)| group[0] == OUTSIDE.to_string());
    let spoofed: Vec<_> = spoofed.map(|(group, row)| (group[1].as_str(), row[0])).collect();
    assert_eq!(spoofed, [(SPOOFED, f64::from(SPOOFED_PACKETS))]);
    let countries: Vec<_> = shown["source-countries"].keys().map(|group| &group[0]).collect();
    assert_eq!(countries, ["New Zealand"]);
    assert_eq!(shown["source-map"].len(), 1);
}

fn check_incidents(shown: &Shown) {
    let rules: Vec<_> = shown["rules"].iter().map(|(group, row)| (&group[0][..], row[0])).collect();
    let expected = [
        ("amplification-victim", 1.0),
        ("mail-sender", 1.0),
        ("p2p-user", 1.0),
        ("scan-horizontal", 1.0),
        ("scan-vertical", 1.0),
        ("syn-flood", 1.0),
        ("worm-port", 2.0),
    ];
    assert_eq!(rules, expected);
    assert_eq!(shown["incidents"].len(), 8);
    let sources: BTreeSet<_> =
        shown["incident-sources"].keys().map(|group| group[0].as_str()).collect();
    assert_eq!(sources, [MAILER, PEER, HOST_SCANNER, PORT_SCANNER, WORM, CODE_RED].into());
}
