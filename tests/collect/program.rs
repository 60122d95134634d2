//! `flowprobe collect` as users run it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use serde_json::Value;

use crate::messages::{FIELDS, flow, ipfix, netflow9, set, template};
use crate::support::capture::{Captured, pcap};
use crate::support::{self, Run, packet};

/// 2024-05-06T07:09:00Z
const RECEIVED_MS: u64 = 1_714_979_340_000;

/// A frame with a datagram from this address to port 2055.
pub fn frame(from: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut datagram = packet::udp(40_000, 2055, payload.len());
    datagram[8..].copy_from_slice(payload);
    packet::ethernet(&packet::ipv4(from, [192, 0, 2, 2], 17, &datagram))
}

/// A capture of datagrams, a second apart.
pub fn capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let frames = datagrams.iter().zip(0..).map(|(datagram, index)| {
        Captured::at(RECEIVED_MS + index * 1000, frame([192, 0, 2, 1], datagram))
    });
    pcap(&frames.collect::<Vec<_>>())
}

/// Collects from captures into documents. All that was collected is in them.
pub fn collect(files: &[PathBuf], settings: &[&str]) -> Run {
    let mut arguments: Vec<OsString> = vec!["collect".into()];
    for file in files {
        arguments.extend(["-r".into(), file.into()]);
    }
    arguments.extend(settings.iter().map(OsString::from));
    arguments.extend(["-o".into(), "json:-".into()]);
    let run = support::run(arguments);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_conservation(&run);
    run
}

pub fn assert_conservation(run: &Run) {
    let of = |name: &str| run.count(&format!("collected.{name}"));
    let decoded = of("netflow5") + of("netflow9") + of("ipfix") + of("sflow");
    assert_eq!(of("datagrams"), decoded + of("malformed") + of("unknown_version"));
    let left_out = ["filtered", "unreadable", "not_udp", "fragments", "incomplete"];
    let left_out = left_out.into_iter().chain(["not_allowed", "not_listened"]);
    assert_eq!(of("frames"), of("datagrams") + left_out.map(of).sum::<u64>());
    assert_eq!(of("waiting_sets"), 0);
    for (one, other) in
        [("records", "records"), ("packets", "packets"), ("record_octets", "octets")]
    {
        assert_eq!(of(one), run.count(&format!("outputs.0.sent.{other}")), "{one}");
    }
}

#[test]
fn documents_tell_the_exporter() {
    let folder = support::scratch();
    let with_uptime = [(22, 4), (21, 4), (10, 2), (14, 2), (61, 1), (6, 2), (245, 2)];
    let with_uptime = [&FIELDS[..], &with_uptime].concat();
    let values = [&[0, 15, 0, 0, 0, 15, 0, 100, 0, 3, 0, 4, 0][..], &[0x51, 0x12, 0, 200]].concat();
    let record = [flow(1), values].concat();
    let datagrams = [netflow9(5, &[set(0, &template(300, &with_uptime)), set(300, &record)])];
    let file = support::write(&folder, "datagrams.pcap", &capture(&datagrams));
    let run = collect(&[file], &[]);
    let [document] = &run.documents()[..] else { panic!("{}", run.stderr) };
    let at = |path: &str| document.pointer(path).cloned().unwrap_or_default();
    for (path, expected) in [
        ("/observer/ip", "192.0.2.1"),
        ("/observer/name", "test"),
        ("/observer/ingress/interface/id", "3"),
        ("/observer/egress/interface/id", "4"),
        ("/network/inner/vlan/id", "200"),
        ("/agent/name", "192.0.2.1"),
        ("/input/type", "netflow"),
        ("/netflow/type", "netflow_flow"),
        ("/netflow/exporter/address", "192.0.2.1:40000"),
        ("/netflow/exporter/timestamp", "2024-05-06T07:08:09.000Z"),
        ("/event/created", "2024-05-06T07:09:00.000Z"),
        ("/event/start", "2024-05-06T07:07:52.040Z"),
        ("/event/end", "2024-05-06T07:07:52.140Z"),
        ("/source/ip", "192.0.2.10"),
        ("/flowprobe/protocol", "netflow9"),
    ] {
        assert_eq!(at(path), expected, "{path}");
    }
    for (path, expected) in [
        ("/netflow/exporter/version", 9),
        ("/netflow/exporter/source_id", 7),
        ("/netflow/exporter/uptime_millis", 1_000_000),
        ("/netflow/ingress_interface", 3),
        ("/netflow/egress_interface", 4),
        // The ninth bit of 16, without the length of the header.
        ("/netflow/tcp_control_bits", 0x112),
        ("/network/packets", 3),
    ] {
        assert_eq!(at(path), expected, "{path}");
    }
    // What the exporter did not send is absent.
    for path in ["/netflow/flow_end_reason", "/netflow/minimum_ttl", "/netflow/vlan_id"] {
        assert_eq!(at(path), Value::Null, "{path}");
    }
}

#[test]
fn frames_without_datagrams_are_counted_and_filtered_ones_too() {
    let folder = support::scratch();
    let datagram = ipfix(0, &[set(2, &template(300, &FIELDS)), set(300, &flow(1))]);
    let whole = frame([192, 0, 2, 1], &datagram);
    let tcp = packet::ethernet(&packet::ipv4([1; 4], [2; 4], 6, &packet::tcp(1, 2, 2, 9)));
    let mut fragment = whole.clone();
    fragment[20] = 0x20;
    let arp = [&[2; 12][..], &[8, 6], &[0; 46]].concat();
    let frames = [
        Captured::at(RECEIVED_MS, whole.clone()),
        Captured::at(RECEIVED_MS, whole).cut(60),
        Captured::at(RECEIVED_MS, tcp),
        Captured::at(RECEIVED_MS, fragment),
        Captured::at(RECEIVED_MS, arp),
        Captured::at(RECEIVED_MS, frame([192, 0, 2, 9], &datagram)),
    ];
    let file = support::write(&folder, "frames.pcap", &pcap(&frames));
    let run = collect(slice::from_ref(&file), &[]);
    for name in ["not_udp", "fragments", "incomplete", "unreadable"] {
        assert_eq!(run.count(&format!("collected.{name}")), 1, "{name}");
    }
    assert_eq!((run.count("collected.records"), run.count("collected.exporters")), (2, 2));
    let run = collect(&[file], &["--filter", "src host 192.0.2.9"]);
    assert_eq!((run.count("collected.records"), run.count("collected.filtered")), (1, 5));
}

#[test]
fn settings_of_metering_are_refused() {
    let folder = support::scratch();
    let file = support::write(&folder, "empty.pcap", &pcap(&[]));
    let file = file.to_str().unwrap();
    let (no_meaning, of_sockets) = ("cannot be used with collect", "needs --listen");
    for (setting, why) in [
        ("--sample=1:2", no_meaning),
        ("--max-flows=9", no_meaning),
        ("--decap=all", no_meaning),
        ("-ilo", no_meaning),
        ("--workers=1", of_sockets),
        ("--http=127.0.0.1:0", of_sockets),
    ] {
        let run = support::run(["collect", "-r", file, setting]);
        assert_eq!(run.status, 2, "{setting}: {}", run.stderr);
        assert!(run.stderr.contains(why), "{setting}: {}", run.stderr);
    }
    // The help shows what is not refused.
    let help = String::from_utf8(support::run(["collect", "--help"]).stdout).unwrap();
    assert!(help.contains("--template-store") && help.contains("--workers"), "{help}");
    assert!(!help.contains("--max-flows") && !help.contains("--umem-max"), "{help}");
    let run = support::run(["collect", "-o", "json:-"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("nothing to collect"), "{}", run.stderr);
    let config = support::write(&folder, "c.toml", format!("read = [{file:?}]").as_bytes());
    let run = support::run(["collect", "--config", config.to_str().unwrap(), "-o", "json:-"]);
    assert_eq!((run.status, run.count("collected.frames")), (0, 0), "{}", run.stderr);
}

#[test]
fn the_same_files_give_the_same_octets() {
    let folder = support::scratch();
    let data = set(300, &[flow(1), flow(2)].concat());
    let datagrams =
        [ipfix(0, slice::from_ref(&data)), ipfix(2, &[set(2, &template(300, &FIELDS)), data])];
    let file = support::write(&folder, "datagrams.pcap", &capture(&datagrams));
    let first = collect(slice::from_ref(&file), &[]);
    assert_eq!(first.documents().len(), 4);
    assert_eq!(collect(&[file], &[]).stdout, first.stdout);
}

/// Packets and octets by addresses, ports, interfaces, type of service and TCP control bits.
type Sums = BTreeMap<String, (u64, u64)>;

/// Our documents, as the other program counts: multiplied by the sampling interval.
fn ours(documents: &[Value]) -> Sums {
    let mut sums = Sums::new();
    for document in documents {
        let netflow = &document["netflow"];
        let number = |name: &str| netflow[name].as_u64().unwrap_or(0);
        let is_icmp = matches!(number("protocol_identifier"), 1 | 58);
        let port = |name: &str| if is_icmp { 0 } else { number(name) };
        let key = format!(
            "{} {} {} {} {} {} {} {}",
            document["source"]["ip"].as_str().unwrap(),
            document["destination"]["ip"].as_str().unwrap(),
            port("source_transport_port"),
            port("destination_transport_port"),
            number("ingress_interface"),
            number("egress_interface"),
            number("ip_class_of_service"),
            number("tcp_control_bits"),
        );
        let interval = number("sampling_interval").max(1);
        let sum = sums.entry(key).or_default();
        sum.0 += document["network"]["packets"].as_u64().unwrap() * interval;
        sum.1 += document["network"]["bytes"].as_u64().unwrap() * interval;
    }
    sums
}

/// The index template has each field of the objects that name the exporter.
pub fn assert_is_mapped(document: &Value) {
    let template = exporter::index_template();
    let properties = &template["template"]["mappings"]["properties"];
    for object in ["observer", "netflow", "flowprobe"] {
        for field in document[object].as_object().unwrap().keys() {
            assert!(properties[object]["properties"][field].is_object(), "{object}.{field}");
        }
    }
}

/// What pmacct printed.
fn theirs(path: &Path) -> Sums {
    const FLAGS: [&str; 6] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
    let mut sums = Sums::new();
    for document in support::documents(&fs::read(path).unwrap()) {
        let number = |name: &str| document[name].as_u64().unwrap();
        let flags = document["tcp_flags"].as_array().unwrap().iter();
        let flags = flags.map(|flag| FLAGS.iter().position(|it| flag == it).unwrap());
        let key = format!(
            "{} {} {} {} {} {} {} {}",
            document["ip_src"].as_str().unwrap(),
            document["ip_dst"].as_str().unwrap(),
            number("port_src"),
            number("port_dst"),
            number("iface_in"),
            number("iface_out"),
            number("tos"),
            flags.fold(0, |bits, bit| bits | 1 << bit),
        );
        let sum = sums.entry(key).or_default();
        sum.0 += number("packets");
        sum.1 += number("bytes");
    }
    sums
}

#[test]
fn flows_of_routers_are_those_that_pmacct_printed() {
    let Some(folder) = support::material("FLOWPROBE_COLLECTED", "collected") else {
        support::skip_without("a folder with datagrams of exporters");
        return;
    };
    let mut compared = 0;
    for entry in fs::read_dir(folder.join("pmacct")).unwrap() {
        let folder = entry.unwrap().path();
        let names = ["traffic-00.pcap", "traffic-01.pcap"].map(|name| folder.join(name));
        let files: Vec<_> = names.into_iter().filter(|path| path.exists()).collect();
        let run = collect(&files, &[]);
        run.documents().iter().for_each(assert_is_mapped);
        let printed = theirs(&folder.join("output-flow-00.json"));
        assert_eq!(ours(&run.documents()), printed, "{}", folder.display());
        compared += printed.len();
    }
    assert!(compared > 40, "{compared} flows");
}
