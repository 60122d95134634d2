//! JA4 as the reference implementation prints it, beside the captures that it read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::ALL;
use crate::support::{self, material};

/// Capture, client's port, and JA4: fingerprints that the results lack, and why. These are of the
/// reference implementation in Python.
const EXPLAINED: [(&str, &str, &str, &str); 4] = [
    (
        "chrome-cloudflare-quic-with-secrets.pcapng",
        "50280",
        CHROME_QUIC,
        "the hello is in nine CRYPTO frames, shuffled",
    ),
    (
        "https-connect.pcap",
        "54723",
        "t12i860500_e18388e7f3a3_a1e935682795",
        "the hello is behind CONNECT of HTTP",
    ),
    ("quic-tls-handshake.pcapng", "59102", CHROME_QUIC, "the one in Rust prints it"),
    ("quic-with-several-tls-frames.pcapng", "55906", CHROME_QUIC, "the one in Rust prints it"),
];

/// Of a browser by QUIC.
const CHROME_QUIC: &str = "q13d0310h3_55b375c5d22e_cd85d2d88918";

/// Both ends, the client first, and the fingerprint.
type Fingerprint = ([String; 4], String);

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What is in the file beside a capture.
fn of_reference(path: &Path) -> BTreeSet<Fingerprint> {
    let streams: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut all = BTreeSet::new();
    for stream in streams.as_array().unwrap() {
        let ends = ["src", "srcport", "dst", "dstport"].map(|key| text(&stream[key]));
        // A stream with several hellos has JA4.1, JA4.2 and so on. The first is that of the flow.
        let ja4 = ["JA4", "JA4.1"].iter().find_map(|key| stream[key].as_str());
        all.extend(ja4.map(|ja4| (ends, ja4.to_owned())));
    }
    all
}

/// What the documents of clients' flows say.
fn of_flowprobe(path: &Path) -> BTreeSet<Fingerprint> {
    let run = support::run(["-r", path.to_str().unwrap(), "-o", "json:-"].iter().chain(&ALL));
    assert_eq!(run.status, 0, "{}", run.stderr);
    let mut all = BTreeSet::new();
    for document in run.documents() {
        let tls = &document["tls"]["client"];
        let Some(ja4) = tls["ja4"].as_str() else { continue };
        let (source, destination) = (&document["source"], &document["destination"]);
        let ends = [&source["ip"], &source["port"], &destination["ip"], &destination["port"]];
        all.insert((ends.map(text), ja4.to_owned()));
    }
    all
}

/// The same with the other end first.
fn turned((ends, ja4): &Fingerprint) -> Fingerprint {
    let [ip, port, to_ip, to_port] = ends.clone();
    ([to_ip, to_port, ip, port], ja4.clone())
}

#[test]
fn ja4_is_that_of_the_reference_implementation() {
    let Some(folder) = material("FLOWPROBE_JA4", "ja4") else {
        support::skip_without("captures with their JA4");
        return;
    };
    let entries = fs::read_dir(folder).expect("the folder of captures can be read");
    let mut expected: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    expected.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    let (mut equal, mut distinct, mut explained) = (0, BTreeSet::new(), 0);
    for path in expected {
        // CAPTURE.json is beside CAPTURE.
        let capture = path.with_extension("");
        let file = capture.file_name().unwrap().to_string_lossy().into_owned();
        let theirs = of_reference(&path);
        let ours = of_flowprobe(&capture);
        let missing: Vec<_> = theirs.difference(&ours).collect();
        assert!(missing.is_empty(), "{file}: {missing:?} in {ours:?}");
        equal += theirs.len();
        distinct.extend(theirs.iter().map(|(_, ja4)| ja4.clone()));
        // Each flow back to the client has that of the client.
        let known: BTreeSet<_> = theirs.iter().flat_map(|one| [one.clone(), turned(one)]).collect();
        let more = ours.difference(&known).map(|(ends, ja4)| {
            let client = if ends[1] == "443" || ends[1] == "8080" { &ends[3] } else { &ends[1] };
            (client.as_str(), ja4.as_str())
        });
        let rows = EXPLAINED.iter().filter(|(name, ..)| *name == file);
        let rows: BTreeSet<_> = rows.map(|(_, port, ja4, _)| (*port, *ja4)).collect();
        // What is explained stays as it is.
        assert_eq!(more.collect::<BTreeSet<_>>(), rows, "{file}: the reference has none of them");
        explained += rows.len();
    }
    println!("{equal} equal, {} distinct, {explained} explained", distinct.len());
    assert!(equal >= 14 && distinct.len() >= 8, "{equal} {distinct:?}");
}
