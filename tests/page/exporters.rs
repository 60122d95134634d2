//! The exporters' table of the page: from the datagrams to the browser and to Prometheus.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::browser::Seen;
use crate::client::Shown;
use crate::metrics::value;
use crate::support;

const PATIENCE: Duration = Duration::from_secs(30);

/// A datagram of NetFlow v5 with one record.
fn netflow5(sequence: u32, seconds: u32, sampling: u16) -> Vec<u8> {
    let header = [5 << 16 | 1, 60_000, seconds, 0, sequence, u32::from(sampling)];
    let record = [0x0a00_0001, 0x0a00_0002, 0, 3 << 16 | 4, 7, 900, 1000, 2000, 0x0035_0035];
    let octets = header.iter().chain(&record).flat_map(|number| number.to_be_bytes());
    let rest = [0, 0, 17, 0, 0, 0, 0, 0, 24, 24, 0, 0];
    octets.chain(rest).collect()
}

/// Sends datagrams from this address of the loopback interface.
fn send(from: [u8; 4], to: SocketAddr, datagrams: &[Vec<u8>]) {
    let socket = UdpSocket::bind((Ipv4Addr::from(from), 0)).expect("127/8 is the loopback");
    for datagram in datagrams {
        socket.send_to(datagram, to).expect("it can be sent");
    }
}

/// A run that collects, and the address where it listens.
fn collect(names: &Path) -> (Shown, SocketAddr) {
    let mut command = support::flowprobe();
    command.args(["collect", "-l", "flow://127.0.0.1:0", "--exporters-file"]).arg(names);
    command.args(["--http", "127.0.0.1:0", "-o", "json:/dev/null", "--stats", "json"]);
    let page = Shown::spawn(command);
    page.wait_for(": listens,");
    let messages = page.messages();
    let address = messages.split("flow://").nth(1).and_then(|rest| rest.split(": ").next());
    let to = address.and_then(|address| address.parse().ok()).expect("an address");
    (page, to)
}

/// Two exporters: one loses 5 records, and the clock of the other is two minutes behind.
#[test]
fn the_page_has_a_table_of_exporters() {
    let folder = support::scratch();
    let names = support::write(&folder, "names", b"127.0.0.1 <img src=x> edge\n");
    let (page, to) = collect(&names);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    let now = u32::try_from(now).expect("it is before 2106");
    let sampled = 1 << 14 | 100;
    send([127, 0, 0, 1], to, &[netflow5(1, now, sampled), netflow5(7, now, sampled)]);
    send([127, 0, 0, 2], to, &[netflow5(1, now - 120, 0)]);
    let begin = Instant::now();
    let answer = loop {
        let answer = page.get("/api/v1/exporters").json();
        if answer["known"] == 2 && answer["exporters"][0]["datagrams"] == 2 {
            break answer;
        }
        assert!(begin.elapsed() < PATIENCE, "{answer}");
        thread::sleep(Duration::from_millis(50));
    };
    let [first, second] = &answer["exporters"].as_array().expect("a list")[..] else {
        panic!("{answer}")
    };
    let told = [
        ("exporter", json!("127.0.0.1 netflow5 0"), json!("127.0.0.2 netflow5 0")),
        ("address", json!("127.0.0.1"), json!("127.0.0.2")),
        ("protocol", json!("netflow5"), json!("netflow5")),
        ("domain", json!("0"), json!("0")),
        ("name", json!("<img src=x> edge"), json!(null)),
        ("datagrams", json!(2), json!(1)),
        ("records", json!(2), json!(1)),
        ("malformed", json!(0), json!(0)),
        ("lost", json!(5), json!(0)),
        ("restarts", json!(0), json!(0)),
        ("templates", json!(0), json!(0)),
        ("sampling_interval", json!(100), json!(0)),
        ("interfaces", json!([]), json!([])),
    ];
    for (name, of_first, of_second) in &told {
        assert_eq!((&first[name], &second[name]), (of_first, of_second), "{name}");
    }
    let number = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("{answer}"));
    for (one, offset_ms) in [(first, 0), (second, -120_000)] {
        let offset = number(&one["clock_offset_ms"]) - offset_ms;
        assert!((-30_000..=0).contains(&offset), "{answer}");
        let ago = number(&answer["now_ms"]) - number(&one["last_seen_ms"]);
        assert!((0..60_000).contains(&ago), "{answer}");
    }
    let one = page.get("/api/v1/exporters?size=1").json();
    assert_eq!((&one["known"], &one["exporters"]), (&json!(2), &json!([first])));
    let metrics = page.get("/metrics").body;
    for (name, expected) in [("lost_total", 5.0), ("sampling_interval", 100.0)] {
        let metric = format!(r#"flowprobe_exporter_{name}{{exporter="127.0.0.1 netflow5 0"}}"#);
        assert_eq!(value(&metrics, &metric), Some(expected), "{metrics}");
    }
    if let Some(seen) = Seen::open(&page) {
        seen.wait_for("nav", "Exporters");
        seen.go("exporters");
        let table = seen.wait_for("#exporter-table", "127.0.0.2");
        for words in ["<img src=x> edge", "NetFlow v5", "1:100", "-2 min"] {
            assert!(table.contains(words), "{words}: {table}");
        }
        seen.wait_for("#exporters-note", "2 of 2");
        seen.picture("exporters");
        seen.go("health");
        seen.wait_for("#counters", "collected: netflow5\t3");
        seen.assert_is_text();
    }
    assert_eq!(web::without_metric(&page.end()), Vec::<String>::new());
}

#[test]
fn a_run_without_exporters_has_no_table() {
    let page = Shown::sample(&[]);
    let answer = page.get("/api/v1/exporters").json();
    assert_eq!(answer, json!({"known": 0, "now_ms": null, "exporters": []}));
    let Some(seen) = Seen::open(&page) else { return };
    seen.wait_for("#rates", "packets");
    assert!(!seen.wait_for("nav", "Flows").contains("Exporters"));
}
