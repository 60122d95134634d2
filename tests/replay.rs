//! Capture files in, flows out: what the whole program makes of captures made by hand.

mod support;

use support::capture::{Captured, pcap};
use support::packet::{ethernet, ipv4, tcp};

#[test]
fn one_packet_is_one_flow() {
    let folder = support::scratch();
    let frame = ethernet(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &tcp(1, 2, 0x12, 3)));
    let path = support::write(&folder, "one.pcap", &pcap(&[Captured::at(1000, frame)]));
    let run = support::run(["-r", path.to_str().unwrap(), "-o", "json:-"]);
    run.assert_conservation();
    let documents = run.documents();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0]["source"]["bytes"], 43);
    assert_eq!(run.status, 0);
}
