//! Names that exporters tell in options, or that the user gives: documents have them.

use std::fs;

use serde_json::Value;

use crate::messages::{
    FIELDS, Session, be16, be32, flow, ipfix, ipfix_of, netflow9, options_template, set, template,
};
use crate::program;
use crate::round_trip::replay;
use crate::support;
use crate::support::capture::{Captured, Order, enhanced, interface, section};

/// A text in this number of octets.
pub fn text(text: &str, octets: usize) -> Vec<u8> {
    let mut padded = text.as_bytes().to_vec();
    padded.resize(octets, 0);
    padded
}

/// The fields of flows with the numbers that have names.
pub fn fields() -> Vec<(u16, u16)> {
    [&FIELDS[..], &[(10, 4), (14, 4), (95, 4), (234, 4), (235, 4)]].concat()
}

/// A flow from interface 3 to interface 4, from VRF 5 to VRF 6.
pub fn numbered() -> Vec<u8> {
    [flow(1), be32(&[3, 4, 0x0d00_01c5, 5, 6])].concat()
}

/// The options of an exporter in this domain.
pub fn options(domain: u32) -> Vec<u8> {
    let interfaces = [
        [be32(&[3]), text("Gi0/1", 8), text("to Paris", 16)].concat(),
        [be32(&[4]), text("", 8), text("uplink \"A\"", 16)].concat(),
    ];
    let application = [be32(&[0x0d00_01c5]), text("YouTube", 8), text("videos", 8)].concat();
    let vrfs = [[be32(&[5]), text("red", 4)].concat(), [be32(&[6]), text("blue", 4)].concat()];
    let sets = [
        set(3, &options_template(400, 1, &[(10, 4), (82, 8), (83, 16)])),
        set(3, &options_template(401, 1, &[(95, 4), (96, 8), (94, 8)])),
        set(3, &options_template(402, 1, &[(234, 4), (236, 4)])),
        set(3, &options_template(403, 1, &[(149, 4), (300, 8)])),
        set(400, &interfaces.concat()),
        set(401, &application),
        set(402, &vrfs.concat()),
        set(403, &[be32(&[domain]), text("edge-1", 8)].concat()),
    ];
    ipfix_of(domain, 0, &sets)
}

fn collected(datagrams: &[Vec<u8>], settings: &[&str]) -> Vec<Value> {
    let folder = support::scratch();
    let file = support::write(&folder, "datagrams.pcap", &program::capture(datagrams));
    program::collect(&[file], settings).documents()
}

#[test]
fn numbers_of_flows_have_the_names_of_their_domain() {
    let data = |domain| {
        let sets = [set(2, &template(300, &fields())), set(300, &numbered())];
        ipfix_of(domain, 0, &sets)
    };
    let documents = collected(&[data(7), options(7), data(7), data(8)], &[]);
    let [before, named, other] = &documents[..] else { panic!("{documents:?}") };
    for (path, expected) in [
        ("/agent/name", "edge-1"),
        ("/observer/ip", "192.0.2.1"),
        ("/observer/ingress/interface/id", "3"),
        ("/observer/ingress/interface/name", "Gi0/1"),
        ("/observer/ingress/interface/alias", "to Paris"),
        ("/observer/egress/interface/id", "4"),
        ("/observer/egress/interface/alias", "uplink \"A\""),
        ("/network/application", "youtube"),
        ("/netflow/ingress_vrf_name", "red"),
        ("/netflow/egress_vrf_name", "blue"),
    ] {
        let at = |document: &Value| document.pointer(path).cloned();
        assert_eq!(at(named), Some(expected.into()), "{path}");
        let is_told = !["name", "alias", "application"].iter().any(|it| path.ends_with(it));
        let address = (path == "/agent/name").then(|| "192.0.2.1".into());
        let expected = if is_told { Some(expected.into()) } else { address };
        let expected = expected.filter(|_| !path.ends_with("vrf_name"));
        assert_eq!((at(before), at(other)), (expected.clone(), expected), "{path}");
    }
    assert_eq!(named.pointer("/observer/egress/interface/name"), None);
    program::assert_is_mapped(named);
}

#[test]
fn names_change_and_are_kept_apart() {
    let mut session = Session::new();
    let with_names = [set(2, &template(300, &fields())), set(300, &numbered())];
    session.take(&options(7)).take(&ipfix(1, &with_names));
    let renamed = [
        set(3, &options_template(400, 1, &[(10, 4), (82, 8)])),
        set(400, &[be32(&[3]), text("Gi0/9", 8)].concat()),
    ];
    session.take(&ipfix(1, &renamed)).take(&ipfix(1, &with_names));
    session.take_from("192.0.2.9:1", &ipfix(0, &with_names));
    let names = session.given.0.iter().map(|(exporter, _, details)| {
        let names = details.collected.as_ref().unwrap().names.as_ref();
        let ingress = names.and_then(|names| names.ingress.clone());
        let texts = ingress.map(|it| (it.name.to_string(), it.alias.to_string()));
        (exporter.name.as_deref().map(str::to_owned), texts)
    });
    let texts = |name: &str| Some((name.to_owned(), "to Paris".to_owned()));
    let edge = Some("edge-1".to_owned());
    let expected = [(edge.clone(), texts("Gi0/1")), (edge, texts("Gi0/9")), (None, None)];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[test]
fn netflow9_names_the_interface_in_its_scope() {
    let mut session = Session::new();
    // Octets of scope fields and of options, then scope 2 (an interface).
    let options = be16(&[400, 4, 8, 2, 4, 82, 8, 83, 4]);
    let data = [be32(&[3]), text("Te1/1", 8), text("core", 4)].concat();
    session.take(&netflow9(0, &[set(1, &options), set(400, &data)]));
    let sets = [set(0, &template(300, &fields())), set(300, &numbered())];
    session.take(&netflow9(1, &sets));
    let (_, details) = session.only();
    let names = details.collected.unwrap().names.unwrap();
    let ingress = names.ingress.unwrap();
    assert_eq!((&*ingress.name, &*ingress.alias), ("Te1/1", "core"));
    assert_eq!((names.egress, names.application), (None, None));
}

#[test]
fn the_interfaces_of_our_own_exports_have_their_names() {
    let folder = support::scratch();
    let order = Order::Little;
    let mut capture = section(order);
    for name in [&b"Gi0/1"[..], b"eth1"] {
        capture.extend(interface(order, 1, 0, &[(2, name)]));
    }
    for index in 0..2 {
        let frame = program::frame([192, 0, 2, 1], b"data");
        capture.extend(enhanced(order, &Captured::at(1_709_164_800_000, frame).on(index)));
    }
    let file = support::write(&folder, "traffic.pcapng", &capture);
    let (expected, datagrams) = replay(&file, "ipfix", &[]);
    let name = |it: &Value| it.pointer("/observer/ingress/interface/name").cloned();
    let documents = collected(&datagrams, &[]);
    let expected: Vec<_> = expected.iter().map(name).collect();
    assert_eq!(expected, [Some("Gi0/1".into()), Some("eth1".into())]);
    assert_eq!(documents.iter().map(name).collect::<Vec<_>>(), expected);
}

#[test]
fn the_user_names_exporters() {
    let folder = support::scratch();
    let names = support::write(&folder, "names", b"# routers\n\n192.0.2.1  Paris edge\n");
    let data = ipfix(0, &[set(2, &template(300, &FIELDS)), set(300, &flow(1))]);
    let setting = ["--exporters-file", names.to_str().unwrap()];
    let documents = collected(&[options(7), data], &setting);
    assert_eq!(documents[0]["agent"]["name"], "Paris edge", "the user's name counts first");
    let file = support::write(&folder, "datagrams.pcap", &program::capture(&[options(7)]));
    for (content, problem) in [
        ("192.0.2.1\n", "line 1: ADDRESS NAME is needed"),
        ("::1 a\n::1 b\n", "line 2: this address is twice"),
    ] {
        fs::write(&names, content).unwrap();
        let arguments = ["collect", "-r", file.to_str().unwrap(), setting[0], setting[1]];
        let run = support::run(arguments);
        assert!(run.status == 2 && run.stderr.contains(problem), "{}: {}", run.status, run.stderr);
    }
}
