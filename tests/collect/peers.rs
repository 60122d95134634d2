//! The same datagrams, to a collector of others beside ours.

use std::net::UdpSocket;

use crate::collector::{self, nfcapd, nfdump};
use crate::round_trip::replay;
use crate::sockets::{end, listen};
use crate::support;
use crate::traffic;

/// Records, packets and octets.
pub type Sums = [u64; 3];

/// What nfdump prints of the files in a folder.
pub fn sums_of_nfdump(folder: &std::path::Path) -> Sums {
    let records = nfdump(folder);
    let sum = |name: &str| records.iter().map(|record| record[name].as_u64().unwrap()).sum();
    [records.len() as u64, sum("in_packets"), sum("in_bytes")]
}

#[test]
fn sums_are_those_of_nfcapd() {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    for scheme in ["ipfix", "netflow9", "netflow5"] {
        let (_, datagrams) = replay(&file, scheme, &[]);
        let stored = support::scratch();
        let Some(nfcapd) = nfcapd(stored.path(), "127.0.0.1") else { return };
        let (ours, addresses) = listen(&["flow://127.0.0.1:0"], &[]);
        let exporter = UdpSocket::bind("127.0.0.1:0").unwrap();
        for datagram in &datagrams {
            exporter.send_to(datagram, ("127.0.0.1", nfcapd.port)).unwrap();
            exporter.send_to(datagram, addresses[0]).unwrap();
        }
        let run = end(ours, datagrams.len() as u64, 0);
        nfcapd.wait_until_read();
        nfcapd.stop("TERM");
        let log = collector::read(stored.path(), "stdout");
        let of = |name: &str| run.count(&format!("collected.{name}"));
        let sums = [of("records"), of("packets"), of("record_octets")];
        assert!(sums[0] > 100, "{scheme}: {}", run.stderr);
        assert_eq!(sums, sums_of_nfdump(stored.path()), "{scheme}: {log}");
    }
}
