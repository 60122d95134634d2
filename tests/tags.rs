//! Tags and top lists as users see them: in documents, totals and the table, and nowhere else.

mod support;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use support::Run;
use support::capture::{Captured, pcap};
use support::packet::{ethernet, ipv4, tcp, udp};

fn sample(name: &str) -> String {
    support::root().join("tests/data").join(name).to_str().unwrap().to_owned()
}

fn run(arguments: &[&str]) -> Run {
    let run = support::run(arguments);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    run
}

fn tags(document: &Value) -> Vec<&str> {
    let tags = document.get("tags").map(|tags| tags.as_array().unwrap().iter());
    tags.into_iter().flatten().map(|tag| tag.as_str().unwrap()).collect()
}

/// Records, packets and octets by tag, of documents.
fn counted(documents: &[Value]) -> BTreeMap<String, [u64; 3]> {
    let mut counts: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for document in documents {
        for tag in tags(document) {
            let count = counts.entry(tag.to_owned()).or_default();
            count[0] += 1;
            count[1] += document["network"]["packets"].as_u64().unwrap();
            count[2] += document["network"]["bytes"].as_u64().unwrap();
        }
    }
    counts
}

#[test]
fn totals_are_the_sums_of_documents() {
    let capture = sample("office.pcap");
    let mut seen = Vec::new();
    for workers in ["1", "2", "4"] {
        let run = run(&["-r", &capture, "-o", "json:-", "--workers", workers]);
        let counts = counted(&run.documents());
        for (tag, count) in run.stats["tags"].as_object().unwrap() {
            let said = ["records", "packets", "octets"].map(|key| count[key].as_u64().unwrap());
            assert_eq!(counts.get(tag).copied().unwrap_or_default(), said, "{tag}");
        }
        assert_eq!(run.stats["tags"].as_object().unwrap().len(), 19);
        seen.push(counts);
    }
    assert!(seen.iter().all(|counts| *counts == seen[0]), "{seen:?}");
    assert!(seen[0]["syn-only"][0] > 3000 && seen[0]["amplified"][0] > 20, "{seen:?}");
    let strange = ["bogon-source", "spoofed-source", "land", "xmas", "null", "syn-fin"];
    assert!(strange.iter().all(|tag| !seen[0].contains_key(*tag)), "{seen:?}");
}

#[test]
fn without_tags_nothing_else_is_different() {
    let capture = sample("office.pcap");
    let folder = support::scratch();
    let left = |name: &str, arguments: &[&str]| {
        let file = folder.path().join(name);
        let to_file = format!("ipfix-file:{}", file.display());
        let all = [&["-r", &capture, "-o", "json:-", "-o", &to_file], arguments].concat();
        (run(&all), fs::read(&file).unwrap())
    };
    let (on, messages_on) = left("on.ipfix", &[]);
    let (off, messages_off) = left("off.ipfix", &["--tags", "off"]);
    assert!(messages_on == messages_off, "messages have no place for tags");
    assert_eq!(off.stats["tags"], Value::Object(serde_json::Map::new()));
    let mut documents = on.documents();
    assert!(documents.iter().any(|document| !tags(document).is_empty()));
    for document in &mut documents {
        document.as_object_mut().unwrap().remove("tags");
    }
    assert!(documents == off.documents(), "documents differ by their tags only");
}

#[test]
fn messages_alone_bring_no_tags_unless_they_are_asked_for() {
    let capture = sample("office.pcap");
    let given = ["-r", &capture, "-o", "ipfix-file:/dev/null"];
    let without = run(&given);
    assert_eq!(without.stats["tags"], Value::Object(serde_json::Map::new()));
    let with = run(&[&given[..], &["--tags", "on"]].concat());
    assert!(with.count("tags.syn-only.records") > 3000);
}

/// Two flows: one of a local host, one of a host elsewhere with a SYN alone.
fn two_flows() -> Vec<u8> {
    let local = ipv4([10, 0, 0, 1], [198, 51, 100, 1], 17, &udp(40_000, 40_001, 10));
    let other = ipv4([198, 51, 100, 2], [10, 0, 0, 2], 6, &tcp(40_000, 443, 0x02, 0));
    pcap(&[Captured::at(0, ethernet(&local)), Captured::at(10, ethernet(&other))])
}

#[test]
fn the_table_has_a_column_for_tags_if_there_are_any() {
    let folder = support::scratch();
    let path = support::write(&folder, "two.pcap", &two_flows());
    let path = path.to_str().unwrap();
    let table = |arguments: &[&str]| {
        let run = run(&[&["-r", path], arguments].concat());
        String::from_utf8(run.stdout).unwrap()
    };
    let with = table(&[]);
    let row = with.lines().find(|line| line.contains("198.51.100.2:40000")).unwrap();
    assert!(with.lines().next().unwrap().ends_with("Share  Tags"), "{with}");
    assert!(row.ends_with("%  syn-only"), "{with}");
    assert!(!table(&["--tags", "off"]).contains("Tags"));
}

#[test]
fn sides_come_from_local_networks_and_interfaces() {
    let folder = support::scratch();
    let path = support::write(&folder, "two.pcap", &two_flows());
    let path = path.to_str().unwrap();
    let facts = |arguments: &[&str]| {
        let run = run(&[&["-r", path, "-o", "json:-"], arguments].concat());
        let mut documents = run.documents();
        documents.sort_by_key(|document| document["source"]["ip"].to_string());
        documents
            .iter()
            .map(|document| {
                let direction = document["network"]["direction"].as_str().unwrap().to_owned();
                (direction, tags(document).join(" "))
            })
            .collect::<Vec<_>>()
    };
    let expect = |facts: Vec<(String, String)>, local: (&str, &str), other: (&str, &str)| {
        let facts: Vec<_> = facts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(facts, [local, other]);
    };
    expect(facts(&[]), ("outbound", ""), ("inbound", "syn-only"));
    let home = ["--local-networks", "198.51.100.2"];
    expect(facts(&home), ("external", "bogon-source"), ("outbound", "syn-only"));
    // A classic capture file names no interface: the number is 0.
    let home = ["--local-networks", "10.0.0.0/8,198.51.100.0/30", "--outside-interfaces", "0"];
    expect(facts(&home), ("internal", "spoofed-source"), ("internal", "syn-only spoofed-source"));
    let home = ["--local-networks", "10.0.0.0/8", "--inside-interfaces", "0"];
    let other = ("inbound", "syn-only bogon-source spoofed-source");
    expect(facts(&home), ("outbound", ""), other);
}

/// A pcapng file names its interfaces: the stages know the names before the records come.
#[test]
fn interfaces_are_known_by_the_names_in_captures() {
    let capture = sample("interfaces.pcapng");
    for workers in ["1", "2", "4"] {
        let home = ["--local-networks", "0.0.0.0/0,::/0", "--outside-interfaces", "wan0"];
        let given = ["-r", &capture, "-o", "json:-", "--workers", workers];
        let run = run(&[&given[..], &home].concat());
        let mut names = BTreeMap::new();
        for document in run.documents() {
            let interface = &document["observer"]["ingress"]["interface"];
            let is_spoofed = tags(&document).contains(&"spoofed-source");
            *names.entry((interface["name"].to_string(), is_spoofed)).or_insert(0) += 1;
        }
        let is_outside = |name: &String| name == "\"wan0\"";
        assert!(names.keys().all(|(name, spoofed)| *spoofed == is_outside(name)), "{names:?}");
        assert!(names.keys().any(|(_, spoofed)| *spoofed), "{names:?}");
    }
}

#[test]
fn top_lists_name_who_scans_whom() {
    let capture = sample("office.pcap");
    let lists = |arguments: &[&str]| {
        let run = run(&[&["-r", &capture, "--top", "3"], arguments].concat());
        String::from_utf8(run.stdout).unwrap()
    };
    // Who looks for a port on many hosts, and who is looked at.
    let expected = "\
Source        Targets
10.10.0.66        335
203.0.113.66      255
";
    for workers in ["1", "2", "4"] {
        let all = ["--top-by", "sources:targets", "--workers", workers];
        let text = lists(&all);
        assert!(text.starts_with(expected), "{text}");
    }
    let two = lists(&["--top-by", "ports:octets,conversations:sessions"]);
    let first_words: Vec<_> =
        two.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!((first_words[0], first_words[4]), ("Port", "Conversation"), "{two}");
    let row = two.lines().nth(1).unwrap();
    assert!(row.starts_with("443 TCP") && row.ends_with(" %"), "{two}");
    assert_eq!(two, lists(&["--top-by", "ports:octets", "--top-by", "conversations:sessions"]));
}
