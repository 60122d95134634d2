//! tshark as the judge: the first name of each conversation in real captures.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use crate::ALL;
use crate::support::{self, has_tshark, real_captures};
use crate::tshark::{self, end_of, first, innermost, last};

/// What is compared, and how often it may differ beyond what is explained: one in a hundred.
const NAMES: [&str; 4] = ["server name", "JA3", "DNS name", "HTTP host"];

/// Captures in which names differ for a reason that is no mistake: how many, and the reason.
const EXPLAINED: [(&str, usize, &str); 9] = [
    ("443-opvn.pcap", 1, "TLS in packets of OpenVPN, whose header is before each piece"),
    ("capwap_data.pcapng", 2, "in CAPWAP, which is not opened"),
    ("WebattackRCE.pcap", 1, "a target with spaces is no request (RFC 9112 section 3)"),
    ("fuzz-2006-09-29-28586.pcap", 1, "a header with an octet 0 is left out"),
    ("ossfuzz_seed_fake_traces_1.pcapng", 1, "a hello with lengths that contradict each other"),
    ("quic-mvfst-exp.pcap", 2, "a version of one vendor, whose keys no standard names"),
    ("quic_t51.pcap", 2, "a version of one vendor"),
    ("tls_cipher_lens.pcap", 1, "a hello without ciphers, which no version allows"),
    ("tls_invalid_reads.pcap", 2, "a hello without ciphers; one in a tunnel"),
];

/// Both ends in order, and the transport.
type Conversation = (String, String, &'static str);

/// The first of each of [`NAMES`].
type First = [Option<String>; 4];

fn conversation(one: &str, other: &str, transport: &'static str) -> Conversation {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    (low.to_owned(), high.to_owned(), transport)
}

/// Keeps what was not found before.
fn keep(first: &mut First, found: First) {
    for (first, found) in first.iter_mut().zip(found) {
        if first.is_none() {
            *first = found;
        }
    }
}

const FIELDS: [&str; 13] = [
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "tls.handshake.extensions_server_name",
    "tls.handshake.ja3",
    "dns.qry.name",
    "http.host",
    "frame.protocols",
];

/// DNS at its port and HTTP in TCP, as flowprobe reads them.
const FILTER: &str = "tls.handshake.type == 1 || (dns && (tcp.port == 53 || udp.port == 53)) || \
                      (http.request && tcp)";

fn of_tshark(path: &Path) -> BTreeMap<Conversation, First> {
    let options = ["-o", "tcp.desegment_tcp_streams:TRUE"];
    let options = [&options[..], &tshark::BETWEEN].concat();
    let mut all = BTreeMap::new();
    for packet in tshark::packets(path, FILTER, &options, FIELDS) {
        let [v4, v6, to_v4, to_v6, tcp, to_tcp, udp, to_udp, server, ja3, dns, http, protocols] =
            packet.each_ref().map(String::as_str);
        let is_v6 = innermost(protocols, ["ip", "ipv6"]) == "ipv6";
        let is_tcp = innermost(protocols, ["tcp", "udp"]) == "tcp";
        let transport = if is_tcp { "tcp" } else { "udp" };
        let end = |v4: &str, v6: &str, tcp: &str, udp: &str| {
            let address = last(if is_v6 { v6 } else { v4 });
            format!("{address} {}", last(if is_tcp { tcp } else { udp }))
        };
        let (one, other) = (end(v4, v6, tcp, udp), end(to_v4, to_v6, to_tcp, to_udp));
        let name = |text: &str| {
            let text = first(text).to_ascii_lowercase();
            (!text.is_empty()).then(|| text.strip_suffix('.').unwrap_or(&text).to_owned())
        };
        let found = [name(server), name(ja3), name(dns), name(http)];
        keep(all.entry(conversation(&one, &other, transport)).or_default(), found);
    }
    all
}

fn of_flowprobe(path: &Path) -> BTreeMap<Conversation, First> {
    let fixed = ["-r", path.to_str().unwrap(), "-o", "json:-", "--decap", "all"];
    let run = support::run(fixed.iter().chain(&ALL));
    let mut all = BTreeMap::new();
    for document in run.documents() {
        let (one, other) = (end_of(&document["source"]), end_of(&document["destination"]));
        let transport = match document["network"]["transport"].as_str() {
            Some("tcp") => "tcp",
            Some("udp") => "udp",
            _ => continue,
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let tls = &document["tls"]["client"];
        let host = text(&document["url"]["domain"]);
        let host = host.map(|host| match &document["url"]["port"] {
            Value::Null => host,
            port => format!("{host}:{port}"),
        });
        let dns = text(&document["dns"]["question"]["name"]);
        let found = [text(&tls["server_name"]), text(&tls["ja3"]), dns, host];
        keep(all.entry(conversation(&one, &other, transport)).or_default(), found);
    }
    all
}

/// How many of each of [`NAMES`] there are, how many are equal, and what differs.
#[derive(Default)]
struct Verdict {
    all: [usize; 4],
    equal: [usize; 4],
    differ: Vec<String>,
    /// Captures of [`EXPLAINED`] in which another number differs.
    changed: Vec<String>,
}

fn compare(path: &Path, verdict: &mut Verdict) {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let explained = EXPLAINED.iter().find(|(name, ..)| *name == file);
    let mut left_out = 0;
    let ours = of_flowprobe(path);
    for (conversation, first) in of_tshark(path) {
        let nothing = First::default();
        let found = ours.get(&conversation).unwrap_or(&nothing);
        for (index, (theirs, ours)) in first.iter().zip(found).enumerate() {
            if theirs.is_none() {
                continue;
            }
            if explained.is_some() && theirs != ours {
                left_out += 1;
                continue;
            }
            verdict.all[index] += 1;
            if theirs == ours {
                verdict.equal[index] += 1;
            } else {
                let name = NAMES[index];
                verdict.differ.push(format!("{file} {conversation:?} {name}: {theirs:?} {ours:?}"));
            }
        }
    }
    // What is explained stays as it is.
    let expected = explained.map_or(0, |(_, count, _)| *count);
    if left_out != expected {
        verdict.changed.push(format!("{file}: {left_out} names differ, not {expected}"));
    }
}

#[test]
fn names_are_those_that_tshark_finds() {
    let captures = real_captures();
    if captures.is_empty() {
        return support::skip_without("real captures");
    }
    if !has_tshark() {
        return;
    }
    let (left, verdict) = (Mutex::new(captures.iter()), Mutex::new(Verdict::default()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(path) = left.lock().unwrap().next() else { return };
                    let mut one = Verdict::default();
                    compare(path, &mut one);
                    let mut sum = verdict.lock().unwrap();
                    for index in 0..NAMES.len() {
                        sum.all[index] += one.all[index];
                        sum.equal[index] += one.equal[index];
                    }
                    sum.differ.extend(one.differ);
                    sum.changed.extend(one.changed);
                }
            });
        }
    });
    let Verdict { all, equal, differ, changed } = verdict.into_inner().unwrap();
    assert!(changed.is_empty(), "{changed:#?}");
    for (index, name) in NAMES.iter().enumerate() {
        println!("{name}: {} of {} equal", equal[index], all[index]);
        assert!(all[index] > 100, "{name}: {}", all[index]);
        assert!(100 * equal[index] >= 99 * all[index], "{name}: {equal:?} of {all:?}: {differ:#?}");
    }
}
