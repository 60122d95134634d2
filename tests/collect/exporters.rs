//! Real exporters: what is collected from softflowd is what this program meters of the same
//! packets.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::Command;

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

use crate::program;
use crate::round_trip::received_by;
use crate::support;

/// Packets of which both have the same view: untagged, not in fragments, with ports.
const FILTER: &str = "(ip and (tcp or udp) and ip[6:2] & 0x3fff = 0) or (ip6 and (tcp or udp))";

/// What softflowd sends of the office sample, with these settings.
fn exported(settings: &[&str]) -> Vec<Vec<u8>> {
    let folder = support::scratch();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // It sends all at once; the kernel gives no more than it permits.
    setsockopt(&socket, sockopt::RcvBuf, &(1 << 22)).unwrap();
    let to = socket.local_addr().unwrap().to_string();
    let mut softflowd = Command::new("softflowd");
    softflowd.arg("-r").arg(support::office());
    softflowd.args(["-n", &to, "-d", "-a", "-6", "-c", "none", "-p"]);
    softflowd.arg(folder.path().join("pid")).args(settings).arg(FILTER);
    let (output, datagrams) = received_by(&socket, || softflowd.output().expect("softflowd runs"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    datagrams
}

/// Packets and octets of each flow.
fn sums(documents: &[Value]) -> BTreeMap<String, [u64; 2]> {
    let mut sums: BTreeMap<_, [u64; 2]> = BTreeMap::new();
    for document in documents {
        let end = |side: &str| format!("{} {}", document[side]["ip"], document[side]["port"]);
        let protocol = &document["network"]["iana_number"];
        let sum = sums.entry(format!("{} {} {protocol}", end("source"), end("destination")));
        let sum = sum.or_default();
        let of = |name: &str| document["network"][name].as_u64().unwrap();
        *sum = [sum[0] + of("packets"), sum[1] + of("bytes")];
    }
    sums
}

#[test]
fn flows_of_softflowd_are_those_of_the_replay() {
    /// Octets of the shortest Ethernet frame behind its header: softflowd counts its padding.
    const SHORTEST: u64 = 46;
    if !support::has_tool("softflowd") {
        return support::skip("softflowd is not installed");
    }
    let office = support::office();
    let office = office.to_str().unwrap();
    let replayed = support::run(["-r", office, "--filter", FILTER, "-o", "json:-"]).documents();
    for (settings, with_ipv6) in [
        (&["-v", "5"][..], false),
        (&["-v", "9"], true),
        (&["-v", "10"], true),
        // Elements of both directions.
        (&["-v", "10", "-b"], true),
        (&["-v", "10", "-A", "milli"], true),
    ] {
        let folder = support::scratch();
        let datagrams = program::capture(&exported(settings));
        let run = program::collect(&[support::write(&folder, "sent.pcap", &datagrams)], &[]);
        let mut ours = replayed.clone();
        ours.retain(|document| with_ipv6 || document["network"]["type"] == "ipv4");
        let (ours, theirs) = (sums(&ours), sums(&run.documents()));
        assert!(ours.len() > 2000 && ours.keys().eq(theirs.keys()), "{settings:?}: {}", run.stderr);
        for (flow, [packets, octets]) in &ours {
            let of_softflowd = theirs[flow];
            let padded = *octets..=octets + packets * SHORTEST;
            assert_eq!(of_softflowd[0], *packets, "{settings:?}: {flow}");
            assert!(padded.contains(&of_softflowd[1]), "{settings:?}: {flow}: {of_softflowd:?}");
        }
        // Sequence numbers of its IPFIX are those behind the records, so that they tell nothing.
        let counts = ["malformed", "no_template", "cut_sets", "unmeterable", "counts_invalid"];
        counts.iter().for_each(|name| assert_eq!(run.count(&format!("collected.{name}")), 0));
    }
}
