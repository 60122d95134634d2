//! `?events=dns`: a document for each DNS transaction.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::capture::{self, Captured};
use crate::support::{self, Run, payload};
use crate::{CLIENT, SERVER, datagram};

const BEGIN_MS: u64 = 1_700_000_000_000;

/// A message between this port of the client and the server, after so many milliseconds.
fn at(after_ms: u64, port: u16, is_answer: bool, message: &[u8]) -> Captured {
    let (client, server) = ((CLIENT, port), (SERVER, 53));
    let (from, to) = if is_answer { (server, client) } else { (client, server) };
    Captured::at(BEGIN_MS + after_ms, datagram(from, to, message))
}

fn question(after_ms: u64, port: u16, name: &str) -> Captured {
    at(after_ms, port, false, &payload::dns_question(7, name, 1))
}

fn answer(after_ms: u64, port: u16, name: &str) -> Captured {
    at(after_ms, port, true, &payload::dns_answer(7, name, [192, 0, 2, 9]))
}

/// Transactions of each kind, each from another port.
fn transactions() -> Vec<Captured> {
    let mut refusal = payload::dns_question(7, "refused.example", 1)[..12].to_vec();
    (refusal[2], refusal[3], refusal[5]) = (0x80, 5, 0);
    let mut packets = vec![
        question(0, 1001, "answered.example"),
        answer(20, 1001, "answered.example"),
        question(0, 1002, "lost.example"),
        question(100, 1003, "again.example"),
        question(5100, 1003, "again.example"),
        answer(5130, 1003, "again.example"),
        question(200, 1004, "late.example"),
        answer(5201, 1004, "late.example"),
        question(300, 1005, "just.example"),
        answer(5300, 1005, "just.example"),
        answer(400, 1006, "unasked.example"),
        question(500, 1007, "asked.example"),
        answer(510, 1007, "other.example"),
        question(600, 1008, "refused.example"),
        at(610, 1008, true, &refusal),
        question(700, 1009, "first.example"),
        question(710, 1009, "second.example"),
        answer(720, 1009, "second.example"),
        question(9000, 1010, "open.example"),
    ];
    packets.sort_by_key(|packet| packet.nanos);
    packets
}

/// A run over these packets with more arguments, behind an output of documents with
/// transactions.
fn run(packets: &[Captured], more: &[&str]) -> Run {
    let folder = support::scratch();
    let path = support::write(&folder, "a.pcap", &capture::pcap(packets));
    let path = path.to_str().unwrap();
    let fixed = ["-r", path, "-o", "json:-?events=dns", "--payload", "dns"];
    let run = support::run(fixed.iter().chain(more));
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    run
}

/// The documents of transactions, and the number of those of flows.
fn events(run: &Run) -> (Vec<Value>, usize) {
    let is_event = |document: &Value| document["event"]["dataset"] == "flowprobe.dns";
    let (events, flows): (Vec<_>, Vec<_>) = run.documents().into_iter().partition(is_event);
    (events, flows.len())
}

/// What became of each question, and of answers to it that came too late.
fn outcomes(run: &Run) -> BTreeMap<(u64, String), String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = BTreeMap::<_, String>::new();
    for event in &events(run).0 {
        let name = text(&event["dns"]["question"]["name"]);
        let port = event["client"]["port"].as_u64().unwrap();
        let is_asked = event["flowprobe"]["dns"]["queries"] != 0;
        let outcome = if is_asked { text(&event["event"]["outcome"]) } else { "unasked".into() };
        let place = all.entry((port, name)).or_default();
        *place = if place.is_empty() { outcome } else { format!("{place}, {outcome}") };
    }
    all
}

#[test]
fn each_question_has_a_document_with_its_answer() {
    let run = run(&transactions(), &["--payload-dns-answers"]);
    let (events, flows) = events(&run);
    assert_eq!(flows as u64, run.count("outputs.0.sent.records"));
    assert_eq!(events.len() as u64, run.count("outputs.0.events.sent"));
    let of_port = |port: u64| events.iter().find(|event| event["client"]["port"] == port).unwrap();
    let (client, server) = (json!({"ip": "10.0.0.1", "port": 1001}), "192.0.2.1");
    let server = json!({"ip": server, "port": 53});
    let expected = json!({
        "@timestamp": "2023-11-14T22:13:20.000Z",
        "client": client,
        "destination": server,
        "dns": {
            "answers": [{
                "class": "IN", "data": "192.0.2.9", "name": "answered.example", "ttl": 60,
                "type": "A",
            }],
            "answers_count": 1,
            "header_flags": ["RD", "RA"],
            "id": "7",
            "op_code": "QUERY",
            "question": {
                "class": "IN",
                "name": "answered.example",
                "registered_domain": "answered.example",
                "top_level_domain": "example",
                "type": "A",
            },
            "resolved_ip": ["192.0.2.9"],
            "response_code": "NOERROR",
            "type": "answer",
        },
        "event": {
            "category": ["network"],
            "dataset": "flowprobe.dns",
            "duration": 20_000_000,
            "end": "2023-11-14T22:13:20.020Z",
            "kind": "event",
            "module": "flowprobe",
            "outcome": "success",
            "start": "2023-11-14T22:13:20.000Z",
            "type": ["connection", "protocol"],
        },
        "flowprobe": {"dns": {"queries": 1}},
        "network": {"protocol": "dns", "transport": "udp", "type": "ipv4"},
        "observer": {
            "name": "test",
            "product": "flowprobe",
            "type": "flow-probe",
            "vendor": "flowprobe",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "related": {
            "hosts": ["answered.example"],
            "ip": ["10.0.0.1", "192.0.2.1", "192.0.2.9"],
        },
        "server": server,
        "source": client,
    });
    assert_eq!(*of_port(1001), expected);
    let lost = of_port(1002);
    assert_eq!(lost["dns"]["type"], "query");
    assert_eq!(lost["event"]["outcome"], "failure");
    assert_eq!((&lost["event"]["end"], &lost["event"]["duration"]), (&Value::Null, &Value::Null));
    let again = of_port(1003);
    assert_eq!(again["flowprobe"]["dns"]["queries"], 2);
    assert_eq!(again["event"]["duration"], 5_030_000_000_u64);
    let refused = of_port(1008);
    assert_eq!(refused["dns"]["response_code"], "REFUSED");
    assert_eq!(refused["dns"]["question"]["name"], "refused.example");
    check_template(&events);
}

/// Every field of the documents has a type in the template.
fn check_template(events: &[Value]) {
    fn check(value: &Value, properties: &Value, path: &str) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    check(field, &properties[name]["properties"], &format!("{path}.{name}"));
                    let is_known = properties[name].is_object();
                    assert!(is_known, "{path}.{name}");
                }
            }
            Value::Array(values) => values.iter().for_each(|it| check(it, properties, path)),
            _ => {}
        }
    }
    let template = exporter::dns_template();
    let properties = &template["template"]["mappings"]["properties"];
    events.iter().for_each(|event| check(event, properties, ""));
}

#[test]
fn what_becomes_of_a_question_is_counted() {
    let run = run(&transactions(), &[]);
    let expected = [
        (1001, "answered.example", "success"),
        (1002, "lost.example", "failure"),
        (1003, "again.example", "success"),
        (1004, "late.example", "unasked, failure"),
        (1005, "just.example", "success"),
        (1006, "unasked.example", "unasked"),
        (1007, "asked.example", "failure"),
        (1007, "other.example", "unasked"),
        (1008, "refused.example", "success"),
        (1009, "first.example", "failure"),
        (1009, "second.example", "success"),
        (1010, "open.example", "unknown"),
    ];
    let expected =
        expected.map(|(port, name, outcome)| ((port, name.to_owned()), outcome.to_owned()));
    assert_eq!(outcomes(&run), BTreeMap::from(expected));
    let questions = json!({
        "answered": 5, "unanswered": 4, "open": 1, "unasked": 3, "repeated": 1, "evicted": 0,
    });
    assert_eq!(run.stats["payload"]["dns_questions"], questions);
    // Each message is in an event: those with an answer have two.
    assert_eq!(run.count("payload.found.dns"), 2 * 5 + 4 + 1 + 3 + 1);
}

#[test]
fn workers_and_replays_do_not_change_transactions() {
    let mut packets = Vec::new();
    for round in 0..300_u64 {
        for packet in transactions() {
            let millis = packet.nanos / 1_000_000 + round * 40;
            packets.push(Captured::at(millis, packet.data));
        }
    }
    packets.sort_by_key(|packet| packet.nanos);
    let sorted = |workers: &str| {
        let run = run(&packets, &["--workers", workers]);
        let mut texts: Vec<_> = events(&run).0.iter().map(Value::to_string).collect();
        texts.sort();
        (texts, run.stdout)
    };
    let (one, octets) = sorted("1");
    assert!(one.len() > 1000);
    assert!(sorted("1").1 == octets, "the same octets again");
    for workers in ["2", "4"] {
        let (other, octets) = sorted(workers);
        assert!(other == one, "{workers} workers");
        assert!(sorted(workers).1 == octets, "{workers} workers: the same octets again");
    }
}

/// In a pipe and live, an unanswered question has its document soon, even if a question before it
/// is asked again and again.
#[test]
fn a_question_that_is_repeated_holds_up_no_other() {
    let mut packets = vec![question(500, 1002, "lost.example")];
    packets.extend((0..30).map(|index| question(index * 4000, 1001, "again.example")));
    packets.extend([question(60_000, 1003, "late.example"), answer(60_010, 1003, "late.example")]);
    packets.sort_by_key(|packet| packet.nanos);
    let input = capture::pcap(&packets);
    let arguments = ["-r", "-", "-o", "json:-?events=dns", "--payload", "dns"];
    let run = support::run_with_input(arguments, &input);
    let names =
        events(&run).0.into_iter().map(|event| event["dns"]["question"]["name"].to_string());
    let names: Vec<_> = names.collect();
    let expected = ["lost", "late", "again"].map(|name| format!("\"{name}.example\""));
    assert_eq!(names, expected, "{}", run.stderr);
}

#[test]
fn names_of_transactions_have_the_form_that_is_asked_for() {
    let packets = [question(0, 1, "www.a.example"), answer(1, 1, "www.a.example")];
    let run = run(&packets, &["--payload-names", "domain"]);
    let (events, _) = events(&run);
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["dns"]["question"]["name"], "a.example");
    assert!(!String::from_utf8_lossy(&run.stdout).contains("www"));
}

#[test]
fn memory_for_questions_is_bounded() {
    let packets: Vec<_> = (0..20_000_u64)
        .map(|index| question(index / 100, 1000 + (index % 60_000) as u16, "lost.example"))
        .collect();
    let run = run(&packets, &["--payload-memory", "1M", "--workers", "1"]);
    let (evicted, open) =
        (run.count("payload.dns_questions.evicted"), run.count("payload.dns_questions.open"));
    // A quarter of a megabyte has room for 500 of them.
    assert!((19_000..19_900).contains(&evicted), "{evicted}");
    assert_eq!((open, run.count("outputs.0.events.sent")), (20_000, 20_000));
}

#[test]
fn outputs_that_do_not_want_transactions_count_them() {
    let folder = support::scratch();
    let ipfix = format!("ipfix-file:{}", folder.path().join("a.ipfix").display());
    let other = format!("json:{}", folder.path().join("a.json").display());
    let run = run(&transactions(), &["-o", &ipfix, "-o", &other]);
    let sent = run.count("outputs.0.events.sent");
    assert_eq!(sent, 13);
    for output in [1, 2] {
        assert_eq!(run.count(&format!("outputs.{output}.events.not_exportable")), sent);
        assert_eq!(run.count(&format!("outputs.{output}.events.sent")), 0);
    }
    let alone = std::fs::read(folder.path().join("a.json")).unwrap();
    let is_flow = |document: &Value| document["event"]["action"] == "netflow_flow";
    assert!(support::documents(&alone).iter().all(is_flow));
}

#[test]
fn transactions_need_names_of_dns() {
    for more in [&[][..], &["--payload", "tls,quic,http"]] {
        let fixed = ["-r", "a.pcap", "-o", "json:-?events=dns"];
        let refused = support::run(fixed.iter().chain(more));
        assert_eq!(refused.status, 2);
        let expected = "output json:-: events=dns needs --payload dns";
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    let refused = support::run(["-r", "a.pcap", "--payload", "dns", "-o", "json:-?events=tls"]);
    assert!(refused.stderr.contains("events=tls"), "{}", refused.stderr);
}
