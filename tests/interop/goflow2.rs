//! goflow2: its flows are ours.

use serde_json::Value;

use crate::flows::{Counts, Fields, Flows, assert_reported};
use crate::others::{goflow2, printed};
use crate::replay::{replay, replay_sampled};
use crate::support;
use crate::support::flows::Flow;

fn of_record(record: &Value) -> (Flow, Counts) {
    let of = Fields(record);
    let protocol = match of.text("/proto") {
        "ICMP" => 1,
        "TCP" => 6,
        "UDP" => 17,
        "GRE" => 47,
        "ESP" => 50,
        "IPv6-ICMP" => 58,
        "SCTP" => 132,
        other => panic!("protocol {other}"),
    };
    let millis = |name: &str| {
        let nanos = of.number(name);
        assert_eq!(nanos % 1_000_000, 0, "{record}");
        nanos / 1_000_000
    };
    let flow = Flow {
        source: of.address("/src_addr"),
        destination: of.address("/dst_addr"),
        source_port: of.number("/src_port"),
        destination_port: of.number("/dst_port"),
        protocol,
        type_of_service: of.number("/ip_tos"),
        interface: of.number("/in_if"),
        vlan: of.number("/src_vlan"),
        flags: of.number("/tcp_flags"),
        start: millis("/time_flow_start_ns"),
        end: millis("/time_flow_end_ns"),
        ttl: (of.number("/ip_ttl"), 0),
        ..Flow::default()
    };
    let icmp = of.number("/icmp_type") * 256 + of.number("/icmp_code");
    // NetFlow v5 has type and code in the port only.
    let is_icmp = matches!(protocol, 1 | 58) && of.text("/type") != "NETFLOW_V5";
    assert_eq!(icmp, if is_icmp { flow.destination_port } else { 0 }, "{record}");
    (flow, Counts::of_record(of.number("/packets"), of.number("/bytes")))
}

/// goflow2 has one TTL, for which it takes the lowest, and no end reason.
fn as_printed(flow: Flow) -> Flow {
    Flow { ttl: (flow.ttl.0, 0), end_reason: 0, ..flow }
}

#[test]
fn goflow2_takes_netflow5() {
    let folder = support::scratch();
    let Some(goflow2) = goflow2(folder.path(), "netflow") else { return };
    let flows = replay(folder.path(), &[format!("netflow5://127.0.0.1:{}", goflow2.port)]);
    let expected = flows.said_by_netflow5().split_at_32_bits();
    let records = printed(goflow2, folder.path(), expected.records());
    let reported: Flows = records.iter().map(of_record).collect();
    assert_reported(&expected, &reported);
}

#[test]
fn goflow2_takes_netflow9() {
    let folder = support::scratch();
    let Some(goflow2) = goflow2(folder.path(), "netflow") else { return };
    let flows = replay(folder.path(), &[format!("netflow9://127.0.0.1:{}", goflow2.port)]);
    let records = printed(goflow2, folder.path(), flows.records());
    let reported: Flows = records.iter().map(of_record).collect();
    assert_reported(&flows.seen(as_printed), &reported);
}

#[test]
fn goflow2_takes_ipfix() {
    let folder = support::scratch();
    let Some(goflow2) = goflow2(folder.path(), "netflow") else { return };
    let flows = replay(folder.path(), &[format!("ipfix://127.0.0.1:{}", goflow2.port)]);
    let records = printed(goflow2, folder.path(), flows.records());
    let reported: Flows = records.iter().map(of_record).collect();
    assert_reported(&flows.seen(as_printed), &reported);
}

#[test]
fn goflow2_hears_of_sampling() {
    for protocol in ["netflow5", "netflow9", "ipfix"] {
        let folder = support::scratch();
        let Some(goflow2) = goflow2(folder.path(), "netflow") else { return };
        let output = format!("{protocol}://127.0.0.1:{}", goflow2.port);
        let flows = replay_sampled(folder.path(), &[output]);
        let flows = match protocol {
            "netflow5" => flows.said_by_netflow5(),
            _ => flows,
        };
        let records = printed(goflow2, folder.path(), flows.records());
        assert!(!records.is_empty(), "{protocol}");
        for record in records {
            assert_eq!(record["sampling_rate"], 100, "{protocol}: {record}");
        }
    }
}
