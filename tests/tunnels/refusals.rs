//! What is no clean tunnel is metered as what it is outside, and counted by kind and cause.

use crate::support::packet;
use crate::support::tunnel::{around, inner, udp_to, with};
use crate::{ALL, assert_octets_are_conserved, frames, replay};

/// A packet around that is refused: its kind, the cause, and why.
type Case = (&'static str, &'static str, &'static str, Vec<u8>);

/// Each packet is one of the flow outside, and counted.
fn check(cases: Vec<Case>) {
    for (kind, cause, why, around) in cases {
        let captured = frames([&around]);
        let replayed = replay(&captured, ALL);
        let what = format!("{kind}: {why}");
        let [document] = &replayed.documents[..] else { panic!("{what}: one flow") };
        assert_eq!(document["source"]["ip"], "192.0.2.1", "{what}");
        assert!(document["flowprobe"].is_null(), "{what}");
        let mut expected = serde_json::json!({});
        expected[kind] = serde_json::json!({});
        expected[kind][cause] = 1.into();
        assert_eq!(replayed.run.stats["tunnels"]["decap_refused"], expected, "{what}");
        assert_octets_are_conserved(&captured, &replayed);
    }
}

fn udp(port: u16, header: &[u8], rest: &[u8]) -> Vec<u8> {
    around(17, &udp_to(port, &with(header, rest)))
}

fn gre(header: &[u8], rest: &[u8]) -> Vec<u8> {
    around(47, &with(header, rest))
}

/// A frame whose Ethertype nobody knows.
fn unknown() -> Vec<u8> {
    let mut frame = packet::unpadded(&inner());
    frame[12..14].copy_from_slice(&[0x12, 0x34]);
    frame
}

#[test]
fn vxlan() {
    let frame = packet::unpadded(&inner());
    check(vec![
        ("vxlan", "flags", "no VNI", udp(4789, &[0, 0, 0, 0, 0, 0, 7, 0], &frame)),
        ("vxlan", "length", "half a header", udp(4789, &[8, 0, 0, 0], &[])),
        (
            "vxlan",
            "length",
            "a frame without Ethertype",
            udp(8472, &[8, 0, 0, 0, 0, 0, 7, 0], &[0]),
        ),
        ("vxlan", "inner", "an unknown frame", udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &unknown())),
        ("vxlan_gpe", "version", "version 1", udp(4790, &[0x1c, 0, 0, 1, 0, 0, 5, 0], &inner())),
        ("vxlan_gpe", "flags", "no protocol", udp(4790, &[8, 0, 0, 1, 0, 0, 5, 0], &inner())),
        ("vxlan_gpe", "flags", "operation", udp(4790, &[0x0d, 0, 0, 1, 0, 0, 5, 0], &inner())),
        ("vxlan_gpe", "inner", "protocol 9", udp(4790, &[0x0c, 0, 0, 9, 0, 0, 5, 0], &inner())),
        ("vxlan_gpe", "length", "no packet", udp(4790, &[0x0c, 0, 0, 1, 0, 0, 5, 0], &[])),
    ]);
}

#[test]
fn geneve() {
    let header =
        |first, flags, ethertype: [u8; 2]| [first, flags, ethertype[0], ethertype[1], 0, 0, 9, 0];
    let options = |words: u8| with(&header(2, 0, [8, 0]), &[1, 2, 3, words, 0, 0, 0, 0]);
    check(vec![
        ("geneve", "version", "version 1", udp(6081, &header(0x40, 0, [8, 0]), &inner())),
        ("geneve", "flags", "control", udp(6081, &header(0, 0x80, [8, 0]), &inner())),
        (
            "geneve",
            "length",
            "options beyond the end",
            udp(6081, &header(0x3f, 0, [8, 0]), &[0; 8]),
        ),
        ("geneve", "length", "an option beyond all", udp(6081, &options(2), &inner())),
        ("geneve", "length", "less than an option", udp(6081, &options(0)[..12], &[])),
        ("geneve", "inner", "protocol 0x1111", udp(6081, &header(0, 0, [0x11, 0x11]), &inner())),
    ]);
}

#[test]
fn generic_routing_encapsulation() {
    let frame = packet::unpadded(&inner());
    let compressed = [0x30, 1, 0x88, 0x0b, 0, 64, 0, 4, 0, 0, 0, 1, 0xfd];
    check(vec![
        ("gre", "version", "version 2", gre(&[0, 2, 8, 0], &inner())),
        ("gre", "version", "version 1 without PPP", gre(&[0x20, 1, 8, 0, 0, 0, 0, 1], &inner())),
        ("gre", "flags", "routing", gre(&[0x40, 0, 8, 0, 0, 0, 0, 0], &inner())),
        ("gre", "length", "a key that is not there", gre(&[0x20, 0, 8, 0, 0], &[])),
        ("gre", "inner", "protocol 0x1234", gre(&[0, 0, 0x12, 0x34], &inner())),
        ("pptp", "flags", "no key", gre(&[0x10, 1, 0x88, 0x0b, 0, 0, 0, 1], &inner())),
        ("pptp", "flags", "a checksum", gre(&[0xb0, 1, 0x88, 0x0b, 0, 64, 0, 4], &inner())),
        (
            "pptp",
            "length",
            "no payload",
            gre(&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 4, 0, 0, 0, 1], &[]),
        ),
        ("pptp", "length", "half a key", gre(&[0x20, 1, 0x88, 0x0b, 0, 64], &[])),
        ("pptp", "inner", "compressed", gre(&compressed, &inner())),
        ("erspan", "flags", "routing", gre(&[0x50, 0, 0x88, 0xbe, 0, 0, 0, 1], &frame)),
        (
            "erspan",
            "version",
            "type II of version 5",
            gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x50, 5, 0, 17, 0, 0, 0, 0], &frame),
        ),
        ("erspan", "length", "half of type II", gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10], &[])),
        (
            "erspan",
            "inner",
            "type III of frame type 7",
            gre(
                &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 18, 0, 0, 0, 0, 0, 0, 0x1c, 0],
                &frame,
            ),
        ),
    ]);
}

#[test]
fn gtp_in_the_user_plane() {
    let header = |first, message| [first, message, 0, 60, 0, 0, 0, 21];
    let mut longer = inner();
    longer[3] += 1;
    let no_extension = with(&header(0x34, 255), &[0, 0, 0, 0x85, 0, 0, 0, 0]);
    let many = with(&header(0x34, 255), &[0, 0, 0, 0x85]);
    let many = with(&many, &[1, 0, 0, 0x85].repeat(9));
    check(vec![
        ("gtpu", "version", "version 2", udp(2152, &header(0x50, 255), &inner())),
        ("gtpu", "flags", "GTP'", udp(2152, &header(0x20, 255), &inner())),
        ("gtpu", "flags", "an echo request", udp(2152, &header(0x30, 1), &inner())),
        ("gtpu", "length", "an extension without length", udp(2152, &no_extension, &inner())),
        ("gtpu", "length", "nine extensions", udp(2152, &many, &inner())),
        ("gtpu", "length", "no packet", udp(2152, &header(0x30, 255), &[])),
        ("gtpu", "length", "longer than around", udp(2152, &header(0x30, 255), &longer)),
        ("gtpu", "inner", "version 5", udp(2152, &header(0x30, 255), &[0x55; 20])),
    ]);
}

#[test]
fn ip_and_ethernet_in_ip() {
    let frame = packet::unpadded(&inner());
    let label = [0, 1, 0x31, 64];
    check(vec![
        ("ipip", "inner", "IPv6 in protocol 4", around(4, &[&[0x60; 1][..], &[0; 39]].concat())),
        ("ipip", "inner", "a header of 16 octets", around(4, &[&[0x44; 1][..], &[0; 19]].concat())),
        ("ipip", "length", "half a header", around(41, &[0x60; 20])),
        ("etherip", "version", "version 4", around(97, &with(&[0x40, 0], &frame))),
        ("etherip", "length", "one octet", around(97, &[0x30])),
        ("etherip", "inner", "an unknown frame", around(97, &with(&[0x30, 0], &unknown()))),
        ("mpls", "inner", "no IP", around(137, &with(&label, &[0x55; 40]))),
        ("mpls", "inner", "no IP in UDP", udp(6635, &label, &[0x55; 40])),
        ("mpls", "length", "half a label", around(137, &label[..2])),
    ]);
}

#[test]
fn layer_two_tunnelling() {
    let frame = packet::unpadded(&inner());
    check(vec![
        ("l2tp", "version", "version 3 in UDP", udp(1701, &[0, 3, 0, 0, 0, 0, 0, 1], &frame)),
        ("l2tp", "flags", "control", udp(1701, &[0xc8, 2, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0], &[0; 8])),
        ("l2tp", "length", "half a session", udp(1701, &[0, 2, 0, 1, 0], &[])),
        (
            "l2tp",
            "length",
            "an offset beyond",
            udp(1701, &[2, 2, 0, 1, 0, 2, 0xff, 0xff], &inner()),
        ),
        (
            "l2tp",
            "inner",
            "LCP",
            udp(1701, &[0, 2, 0, 1, 0, 2, 0xff, 3, 0xc0, 0x21], &[1, 1, 0, 4]),
        ),
        ("l2tpv3", "flags", "control", around(115, &with(&[0; 8], &frame))),
        ("l2tpv3", "length", "half a cookie", around(115, &[0, 0, 0, 6, 9, 9])),
        ("l2tpv3", "inner", "an unknown frame", around(115, &with(&[6; 8], &unknown()))),
    ]);
}

#[test]
fn teredo() {
    let v6 = |source, next, payload: &[u8]| packet::ipv6(source, "2001:db8::2", next, payload);
    let whole = v6("2001:0:1::1", 6, &packet::tcp(1, 2, 0x10, 0));
    let mut dead = whole.clone();
    dead[7] = 0;
    check(vec![
        ("teredo", "version", "IPv4", udp(3544, &with(&inner(), &[0; 20]), &[])),
        ("teredo", "length", "more behind", udp(3544, &whole, &[0])),
        ("teredo", "length", "half a header", udp(3544, &whole[..20], &[])),
        ("teredo", "length", "authentication beyond", udp(3544, &[0, 1, 255, 255], &whole)),
        ("teredo", "inner", "a bubble", udp(3544, &v6("2001:0:1::1", 59, &[]), &[])),
        ("teredo", "inner", "other addresses", udp(3544, &v6("2001:db8::1", 6, &[0; 20]), &[])),
        ("teredo", "inner", "no hop left", udp(3544, &dead, &[])),
    ]);
}

/// A kind that is not asked for is not looked at: nothing is refused.
#[test]
fn kinds_that_are_not_asked_for_are_not_refused() {
    let captured = frames([&gre(&[0, 2, 8, 0], &inner()), &udp(4789, &[0; 8], &inner())]);
    let replayed = replay(&captured, &["--decap", "geneve,ipip"]);
    assert_eq!(replayed.run.stats["tunnels"]["decap_refused"], serde_json::json!({}));
    assert_eq!(replayed.documents.len(), 2);
}
