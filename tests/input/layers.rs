//! Link layers that stand between a frame's first octet and IP, judged by tshark.

use std::process::Command;

use crate::replay;
use crate::support::capture::{Captured, Order, enhanced, interface, pcap_as, section};
use crate::support::packet::{ipv4, udp};
use crate::support::{self, run_with_input};

/// A name, a link type, and the octets before IP: in hexadecimal, with `00x6` for six zeros, `MAC`
/// for two addresses, `IP` for these and the Ethertype of IPv4, and `SNAP` for an LLC header.
type Layer = (&'static str, u16, &'static str);

const LAYERS: &[Layer] = &[
    ("VN-Tag", 1, "MAC 8926010203040800"),
    ("FabricPath", 1, "MAC 89030102 IP"),
    ("TTag", 1, "MAC 89880102030405060800"),
    ("Cisco MetaData", 1, "MAC 89090101000100050800"),
    ("Arista, 64 bits", 1, "MAC d28b0001001000000000000000000800"),
    ("Arista, 48 bits", 1, "MAC d28b000100200000000000000800"),
    ("802.1ah", 1, "MAC 88e700000007 IP"),
    ("802.1ah behind a B-TAG", 1, "MAC 88a8000588e700000007 IP"),
    ("802.1ah in 802.1ah", 1, "MAC 88e700000007 MAC 88e700000008 IP"),
    (
        "802.1ah in 802.1ah, each behind a B-TAG",
        1,
        "MAC 88a8000588e700000007 MAC 88a8000688e700000008 IP",
    ),
    ("MACsec", 1, "MAC 88e50000000000010800"),
    ("MACsec with channel", 1, "MAC 88e520000000000100000000000000000800"),
    ("TRILL", 1, "MAC 22f3001f00010002 IP"),
    ("TRILL with options", 1, "MAC 22f3005f0001000200000000 IP"),
    ("NSH with IPv4", 1, "MAC 894f0fc2020100000aff"),
    ("NSH with Ethernet", 1, "MAC 894f0fc6010300000aff 00x16 IP"),
    ("HSR", 1, "MAC 892f103400010800"),
    ("E-TAG", 1, "MAC 893f0102030405060800"),
    ("SNAP of bridges", 1, "MAC 002eaaaa030000f80800"),
    ("LLC 0x06", 1, "MAC 0029060603"),
    ("jumbo LLC, SNAP", 1, "MAC 8870 SNAP"),
    ("jumbo LLC, 0x06", 1, "MAC 8870060603"),
    ("VN-Tag between VLAN tags", 1, "MAC 81000005892601020304810000060800"),
    ("Token Ring", 6, "1040 MAC SNAP"),
    ("Token Ring with route", 6, "1040020000000001820000000002063000110022 SNAP"),
    ("FDDI", 10, "50 MAC SNAP"),
    ("ARCNET", 7, "0102d4000001"),
    ("ARCNET, RFC 1051", 7, "0102f0"),
    ("ARCNET, exception", 7, "0102d4ffffffd4000001"),
    ("Cisco HDLC", 104, "0f000800"),
    ("Frame Relay", 107, "184103cc"),
    ("Frame Relay, SNAP", 107, "18410300800000000800"),
    ("Frame Relay, bridged", 107, "18410300800080c20007 IP"),
    ("Frame Relay, bridged with FCS", 107, "18410300800080c20001 IP"),
    ("Frame Relay of Cisco", 107, "18410800"),
    ("Frame Relay, 3 octets", 107, "18400103cc"),
    ("Frame Relay, 4 octets", 107, "1840400103cc"),
    ("ENC", 109, "020000000100000000000000"),
    ("802.11", 105, "08010000 MAC 0000000000000000 SNAP"),
    ("802.11 QoS", 105, "88010000 MAC 00000000000000000000 SNAP"),
    ("802.11 QoS, HT Control", 105, "88810000 MAC 0000000000000000000000000000 SNAP"),
    ("802.11, 4 addresses", 105, "08030000 MAC 0000000000000000000000000000 SNAP"),
    ("802.11 A-MSDU", 105, "88010000 MAC 00000000000000008000 MAC 002e SNAP"),
    ("radiotap", 127, "000008000000000008010000 MAC 0000000000000000 SNAP"),
    ("radiotap, flags", 127, "00000900020000000008010000 MAC 0000000000000000 SNAP"),
    ("radiotap, FCS", 127, "00000900020000001008010000 MAC 0000000000000000 SNAP"),
    (
        "radiotap, padded header",
        127,
        "00000900020000002088010000 MAC 000000000000000000000000 SNAP",
    ),
    ("PPI, 802.11", 192, "000008006900000008010000 MAC 0000000000000000 SNAP"),
    ("PPI, Ethernet", 192, "0000080001000000 IP"),
    ("PPI with a field", 192, "0000140001000000020008000000000000000000 IP"),
    ("NFLOG", 239, "02000000080001000800010005000a00000000002a000900"),
    ("PPPoE", 51, "1100000700280021"),
    ("PPP with direction, HDLC", 204, "00ff030021"),
    ("PPP with direction", 204, "010021"),
    ("PFLOG of 61", 117, "3d020000656d30 00x57"),
    ("PFLOG of 45", 117, "2d020000656d30 00x41"),
    ("PFLOG of 100", 117, "64020000656d30 00x93"),
    ("IPNET", 226, "0102000000000026 00x16"),
    ("InfiniBand", 242, "00x40 08000000"),
    ("PKTAP", 258, "6c0000000100000001000000656e30 00x25 020000000e 00x63 IP"),
    ("null, Ethertype", 0, "00080000"),
    ("null, Ethertype, big-endian", 0, "00000800"),
    ("null, PPP", 0, "ff030021"),
    ("cooked, LLC 0x06", 113, "00000001000602000000000200000004060603"),
];

/// tshark 4.0 takes these for something else, or does not read them.
const LAYERS_UNKNOWN_TO_TSHARK: &[Layer] = &[
    ("pseudowire", 1, "MAC 884700011140 IP"),
    ("pseudowire, control word", 1, "MAC 88470001114000000000 IP"),
    ("pseudowire, control word, MAC 45", 1, "MAC 884700011140000000014511223344550200000000020800"),
    ("pseudowire, MAC 45", 1, "MAC 8847000111404511223344550200000000020800"),
    ("NFLOG, big-endian", 239, "020000000008000108000100002a0009"),
    ("pppd", 166, "00030021"),
];

fn octets(text: &str) -> Vec<u8> {
    let hex = |digits: &str| -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    };
    text.split_whitespace()
        .flat_map(|word| match word {
            "MAC" => hex("020000000001020000000002"),
            "IP" => hex("0200000000010200000000020800"),
            "SNAP" => hex("aaaa030000000800"),
            _ => match word.split_once('x') {
                Some((_, count)) => vec![0; count.parse().unwrap()],
                None => hex(word),
            },
        })
        .collect()
}

fn packet() -> Vec<u8> {
    ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(1000, 9999, 10))
}

fn frame(before: &str) -> Captured {
    Captured::at(1000, [octets(before), packet()].concat())
}

fn file(link_type: u16, packets: &[Captured]) -> Vec<u8> {
    pcap_as(Order::Little, false, link_type.into(), packets)
}

fn check_found(name: &str, link_type: u16, frame: Captured) {
    let run = replay(&file(link_type, &[frame]));
    let flows = run.flows();
    assert_eq!(flows.len(), 1, "{name}: {}", run.stats);
    assert_eq!((flows[0].ports(), flows[0].octets), ((1000, 17, 9999), 38), "{name}");
}

#[test]
fn link_layers_are_walked_through() {
    for (name, link_type, before) in LAYERS.iter().chain(LAYERS_UNKNOWN_TO_TSHARK) {
        check_found(name, *link_type, frame(before));
        // Behind the packet there may be padding and a frame check sequence.
        let mut longer = frame(before);
        longer.data.extend([0; 14]);
        longer.wire_length += 14;
        check_found(name, *link_type, longer);
    }
}

/// PRP (IEC 62439-3) has no header. Its trailer of six octets is the last of the frame, behind any
/// padding: sequence number, network and length, suffix.
#[test]
fn trailer_of_prp_is_no_part_of_the_packet() {
    for padding in [0, 8] {
        for network in ["a", "b"] {
            for before in ["IP", "MAC 81000005 0800"] {
                let mut frame = frame(before);
                let length = frame.data.len() - 12 + padding + 6;
                frame.data.extend(vec![0; padding]);
                frame.data.extend(octets(&format!("1234{network}{length:03x}88fb")));
                frame.wire_length = frame.data.len() as u32;
                check_found(&format!("PRP, {before}"), 1, frame);
            }
        }
    }
}

#[test]
fn frames_cut_anywhere_before_the_end_of_the_ip_header_are_cut_short() {
    for (name, link_type, before) in LAYERS.iter().chain(LAYERS_UNKNOWN_TO_TSHARK) {
        let whole = frame(before);
        let lengths = 0..octets(before).len() + 20;
        let count = lengths.len() as u64;
        let packets: Vec<_> = lengths.map(|length| whole.clone().cut(length)).collect();
        let run = replay(&file(*link_type, &packets));
        assert_eq!(run.count("ignored.cut_short.packets"), count, "{name}: {}", run.stats);
    }
}

#[test]
fn tshark_finds_the_same_packet() {
    if !support::has_tshark() {
        return;
    }
    let order = Order::Little;
    let mut file = section(order);
    for (_, link_type, _) in LAYERS {
        file.extend(interface(order, *link_type, 0, &[]));
    }
    for (number, (_, _, before)) in (0..).zip(LAYERS) {
        file.extend(enhanced(order, &frame(before).on(number)));
    }
    let folder = support::scratch();
    let path = support::write(&folder, "layers.pcapng", &file);
    let mut tshark = Command::new("tshark");
    tshark.env("WIRESHARK_CONFIG_DIR", folder.path()).arg("-n").arg("-r").arg(path);
    tshark.args(["-T", "fields", "-E", "separator=,", "-e", "ip.src", "-e", "ip.dst"]);
    let output = tshark.args(["-e", "ip.len"]).output().expect("tshark runs");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), LAYERS.len());
    for (line, (name, _, _)) in lines.iter().zip(LAYERS) {
        assert_eq!(*line, "10.0.0.1,10.0.0.2,38", "{name}");
    }
}

#[test]
fn ethernet_in_mpls_is_no_phantom_whatever_its_addresses_begin_with() {
    let macs = ["001122334455", "451122334455", "4c1122334454", "601122334455", "6cc111000001"];
    let sources = ["00aabbccddee", "020000000001", "002222334455", "000000000000"];
    for mac in macs {
        for source in sources {
            for control_word in ["", "00000000", "00000007"] {
                let before = format!("MAC 8847 00011140 {control_word} {mac} {source} ");
                let name = format!("{before}IPv4");
                check_found(&name, 1, frame(&format!("{before} 0800")));
                check_found(&name, 1, frame(&format!("{before} 81000005 0800")));
                // The Ethertype says what it is.
                let mut wrong_checksum = frame(&format!("{before} 0800"));
                let checksum = octets(&format!("{before} 0800")).len() + 10;
                wrong_checksum.data[checksum..checksum + 2].fill(0);
                check_found(&name, 1, wrong_checksum);
                let arp = octets(&format!("{before} 0806 0001080006040001 00x20"));
                let run = replay(&file(1, &[Captured::at(1000, arp)]));
                assert_eq!(run.count("ignored.not_ip.packets"), 1, "{before} ARP: {}", run.stats);
            }
        }
    }
}

#[test]
fn ip_in_mpls_proves_itself() {
    let before = "MAC 8847 00011140";
    check_found("valid", 1, frame(before));
    let ip = octets(before).len();
    // Version, header length, total length beyond the wire, checksum.
    for (at, octet) in [(0, 0x55), (0, 0x44), (2, 0xff), (10, 0x00)] {
        let mut wrong = frame(before);
        wrong.data[ip + at] = octet;
        let run = replay(&file(1, &[wrong]));
        assert_eq!(run.count("ignored.not_ip.packets"), 1, "{at}: {}", run.stats);
    }
}

#[test]
fn what_is_encrypted_or_has_no_beginning_of_ip_is_not_ip() {
    let cases: [Layer; 8] = [
        ("encrypted MACsec", 1, "MAC 88e5 0c00 00000001 0800"),
        ("TRILL version 1", 1, "MAC 22f3 401f00010002 IP"),
        ("NSH of no length", 1, "MAC 894f 0fc00201 00000aff"),
        ("Arista's subtype 3", 1, "MAC d28b 00030010 00x8 0800"),
        ("802.11, protected", 105, "08410000 MAC 00x6 0000 SNAP"),
        ("802.11, management", 105, "80000000 MAC 00x6 0000 SNAP"),
        ("802.11, a later fragment", 105, "08000000 MAC 00x6 0100 SNAP"),
        ("Token Ring, not LLC", 6, "1000 MAC SNAP"),
    ];
    for (name, link_type, before) in cases {
        let run = replay(&file(link_type, &[frame(before)]));
        assert_eq!(run.count("ignored.not_ip.packets"), 1, "{name}: {}", run.stats);
    }
}

#[test]
fn headers_without_end_are_too_deep() {
    // PPI in PPI, and NSH in NSH.
    let cases = [(192, "00000800c0000000".repeat(30)), (1, "0fc20104 00000aff ".repeat(30))];
    for (link_type, headers) in cases {
        let before = if link_type == 1 { format!("MAC 894f {headers}") } else { headers };
        let run = replay(&file(link_type, &[frame(&before)]));
        assert_eq!(run.count("ignored.too_deep.packets"), 1, "{}", run.stats);
    }
}

#[test]
fn tags_of_further_protocols_are_walked_through_if_asked_for() {
    let tagged = file(1, &[frame("MAC 9200 0005 0800")]);
    assert_eq!(replay(&tagged).count("ignored.not_ip.packets"), 1);
    let arguments = ["-r", "-", "-o", "json:-", "--tpid", "0x9300", "--tpid", "0x9200"];
    let run = run_with_input(arguments, &tagged);
    assert_eq!((run.flows()[0].vlan, run.flows()[0].octets), (5, 38), "{}", run.stderr);
    for wrong in ["0x05ff", "65536", "vlan"] {
        assert_eq!(run_with_input(["-r", "-", "--tpid", wrong], &tagged).status, 2, "{wrong}");
    }
}

#[test]
fn totals_name_what_was_ignored_the_most_frequent_first() {
    let mut packets = vec![Captured::at(1000, octets("MAC 88cc 00x46")); 2];
    packets.extend(vec![Captured::at(1000, octets("MAC 0806 00x46")); 3]);
    packets.push(Captured::at(1000, octets("MAC 0026 424203 00x43")));
    let run = replay(&file(1, &packets));
    let entry = |key: &str, number: &str, packets: u64| {
        let octets = packets * 60;
        serde_json::json!({ key: number, "packets": packets, "octets": octets })
    };
    let expected = [
        entry("ethertype", "0x0806", 3),
        entry("ethertype", "0x88cc", 2),
        entry("llc_sap", "0x42", 1),
    ];
    assert_eq!(run.stats["ignored_ethertypes"], serde_json::json!(expected));
    assert_eq!(run.stats["ignored_link_types"], serde_json::json!([]));
    let other = run_with_input(["-r", "-", "-o", "json:-"], &file(187, &packets));
    let link_type = serde_json::json!({ "link_type": "187", "packets": 6, "octets": 360 });
    assert_eq!(other.stats["ignored_link_types"], serde_json::json!([link_type]));
}
