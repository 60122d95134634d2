//! Who gets an answer, and what is in it.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Shown;
use crate::support;

const PATHS: [&str; 20] = [
    "/",
    "/page.css",
    "/page.js",
    "/chart.js",
    "/ask.js",
    "/health.js",
    "/numbers.js",
    "/security.js",
    "/table.js",
    "/exporters.js",
    "/metrics",
    "/healthz",
    "/stats",
    "/api/v1/summary",
    "/api/v1/series",
    "/api/v1/top",
    "/api/v1/alerts",
    "/api/v1/exporters",
    "/api/v1/health",
    "/api/v1/config",
];

#[test]
fn numbers_are_those_of_the_statistics() {
    let page = Shown::sample(&[]);
    let statistics = page.get("/stats").json();
    let series = page.get("/api/v1/series?span=5m").json();
    let top = page.get("/api/v1/top?of=interface&by=flows&span=15m").json();
    let flows = page.get("/api/v1/flows?size=1000&q=").json();
    let printed = page.end();
    assert_eq!(statistics, printed);
    let ended = |key: &str| -> u64 {
        let by_reason = printed["ended"].as_object().expect("reasons");
        by_reason.values().map(|tally| tally[key].as_u64().expect("a count")).sum()
    };
    for (key, in_series) in [("records", "flows"), ("packets", "packets"), ("octets", "octets")] {
        let classes = ["tcp", "udp", "icmp", "other"].into_iter();
        let points = classes.flat_map(|class| {
            series["classes"][class][in_series].as_array().expect("points").iter()
        });
        let sum: u64 = points.filter_map(Value::as_u64).sum();
        assert_eq!(sum, ended(key), "{key}");
        assert_eq!(top["all"][in_series], ended(key), "{key}");
    }
    assert_eq!(flows["found"], ended("records"));
    assert_eq!(flows["flows"].as_array().map(Vec::len), Some(1000));
}

/// What has not changed is not sent again.
#[test]
fn an_answer_that_the_client_has_is_not_made_again() {
    let page = Shown::sample(&[]);
    for path in ["/api/v1/top", "/api/v1/summary", "/api/v1/flows", "/stats", "/metrics"] {
        let first = page.get(path);
        let (_, tag) = first.head.split_once("etag: ").expect("a tag");
        let tag = tag.lines().next().expect("a line");
        let again = page.get_with(path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}: {again:?}");
        assert!(again.head.contains("content-security-policy"), "{again:?}");
        let other = page.get_with(path, "If-None-Match: \"0\"\r\n");
        assert_eq!((other.status, other.body), (200, first.body), "{path}");
    }
    // A connection that is refused is a change.
    let tag = |head: &str| head.split_once("etag: ").map(|(_, tag)| tag[..40].to_owned());
    let before = tag(&page.get("/stats").head);
    let mut held: Vec<_> = (0..80).map(|_| page.connect()).collect();
    // The last one is over the limit, and closed at once. The others stay open until then.
    let last = held.last_mut().expect("a connection");
    drop(last.read_to_end(&mut Vec::new()));
    drop(held);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        let answer = page.get("/stats");
        if answer.status == 200 && tag(&answer.head) != before {
            return;
        }
    }
    panic!("the tag stays {before:?}");
}

#[test]
fn the_page_says_what_it_keeps() {
    let page = Shown::sample(&["--page-memory", "10M"]);
    let config = page.get("/api/v1/config").json();
    assert_eq!((&config["memory"]["octets"], &config["live"]), (&10_000_000.into(), &false.into()));
    assert_eq!(config["spike"], serde_json::json!({ "rate": 1000, "factor": 4 }));
    assert_eq!(config["fates"][0][0], "dropped");
    assert!(config["causes"]["ring_full"].as_str().is_some_and(|text| text.contains("help")));
    let records = config["memory"]["records"].as_u64().expect("a number");
    let grouped = format!("{},{:03} flow records", records / 1000, records % 1000);
    let said = format!("with 10 MB of memory for {grouped} and 3 interfaces");
    assert!(page.messages().contains(&said), "{said}: {}", page.messages());
    let health = page.get("/api/v1/health").json();
    assert_eq!(health, serde_json::json!({ "good": true, "problems": [] }));
    // All records of the sample do not fit.
    let printed = page.get("/stats").json();
    let ended = printed["ended"].as_object().expect("reasons").values();
    let ended: u64 = ended.map(|tally| tally["records"].as_u64().expect("a count")).sum();
    let found = page.get("/api/v1/flows").json();
    assert_eq!(found["searched"], ended.min(records));
}

#[test]
fn flows_are_found_as_in_the_documents() {
    let sample = support::office();
    let documents =
        support::run(["-r".as_ref(), sample.as_os_str(), "-o".as_ref(), "json:-".as_ref()]);
    let documents = documents.documents();
    let page = Shown::sample(&[]);
    let count = |wanted: &dyn Fn(&Value) -> bool| documents.iter().filter(|it| wanted(it)).count();
    let is = |it: &Value, field: &str, text: &str| it[field]["ip"] == text;
    let port = |it: &Value, field: &str| it[field]["port"].as_u64();
    let searches: [(&str, usize); 4] = [
        (
            "10.10.0.66",
            count(&|it| is(it, "source", "10.10.0.66") || is(it, "destination", "10.10.0.66")),
        ),
        ("udp", count(&|it| it["network"]["transport"] == "udp")),
        (
            "tcp%20port:443",
            count(&|it| {
                it["network"]["transport"] == "tcp"
                    && [port(it, "source"), port(it, "destination")].contains(&Some(443))
            }),
        ),
        ("203.0.113.255/32", 0),
    ];
    for (words, expected) in searches {
        let found = page.get(&format!("/api/v1/flows?q={words}")).json();
        assert_eq!(found["found"], expected, "{words}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_a_sentence() {
    let page = Shown::sample(&[]);
    for (path, words) in [
        ("/api/v1/series?span=2m", "span is 5m"),
        ("/api/v1/series?by=x", "by is class or interface"),
        ("/api/v1/series?interface=x", "interface is a number"),
        ("/api/v1/top?of=x", "of is source"),
        ("/api/v1/top?by=x", "by is octets"),
        ("/api/v1/top?size=101", "1 to 100"),
        ("/api/v1/flows?size=1001", "1 to 1000"),
        ("/api/v1/exporters?size=0", "1 to 1000"),
        ("/api/v1/flows?q=%3Cimg%3E", "<img> is none of"),
    ] {
        let answer = page.get(path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(answer.body.contains(words), "{path}: {answer:?}");
        assert!(answer.head.contains("content-type: text/plain"), "{answer:?}");
    }
    assert_eq!(page.get("/x").status, 404);
    assert_eq!(page.get(&format!("/stats?{}", "x".repeat(4090))).status, 414);
    assert_eq!(page.get(&format!("/stats?{}", "x".repeat(4089))).status, 200);
    assert_eq!(page.get("/../etc/passwd").status, 404);
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let page = Shown::sample(&[]);
    for path in PATHS.into_iter().chain(["/x"]) {
        let answer = page.get(path);
        for header in [
            "content-security-policy: default-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.head.contains(header), "{path}: {header}: {answer:?}");
        }
        assert!(!answer.head.contains("access-control"), "{answer:?}");
        assert!(!answer.head.contains("set-cookie"), "{answer:?}");
    }
}

#[test]
fn foreign_names_and_other_methods_are_refused() {
    let page = Shown::sample(&["--http-name", "probe.example"]);
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:9108", 200),
        ("[::1]:1", 200),
        ("probe.example", 200),
        ("PROBE.example:8080", 200),
        ("attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("", 421),
    ] {
        let request = format!("GET /stats HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(page.raw(&request).status, status, "{host}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let host = &page.address;
        let request = format!(
            "{method} /stats HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(page.raw(&request).status, 405, "{method}");
    }
}

#[test]
fn a_token_guards_all_but_the_empty_page() {
    let folder = support::scratch();
    let token = "0123456789abcdef";
    let file = support::write(&folder, "token", format!("{token}\n").as_bytes());
    let page = Shown::sample(&["--http-token-file", file.to_str().expect("a path")]);
    for path in PATHS {
        let is_page = path == "/" || path.ends_with(".js") || path.ends_with(".css");
        let without = page.get(path).status;
        assert_eq!(without, if is_page { 200 } else { 401 }, "{path}");
        let with = page.get_with(path, &format!("Authorization: Bearer {token}\r\n")).status;
        assert_eq!(with, 200, "{path}");
        let wrong = page.get_with(path, "Authorization: Bearer 0123456789abcdeg\r\n").status;
        assert_eq!(wrong, without, "{path}");
    }
    assert!(!page.messages().contains(token), "{}", page.messages());
}

#[test]
fn another_host_needs_a_permission_and_a_token() {
    for (arguments, words) in [
        (&["--http", "0.0.0.0:0"][..], "--http-allow-remote"),
        (&["--http", "0.0.0.0:0", "--http-allow-remote"], "--http-token-file"),
        (&["--http-name", "x"], "--http"),
        (&["--page-memory", "10M"], "--http"),
        (&["--http", "127.0.0.1:0", "--page-memory", "7M"], "8M of memory at least"),
        (&["--http", "localhost"], "invalid"),
        (&["--http", "127.0.0.1:0", "--http-token-file", "/dev/null"], "16 to 1024"),
        (&["--http", "192.0.2.1:1", "--http-allow-remote"], "--http-token-file"),
    ] {
        let sample = support::office();
        let arguments = arguments.iter().map(|it| (*it).into());
        let run = support::run(
            [std::ffi::OsString::from("-r"), sample.into()].into_iter().chain(arguments),
        );
        assert_eq!(run.status, 2, "{}", run.stderr);
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let page = Shown::sample(&[]);
    let sample = support::office();
    let run = support::run(["-r", sample.to_str().expect("a path"), "--http", &page.address]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains("address already in use"), "{}", run.stderr);
}

/// Half-sent requests, requests without an end, and very long ones.
#[test]
fn clients_that_are_slow_or_greedy_are_closed() {
    let page = Shown::sample(&[]);
    let mut slow: Vec<_> = (0..1000).map(|_| page.connect()).collect();
    for stream in &mut slow {
        // Those over the limit are closed already.
        drop(stream.write_all(b"GET / HTTP/1.1\r\nHost: "));
    }
    let begin = Instant::now();
    for stream in &mut slow {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(page.get("/healthz").status, 200);
    let refused = page.get("/api/v1/summary").json()["refused_connections"].as_u64();
    assert!(refused.is_some_and(|refused| refused >= 800), "{refused:?}");
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    let status = page.get_with("/healthz", &long).status;
    assert!([0, 400, 431].contains(&status), "{status}");
    assert_eq!(page.get(&format!("/{}", "x".repeat(100_000))).status / 100 % 4, 0);
    assert_eq!(page.get("/healthz").status, 200);
}
