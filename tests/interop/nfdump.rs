//! nfcapd receives, nfdump prints.

use std::path::Path;

use serde_json::Value;

use crate::collector::{self, Collector, nfcapd, nfdump};
use crate::flows::{Counts, Fields, Flows, assert_reported};
use crate::places;
use crate::replay::{replay, replay_sampled, replay_with};
use crate::support::flows::Flow;
use crate::support::{self, time};

/// Stops it and reads what it has stored.
fn stop(collector: Collector, folder: &Path) -> Flows {
    collector.wait_until_read();
    collector.stop("TERM");
    let log = collector::read(folder, "stdout") + &collector::read(folder, "stderr");
    assert!(log.contains("Sequence Errors: 0, Bad Packets: 0"), "{log}");
    nfdump(folder).iter().map(of_record).collect()
}

fn of_record(record: &Value) -> (Flow, Counts) {
    let of = Fields(record);
    let family = if of.has("/src4_addr") { 4 } else { 6 };
    let is_icmp = of.has("/icmp_type");
    let port = |name: &str| if is_icmp { 0 } else { of.number(name) };
    let flow = Flow {
        source: of.address(&format!("/src{family}_addr")),
        destination: of.address(&format!("/dst{family}_addr")),
        source_port: port("/src_port"),
        destination_port: if is_icmp {
            of.number("/icmp_type") * 256 + of.number("/icmp_code")
        } else {
            of.number("/dst_port")
        },
        protocol: of.number("/proto"),
        type_of_service: of.number("/src_tos"),
        interface: of.number("/input_snmp"),
        vlan: of.number_if_any("/src_vlan"),
        flags: if is_icmp { 0 } else { control_bits(of.text("/tcp_flags")) },
        start: time::millis(of.text("/first")),
        end: time::millis(of.text("/last")),
        ..Flow::default()
    };
    (flow, Counts::of_record(of.number("/in_packets"), of.number("/in_bytes")))
}

/// A letter for each bit, the highest first.
fn control_bits(letters: &str) -> u64 {
    assert_eq!(letters.len(), 8, "{letters}");
    letters.bytes().fold(0, |bits, letter| bits << 1 | u64::from(letter != b'.'))
}

/// nfdump prints no TTLs and no end reason.
fn as_printed(flow: Flow) -> Flow {
    Flow { ttl: (0, 0), end_reason: 0, ..flow }
}

/// Of NetFlow v9 nfdump 1.7 does not know the type and code of ICMPv6, and takes neither from the
/// port.
fn as_printed_of_netflow9(flow: Flow) -> Flow {
    let destination_port = if flow.protocol == 58 { 0 } else { flow.destination_port };
    Flow { destination_port, ..as_printed(flow) }
}

/// Of IPFIX it takes the element of ICMP for the destination port of SCTP too.
fn as_printed_of_ipfix(flow: Flow) -> Flow {
    let destination_port = if flow.protocol == 132 { 0 } else { flow.destination_port };
    Flow { destination_port, ..as_printed(flow) }
}

#[test]
fn nfcapd_takes_netflow5() {
    let folder = support::scratch();
    let Some(nfcapd) = nfcapd(folder.path(), "127.0.0.1") else { return };
    let flows = replay(folder.path(), &[format!("netflow5://127.0.0.1:{}", nfcapd.port)]);
    let expected = flows.said_by_netflow5().split_at_32_bits();
    assert_reported(&expected, &stop(nfcapd, folder.path()));
}

#[test]
fn nfcapd_takes_netflow9() {
    let folder = support::scratch();
    let Some(nfcapd) = nfcapd(folder.path(), "127.0.0.1") else { return };
    let flows = replay(folder.path(), &[format!("netflow9://127.0.0.1:{}", nfcapd.port)]);
    assert_reported(&flows.seen(as_printed_of_netflow9), &stop(nfcapd, folder.path()));
}

#[test]
fn nfcapd_takes_netflow9_over_ipv6() {
    let folder = support::scratch();
    let Some(nfcapd) = nfcapd(folder.path(), "::1") else { return };
    let flows = replay(folder.path(), &[format!("netflow9://[::1]:{}", nfcapd.port)]);
    assert_reported(&flows.seen(as_printed_of_netflow9), &stop(nfcapd, folder.path()));
}

#[test]
fn nfcapd_takes_ipfix() {
    let folder = support::scratch();
    let Some(nfcapd) = nfcapd(folder.path(), "127.0.0.1") else { return };
    let flows = replay(folder.path(), &[ipfix(&nfcapd)]);
    assert_reported(&flows.seen(as_printed_of_ipfix), &stop(nfcapd, folder.path()));
}

/// nfcapd does not count options records, so it would take what comes after the second
/// announcement for a gap. With one announcement it must not find any.
fn ipfix(nfcapd: &Collector) -> String {
    let once = "template-refresh=1day&template-packets=1000000";
    format!("ipfix://127.0.0.1:{}?{once}", nfcapd.port)
}

#[test]
fn nfcapd_scales_what_was_sampled() {
    for protocol in ["netflow5", "netflow9", "ipfix"] {
        let folder = support::scratch();
        let Some(nfcapd) = nfcapd(folder.path(), "127.0.0.1") else { return };
        let output = match protocol {
            "ipfix" => ipfix(&nfcapd),
            _ => format!("{protocol}://127.0.0.1:{}", nfcapd.port),
        };
        let flows = replay_sampled(folder.path(), &[output]).times(100);
        let expected = match protocol {
            "netflow5" => flows.said_by_netflow5(),
            "netflow9" => flows.seen(as_printed_of_netflow9),
            _ => flows.seen(as_printed_of_ipfix),
        };
        assert_reported(&expected, &stop(nfcapd, folder.path()));
    }
}

#[test]
fn nfdump_reads_as_numbers_and_prefixes() {
    for (version, protocol) in [(5, "netflow5"), (9, "netflow9"), (10, "ipfix")] {
        let folder = support::scratch();
        let Some(nfcapd) = nfcapd(folder.path(), "127.0.0.1") else { return };
        let output = match protocol {
            "ipfix" => ipfix(&nfcapd),
            _ => format!("{protocol}://127.0.0.1:{}", nfcapd.port),
        };
        // Beside the folder that nfcapd writes.
        let networks = support::scratch();
        let settings = places::settings(networks.path());
        replay_with(networks.path(), &[output], &settings.each_ref().map(String::as_str));
        stop(nfcapd, folder.path());
        // nfdump 1.7 keeps no masks of NetFlow v5.
        places::assert_read(&places::nfdump(folder.path()), version, version != 5);
    }
}
