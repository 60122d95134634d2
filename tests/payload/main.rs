//! `--payload`: names in the documents of flows, out of openings that arrive in pieces.

#[path = "../support/mod.rs"]
mod support;

mod choices;
mod counts;
mod elements;
mod fingerprints;
mod forms;
mod judge;
mod networks;
mod questions;
mod replayed;
mod transactions;
mod tshark;

use serde_json::{Value, json};
use support::capture::{self, Captured};
use support::{Run, packet, payload, real_captures};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 1];

const ALL: [&str; 2] = ["--payload", "dns,tls,quic,http"];

/// An end of a conversation.
type End = ([u8; 4], u16);

fn segment(from: End, to: End, sequence: u32, octets: &[u8]) -> Vec<u8> {
    let mut segment = packet::tcp(from.1, to.1, 0x18, octets.len());
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[20..].copy_from_slice(octets);
    packet::ethernet(&packet::ipv4(from.0, to.0, 6, &segment))
}

fn datagram(from: End, to: End, octets: &[u8]) -> Vec<u8> {
    let mut datagram = packet::udp(from.1, to.1, octets.len());
    datagram[8..].copy_from_slice(octets);
    packet::ethernet(&packet::ipv4(from.0, to.0, 17, &datagram))
}

/// A conversation of each kind, between these ports of the client and the server.
fn conversations() -> Vec<Captured> {
    let client = |port| (CLIENT, port);
    let server = |port| (SERVER, port);
    let hello = payload::records(&payload::client_hello(b"tls.example", b"h2"), 60);
    let (first, second) = hello.split_at(70);
    let quic = payload::client_hello(b"quic.example", b"h3");
    let (head, rest) = quic.split_at(50);
    let question = payload::dns_question(7, "Dns.Example", 1);
    let request = b"GET /a?secret HTTP/1.1\r\nHost: http.example:8080\r\nCookie: secret\r\n\
                    User-Agent: agent/1\r\nReferer: https://me:secret@from.example/secret\r\n\r\n";
    let frames = [
        datagram(client(1053), server(53), &question),
        datagram(server(53), client(1053), &payload::dns_answer(7, "Dns.Example", [192, 0, 2, 9])),
        datagram(client(2053), server(53), &payload::dns_question(8, "lost.example", 28)),
        segment(client(1443), server(443), 1000, first),
        segment(client(1443), server(443), 1070, second),
        segment(server(443), client(1443), 1, &payload::server_hello(0xc02f, b"h2")),
        datagram(client(2443), server(443), &payload::initial(rest, 50, 0)),
        datagram(client(2443), server(443), &payload::initial(head, 0, 1)),
        segment(client(1080), server(8080), 5, &request[..20]),
        segment(client(1080), server(8080), 25, &request[20..]),
        segment(server(8080), client(1080), 9, b"HTTP/1.1 404 Not Found\r\n\r\n"),
        segment(client(1999), server(9999), 5, b"nothing that is known"),
    ];
    (0..).zip(frames).map(|(index, frame)| Captured::at(1_700_000_000_000 + index, frame)).collect()
}

fn run(packets: &[Captured], more: &[&str]) -> Run {
    let folder = support::scratch();
    let path = support::write(&folder, "a.pcap", &capture::pcap(packets));
    let path = path.to_str().unwrap();
    let fixed = ["-r", path, "-o", "json:-", "--stats", "json", "--name", "probe"];
    let run = support::run(fixed.iter().chain(more));
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    run
}

/// The document of the flow from this port of the client, or back to it.
fn of_port(run: &Run, side: &str, port: u64) -> Value {
    let documents = run.documents();
    let mut found = documents.iter().filter(|document| document[side]["port"] == port);
    found.next().unwrap_or_else(|| panic!("no flow with {side} port {port}")).clone()
}

#[test]
fn both_directions_have_the_names_of_their_conversation() {
    let run = run(&conversations(), &ALL);
    for side in ["source", "destination"] {
        let dns = of_port(&run, side, 1053);
        let question = json!({
            "name": "dns.example",
            "type": "A",
            "class": "IN",
            "registered_domain": "dns.example",
            "top_level_domain": "example",
        });
        assert_eq!(dns["dns"]["question"], question, "{side}");
        assert_eq!(dns["dns"]["header_flags"], json!(["RD", "RA"]), "{side}");
        assert_eq!(dns["dns"]["answers_count"], 1, "{side}");
        assert_eq!(dns["dns"]["answers"], Value::Null, "{side}");
        assert_eq!(dns["related"]["hosts"], json!(["dns.example"]), "{side}");
        assert_eq!(dns["dns"]["response_code"], "NOERROR", "{side}");
        assert_eq!(dns["dns"]["type"], "answer", "{side}");
        assert_eq!(dns["network"]["protocol"], "dns", "{side}");
        let tls = of_port(&run, side, 1443);
        assert_eq!(tls["tls"]["client"]["server_name"], "tls.example", "{side}");
        let ja4 = tls["tls"]["client"]["ja4"].as_str().unwrap();
        assert!(ja4.starts_with("t13d0305h2_"), "{ja4}");
        assert_eq!(tls["tls"]["client"]["ja3"].as_str().unwrap().len(), 32);
        assert_eq!(tls["network"]["protocol"], "tls", "{side}");
        assert_eq!(tls["tls"]["version"], "1.2", "{side}");
        assert_eq!(tls["tls"]["cipher"], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "{side}");
        assert_eq!(tls["tls"]["next_protocol"], "h2", "{side}");
        let counts = json!({ "queries": 1, "responses": 1, "errors": 0 });
        assert_eq!(dns["flowprobe"]["dns"], counts, "{side}");
        let own = json!({
            "hellos": 1, "ech": false, "alpn_offered": "h2", "version_offered": "1.3",
        });
        assert_eq!(tls["flowprobe"]["tls"], own, "{side}");
        let client = &tls["tls"]["client"];
        assert_eq!(tls["related"]["hash"], json!([client["ja3"], client["ja4"]]), "{side}");
        let is_client = side == "source";
        let server = if is_client { json!("tls.example") } else { Value::Null };
        assert_eq!(tls["destination"]["domain"], server, "{side}");
        assert_eq!(tls["server"]["domain"], server, "{side}");
        let http = of_port(&run, side, 1080);
        assert_eq!(http["url"], json!({ "domain": "http.example", "port": 8080 }), "{side}");
        assert_eq!(http["http"]["request"]["method"], "GET", "{side}");
        assert_eq!(http["http"]["response"]["status_code"], 404, "{side}");
        assert_eq!(http["flowprobe"]["http"]["requests"], 1, "{side}");
    }
    let lost = of_port(&run, "source", 2053);
    assert_eq!(lost["dns"]["type"], "query");
    assert_eq!(lost["dns"]["response_code"], Value::Null);
    let quic = of_port(&run, "source", 2443);
    assert_eq!(quic["tls"]["client"]["server_name"], "quic.example");
    assert_eq!(quic["flowprobe"]["quic"]["version"], "1");
    assert_eq!(quic["network"]["protocol"], "quic");
    assert_eq!(of_port(&run, "source", 1999)["network"]["protocol"], Value::Null);
    assert!(!String::from_utf8_lossy(&run.stdout).contains("secret"));
    let found = json!({ "dns": 3, "tls": 2, "quic": 1, "http": 2 });
    assert_eq!(run.stats["payload"]["found"], found);
}

#[test]
fn each_protocol_is_asked_for_by_its_name() {
    let run = run(&conversations(), &["--payload", "dns"]);
    assert_eq!(of_port(&run, "source", 1053)["network"]["protocol"], "dns");
    assert_eq!(of_port(&run, "source", 1443)["tls"], Value::Null);
    assert_eq!(run.stats["payload"]["found"]["tls"], 0);
    let refused = support::run(["-r", "a.pcap", "--payload", "dns,smtp"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("\"smtp\" is none of dns, tls, quic, http"));
    let lone = support::run(["-r", "a.pcap", "--payload-memory", "1M"]);
    assert!(lone.stderr.contains("--payload"), "{}", lone.stderr);
}

#[test]
fn the_table_has_a_column_of_names() {
    let folder = support::scratch();
    let path = support::write(&folder, "a.pcap", &capture::pcap(&conversations()));
    let table = |more: &[&str]| {
        let run = support::run(["-r", path.to_str().unwrap()].iter().chain(more));
        assert_eq!(run.status, 0, "{}", run.stderr);
        String::from_utf8(run.stdout).unwrap()
    };
    let with = table(&ALL);
    let heading = with.lines().next().unwrap_or_default();
    assert!(heading.ends_with("Name"), "{with}");
    for name in ["dns.example", "tls.example", "http.example"] {
        assert_eq!(with.matches(name).count(), 2, "{name}: {with}");
    }
    assert!(!table(&[]).contains("Name"));
}

#[test]
fn without_the_setting_nothing_is_read() {
    let run = run(&conversations(), &[]);
    assert_eq!(run.stats["payload"], Value::Null);
    for document in run.documents() {
        for field in ["dns", "tls", "http", "url"] {
            assert_eq!(document[field], Value::Null, "{document}");
        }
        assert_eq!(document["network"]["protocol"], Value::Null);
    }
}

#[test]
fn a_capture_that_cuts_packets_has_no_half_names() {
    let packets: Vec<_> = conversations().into_iter().map(|packet| packet.cut(80)).collect();
    let run = run(&packets, &ALL);
    for document in run.documents() {
        assert_eq!(document["tls"], Value::Null, "{document}");
        assert_eq!(document["url"], Value::Null, "{document}");
    }
    assert!(run.count("payload.not_read.truncated") > 0);
}

/// Each record with its names, without the order in which they came.
fn sorted(run: &Run) -> Vec<String> {
    let mut documents = run.documents();
    for document in &mut documents {
        document["event"]["sequence"] = Value::Null;
        // When records leave depends on the number of workers, also without payload.
        document["event"]["created"] = Value::Null;
        document["netflow"]["exporter"]["timestamp"] = Value::Null;
    }
    let mut texts: Vec<_> = documents.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

/// Ports of conversations that come again later, with other names, and long ones that are cut by
/// the active timeout.
#[test]
fn the_number_of_workers_does_not_matter() {
    let mut packets = Vec::new();
    for round in 0..40_u64 {
        for (index, conversation) in conversations().into_iter().enumerate() {
            let millis = 1_700_000_000_000 + round * 45_000 + index as u64;
            packets.push(Captured::at(millis, conversation.data));
        }
        let name = format!("name{round}.example");
        let question = payload::dns_question(9, &name, 1);
        let frame = datagram((CLIENT, 3053), (SERVER, 53), &question);
        packets.push(Captured::at(1_700_000_000_500 + round * 90_000, frame));
    }
    packets.sort_by_key(|packet| packet.nanos);
    let one = sorted(&run(&packets, &[&ALL[..], &["--workers", "1"]].concat()));
    // Each question after 90 s of silence is a conversation of its own.
    for round in 0..40 {
        let name = format!("\"name{round}.example\"");
        assert_eq!(one.iter().filter(|text| text.contains(&name)).count(), 1, "{name}");
    }
    for workers in ["2", "4"] {
        let other = sorted(&run(&packets, &[&ALL[..], &["--workers", workers]].concat()));
        assert!(other == one, "{workers} workers");
    }
}

#[test]
fn real_captures_give_the_same_with_any_number_of_workers() {
    let captures = real_captures();
    if captures.is_empty() {
        support::skip_without("real captures");
        return;
    }
    let mut found = 0;
    for path in captures {
        let path = path.to_str().unwrap();
        let run = |workers| {
            let fixed = ["-r", path, "-o", "json:-", "--stats", "json", "--workers", workers];
            support::run(fixed.iter().chain(&ALL))
        };
        let one = run("1");
        found += ["dns", "tls", "quic", "http"]
            .map(|kind| one.stats["payload"]["found"][kind].as_u64().unwrap_or(0))
            .iter()
            .sum::<u64>();
        assert!(sorted(&run("4")) == sorted(&one), "{path}");
    }
    assert!(found > 1000, "{found}");
}
