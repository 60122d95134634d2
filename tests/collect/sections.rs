//! Records with the first octets of a packet, as some routers sample them.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use flow::{Details, FlowRecord};
use serde_json::Value;

use crate::captures::{captures, datagrams};
use crate::messages::{Session, be16, be32, ipfix, set, template};
use crate::program;
use crate::support::capture::{Captured, pcap};
use crate::support::{self, packet};
use crate::traffic;

/// Numbers of elements: dataLinkFrameSize, ipHeaderPacketSection, dataLinkFrameSection.
const SIZE: u16 = 312;
const OF_PACKET: u16 = 313;
const OF_FRAME: u16 = 315;

const VARIABLE: u16 = u16::MAX;

/// A packet of 1,028 octets.
fn ip() -> Vec<u8> {
    packet::ipv4([192, 0, 2, 10], [198, 51, 100, 20], 17, &packet::udp(4000, 53, 1000))
}

/// A value with its length in front.
fn long(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap();
    [&[255], &be16(&[length])[..], octets].concat()
}

fn read(fields: &[(u16, u16)], values: &[u8]) -> Session {
    let mut session = Session::new();
    session.take(&ipfix(0, &[set(2, &template(300, fields)), set(300, values)]));
    assert_eq!(session.counts().elements_unknown, 0);
    session
}

fn assert_is_packet((record, details): (FlowRecord, Details)) {
    let key = &record.key;
    assert_eq!(key.source_address(), IpAddr::from([192, 0, 2, 10]));
    assert_eq!((key.source_port, key.destination_port, key.protocol), (4000, 53, 17));
    assert_eq!((record.octets, record.packets, record.minimum_ttl), (1028, 1, 64));
    let key = details.collected.unwrap().key;
    assert!(key.contains_five_tuple(), "{key:?}");
}

#[test]
fn a_section_is_a_record_of_its_packet() {
    let frame = packet::unpadded(&ip());
    let size = u16::try_from(frame.len()).unwrap();
    for (fields, values) in [
        (&[(SIZE, 2), (OF_FRAME, VARIABLE)][..], [be16(&[size]), long(&frame[..64])].concat()),
        (&[(OF_FRAME, VARIABLE), (SIZE, 2)], [long(&frame[..64]), be16(&[size])].concat()),
        (&[(OF_FRAME, 60)], frame[..60].to_vec()),
        (&[(OF_PACKET, 40)], ip()[..40].to_vec()),
        // That of the frame counts first.
        (&[(OF_FRAME, 60), (OF_PACKET, 4)], [&frame[..60], &[0x45, 0, 0, 0]].concat()),
    ] {
        assert_is_packet(read(fields, &values).only());
    }
    // Interfaces, MAC addresses and tags are there too.
    let tagged = packet::tagged(&packet::unpadded(&ip()), 0x8100, 7);
    let fields = [(10, 4), (14, 4), (OF_FRAME, VARIABLE)];
    let session = read(&fields, &[be32(&[3, 4]), long(&tagged[..64])].concat());
    let (record, details) = session.only();
    let collected = details.collected.unwrap();
    assert_eq!((record.vlan_id, record.key.interface), (7, 3));
    let [destination, source] = [0, 6].map(|at| tagged[at..at + 6].try_into().ok());
    assert_eq!((collected.source_mac, collected.destination_mac), (source, destination));
}

/// Total length 0: the card leaves it to others. More than the section is not known.
#[test]
fn a_header_without_a_length_has_that_of_its_section() {
    let mut packet = ip();
    packet[2..4].fill(0);
    for (field, octets) in [(OF_PACKET, packet.clone()), (OF_FRAME, packet::unpadded(&packet))] {
        let (record, _) = read(&[(field, VARIABLE)], &long(&octets)).only();
        assert_eq!((record.octets, record.packets), (1028, 1), "{field}");
    }
}

#[test]
fn counts_of_a_record_and_of_its_section_add_up() {
    for (packets, expected) in [(1, [1028, 1]), (5, [0, 5])] {
        let fields = [(2, 4), (OF_PACKET, 40)];
        let (record, _) = read(&fields, &[&be32(&[packets])[..], &ip()[..40]].concat()).only();
        assert_eq!([record.octets, record.packets], expected);
    }
}

#[test]
fn what_the_record_says_counts_before_its_section() {
    let frame = &packet::unpadded(&ip())[..60];
    let fields = [(8, 4), (12, 4), (1, 4), (2, 4), (OF_FRAME, 60)];
    let values = [&[10, 0, 0, 1, 10, 0, 0, 2][..], &be32(&[500, 5]), frame].concat();
    let (record, _) = read(&fields, &values).only();
    assert_eq!(record.key.source_address(), IpAddr::from([10, 0, 0, 1]));
    assert_eq!((record.octets, record.packets, record.key.protocol), (500, 5, 0));
    let (record, _) = read(&fields[2..], &values[8..]).only();
    assert_eq!(record.key.source_address(), IpAddr::from([192, 0, 2, 10]));
    assert_eq!((record.octets, record.packets, record.key.protocol), (500, 5, 17));
}

#[test]
fn sections_without_a_packet_are_counted() {
    let frame = packet::unpadded(&ip());
    let arp = [&frame[..12], &[8, 6], &[0; 46]].concat();
    for octets in [&frame[..20], &arp, &[][..]] {
        let session =
            read(&[(SIZE, 2), (OF_FRAME, VARIABLE)], &[&[0, 60], &long(octets)[..]].concat());
        assert_eq!((session.counts().records, session.counts().unmeterable), (0, 1));
    }
}

/// What tshark reads of these fields, each value.
fn dissected(path: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-d", "udp.port==2055,cflow", "-T", "fields", "-E", "occurrence=a"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark.arg("-r").arg(path).output().expect("tshark runs");
    let text = String::from_utf8(output.stdout).expect("tshark's text");
    let mut values = vec![Vec::new(); fields.len()];
    for line in text.lines() {
        for (values, column) in values.iter_mut().zip(line.split('\t')) {
            let parts = column.split(',').filter(|value| !value.is_empty());
            values.extend(parts.map(str::to_owned));
        }
    }
    values
}

/// The captures of routers with their templates, as one file each, and their documents.
fn of_routers(is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<Vec<String>>, Vec<Value>)> {
    let mut all = Vec::new();
    if !support::has_tshark() {
        return all;
    }
    for data in captures().iter().filter(|path| path.parent().unwrap().ends_with("netflow")) {
        let name = data.file_name().unwrap().to_str().unwrap();
        if !name.ends_with("data.pcap") || !is_wanted(name) {
            continue;
        }
        let template = data.with_file_name(name.replace("data", "template"));
        let sent = [datagrams(&template), datagrams(data)].concat();
        let frames = sent.iter().zip(0..).map(|((_, octets), index)| {
            Captured::at(traffic::BEGIN + index, program::frame([192, 0, 2, 1], octets))
        });
        let folder = support::scratch();
        let file = support::write(&folder, "sent.pcap", &pcap(&frames.collect::<Vec<_>>()));
        let documents = program::collect(std::slice::from_ref(&file), &[]).documents();
        all.push((name.to_owned(), dissected(&file, &FIELDS.map(|(field, _)| field)), documents));
    }
    all
}

/// Fields of tshark, and those of documents.
const FIELDS: [(&str, &str); 9] = [
    ("cflow.srcaddr", "/source/ip"),
    ("cflow.dstaddr", "/destination/ip"),
    ("cflow.srcport", "/source/port"),
    ("cflow.dstport", "/destination/port"),
    ("cflow.octets", "/network/bytes"),
    ("cflow.packets", "/network/packets"),
    ("cflow.protocol", "/netflow/protocol_identifier"),
    // Of sections, behind those of the datagrams.
    ("ip.src", "/source/ip"),
    ("ipv6.src", "/source/ip"),
];

/// Captures with sections: a part of the name, the packets in them, the field to look at, and the
/// packets without it: tshark 4.0 does not open the pseudowire of one frame.
const SECTIONS: [(&str, usize, usize, usize); 2] = [("mpls", 10, 7, 1), ("srv6", 1, 8, 0)];

fn values(documents: &[Value], path: &str) -> Vec<String> {
    let text = |document: &Value| Some(document.pointer(path)?.to_string().replace('"', ""));
    let mut values: Vec<String> = documents.iter().filter_map(text).collect();
    values.sort_unstable();
    values
}

#[test]
fn flows_of_routers_are_those_that_tshark_reads() {
    let (mut compared, all) =
        (0, of_routers(|name| !SECTIONS.iter().any(|part| name.contains(part.0))));
    for (name, theirs, documents) in &all {
        let all_fields = FIELDS.iter().zip(theirs).take(7);
        for ((field, path), theirs) in all_fields.filter(|(_, theirs)| !theirs.is_empty()) {
            let mut theirs = theirs.clone();
            theirs.sort_unstable();
            assert_eq!(values(documents, path), theirs, "{field}: {name}");
            compared += theirs.len();
        }
    }
    assert!(all.is_empty() || compared >= 7 * 4, "{compared} values");
}

#[test]
fn sections_of_routers_are_those_that_tshark_reads() {
    for (part, records, field, missing) in SECTIONS {
        let all = of_routers(|name| name.contains(part));
        if all.is_empty() {
            continue;
        }
        let [(name, theirs, documents)] = &all[..] else {
            panic!("{} captures: {part}", all.len())
        };
        let ours = values(documents, FIELDS[field].1);
        let theirs = theirs[field].iter().filter(|value| *value != "192.0.2.1");
        let theirs: Vec<_> = theirs.collect();
        assert!(theirs.iter().all(|value| ours.contains(value)), "{name}: {ours:?}, {theirs:?}");
        assert!(theirs.len() + missing == records && ours.len() == records, "{name}: {ours:?}");
    }
}
