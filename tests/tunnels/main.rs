//! Tunnels: what is inside is metered once, and nothing is lost by a wrong guess.

#[path = "../support/mod.rs"]
mod support;

mod forms;
mod nestings;
mod refusals;

use serde_json::Value;
use support::capture::{Captured, pcap};
use support::packet;
use support::tunnel::{INNER, OUTER, around, inner, samples, udp_to, vxlan, with};

struct Replayed {
    run: support::Run,
    documents: Vec<Value>,
}

fn replay(packets: &[Captured], settings: &[&str]) -> Replayed {
    let folder = support::scratch();
    let path = support::write(&folder, "tunnels.pcap", &pcap(packets));
    let words = ["-r", path.to_str().unwrap(), "-o", "json:-", "--stats", "json"];
    let run = support::run(words.iter().chain(&["--max-flows", "1000"]).chain(settings));
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    let documents = run.documents();
    Replayed { run, documents }
}

fn frames<'a>(packets: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<Captured> {
    let frames = packets.into_iter().enumerate();
    frames.map(|(at, ip)| Captured::at(at as u64, packet::unpadded(ip))).collect()
}

/// Octets that are metered without decapsulation = with it + overhead + what is ignored inside.
fn assert_octets_are_conserved(captured: &[Captured], replayed: &Replayed) {
    let without = replay(captured, &[]).run.count("metered.octets");
    let run = &replayed.run;
    let overhead = run.stats["tunnels"]["tunnel_overhead_octets"].as_i64().unwrap();
    let ignored = run.count("tunnels.ignored_inside.outer_octets")
        + run.count("tunnels.tunnel_fragments.outer_octets");
    let with = run.count("metered.octets") + ignored;
    assert_eq!(i64::try_from(without).unwrap(), i64::try_from(with).unwrap() + overhead);
}

const ALL: &[&str] = &["--decap", "all", "--l2tpv3", "cookie=4"];

#[test]
fn each_kind_of_tunnel_is_opened() {
    for (kind, id, around) in samples() {
        let captured = frames([&around]);
        let replayed = replay(&captured, ALL);
        let [document] = &replayed.documents[..] else { panic!("{kind}: one flow") };
        let tunnel = &document["flowprobe"]["tunnel"];
        assert_eq!(tunnel["type"], kind);
        assert_eq!(tunnel["id"], id, "{kind}");
        assert_eq!(tunnel["depth"], 1, "{kind}");
        assert_eq!(tunnel["source"]["ip"], "192.0.2.1", "{kind}");
        assert_eq!(tunnel["destination"]["ip"], "192.0.2.2", "{kind}");
        assert_eq!(document["network"]["bytes"], 60, "{kind}");
        let vlan = if kind == "erspan" && id != 0 { Value::from("5") } else { Value::Null };
        assert_eq!(document["network"]["vlan"]["id"], vlan, "{kind}");
        assert_octets_are_conserved(&captured, &replayed);
    }
}

/// Cut at any octet, a packet is still one packet of a flow, inside or outside.
#[test]
fn cut_tunnels_are_metered_outside() {
    for (kind, _, around) in samples() {
        let whole = Captured::at(0, packet::unpadded(&around));
        let cuts = 14 + 20..=around.len() + 14;
        let captured: Vec<_> = cuts.map(|length| whole.clone().cut(length)).collect();
        let replayed = replay(&captured, ALL);
        assert_eq!(replayed.run.count("metered.packets"), captured.len() as u64, "{kind}");
        let refused = &replayed.run.stats["tunnels"]["decap_refused"];
        assert!(refused.as_object().is_some_and(|kinds| !kinds.is_empty()), "{kind}: {refused}");
        assert_octets_are_conserved(&captured, &replayed);
    }
}

#[test]
fn without_the_setting_a_tunnel_is_a_flow_of_its_ends() {
    let replayed = replay(&frames([&vxlan(1, &inner())]), &[]);
    assert_eq!(replayed.documents[0]["source"]["ip"], "192.0.2.1");
    assert!(replayed.documents[0]["flowprobe"].is_null());
    let other = replay(&frames([&vxlan(1, &inner())]), &["--decap", "geneve,gre"]);
    assert_eq!(other.documents[0]["source"]["ip"], "192.0.2.1");
}

/// Three in four packets are of tunnels: the totals say so, and how to open them.
#[test]
fn tunnels_that_are_not_opened_are_hinted_at() {
    let around = [vxlan(1, &inner()), vxlan(2, &inner()), around(4, &inner()), inner()];
    let folder = support::scratch();
    let path = support::write(&folder, "tunnels.pcap", &pcap(&frames(&around)));
    let totals = |settings: &[&str]| {
        let words = ["-r", path.to_str().unwrap(), "-o", "json:-"];
        let output = support::flowprobe().args(words).args(settings).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let vxlan = "50 % of packets are VXLAN; --decap vxlan meters what is inside";
    let ipip = "25 % of packets are IP in IP; --decap ipip meters what is inside";
    let said = totals(&[]);
    assert!(said.contains(vxlan) && said.contains(ipip), "{said}");
    let said = totals(&["--decap", "vxlan"]);
    assert!(!said.contains("VXLAN;") && said.contains(ipip), "{said}");
    assert!(!totals(&["--decap", "all"]).contains("meters what is inside"));
    let run = replay(&frames(&around), &[]).run;
    assert_eq!(run.stats["tunnels"]["not_opened"], serde_json::json!({"vxlan": 2, "ipip": 1}));
}

#[test]
fn equal_addresses_in_two_networks_are_two_flows() {
    for workers in ["1", "2"] {
        let packets = [vxlan(1, &inner()), vxlan(2, &inner()), vxlan(1, &inner())];
        let replayed = replay(&frames(&packets), &["--decap", "vxlan", "--workers", workers]);
        let mut flows: Vec<_> = replayed
            .documents
            .iter()
            .map(|flow| (&flow["flowprobe"]["tunnel"]["id"], &flow["network"]["packets"]))
            .map(|(id, packets)| (id.as_u64().unwrap(), packets.as_u64().unwrap()))
            .collect();
        flows.sort_unstable();
        assert_eq!(flows, [(1, 2), (2, 1)]);
        let ids: Vec<_> = replayed.documents.iter().map(|flow| &flow["flow"]["id"]).collect();
        assert_ne!(ids[0], ids[1], "documents of two networks are not one conversation");
    }
}

/// A flow has the ends of its own tunnel, though they are not in the flow key.
#[test]
fn both_directions_have_the_ends_of_their_tunnels() {
    let there = around(47, &with(&[0, 0, 8, 0], &inner()));
    let answer = packet::ipv4(INNER[1], INNER[0], 6, &packet::tcp(80, 1234, 0x10, 0));
    let back = packet::ipv4(OUTER[1], OUTER[0], 47, &with(&[0, 0, 8, 0], &answer));
    let replayed = replay(&frames([&there, &back]), &["--decap", "gre"]);
    for document in &replayed.documents {
        let is_answer = document["source"]["ip"] == "10.0.0.2";
        let source = if is_answer { "192.0.2.2" } else { "192.0.2.1" };
        assert_eq!(document["flowprobe"]["tunnel"]["source"]["ip"], source);
    }
    assert_eq!(replayed.documents.len(), 2);
}

/// With VLAN ids in the flow key, those inside count, and no other part of a tunnel does.
#[test]
fn vlans_inside_are_in_the_key_if_asked_for() {
    let tagged = |vlan, session: u8| {
        let frame = packet::tagged(&packet::unpadded(&inner()), 0x8100, vlan);
        let header = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, session, 0, 0, 0, 0];
        around(47, &with(&header, &frame))
    };
    let packets = frames([&tagged(5, 1), &tagged(6, 1), &tagged(5, 2)]);
    let key = ["--decap", "all", "--flow-key", "src,dst,sport,dport,proto,tos,iface,vlan"];
    let replayed = replay(&packets, &key);
    let mut vlans: Vec<_> = replayed
        .documents
        .iter()
        .map(|flow| (flow["network"]["vlan"]["id"].as_str(), flow["network"]["packets"].as_u64()))
        .collect();
    vlans.sort_unstable();
    assert_eq!(vlans, [(Some("5"), Some(2)), (Some("6"), Some(1))]);
    assert_eq!(replay(&packets, &["--decap", "all"]).documents.len(), 1);
}

/// With decapsulation both tags of a frame are told, in a tunnel or not.
#[test]
fn second_vlan_tags_are_told() {
    let frame = packet::unpadded(&inner());
    let frame = packet::tagged(&packet::tagged(&frame, 0x8100, 6), 0x88a8, 5);
    let vxlan = around(17, &udp_to(4789, &with(&[8, 0, 0, 0, 0, 0, 1, 0], &frame)));
    let ids = |document: &Value| {
        let network = &document["network"];
        [&network["vlan"]["id"], &network["inner"]["vlan"]["id"]]
            .map(|id| id.as_str().map(str::to_owned))
    };
    let told = ["5", "6"].map(|id| Some(id.to_owned()));
    for captured in [Captured::at(0, packet::unpadded(&vxlan)), Captured::at(0, frame.clone())] {
        for key in
            ["src,dst,sport,dport,proto,tos,iface,vlan", "src,dst,sport,dport,proto,tos,iface"]
        {
            let settings = ["--decap", "all", "--flow-key", key];
            let replayed = replay(&[captured.clone(), captured.clone()], &settings);
            let [document] = &replayed.documents[..] else { panic!("one flow") };
            assert_eq!(ids(document), told);
        }
    }
    let plain = replay(&[Captured::at(0, frame)], &[]);
    assert_eq!(ids(&plain.documents[0]), [Some("5".to_owned()), None], "off by default");
}

#[test]
fn table_tells_networks_apart() {
    let packets = frames([&vxlan(1, &inner()), &vxlan(2, &inner())]);
    let folder = support::scratch();
    let path = support::write(&folder, "tunnels.pcap", &pcap(&packets));
    let run = support::run(["-r", path.to_str().unwrap(), "--decap", "all"]);
    let table = String::from_utf8_lossy(&run.stdout);
    for words in ["Tunnel", "VXLAN 1", "VXLAN 2"] {
        assert!(table.contains(words), "{words}: {table}");
    }
}

#[test]
fn messages_have_the_fields_of_tunnels_only_where_tunnels_are_opened() {
    let folder = support::scratch();
    let path = support::write(&folder, "tunnels.pcap", &pcap(&frames([&vxlan(1, &inner())])));
    let file = folder.path().join("tunnels.ipfix");
    let output = format!("ipfix-file:{}", file.display());
    for (settings, template) in [(&["--decap", "vxlan"][..], 308_u16), (&[], 256)] {
        let words = ["-r", path.to_str().unwrap(), "-o", &output];
        assert_eq!(support::run(words.iter().chain(settings)).status, 0);
        // Header of the message, header of the set, then the id of the first template.
        assert_eq!(std::fs::read(&file).unwrap()[20..22], template.to_be_bytes());
    }
}

#[test]
fn ids_of_sessions_are_in_the_key_if_asked_for() {
    let gre = |key: u8| around(47, &with(&[0x20, 0, 8, 0, 0, 0, 0, key], &inner()));
    let packets = frames([&gre(1), &gre(2)]);
    assert_eq!(replay(&packets, &["--decap", "gre"]).documents.len(), 1);
    let all = replay(&packets, &["--decap", "gre", "--tunnel-key", "all"]);
    assert_eq!(all.documents.len(), 2);
}

/// An IPv4 packet without options, as two fragments: 80 octets of its payload, and the rest.
fn fragments(whole: &[u8]) -> [Vec<u8>; 2] {
    let (first, later) = whole[20..].split_at(80);
    [(first, 0x2000_u16), (later, 80 / 8)].map(|(payload, field)| {
        let mut octets = around(17, payload);
        octets[4..6].copy_from_slice(&77_u16.to_be_bytes());
        octets[6..8].copy_from_slice(&field.to_be_bytes());
        octets
    })
}

#[test]
fn fragments_around_count_once() {
    let whole = vxlan(1, &inner());
    let [first, later] = fragments(&whole);
    let captured = frames([&first, &later]);
    let replayed = replay(&captured, &["--decap", "all"]);
    assert_eq!(replayed.documents.len(), 1);
    assert_eq!(replayed.run.count("metered.octets"), 60);
    assert_eq!(replayed.run.count("ignored.tunnel_fragment.packets"), 1);
    assert_octets_are_conserved(&captured, &replayed);
    // Without its first one a later fragment is a packet of the flow outside.
    let alone = replay(&captured[1..], &["--decap", "all"]);
    assert_eq!(alone.documents[0]["source"]["ip"], "192.0.2.1");
}

#[test]
fn frames_that_are_not_ip_are_ignored_inside_too() {
    let mut header = vec![8, 0, 0, 0, 0, 0, 1, 0];
    header.extend([0; 12]);
    header.extend([8, 6]);
    header.extend([0; 28]);
    let captured = frames([&around(17, &udp_to(4789, &header))]);
    let replayed = replay(&captured, &["--decap", "all"]);
    assert_eq!(replayed.run.count("ignored.not_ip.packets"), 1);
    assert_octets_are_conserved(&captured, &replayed);
}

/// First fragments are remembered for 30 s of the frames' time, in order or not.
#[test]
fn fragments_around_are_known_by_the_time_of_frames() {
    let whole = vxlan(1, &inner());
    let [first, later] = fragments(&whole).map(|packet| packet::unpadded(&packet));
    for (millis, is_known) in [(0, true), (30_000, true), (30_001, false)] {
        let captured = [Captured::at(0, first.clone()), Captured::at(millis, later.clone())];
        let replayed = replay(&captured, &["--decap", "all"]);
        let known = replayed.run.count("tunnels.tunnel_fragments.packets");
        assert_eq!(known, u64::from(is_known), "{millis}");
        assert_eq!(replayed.documents.len(), if is_known { 1 } else { 2 }, "{millis}");
        assert_octets_are_conserved(&captured, &replayed);
    }
    // A later one before its first is a packet of the flow outside.
    let captured = [Captured::at(0, later), Captured::at(1, first)];
    let replayed = replay(&captured, &["--decap", "all"]);
    assert_eq!(replayed.run.count("tunnels.tunnel_fragments.packets"), 0);
    assert_octets_are_conserved(&captured, &replayed);
}

#[test]
fn nine_packets_are_too_deep() {
    for (depth, is_read) in [(7, true), (8, false)] {
        let nested = (0..depth).fold(inner(), |packet, _| around(4, &packet));
        let captured = frames([&nested]);
        let replayed = replay(&captured, &["--decap", "all"]);
        assert_eq!(replayed.run.count("ignored.too_deep.packets"), u64::from(!is_read));
        assert_eq!(replayed.documents.len(), usize::from(is_read));
        assert_octets_are_conserved(&captured, &replayed);
    }
}
