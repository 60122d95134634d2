//! Mediation: collected flows go on as IPFIX, and another collector still knows who metered them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::captures::captures;
use crate::collector::{self, nfcapd};
use crate::messages::{FIELDS, flow, netflow9, set, template};
use crate::peers::sums_of_nfdump;
use crate::program;
use crate::round_trip::{replay, run_with_output, without_exporter};
use crate::sockets::{end, listen};
use crate::support::{self, Run};
use crate::traffic;

/// Collects from a capture into documents and into IPFIX, and collects that again.
fn mediated(file: &Path) -> (Run, Run) {
    let arguments = ["collect", "-r", file.to_str().unwrap()];
    let (direct, datagrams) = run_with_output(&arguments, "ipfix", &[]);
    program::assert_conservation(&direct);
    let folder = support::scratch();
    let capture = support::write(&folder, "mediated.pcap", &program::capture(&datagrams));
    (direct, program::collect(&[capture], &[]))
}

/// Records, packets and octets of each exporter and its Observation Domain.
fn sums(documents: &[Value]) -> BTreeMap<String, [u64; 3]> {
    let mut sums: BTreeMap<_, [u64; 3]> = BTreeMap::new();
    for document in documents {
        let exporter = format!("{} {}", document["observer"]["ip"], document["agent"]["id"]);
        let of = |name: &str| document["network"][name].as_u64().unwrap_or(0);
        let sum = sums.entry(exporter).or_default();
        *sum = [sum[0] + 1, sum[1] + of("packets"), sum[2] + of("bytes")];
    }
    sums
}

/// Removes numbers that are 0: the templates of a mediator have elements that an exporter did not
/// send.
fn without_zeros(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| {
            without_zeros(member);
            let is_empty = member.as_object().is_some_and(serde_json::Map::is_empty);
            !is_empty && *member != 0 && *member != "0"
        });
    }
}

#[test]
fn documents_of_mediated_flows_are_those_of_the_exporters() {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    for scheme in ["ipfix", "netflow9", "netflow5"] {
        let (_, datagrams) = replay(&file, scheme, &["--sample", "1:10"]);
        let capture = support::write(&folder, "sent.pcap", &program::capture(&datagrams));
        let (direct, mediated) = mediated(&capture);
        let [mut direct, mut mediated] = [direct.documents(), mediated.documents()];
        assert!(mediated.len() > 2, "{scheme}");
        assert_eq!(sums(&mediated), sums(&direct), "{scheme}");
        for document in &mediated {
            assert_eq!(document["netflow"]["exporter"]["version"], 10, "{document}");
            assert_eq!(document["netflow"]["exporter"]["address"], document["observer"]["ip"]);
            assert_eq!(document["netflow"]["sampling_interval"], 10, "{document}");
        }
        for document in direct.iter_mut().chain(&mut mediated) {
            without_exporter(document);
            without_zeros(document);
        }
        assert_eq!(mediated, direct, "{scheme}");
    }
}

#[test]
fn what_only_an_exporter_knows_goes_on() {
    let more =
        [(15, 4), (18, 4), (56, 6), (80, 6), (89, 1), (234, 4), (235, 4), (225, 4), (226, 4)];
    let last = [(227, 2), (228, 2), (10, 4), (14, 4), (16, 4), (17, 4), (9, 1), (13, 1)];
    let fields = [&FIELDS[..], &more, &last].concat();
    let octets: usize = more.iter().chain(&last).map(|(_, octets)| usize::from(*octets)).sum();
    let values: Vec<u8> = (1..=u8::try_from(octets).unwrap()).collect();
    let record = [flow(1), values].concat();
    let folder = support::scratch();
    let datagrams = [netflow9(5, &[set(0, &template(300, &fields)), set(300, &record)])];
    let file = support::write(&folder, "datagrams.pcap", &program::capture(&datagrams));
    let (direct, mediated) = mediated(&file);
    let [mut direct, mut mediated] = [direct.documents(), mediated.documents()];
    for document in direct.iter_mut().chain(&mut mediated) {
        without_exporter(document);
        without_zeros(document);
    }
    let names = ["ip_next_hop_ipv4_address", "bgp_next_hop_ipv4_address", "source_mac_address"];
    let names = names.into_iter().chain(["ingress_vrfid", "post_napt_source_transport_port"]);
    for name in names.chain(["post_nat_source_ipv4_address", "bgp_source_as_number"]) {
        assert!(direct[0]["netflow"].get(name).is_some(), "{name}: {}", direct[0]);
    }
    assert_eq!(mediated, direct);
}

#[test]
fn sums_of_each_exporter_stay() {
    let mut exporters = 0;
    for path in captures() {
        let (direct, mediated) = mediated(&path);
        let [direct, mediated] = [direct.documents(), mediated.documents()].map(|it| sums(&it));
        assert_eq!(mediated, direct, "{}", path.display());
        exporters += direct.len();
    }
    assert!(exporters == 0 || exporters > 5, "{exporters}");
}

/// Three exporters through a mediator to two collectors, live.
#[test]
fn a_mediator_fans_out_to_several_collectors() {
    let folder = support::scratch();
    let file = support::write(&folder, "traffic.pcapng", &traffic::capture());
    let stored = support::scratch();
    let Some(nfcapd) = nfcapd(stored.path(), "127.0.0.1") else { return };
    let (behind, behind_at) = listen(&["ipfix://127.0.0.1:0"], &[]);
    let outputs = [
        format!("ipfix://127.0.0.1:{}", nfcapd.port),
        format!("ipfix://{}?template-packets=5", behind_at[0]),
    ];
    let settings = outputs.iter().flat_map(|output| ["-o", output]);
    let settings: Vec<_> = settings.chain(["--sampling", "127.0.7.2=50", "--workers=2"]).collect();
    let (mediator, mediator_at) = listen(&["flow://127.0.0.1:0"], &settings);
    let mut sent = 0;
    for (host, scheme) in [(1, "ipfix"), (2, "netflow9"), (3, "netflow5")] {
        let (_, datagrams) = replay(&file, scheme, &[]);
        let exporter = UdpSocket::bind(SocketAddr::from(([127, 0, 7, host], 0))).unwrap();
        for datagram in &datagrams {
            exporter.send_to(datagram, mediator_at[0]).unwrap();
            sent += 1;
        }
    }
    let mediator = end(mediator, sent, 0);
    let messages = mediator.count("outputs.1.messages");
    let behind = end(behind, messages, 0);
    nfcapd.wait_until_read();
    nfcapd.stop("TERM");
    let direct = sums(&mediator.documents());
    let exporters: Vec<_> = direct.keys().filter(|name| name.contains("127.0.7.")).collect();
    assert_eq!((exporters.len(), direct.len()), (3, 3), "{direct:?}");
    let documents = behind.documents();
    assert_eq!(sums(&documents), direct, "{}", behind.stderr);
    for document in &documents {
        let interval = (document["observer"]["ip"] == "127.0.7.2").then_some(50);
        assert_eq!(document["netflow"]["sampling_interval"].as_u64(), interval, "{document}");
    }
    let all = direct.values().fold([0; 3], |all, one| std::array::from_fn(|at| all[at] + one[at]));
    let log = collector::read(stored.path(), "stdout");
    assert_eq!(sums_of_nfdump(stored.path()), all, "{log}");
}

/// A run without the command collect has the templates that it had.
#[test]
fn templates_of_own_flows_stay() {
    let folder = support::scratch();
    let file: PathBuf = support::write(&folder, "traffic.pcapng", &traffic::capture());
    let (_, datagrams) = replay(&file, "ipfix", &[]);
    assert_eq!(datagrams[0][16..24], [0, 2, 0, 180, 1, 0, 0, 21], "256, 21 elements");
    let (direct, own) = run_with_output(&["-r", file.to_str().unwrap()], "ipfix", &[]);
    assert_eq!((own.len(), direct.status), (datagrams.len(), 0));
}
