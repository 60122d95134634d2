//! `--scale-samples`: counts are multiplied by the sampling interval, and say so.

use std::slice;

use serde_json::Value;

use crate::messages::{flow_sample, raw_header, sflow};
use crate::program;
use crate::round_trip::{replay, run_with_output};
use crate::support::{self, packet};
use crate::traffic;

/// Packets and octets of a flow.
fn counts(document: &Value) -> [u64; 2] {
    ["packets", "bytes"].map(|name| document["network"][name].as_u64().unwrap())
}

#[test]
fn counts_are_multiplied_by_the_interval() {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    for scheme in ["ipfix", "netflow9", "netflow5"] {
        let (_, datagrams) = replay(&file, scheme, &["--sample", "1:10"]);
        let capture = support::write(&folder, "sent.pcap", &program::capture(&datagrams));
        let plain = program::collect(slice::from_ref(&capture), &[]).documents();
        let run = program::collect(slice::from_ref(&capture), &["--scale-samples"]);
        let scaled = run.documents();
        assert!(plain.len() > 2 && plain.len() == scaled.len(), "{scheme}");
        for (plain, scaled) in plain.iter().zip(&scaled) {
            assert_eq!(counts(scaled), counts(plain).map(|count| count * 10), "{scheme}");
            let told = [&plain["flowprobe"]["scaled"], &scaled["flowprobe"]["scaled"]];
            assert_eq!(told, [&Value::Null, &Value::from(true)], "{scheme}");
            for document in [plain, scaled] {
                assert_eq!(document["netflow"]["sampling_interval"], 10, "{scheme}");
            }
        }
        let sum: u64 = scaled.iter().map(|document| counts(document)[0]).sum();
        assert_eq!(run.count("collected.packets"), sum, "{scheme}");
    }
}

#[test]
fn exporters_without_sampling_are_not_scaled() {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    let (_, datagrams) = replay(&file, "ipfix", &[]);
    let capture = support::write(&folder, "sent.pcap", &program::capture(&datagrams));
    let plain = program::collect(slice::from_ref(&capture), &[]).documents();
    let scaled = program::collect(slice::from_ref(&capture), &["--scale-samples"]).documents();
    assert_eq!(plain, scaled);
    let settings = ["--scale-samples", "--sampling", "192.0.2.1=7"];
    let given = program::collect(slice::from_ref(&capture), &settings).documents();
    for (plain, given) in plain.iter().zip(&given) {
        assert_eq!(counts(given), counts(plain).map(|count| count * 7), "{given}");
    }
}

/// The next collector multiplies nothing again.
#[test]
fn a_mediator_says_that_scaled_counts_are_not_sampled() {
    let ip = packet::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &packet::udp(7, 9, 80));
    let datagram = sflow(1, &[flow_sample(&[raw_header(11, 112, &ip)])]);
    let folder = support::scratch();
    let capture = support::write(&folder, "sflow.pcap", &program::capture(&[datagram]));
    let source = ["collect", "-r", capture.to_str().unwrap()];
    let (run, datagrams) = run_with_output(&source, "ipfix", &["--scale-samples"]);
    let capture = support::write(&folder, "sent.pcap", &program::capture(&datagrams));
    let next = program::collect(slice::from_ref(&capture), &["--scale-samples"]);
    let [first, next] = [run.documents(), next.documents()];
    assert_eq!((first.len(), next.len()), (1, 1), "{}", run.stderr);
    assert_eq!(first[0]["netflow"]["sampling_interval"], 512, "{}", first[0]);
    assert_eq!(next[0]["netflow"].get("sampling_interval"), None, "{}", next[0]);
    assert_eq!((counts(&first[0])[0], counts(&next[0])), (512, counts(&first[0])));
}
