//! tshark as the judge: what servers of TLS chose, in real captures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{self, has_tshark, real_captures};
use crate::tshark::{self, end_of, first, innermost, last};

/// Both ends, the server first.
type Ends = (String, String);

/// Version, cipher suite and protocol.
type Choice = [Option<String>; 3];

/// Captures in which hellos are not found for a reason that is no mistake: how many, and the
/// reason.
const EXPLAINED: [(&str, usize, &str); 1] =
    [("443-opvn.pcap", 1, "TLS in packets of OpenVPN, whose header is before each piece")];

const FIELDS: [&str; 11] = [
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tls.handshake.version",
    "tls.handshake.extensions.supported_version",
    "tls.handshake.ciphersuite",
    "tls.handshake.extensions_alpn_str",
    "frame.protocols",
];

/// The names of cipher suites.
fn suites() -> BTreeMap<u16, String> {
    let output = Command::new("tshark").args(["-G", "values"]).output().expect("tshark runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let suite = |line: &str| {
        let (number, name) =
            line.strip_prefix("V\ttls.handshake.ciphersuite\t")?.split_once('\t')?;
        Some((number.parse().ok()?, name.to_owned()))
    };
    lines.lines().filter_map(suite).collect()
}

/// Whether octets of a capture are like those at the beginning of a ServerHello. Most captures have
/// none, and tshark takes its time.
fn may_have_hello(path: &Path) -> bool {
    let octets = std::fs::read(path).unwrap();
    octets.windows(7).any(|it| matches!(it, [0x16, 3, 0..=4, _, _, 2, 0]))
}

fn number(text: &str) -> Option<u16> {
    u16::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

fn of_tshark(path: &Path, suites: &BTreeMap<u16, String>) -> BTreeMap<Ends, Choice> {
    let filter = "tls.handshake.type == 2 && tcp";
    let mut all = BTreeMap::new();
    for packet in tshark::packets(path, filter, &tshark::BETWEEN, FIELDS) {
        let [v4, v6, to_v4, to_v6, tcp, to_tcp, legacy, version, suite, protocol, layers] =
            packet.each_ref().map(String::as_str);
        // Ends are those of the innermost packet, and what was chosen is that of the first hello.
        let is_v6 = innermost(layers, ["ip", "ipv6"]) == "ipv6";
        let end = |v4: &str, v6: &str, port: &str| {
            format!("{} {}", last(if is_v6 { v6 } else { v4 }), last(port))
        };
        let version = number(first(if version.is_empty() { legacy } else { version }));
        let version = match version {
            Some(0x0301) => Some("1.0".to_owned()),
            Some(0x0302) => Some("1.1".to_owned()),
            Some(0x0303) => Some("1.2".to_owned()),
            Some(0x0304) => Some("1.3".to_owned()),
            // A draft.
            _ => None,
        };
        let suite = number(first(suite)).and_then(|number| suites.get(&number).cloned());
        let protocol = Some(first(protocol)).filter(|name| !name.is_empty()).map(str::to_owned);
        let ends = (end(v4, v6, tcp), end(to_v4, to_v6, to_tcp));
        all.entry(ends).or_insert([version, suite, protocol]);
    }
    all
}

fn of_flowprobe(path: &Path) -> BTreeMap<Ends, Choice> {
    let run = support::run([
        "-r",
        path.to_str().unwrap(),
        "-o",
        "json:-",
        "--decap",
        "all",
        "--payload",
        "tls",
    ]);
    let mut all = BTreeMap::new();
    for document in run.documents() {
        let tls = &document["tls"];
        if tls["cipher"].is_null() {
            continue;
        }
        let (source, destination) = (end_of(&document["source"]), end_of(&document["destination"]));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let choice = [&tls["version"], &tls["cipher"], &tls["next_protocol"]].map(text);
        // The flow to the client has it, and so has the one back.
        all.entry((source.clone(), destination.clone())).or_insert_with(|| choice.clone());
        all.entry((destination, source)).or_insert(choice);
    }
    all
}

#[test]
fn what_servers_chose_is_what_tshark_finds() {
    let captures = real_captures();
    if captures.is_empty() {
        return support::skip_without("real captures");
    }
    if !has_tshark() {
        return;
    }
    let suites = suites();
    assert!(suites.len() > 300, "{}", suites.len());
    let (mut equal, mut explained) = (0, 0);
    for path in captures.into_iter().filter(|path| may_have_hello(path)) {
        let theirs = of_tshark(&path, &suites);
        if theirs.is_empty() {
            continue;
        }
        let ours = of_flowprobe(&path);
        let different: Vec<_> =
            theirs.iter().filter(|(ends, choice)| ours.get(*ends) != Some(*choice)).collect();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let row = EXPLAINED.iter().find(|(name, ..)| *name == file);
        let shown: Vec<_> =
            different.iter().map(|(ends, choice)| (ends, choice, ours.get(*ends))).collect();
        // What is explained stays as it is.
        assert_eq!(different.len(), row.map_or(0, |(_, count, _)| *count), "{file}: {shown:#?}");
        // What is found is right: what is explained is missing.
        assert!(shown.iter().all(|(.., ours)| ours.is_none()), "{file}: {shown:#?}");
        equal += theirs.len() - different.len();
        explained += different.len();
    }
    println!("{equal} equal, {explained} explained");
    assert!(equal > 100, "{equal}");
}
