//! tshark as the judge: questions and answers of DNS in real captures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::time::{millis, millis_of_seconds};
use crate::support::{self, has_tshark, real_captures};
use crate::tshark;

/// Captures in which transactions differ for a reason that is no mistake: how many, and the reason.
const EXPLAINED: [(&str, usize, &str); 4] = [
    ("badpackets.pcap", 8, "answers that are cut, without their question"),
    ("dns-invalid-chars.pcap", 3, "the answer is to another name"),
    ("dns_fragmented.pcap", 3, "asked again after 5 s; the time of an answer's first fragment"),
    ("portable_executable.pcap", 3, "a program over TCP port 53, with octets like questions"),
];

/// The client's end, the identification, and the times of question and answer, in milliseconds.
type Transaction = (String, String, Option<u64>, Option<u64>);

const FIELDS: [&str; 14] = [
    "frame.number",
    "frame.time_epoch",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "udp.srcport",
    "tcp.srcport",
    "udp.dstport",
    "tcp.dstport",
    "dns.id",
    "dns.flags.response",
    // What tshark adds: the frame of the question, and of the question that came before.
    "dns.response_to",
    "dns.retransmit_request_in",
];

/// Messages of DNS at its port, from packets in no tunnel.
fn of_tshark(path: &Path) -> BTreeSet<Transaction> {
    let filter = "dns && (tcp.port == 53 || udp.port == 53)";
    let (mut asked, mut all) = (BTreeMap::new(), BTreeSet::new());
    for packet in tshark::packets(path, filter, &["-E", "occurrence=f"], FIELDS) {
        let [number, time, v4, v6, to_v4, to_v6, udp, tcp, to_udp, to_tcp, id, qr, to, again] =
            packet.each_ref().map(String::as_str);
        let time = millis_of_seconds(time).unwrap();
        let id = u16::from_str_radix(id.trim_start_matches("0x"), 16).unwrap().to_string();
        let is_answer = qr == "1" || qr == "True";
        if !is_answer {
            if again.is_empty() {
                asked.insert(number.to_owned(), (format!("{v4}{v6} {udp}{tcp}"), id, time));
            }
            continue;
        }
        let client = format!("{to_v4}{to_v6} {to_udp}{to_tcp}");
        let question = asked.remove(to).filter(|(.., asked)| time <= asked + 5000);
        all.insert((client, id, question.map(|(.., asked)| asked), Some(time)));
    }
    all.extend(asked.into_values().map(|(client, id, time)| (client, id, Some(time), None)));
    all
}

fn of_flowprobe(path: &Path, workers: &str) -> Vec<Value> {
    let path = path.to_str().unwrap();
    let fixed = ["-r", path, "-o", "json:-?events=dns", "--payload", "dns", "--workers", workers];
    let mut documents = support::run(fixed).documents();
    documents.retain(|document| document["event"]["dataset"] == "flowprobe.dns");
    documents
}

fn transaction(document: &Value) -> Transaction {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = |value: &Value| value.as_str().map(millis);
    let client = format!("{} {}", text(&document["client"]["ip"]), document["client"]["port"]);
    let is_asked = document["flowprobe"]["dns"]["queries"] != 0;
    let event = &document["event"];
    let begin = time(&event["start"]).filter(|_| is_asked);
    (client, text(&document["dns"]["id"]), begin, time(&event["end"]))
}

#[test]
fn questions_have_the_answers_that_tshark_finds() {
    let captures = real_captures();
    if captures.is_empty() {
        return support::skip_without("real captures");
    }
    if !has_tshark() {
        return;
    }
    let (mut all, mut equal) = (0, 0);
    for path in captures {
        // Names of DNS that flowprobe does not find at all are missed elsewhere.
        let documents = of_flowprobe(&path, "1");
        if documents.is_empty() {
            continue;
        }
        let theirs = of_tshark(&path);
        let sorted = |documents: &[Value]| {
            let mut texts: Vec<_> = documents.iter().map(Value::to_string).collect();
            texts.sort();
            texts
        };
        assert!(sorted(&of_flowprobe(&path, "4")) == sorted(&documents), "{}", path.display());
        let ours: BTreeSet<_> = documents.iter().map(transaction).collect();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let explained = EXPLAINED.iter().find(|(name, ..)| *name == file);
        let different: Vec<_> = theirs.symmetric_difference(&ours).collect();
        let expected = explained.map_or(0, |(_, count, _)| *count);
        assert_eq!(different.len(), expected, "{file}: {different:#?}");
        all += theirs.len();
        equal += theirs.intersection(&ours).count();
    }
    println!("{equal} of {all} equal");
    assert!(all > 160, "{all}");
}
