//! Whose names they are: in tunnels, by VLAN, of the next connection between the same ports.

use serde_json::{Value, json};

use crate::support::capture::Captured;
use crate::support::{packet, payload, tunnel};
use crate::{ALL, CLIENT, SERVER, datagram, of_port, run, segment};

const BEGIN: u64 = 1_700_000_000_000;

fn question(name: &str) -> Vec<u8> {
    let mut datagram = packet::udp(1053, 53, 0);
    datagram.extend(payload::dns_question(7, name, 1));
    let length = u16::try_from(datagram.len()).unwrap();
    datagram[4..6].copy_from_slice(&length.to_be_bytes());
    packet::ipv4(CLIENT, SERVER, 17, &datagram)
}

fn captured(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Captured> {
    (BEGIN..).zip(frames).map(|(millis, frame)| Captured::at(millis, frame)).collect()
}

/// The names of questions, each with the word that this pointer leads to.
fn names(documents: &[Value], pointer: &str) -> Vec<(String, String)> {
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        other => other.map(ToString::to_string).unwrap_or_default(),
    };
    let mut names: Vec<_> = documents
        .iter()
        .map(|it| (text(it.pointer("/dns/question/name")), text(it.pointer(pointer))))
        .collect();
    names.sort();
    names
}

#[test]
fn names_are_those_inside_of_each_kind_of_tunnel() {
    let mut kinds = 0;
    for (kind, _, around) in tunnel::samples_of(&question("inside.example")) {
        // It has IPv6 only.
        if kind == "teredo" {
            continue;
        }
        let packets = captured([packet::unpadded(&around)]);
        let settings = ["--decap", "all", "--l2tpv3", "cookie=4"];
        let opened = run(&packets, &[&ALL[..], &settings].concat()).documents();
        assert_eq!(names(&opened, "/none"), [("inside.example".into(), String::new())], "{kind}");
        let closed = run(&packets, &ALL).documents();
        assert_eq!(names(&closed, "/none"), [(String::new(), String::new())], "{kind}");
        kinds += 1;
    }
    assert!(kinds > 5);
}

/// What is behind the end of a packet, and what is in a later fragment, opens no conversation.
#[test]
fn padding_and_later_fragments_are_no_payload() {
    let message = payload::dns_question(7, "padding.example", 1);
    let udp = packet::udp(1053, 53, 0);
    let padded = [packet::ethernet(&packet::ipv4(CLIENT, SERVER, 17, &udp)), message];
    let stream = payload::records(&payload::client_hello(b"padding.example", b"h2"), 1 << 14);
    let tcp = packet::tcp(1443, 443, 0x10, 0);
    let behind = [packet::ethernet(&packet::ipv4(CLIENT, SERVER, 6, &tcp)), stream];
    let mut later = packet::ethernet(&question("later.example"));
    // An offset of 128 octets.
    later[14 + 7] = 16;
    let mut first = packet::ethernet(&question("first.example"));
    // More fragments follow.
    first[14 + 6] = 0x20;
    let frames = [padded.concat(), behind.concat(), later, first];
    let documents = run(&captured(frames), &ALL).documents();
    let hosts: Vec<_> = documents.iter().map(|it| &it["related"]["hosts"]).collect();
    let found: Vec<_> = hosts.into_iter().filter(|hosts| !hosts.is_null()).collect();
    assert_eq!(found, [&json!(["first.example"])], "{documents:#?}");
}

#[test]
fn two_networks_with_the_same_addresses_have_names_of_their_own() {
    let of = |vni, name| packet::unpadded(&tunnel::vxlan(vni, &question(name)));
    let frames = [of(1, "one.example"), of(2, "two.example"), of(1, "later.example")];
    for workers in ["1", "3"] {
        let more = ["--decap", "all", "--workers", workers];
        let run = run(&captured(frames.clone()), &[&ALL[..], &more].concat());
        let expected = [("one.example", "1"), ("two.example", "2")];
        let expected = expected.map(|(name, id)| (name.to_owned(), id.to_owned()));
        assert_eq!(names(&run.documents(), "/flowprobe/tunnel/id"), expected, "{workers}");
    }
}

#[test]
fn a_vlan_has_names_of_its_own_if_it_is_in_the_key() {
    let of = |vlan, name| packet::tagged(&packet::ethernet(&question(name)), 0x8100, vlan);
    let packets = captured([of(1, "one.example"), of(2, "two.example")]);
    let key = ["--flow-key", "src,dst,sport,dport,proto,vlan"];
    let apart = run(&packets, &[&ALL[..], &key].concat()).documents();
    let expected = [("one.example", "1"), ("two.example", "2")];
    let expected = expected.map(|(name, id)| (name.to_owned(), id.to_owned()));
    assert_eq!(names(&apart, "/network/vlan/id"), expected);
    let together = run(&packets, &ALL).documents();
    assert_eq!(names(&together, "/none"), [("one.example".into(), String::new())]);
}

fn first_segment(sequence: u32) -> Vec<u8> {
    let mut segment = packet::tcp(1443, 443, 2, 0);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    packet::ethernet(&packet::ipv4(CLIENT, SERVER, 6, &segment))
}

fn last_segment() -> Vec<u8> {
    packet::ethernet(&packet::ipv4(CLIENT, SERVER, 6, &packet::tcp(1443, 443, 0x11, 0)))
}

#[test]
fn the_next_connection_between_the_same_ports_has_its_own_name() {
    let hello = |name: &str| {
        let hello = payload::client_hello(name.as_bytes(), b"h2");
        segment((CLIENT, 1443), (SERVER, 443), 1001, &payload::records(&hello, 1 << 14))
    };
    let mut frames = Vec::new();
    for name in ["first.example", "second.example"] {
        frames.extend([first_segment(1000), hello(name), last_segment()]);
    }
    // Half an opening, and then nothing of the third.
    let half = segment((CLIENT, 1443), (SERVER, 443), 1001, &[0x16, 3, 1, 1, 0, 1, 0, 0, 252]);
    frames.extend([first_segment(1000), half, last_segment()]);
    frames.extend([first_segment(1000), hello("fourth.example"), last_segment()]);
    let mut packets: Vec<_> = (0..)
        .zip(frames)
        .map(|(index, frame)| {
            let millis = BEGIN + index / 3 * 8000 + index % 3;
            Captured::at(millis, frame)
        })
        .collect();
    packets.sort_by_key(|packet| packet.nanos);
    for workers in ["1", "2"] {
        let documents = run(&packets, &[&ALL[..], &["--workers", workers]].concat()).documents();
        let mut names: Vec<_> = documents
            .iter()
            .map(|it| (it["event"]["start"].clone(), it["tls"]["client"]["server_name"].clone()))
            .map(|(start, name)| (start.to_string(), name))
            .collect();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
        let expected = ["first.example", "second.example"].map(Value::from);
        let expected = [&expected[..], &[Value::Null, json!("fourth.example")]].concat();
        assert_eq!(names, expected, "{workers}: {documents:#?}");
    }
}

#[test]
fn the_answer_of_the_server_says_what_was_chosen() {
    let server = |port, octets: &[u8]| segment((SERVER, 443), (CLIENT, port), 1, octets);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0xc0, 0x2f, 0, 0, 9, 0, 16, 0, 5, 0, 3, 2, b'h', b'2']);
    let hello = [&[22, 3, 3, 0, 53, 2, 0, 0, 49][..], &body].concat();
    let mut thirteen = hello.clone();
    thirteen[44..46].copy_from_slice(&[0x13, 2]);
    thirteen[47..].copy_from_slice(&[0, 9, 0, 43, 0, 2, 3, 4, 0, 99, 0]);
    thirteen[48] = 6;
    thirteen.truncate(55);
    (thirteen[4], thirteen[8]) = (50, 46);
    let client = payload::records(&payload::client_hello(b"tls.example", b"h2"), 1 << 14);
    let packets = captured([
        segment((CLIENT, 1443), (SERVER, 443), 1, &client),
        server(1443, &hello),
        server(2443, &thirteen),
    ]);
    let run = run(&packets, &ALL);
    for side in ["source", "destination"] {
        let tls = &of_port(&run, side, 1443)["tls"];
        assert_eq!(tls["client"]["server_name"], "tls.example");
        assert_eq!((&tls["version"], &tls["version_protocol"]), (&json!("1.2"), &json!("tls")));
        assert_eq!(tls["cipher"], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(tls["next_protocol"], "h2");
    }
    // Without its client.
    let alone = of_port(&run, "destination", 2443);
    let expected = json!({
        "version": "1.3", "version_protocol": "tls", "cipher": "TLS_AES_256_GCM_SHA384"
    });
    assert_eq!(alone["tls"], expected);
    assert_eq!(alone["network"]["protocol"], "tls");
}

#[test]
fn dns_is_read_at_the_ports_that_are_named() {
    let question = payload::dns_question(0, "printer.local", 12);
    let packets = captured([datagram((CLIENT, 5353), ([224, 0, 0, 251], 5353), &question)]);
    let named = run(&packets, &[&ALL[..], &["--payload-dns-ports", "53,5353"]].concat());
    assert_eq!(names(&named.documents(), "/none"), [("printer.local".into(), String::new())]);
    let plain = run(&packets, &ALL).documents();
    assert_eq!(plain[0]["dns"], Value::Null);
    let refused =
        crate::support::run(["-r", "a.pcap", "--payload", "dns", "--payload-dns-ports", "0"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("\"0\" is no port from 1 to 65535"), "{}", refused.stderr);
}
