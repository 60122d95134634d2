//! The netflow codec of Logstash, run without the rest of Logstash.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::collector::{self, Collector};
use crate::flows::{Counts, Fields, Flows, assert_reported};
use crate::replay::{replay, replay_sampled};
use crate::support::flows::Flow;
use crate::support::{self, time};

/// Starts the codec, if it and Ruby are there.
fn start(folder: &Path) -> Option<Collector> {
    let Some(codec) = support::material("FLOWPROBE_LOGSTASH_CODEC", "logstash-codec") else {
        support::skip_without("the netflow codec of Logstash");
        return None;
    };
    let mut probe = Command::new("ruby");
    if !probe.args(["-e", "require 'bindata'"]).status().is_ok_and(|status| status.success()) {
        support::skip("ruby with bindata is not installed");
        return None;
    }
    Some(Collector::start(folder, |port| {
        let mut ruby = Command::new("ruby");
        ruby.arg(codec.join("listen.rb")).arg(port.to_string());
        ruby
    }))
}

/// Events of flows, and those of options records.
struct Events {
    flows: Vec<Value>,
    options: Vec<Value>,
}

/// Waits for so many events of flows, stops it and reads them.
fn stop(collector: Collector, folder: &Path, flows: u64) -> Events {
    let is_flow = |line: &str| line.contains(r#""protocol":"#) || line.contains(r#""protocolId"#);
    let count = || collector::read(folder, "stdout").lines().filter(|line| is_flow(line)).count();
    support::wait_until("the codec prints all flows", || count() as u64 >= flows);
    collector.wait_until_read();
    collector.stop("TERM");
    // It warns of everything that it cannot decode.
    let warnings = collector::read(folder, "stderr");
    let warnings: Vec<_> = warnings.lines().filter(|line| !line.starts_with("listening")).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    let output = collector::read(folder, "stdout");
    let (flows, options): (Vec<_>, Vec<_>) = output.lines().partition(|line| is_flow(line));
    let read = |lines: Vec<&str>| {
        lines
            .into_iter()
            .map(|line| serde_json::from_str(line).expect("the codec's JSON"))
            .collect()
    };
    Events { flows: read(flows), options: read(options) }
}

/// The codec's names of fields, in NetFlow v5 and v9.
fn of_netflow(event: &Value) -> (Flow, Counts) {
    let of = Fields(&event["netflow"]);
    let family = if of.has("/ipv4_src_addr") { "ipv4" } else { "ipv6" };
    let flow = Flow {
        source: of.address(&format!("/{family}_src_addr")),
        destination: of.address(&format!("/{family}_dst_addr")),
        source_port: of.number("/l4_src_port"),
        destination_port: of.number("/l4_dst_port"),
        protocol: of.number("/protocol"),
        type_of_service: of.number("/src_tos"),
        interface: of.number("/input_snmp"),
        vlan: of.number_if_any("/src_vlan"),
        flags: of.number("/tcp_flags"),
        ttl: (of.number_if_any("/min_ttl"), of.number_if_any("/max_ttl")),
        end_reason: of.number_if_any("/flow_end_reason"),
        start: time::millis(of.text("/first_switched")),
        end: time::millis(of.text("/last_switched")),
        ..Flow::default()
    };
    (flow, Counts::of_record(of.number("/in_pkts"), of.number("/in_bytes")))
}

/// Its names in IPFIX, which are those of the registry.
fn of_ipfix(event: &Value) -> (Flow, Counts) {
    let of = Fields(&event["netflow"]);
    let family = if of.has("/sourceIPv4Address") { "IPv4" } else { "IPv6" };
    let flow = Flow {
        source: of.address(&format!("/source{family}Address")),
        destination: of.address(&format!("/destination{family}Address")),
        source_port: of.number("/sourceTransportPort"),
        destination_port: of.number("/destinationTransportPort"),
        protocol: of.number("/protocolIdentifier"),
        type_of_service: of.number("/ipClassOfService"),
        interface: of.number("/ingressInterface"),
        vlan: of.number("/vlanId"),
        flags: of.number("/tcpControlBits"),
        ttl: (of.number("/minimumTTL"), of.number("/maximumTTL")),
        end_reason: of.number("/flowEndReason"),
        start: time::millis(of.text("/flowStartMilliseconds")),
        end: time::millis(of.text("/flowEndMilliseconds")),
        ..Flow::default()
    };
    let icmp = of.number(&format!("/icmpTypeCode{family}"));
    let is_icmp = matches!(flow.protocol, 1 | 58);
    assert_eq!(icmp, if is_icmp { flow.destination_port } else { 0 }, "{event}");
    assert_eq!(of.number("/flowDurationMilliseconds"), flow.end - flow.start, "{event}");
    (flow, Counts::of_record(of.number("/packetDeltaCount"), of.number("/octetDeltaCount")))
}

/// The codec is a second late with every time of NetFlow v9 (its issue 172).
fn a_second_later(flow: Flow) -> Flow {
    Flow { start: flow.start + 1000, end: flow.end + 1000, ..flow }
}

#[test]
fn logstash_takes_netflow5() {
    let folder = support::scratch();
    let Some(codec) = start(folder.path()) else { return };
    let flows = replay(folder.path(), &[format!("netflow5://127.0.0.1:{}", codec.port)]);
    let expected = flows.said_by_netflow5().split_at_32_bits();
    let events = stop(codec, folder.path(), expected.records());
    let reported: Flows = events.flows.iter().map(of_netflow).collect();
    assert_reported(&expected, &reported);
}

#[test]
fn logstash_takes_netflow9() {
    let folder = support::scratch();
    let Some(codec) = start(folder.path()) else { return };
    let flows = replay(folder.path(), &[format!("netflow9://127.0.0.1:{}", codec.port)]);
    let events = stop(codec, folder.path(), flows.records());
    let reported: Flows = events.flows.iter().map(of_netflow).collect();
    assert_reported(&flows.seen(a_second_later), &reported);
}

#[test]
fn logstash_takes_ipfix() {
    let folder = support::scratch();
    let Some(codec) = start(folder.path()) else { return };
    let flows = replay(folder.path(), &[format!("ipfix://127.0.0.1:{}", codec.port)]);
    // The last options records come after the last flow, and say how many there were.
    let last = format!(r#""exportedFlowRecordTotalCount":{}"#, flows.records());
    support::wait_until("the codec prints the options records at the end", || {
        collector::read(folder.path(), "stdout").contains(&last)
    });
    let events = stop(codec, folder.path(), flows.records());
    let reported: Flows = events.flows.iter().map(of_ipfix).collect();
    assert_reported(&flows, &reported);
}

#[test]
fn logstash_hears_of_sampling() {
    for protocol in ["netflow5", "netflow9", "ipfix"] {
        let folder = support::scratch();
        let Some(codec) = start(folder.path()) else { return };
        let output = format!("{protocol}://127.0.0.1:{}", codec.port);
        let flows = replay_sampled(folder.path(), &[output]);
        let flows = match protocol {
            "netflow5" => flows.said_by_netflow5(),
            _ => flows,
        };
        let events = stop(codec, folder.path(), flows.records());
        let (name, sources) = match protocol {
            "netflow5" => ("sampling_interval", events.flows),
            "netflow9" => ("sampling_interval", events.options),
            _ => ("samplingInterval", events.options),
        };
        let mut intervals = sources.iter().filter_map(|event| event["netflow"][name].as_u64());
        assert_eq!(intervals.next(), Some(100), "{protocol}");
        assert!(intervals.all(|interval| interval == 100), "{protocol}");
    }
}
