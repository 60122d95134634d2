//! In which form names are told, and what else is told of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{self, capture, payload};
use crate::{ALL, CLIENT, SERVER, conversations, datagram, of_port, run, segment};

fn refused(more: &[&str]) -> String {
    let refused = support::run(["-r", "a.pcap"].iter().chain(&ALL).chain(more));
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    refused.stderr
}

/// One conversation of TLS with this name.
fn hello(name: &str) -> Vec<capture::Captured> {
    let hello = payload::records(&payload::client_hello(name.as_bytes(), b"h2"), 1 << 14);
    let frame = segment((CLIENT, 1443), (SERVER, 443), 1, &hello);
    vec![capture::Captured::at(1_700_000_000_000, frame)]
}

#[test]
fn a_domain_hides_what_is_before_it() {
    let run =
        run(&hello("private.host.example.co.uk"), &["--payload", "tls", "--payload-names=domain"]);
    let document = of_port(&run, "source", 1443);
    assert_eq!(document["tls"]["client"]["server_name"], "example.co.uk");
    assert_eq!(document["destination"]["domain"], "example.co.uk");
    assert!(document["tls"]["client"]["ja4"].is_string());
    assert!(!String::from_utf8_lossy(&run.stdout).contains("private"));
}

#[test]
fn a_hash_depends_on_name_and_key() {
    let folder = support::scratch();
    let key = |digit: &str| {
        let path = support::write(&folder, digit, format!("{}\n", digit.repeat(32)).as_bytes());
        path.to_str().unwrap().to_owned()
    };
    let (one, other) = (key("1"), key("2"));
    let hash = |name: &str, key: &str| {
        let names = ["--payload", "tls", "--payload-names", "hash", "--payload-names-key", key];
        let run = run(&hello(name), &names);
        assert!(!String::from_utf8_lossy(&run.stdout).contains("private"));
        let hash = of_port(&run, "source", 1443)["tls"]["client"]["server_name"].clone();
        hash.as_str().expect("a hash").to_owned()
    };
    let hashes = [
        hash("private.example", &one),
        hash("private.example.org", &one),
        hash("private.example", &other),
    ];
    for hash in &hashes {
        assert!(hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit()), "{hash}");
    }
    assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), 3, "{hashes:?}");
    assert_eq!(hash("PRIVATE.example.", &one), hashes[0]);
}

#[test]
fn a_key_is_needed_for_a_hash_and_only_there() {
    let names = ["--payload-names", "hash"];
    assert!(refused(&names).contains("FLOWPROBE_NAMES_KEY"));
    let folder = support::scratch();
    let path = support::write(&folder, "key", b"123");
    let key = ["--payload-names-key", path.to_str().unwrap()];
    assert!(refused(&[names, key].concat()).contains("32 hexadecimal digits"));
    let domain = ["--payload-names", "domain"];
    assert!(refused(&[domain, key].concat()).contains("--payload-names hash"));
    assert!(
        refused(&[domain, ["--payload-http", "url"]].concat()).contains("--payload-names full")
    );
}

#[test]
fn names_that_are_not_whole_have_no_url() {
    for form in ["domain", "full"] {
        let run = run(&conversations(), &[&ALL[..], &["--payload-names", form]].concat());
        let http = of_port(&run, "source", 1080);
        assert_eq!(http["url"].is_object(), form == "full", "{http}");
        assert_eq!(http["related"]["hosts"], json!(["http.example"]), "{form}");
        assert_eq!(http["user_agent"], Value::Null);
        assert_eq!(http["http"]["request"], json!({ "method": "GET" }));
    }
}

#[test]
fn a_url_has_its_path_and_no_query() {
    let run = run(&conversations(), &[&ALL[..], &["--payload-http", "url"]].concat());
    for side in ["source", "destination"] {
        let http = of_port(&run, side, 1080);
        let url = json!({ "domain": "http.example", "port": 8080, "path": "/a" });
        assert_eq!(http["url"], url, "{side}");
        assert_eq!(http["user_agent"]["original"], "agent/1", "{side}");
        let request = json!({ "method": "GET", "referrer": "from.example" });
        assert_eq!(http["http"]["request"], request, "{side}");
    }
    assert!(!String::from_utf8_lossy(&run.stdout).contains("secret"));
}

#[test]
fn answers_are_addresses_and_names() {
    let mut answer = payload::dns_answer(7, "www.example.com", [192, 0, 2, 9]);
    answer[7] = 3;
    // An alias of the name asked for, and a text.
    answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 0, 0, 8]);
    answer.extend(b"\x05alias\xc0\x10");
    answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 7]);
    answer.extend(b"\x06secret");
    let frames = [
        datagram((CLIENT, 1053), (SERVER, 53), &payload::dns_question(7, "www.example.com", 1)),
        datagram((SERVER, 53), (CLIENT, 1053), &answer),
    ];
    let packets: Vec<_> = (0..)
        .zip(frames)
        .map(|(index, frame)| capture::Captured::at(1_700_000_000_000 + index, frame))
        .collect();
    let run = run(&packets, &[&ALL[..], &["--payload-dns-answers"]].concat());
    let document = of_port(&run, "source", 1053);
    let dns = &document["dns"];
    assert_eq!(dns["answers_count"], 3);
    assert_eq!(dns["resolved_ip"], json!(["192.0.2.9"]));
    let address = json!({
        "name": "www.example.com", "type": "A", "class": "IN", "ttl": 60, "data": "192.0.2.9",
    });
    let alias = json!({
        "name": "www.example.com", "type": "CNAME", "class": "IN", "ttl": 256,
        "data": "alias.example.com",
    });
    assert_eq!(dns["answers"], json!([address, alias]));
    assert_eq!(dns["question"]["registered_domain"], "example.com");
    assert_eq!(dns["question"]["subdomain"], "www");
    let ips = json!(["10.0.0.1", "192.0.2.1", "192.0.2.9"]);
    assert_eq!(document["related"]["ip"], ips);
    assert!(!String::from_utf8_lossy(&run.stdout).contains("secret"));
}
