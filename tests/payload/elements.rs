//! Names in IPFIX, as tshark decodes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::capture::pcap;
use crate::support::{self, has_tshark};
use crate::{ALL, conversations, of_port, run};

/// The file of a replay with these settings.
fn replayed(folder: &Path, settings: &str, more: &[&str]) -> PathBuf {
    let capture = folder.join("a.pcap");
    std::fs::write(&capture, pcap(&conversations())).unwrap();
    let file = folder.join("a.ipfix");
    let output = format!("ipfix-file:{}{settings}", file.display());
    let fixed = ["-r", capture.to_str().unwrap(), "-o", &output];
    let run = support::run(fixed.iter().chain(more));
    assert_eq!(run.status, 0, "{}", run.stderr);
    file
}

/// What tshark shows of a file, without complaint.
fn decoded(file: &Path) -> String {
    let output = Command::new("tshark").args(["-n", "-V", "-r"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for complaint in
        ["Malformed", "No template found", "Expert Info (Warning", "Expert Info (Error"]
    {
        assert!(!text.contains(complaint), "{complaint}: {text}");
    }
    text
}

/// The records of a set with this id, each as its lines.
fn records(text: &str, id: u16) -> Vec<String> {
    let sets = text.split("\n    Set ").filter(|set| {
        let head = set.lines().next().unwrap_or_default();
        head.contains(&format!("[id={id}]"))
    });
    sets.flat_map(|set| set.split("\n        Flow ").skip(1).map(str::to_owned)).collect()
}

fn hex(text: &str) -> String {
    let digits: Vec<_> = text.bytes().map(|octet| format!("{octet:02x}")).collect();
    digits.join(" ")
}

fn has_all(records: &[String], count: usize, lines: &[&str]) {
    assert_eq!(records.len(), count, "{records:?}");
    for record in records {
        for line in lines {
            assert!(record.contains(line), "{line}: {record}");
        }
    }
}

#[test]
fn each_protocol_has_a_template_of_its_own() {
    if !has_tshark() {
        return;
    }
    let folder = support::scratch();
    let more = [&ALL[..], &["--payload-dns-answers"]].concat();
    let text = decoded(&replayed(folder.path(), "", &more));
    // A conversation without names is a plain record.
    assert_eq!(records(&text, 256).len(), 1);
    let dns = records(&text, 332);
    let (answered, lost): (Vec<_>, Vec<_>) =
        dns.into_iter().partition(|record| record.contains("DNS query: dns.example"));
    has_all(
        &answered,
        2,
        &[
            "DNS query transaction Id: 7",
            "DNS query type: 1",
            "DNS return code: 0",
            "DNS # of returned answers: 1",
            "TTL of the first A record (if any): 60",
            "DNS response(s): 192.0.2.9",
            "ApplicationName: dns",
        ],
    );
    has_all(&lost, 1, &["DNS query: lost.example", "DNS query type: 28", "DNS return code: 255"]);
    has_all(
        &records(&text, 364),
        2,
        &[
            "SSL server name: tls.example",
            "ApplicationName: tls",
            "Type 493: Value (hex bytes): c0 2f",
            "Type 495: Value (hex bytes): 03 03",
        ],
    );
    has_all(
        &records(&text, 396),
        2,
        &[
            "HTTP Statuscode: 404",
            "HTTP Request Method: GET",
            "HTTP Request Host: http.example",
            "ApplicationName: http",
        ],
    );
    has_all(&records(&text, 428), 1, &["SSL server name: quic.example", "ApplicationName: quic"]);
}

#[test]
fn names_have_the_elements_of_the_namespace() {
    if !has_tshark() {
        return;
    }
    for (namespace, offset, pen, dns, tls) in
        [("cert", 200, "CERT Coordination Center", 179, 294), ("cesnet", 400, "CESNET", 2, 808)]
    {
        let folder = support::scratch();
        let more = [&ALL[..], &["--payload-dns-answers"]].concat();
        let text = decoded(&replayed(folder.path(), &format!("?names={namespace}"), &more));
        let element = |number: u16, name: &str| {
            format!("({pen}) Type {number}: Value (hex bytes): {}", hex(name))
        };
        let records = |id: u16| records(&text, id + offset);
        let with = |name: &str| {
            let line = element(dns, name);
            records(332).iter().filter(|record| record.contains(&line)).count()
        };
        assert_eq!((with("dns.example"), with("lost.example")), (2, 1), "{namespace}: {text}");
        has_all(&records(364), 2, &[&element(tls, "tls.example")]);
        let more_of_tls: &[&str] = match namespace {
            "cert" => {
                &["Type 186: Value (hex bytes): 03", "Type 187: Value (hex bytes): 00 00 c0 2f"]
            }
            _ => &["Type 333: Value (hex bytes): 03 03", "Type 337: Value (hex bytes): 68 32"],
        };
        has_all(&records(364), 2, more_of_tls);
        let ttl = if namespace == "cert" { 199 } else { 5 };
        let ttl = format!("({pen}) Type {ttl}: Value (hex bytes): 00 00 00 3c");
        assert_eq!(records(332).iter().filter(|record| record.contains(&ttl)).count(), 2);
        if namespace == "cesnet" {
            let data = element(7, "192.0.2.9");
            let with_data = records(332).iter().filter(|record| record.contains(&data)).count();
            assert_eq!(with_data, 2, "{text}");
        }
        has_all(&records(396), 2, &["HTTP Request Host: http.example"]);
        let quic = if namespace == "cesnet" { 890 } else { tls };
        has_all(&records(428), 1, &[&element(quic, "quic.example")]);
    }
}

/// What is in documents as text is in elements as octets.
#[test]
fn fingerprints_and_numbers_have_their_elements() {
    if !has_tshark() {
        return;
    }
    let folder = support::scratch();
    let url = [&ALL[..], &["--payload-http", "url"]].concat();
    let of =
        |namespace: &str| decoded(&replayed(folder.path(), &format!("?names={namespace}"), &url));
    let value = |number: u16, hex: &str| format!("Type {number}: Value (hex bytes): {hex}");
    let client = of_port(&run(&conversations(), &ALL), "source", 1443)["tls"]["client"].clone();
    let [ja3, ja4] = ["ja3", "ja4"].map(|name| client[name].as_str().unwrap());
    // tshark shows the first 24 octets.
    let (ja3_text, ja4) = (&ja3[..24], &ja4[..24]);
    let ja3_octets: Vec<_> = (0..32).step_by(2).map(|at| &ja3[at..at + 2]).collect();
    let ntop = of("ntop");
    let both = [value(489, &hex(ja3_text)), value(576, &hex(ja4))];
    has_all(&records(&ntop, 364), 2, &both.each_ref().map(String::as_str));
    has_all(&records(&ntop, 396), 2, &["HTTP Request Target: /a", "HTTP User Agent: agent/1"]);
    let cesnet = of("cesnet");
    let both = [value(357, &ja3_octets.join(" ")), value(809, &hex(ja4))];
    has_all(&records(&cesnet, 764), 2, &both.each_ref().map(String::as_str));
    has_all(&records(&cesnet, 828), 1, &[&value(892, "00 00 00 01")]);
    let answered = |text: &str, id: u16, name: String| -> Vec<String> {
        records(text, id).into_iter().filter(|record| record.contains(&name)).collect()
    };
    let dns = answered(&cesnet, 732, value(2, &hex("dns.example")));
    let rest = [value(10, "00 07"), value(3, "00 01"), value(4, "00 01"), value(1, "00")];
    has_all(&dns, 2, &[&rest[0], &rest[1], &rest[2], &rest[3], &value(14, "00 01")]);
    let cert = of("cert");
    let dns = answered(&cert, 532, value(179, &hex("dns.example")));
    let rest = [value(226, "00 07"), value(175, "00 01"), value(177, "00"), value(33, "00 35")];
    has_all(&dns, 2, &rest.each_ref().map(String::as_str));
}

/// NetFlow has no names: what is sent is the same with them and without.
#[test]
fn netflow_is_as_without_names() {
    let folder = support::scratch();
    let capture = support::write(&folder, "a.pcap", &pcap(&conversations()));
    for protocol in ["netflow5", "netflow9"] {
        let sent = |more: &[&str]| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
            let output = format!("{protocol}://{}", socket.local_addr().unwrap());
            let fixed = ["-r", capture.to_str().unwrap(), "-o", &output, "--workers", "1"];
            assert_eq!(support::run(fixed.iter().chain(more)).status, 0);
            let (mut datagrams, mut buffer) = (Vec::new(), [0; 9000]);
            while let Ok(length) = socket.recv(&mut buffer) {
                datagrams.push(buffer[..length].to_vec());
            }
            datagrams
        };
        let plain = sent(&[]);
        assert!(!plain.is_empty() && sent(&ALL) == plain, "{protocol}");
    }
}

#[test]
fn other_elements_are_refused() {
    let refused = support::run(["-r", "a.pcap", "-o", "ipfix-file:x?names=mine"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("names=mine is not allowed"), "{}", refused.stderr);
}

/// Without names found, and without the setting, the file is the same: no template is announced
/// that is not used.
#[test]
fn plain_records_are_as_without_names() {
    let folder = support::scratch();
    let file = |more: &[&str]| {
        let few: Vec<_> = conversations().into_iter().skip(11).collect();
        let capture = folder.path().join("b.pcap");
        std::fs::write(&capture, pcap(&few)).unwrap();
        let file = folder.path().join("b.ipfix");
        let output = format!("ipfix-file:{}", file.display());
        let fixed = ["-r", capture.to_str().unwrap(), "-o", &output];
        assert_eq!(support::run(fixed.iter().chain(more)).status, 0);
        std::fs::read(file).unwrap()
    };
    assert_eq!(file(&ALL), file(&[]));
}

/// Datagrams that are too small for a template and a record beside others.
#[test]
fn a_template_comes_before_its_records_in_small_datagrams() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let folder = support::scratch();
    let capture = support::write(&folder, "a.pcap", &pcap(&conversations()));
    let output = format!("ipfix://{}?mtu=576", socket.local_addr().unwrap());
    let fixed = ["-r", capture.to_str().unwrap(), "-o", &output];
    assert_eq!(support::run(fixed.iter().chain(&ALL)).status, 0);
    let (mut announced, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut buffer = [0; 2048];
    // All that was sent waits at the socket.
    while let Ok(length) = socket.recv(&mut buffer) {
        assert!(length <= 576 - 28, "{length}");
        let mut rest = &buffer[16..length];
        while let [id_high, id_low, high, low, ..] = *rest {
            let id = u16::from_be_bytes([id_high, id_low]);
            let (set, behind) = rest.split_at(usize::from(u16::from_be_bytes([high, low])));
            rest = behind;
            if id == 2 {
                announced.insert(u16::from_be_bytes([set[4], set[5]]));
            } else if id >= 300 {
                assert!(announced.contains(&id), "{id}: {announced:?}");
                seen.insert(id);
            }
        }
    }
    assert_eq!(seen, BTreeSet::from([332, 364, 396, 428]));
}
