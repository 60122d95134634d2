//! nfacctd of pmacct, which sums up by key and by times.

use std::path::Path;

use serde_json::Value;

use crate::collector::Collector;
use crate::flows::{Counts, Fields, Flows, assert_reported};
use crate::others::{accounted, pmacct};
use crate::replay::{replay, replay_sampled};
use crate::support::flows::Flow;
use crate::support::{self, time};

/// Starts nfacctd, if it is installed. What was sampled is scaled.
fn start(folder: &Path, address: &str) -> Option<Collector> {
    let aggregate = "src_host, dst_host, src_port, dst_port, proto, tos, tcpflags, vlan, \
                     in_iface, timestamp_start, timestamp_end";
    pmacct("nfacctd", folder, address, aggregate)
}

/// Stops it, whereupon it prints.
fn stop(collector: Collector, folder: &Path) -> Flows {
    accounted(collector, folder).iter().map(of_record).collect()
}

fn of_record(record: &Value) -> (Flow, Counts) {
    let of = Fields(record);
    let flow = Flow {
        source: of.address("/ip_src"),
        destination: of.address("/ip_dst"),
        source_port: of.number("/port_src"),
        destination_port: of.number("/port_dst"),
        protocol: of.number("/ip_proto"),
        type_of_service: of.number("/tos"),
        interface: of.number("/iface_in"),
        vlan: of.number("/vlan"),
        flags: of.number("/tcp_flags"),
        start: time::millis(of.text("/timestamp_start")),
        end: time::millis(of.text("/timestamp_end")),
        ..Flow::default()
    };
    (flow, Counts::of_record(of.number("/packets"), of.number("/bytes")))
}

/// nfacctd knows no TTLs and no end reason.
fn as_printed(flow: Flow) -> Flow {
    Flow { ttl: (0, 0), end_reason: 0, ..flow }
}

/// Of NetFlow v5 it drops the milliseconds, and the ports of SCTP.
fn as_printed_of_netflow5(flow: Flow) -> Flow {
    let second = |time: u64| time / 1000 * 1000;
    let (source_port, destination_port) = match flow.protocol {
        132 => (0, 0),
        _ => (flow.source_port, flow.destination_port),
    };
    let (start, end) = (second(flow.start), second(flow.end));
    Flow { source_port, destination_port, start, end, ..flow }
}

/// Of NetFlow v9 it rounds times up to seconds: it subtracts the whole seconds of a flow's age
/// from the header's time, whatever the header says.
fn as_printed_of_netflow9(flow: Flow) -> Flow {
    let second = |time: u64| time.next_multiple_of(1000);
    Flow { start: second(flow.start), end: second(flow.end), ..as_printed(flow) }
}

#[test]
fn nfacctd_takes_netflow5() {
    let folder = support::scratch();
    let Some(nfacctd) = start(folder.path(), "127.0.0.1") else { return };
    let flows = replay(folder.path(), &[format!("netflow5://127.0.0.1:{}", nfacctd.port)]);
    let expected = flows.said_by_netflow5().seen(as_printed_of_netflow5);
    assert_reported(&expected.merged(), &stop(nfacctd, folder.path()));
}

#[test]
fn nfacctd_takes_netflow9() {
    let folder = support::scratch();
    let Some(nfacctd) = start(folder.path(), "127.0.0.1") else { return };
    let flows = replay(folder.path(), &[format!("netflow9://127.0.0.1:{}", nfacctd.port)]);
    let expected = flows.seen(as_printed_of_netflow9);
    assert_reported(&expected.merged(), &stop(nfacctd, folder.path()));
}

#[test]
fn nfacctd_takes_ipfix_over_ipv6() {
    let folder = support::scratch();
    let Some(nfacctd) = start(folder.path(), "::1") else { return };
    let flows = replay(folder.path(), &[format!("ipfix://[::1]:{}", nfacctd.port)]);
    assert_reported(&flows.seen(as_printed).merged(), &stop(nfacctd, folder.path()));
}

#[test]
fn nfacctd_scales_what_was_sampled() {
    for protocol in ["netflow5", "netflow9", "ipfix"] {
        let folder = support::scratch();
        let Some(nfacctd) = start(folder.path(), "127.0.0.1") else { return };
        let output = format!("{protocol}://127.0.0.1:{}", nfacctd.port);
        let flows = replay_sampled(folder.path(), &[output]).times(100);
        let expected = match protocol {
            "netflow5" => flows.said_by_netflow5().seen(as_printed_of_netflow5),
            "netflow9" => flows.seen(as_printed_of_netflow9),
            _ => flows.seen(as_printed),
        };
        assert_reported(&expected.merged(), &stop(nfacctd, folder.path()));
    }
}
