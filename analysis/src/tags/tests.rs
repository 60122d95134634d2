//! Each rule on records just below and just above its edges.

use std::net::IpAddr;

use flow::{DetailsIndex, FlowDirection, IpVersion, Timestamp};

use super::*;
use crate::site::SiteSettings;

const TCP: u8 = protocol::TCP;
const UDP: u8 = protocol::UDP;

/// A flow between two hosts of the Internet.
fn record(protocol: u8, source_port: u16, destination_port: u16) -> FlowRecord {
    let key = FlowKey {
        ip_version: IpVersion::V4,
        source: octets("8.8.8.8"),
        destination: octets("9.9.9.9"),
        source_port,
        destination_port,
        protocol,
        type_of_service: 0,
        interface: 1,
    };
    FlowRecord {
        key,
        octets: 1500,
        packets: 10,
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(1000),
        exported: Timestamp::from_millis(2000),
        vlan_id: 0,
        direction: FlowDirection::Ingress,
        tcp_control_bits: if protocol == TCP { 0x1b } else { 0 },
        minimum_ttl: 60,
        maximum_ttl: 60,
        end_reason: FlowEndReason::IdleTimeout,
        tags: Tags::NONE,
        details: DetailsIndex::NONE,
    }
}

fn tcp(destination_port: u16, bits: u8, packets: u64, octets: u64) -> FlowRecord {
    FlowRecord { tcp_control_bits: bits, packets, octets, ..record(TCP, 40_000, destination_port) }
}

fn udp(source_port: u16, destination_port: u16, packets: u64, octets: u64) -> FlowRecord {
    FlowRecord { packets, octets, ..record(UDP, source_port, destination_port) }
}

fn icmp(version: IpVersion, kind: u8, code: u8) -> FlowRecord {
    let message = u16::from_be_bytes([kind, code]);
    between("8.8.8.8", "9.9.9.9", record(version.icmp(), 0, message)).of(version)
}

trait Of {
    fn of(self, version: IpVersion) -> Self;
}

impl Of for FlowRecord {
    fn of(self, version: IpVersion) -> Self {
        match version {
            IpVersion::V4 => self,
            IpVersion::V6 => between("2a00::1", "2a00::2", self),
        }
    }
}

fn octets(text: &str) -> [u8; 16] {
    let mut octets = [0; 16];
    match text.parse().unwrap() {
        IpAddr::V4(v4) => octets[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => octets = v6.octets(),
    }
    octets
}

fn between(source: &str, destination: &str, record: FlowRecord) -> FlowRecord {
    let ip_version = if source.contains(':') { IpVersion::V6 } else { IpVersion::V4 };
    let (source, destination) = (octets(source), octets(destination));
    FlowRecord { key: FlowKey { ip_version, source, destination, ..record.key }, ..record }
}

fn site(local: &[&str]) -> Site {
    let owned = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    let with_edges = !local.is_empty();
    Site::new(&SiteSettings {
        local_networks: local.iter().map(|text| text.parse().unwrap()).collect(),
        mail_servers: vec!["10.0.0.25".parse().unwrap()],
        inside_interfaces: if with_edges { owned(&["7", "lan0"]) } else { Vec::new() },
        outside_interfaces: if with_edges { owned(&["8", "wan0"]) } else { Vec::new() },
        ..SiteSettings::default()
    })
    .unwrap()
}

fn tags_at(site: Site, record: &FlowRecord) -> Vec<&'static str> {
    Tagger::new(site, KeyFields::SEVEN).tags(record).iter().map(Tag::name).collect()
}

fn tags(record: &FlowRecord) -> Vec<&'static str> {
    tags_at(site(&[]), record)
}

const NOTHING: [&str; 0] = [];

#[test]
fn ordinary_flows_have_no_tags() {
    for record in [
        record(TCP, 40_000, 443),
        record(TCP, 443, 40_000),
        record(UDP, 40_000, 53),
        udp(53, 40_000, 1, 120),
        icmp(IpVersion::V4, 0, 0),
        icmp(IpVersion::V6, 129, 0),
        record(protocol::GRE, 0, 0),
    ] {
        assert_eq!(tags(&record), NOTHING, "{record:?}");
    }
}

#[test]
fn unanswered_openings() {
    for (record, expected) in [
        (tcp(443, 0x02, 1, 60), &["syn-only"][..]),
        // With the bits of ECN it is the same.
        (tcp(443, 0xc2, 1, 60), &["syn-only"]),
        (tcp(443, 0x12, 1, 60), &[]),
        (tcp(443, 0x06, 2, 100), &[]),
        (tcp(443, 0x02, 2, 120), &["syn-only", "dead-host-retry"]),
        (tcp(443, 0x02, 7, 420), &["syn-only", "dead-host-retry"]),
        (tcp(443, 0x02, 8, 480), &["syn-only"]),
        (tcp(443, 0x02, 3, 181), &["syn-only"]),
        (tcp(443, 0x02, 2, 86), &["syn-only"]),
        (tcp(443, 0x02, 2, 88), &["syn-only", "dead-host-retry"]),
        (tcp(443, 0x02, 2, 128), &["syn-only", "dead-host-retry"]),
        (tcp(443, 0x02, 2, 130), &["syn-only"]),
        (tcp(80, 0x02, 3, 144), &["syn-only", "code-red", "dead-host-retry"]),
        (tcp(81, 0x02, 3, 144), &["syn-only", "dead-host-retry"]),
        (tcp(80, 0x02, 3, 147), &["syn-only", "dead-host-retry"]),
        (tcp(80, 0x02, 4, 144), &["syn-only"]),
        (tcp(80, 0x12, 3, 144), &[]),
    ] {
        assert_eq!(tags(&record), expected, "{record:?}");
    }
}

#[test]
fn ports_of_worms_and_of_mail() {
    for (record, expected) in [
        (record(TCP, 40_000, 445), &["worm-445"][..]),
        (record(TCP, 445, 40_000), &[]),
        (record(UDP, 40_000, 445), &[]),
        (udp(40_000, 1434, 1, 404), &["slammer"]),
        (udp(40_000, 1434, 1, 403), &["worm-1434"]),
        (udp(40_000, 1434, 2, 404), &["worm-1434"]),
        (record(TCP, 40_000, 1434), &[]),
        (record(TCP, 40_000, 25), &["mail-25"]),
        (between("10.0.0.25", "9.9.9.9", record(TCP, 40_000, 25)), &[]),
        (between("10.0.0.24", "9.9.9.9", record(TCP, 40_000, 25)), &["mail-25"]),
        (record(UDP, 40_000, 25), &[]),
        (record(TCP, 40_000, 4662), &["edonkey"]),
        (record(UDP, 40_000, 4672), &["edonkey"]),
        (record(TCP, 40_000, 4672), &[]),
        (record(UDP, 40_000, 4662), &[]),
    ] {
        assert_eq!(tags(&record), expected, "{record:?}");
    }
}

#[test]
fn messages_of_icmp() {
    for (version, kind, code, expected) in [
        (IpVersion::V4, 8, 0, &["icmp-echo"][..]),
        (IpVersion::V4, 8, 1, &[]),
        (IpVersion::V4, 3, 0, &["icmp-unreachable"]),
        (IpVersion::V4, 3, 1, &["icmp-unreachable"]),
        (IpVersion::V4, 3, 2, &[]),
        (IpVersion::V4, 3, 3, &["port-unreachable"]),
        (IpVersion::V4, 3, 4, &[]),
        (IpVersion::V4, 128, 0, &[]),
        (IpVersion::V6, 128, 0, &["icmp-echo"]),
        (IpVersion::V6, 1, 0, &["icmp-unreachable"]),
        (IpVersion::V6, 1, 1, &[]),
        (IpVersion::V6, 1, 3, &["icmp-unreachable"]),
        (IpVersion::V6, 1, 4, &["port-unreachable"]),
        (IpVersion::V6, 8, 0, &[]),
        (IpVersion::V6, 3, 0, &[]),
    ] {
        let record = icmp(version, kind, code);
        assert_eq!(tags(&record), expected, "{version:?} {kind} {code}");
    }
    // ICMP of the other version is another protocol.
    let record = icmp(IpVersion::V4, 8, 0).of(IpVersion::V6);
    assert_eq!(tags(&record), NOTHING);
}

#[test]
fn control_bits_that_no_ordinary_flow_has() {
    let slice =
        |record: FlowRecord| FlowRecord { end_reason: FlowEndReason::ActiveTimeout, ..record };
    for (record, expected) in [
        (tcp(80, 0x29, 1, 40), &["xmas"][..]),
        (tcp(80, 0x29, 3, 120), &["xmas"]),
        (slice(tcp(80, 0x29, 3, 120)), &[]),
        (slice(tcp(80, 0x29, 1, 40)), &["xmas"]),
        (tcp(80, 0x39, 3, 120), &[]),
        (tcp(80, 0x28, 1, 40), &[]),
        (tcp(80, 0x00, 1, 40), &["null"]),
        (tcp(80, 0xc0, 1, 40), &["null"]),
        (tcp(80, 0x00, 2, 80), &["null"]),
        (slice(tcp(80, 0x00, 2, 80)), &[]),
        // Later fragments without their first one.
        (FlowRecord { tcp_control_bits: 0, ..record(TCP, 0, 0) }, &[]),
        (tcp(80, 0x03, 1, 40), &["syn-fin"]),
        (tcp(80, 0x13, 1, 40), &["syn-fin"]),
        (tcp(80, 0x03, 2, 80), &["syn-fin"]),
        (slice(tcp(80, 0x03, 2, 80)), &[]),
        // A whole connection.
        (tcp(80, 0x13, 2, 80), &[]),
        (tcp(80, 0x1b, 9, 900), &[]),
        (tcp(80, 0x01, 1, 40), &["fin-only"]),
        (tcp(80, 0x01, 2, 80), &[]),
        (tcp(80, 0x11, 1, 40), &[]),
    ] {
        assert_eq!(tags(&record), expected, "{record:?}");
    }
}

#[test]
fn large_answers_of_services_that_amplify() {
    for (record, expected) in [
        (udp(53, 40_000, 10, 4681), &["amplified"][..]),
        (udp(53, 40_000, 10, 4680), &[]),
        (udp(54, 40_000, 10, 14_000), &[]),
        (udp(40_000, 53, 10, 14_000), &[]),
        (udp(123, 40_000, 10, 901), &["amplified"]),
        (udp(123, 40_000, 10, 900), &[]),
        (udp(11_211, 40_000, 1, 1400), &["amplified"]),
        (udp(37_810, 40_000, 1, 469), &["amplified"]),
        (FlowRecord { octets: 14_000, ..record(TCP, 53, 40_000) }, &[]),
        (udp(53, 40_000, u64::MAX, u64::MAX), &[]),
    ] {
        assert_eq!(tags(&record), expected, "{record:?}");
    }
    // A site may have asked for what comes in, but not for what goes out.
    let large = udp(53, 40_000, 10, 14_000);
    assert_eq!(tags_at(site(&["9.9.9.0/24"]), &large), NOTHING);
    assert_eq!(tags_at(site(&["8.8.8.0/24"]), &large), ["amplified"]);
}

#[test]
fn land_is_from_an_address_to_itself() {
    assert_eq!(tags(&between("8.8.8.8", "8.8.8.8", record(UDP, 1, 1))), ["land"]);
    assert_eq!(tags(&between("2a00::1", "2a00::1", record(UDP, 1, 2))), ["land"]);
    assert_eq!(tags(&between("8.8.8.8", "8.8.8.9", record(UDP, 1, 1))), NOTHING);
}

/// A source, whether it is a bogon where nothing is known of the site, and whether it is one at a
/// site that has 10.0.0.0/8 and 2001:db8::/32.
const SOURCES: [(&str, bool, bool); 30] = [
    ("8.8.8.8", false, false),
    ("0.1.2.3", true, true),
    ("0.0.0.0", true, true),
    ("127.0.0.1", true, true),
    ("224.0.0.1", true, true),
    ("240.0.0.1", true, true),
    ("255.255.255.255", true, true),
    ("10.1.2.3", false, false),
    ("172.16.1.1", false, true),
    ("192.168.1.1", false, true),
    ("169.254.1.1", false, true),
    ("100.64.1.1", false, true),
    ("192.0.2.1", false, true),
    ("198.18.1.1", false, true),
    ("203.0.113.1", false, true),
    ("192.0.0.9", false, false),
    ("2a00::1", false, false),
    ("::", true, true),
    ("::1", true, true),
    ("ff02::1", true, true),
    ("2001:db8::1", false, false),
    ("3fff::1", false, true),
    ("fd00::1", false, true),
    ("fe80::1", false, true),
    ("::ffff:8.8.8.8", false, true),
    ("64:ff9b::8.8.8.8", false, false),
    ("64:ff9b::127.0.0.1", true, true),
    ("64:ff9b::192.168.1.1", false, true),
    ("2002:a01:203::1", false, false),
    ("2001:0:1::8000:ffff:80ff:fffe", true, true),
];

#[test]
fn bogons_depend_on_the_site() {
    let home = site(&["10.0.0.0/8", "2001:db8::/32"]);
    for (source, anywhere, at_home) in SOURCES {
        let destination = if source.contains(':') { "2a00::2" } else { "9.9.9.9" };
        let record = between(source, destination, record(UDP, 40_000, 40_001));
        let expected = |is_bogon| if is_bogon { vec!["bogon-source"] } else { Vec::new() };
        assert_eq!(tags(&record), expected(anywhere), "{source}");
        assert_eq!(tags_at(home.clone(), &record), expected(at_home), "{source} at home");
    }
}

#[test]
fn hosts_without_an_address_are_no_bogons() {
    let icmpv6 = |kind: u8| record(protocol::ICMPV6, 0, u16::from_be_bytes([kind, 0]));
    let home = site(&["10.0.0.0/8", "2001:db8::/32"]);
    for (source, destination, record, is_bogon) in [
        ("0.0.0.0", "255.255.255.255", record(UDP, 68, 67), false),
        ("0.0.0.0", "255.255.255.255", record(UDP, 67, 68), true),
        ("0.0.0.1", "255.255.255.255", record(UDP, 68, 67), true),
        ("0.0.0.0", "224.0.0.22", record(protocol::IGMP, 0, 0), false),
        ("0.0.0.0", "9.9.9.9", record(protocol::IGMP, 0, 0), true),
        ("::", "ff02::1:ff00:1", icmpv6(135), false),
        ("::", "ff02::16", icmpv6(143), false),
        ("::", "ff02::2", icmpv6(133), false),
        ("::", "ff02::1", icmpv6(128), true),
        ("::", "2a00::1", icmpv6(135), true),
    ] {
        let record = between(source, destination, record);
        for site in [site(&[]), home.clone()] {
            let tags = tags_at(site, &record);
            assert_eq!(tags.contains(&"bogon-source"), is_bogon, "{record:?}");
        }
    }
    // Link-local addresses on their link: a bogon only at a site that knows its networks.
    for (source, destination, record, is_bogon) in [
        ("fe80::1", "ff02::fb", record(UDP, 5353, 5353), false),
        ("fe80::1", "fe80::2", record(UDP, 546, 547), false),
        ("fe80::1", "2001:db8::5", icmpv6(135), false),
        ("fe80::1", "2001:db8::5", record(UDP, 1, 2), true),
        ("169.254.7.7", "224.0.0.251", record(UDP, 5353, 5353), false),
        ("169.254.7.7", "169.254.255.255", record(UDP, 137, 137), false),
        ("169.254.7.7", "255.255.255.255", record(UDP, 1, 2), false),
        ("169.254.7.7", "10.0.0.1", record(UDP, 1, 2), true),
    ] {
        let record = between(source, destination, FlowRecord { octets: 100, ..record });
        assert_eq!(tags(&record), NOTHING, "{record:?}");
        let tags = tags_at(home.clone(), &record);
        assert_eq!(tags.contains(&"bogon-source"), is_bogon, "{record:?}");
    }
}

#[test]
fn spoofed_sources_are_on_the_wrong_side() {
    let mut tagger = Tagger::new(site(&["10.0.0.0/8"]), KeyFields::SEVEN);
    tagger.learn_interface(70, "lan0");
    tagger.learn_interface(80, "wan0");
    let at = |interface, direction, record: FlowRecord| FlowRecord {
        key: FlowKey { interface, ..record.key },
        direction,
        ..record
    };
    let (ingress, egress) = (FlowDirection::Ingress, FlowDirection::Egress);
    for (source, interface, direction, is_spoofed) in [
        ("10.0.0.1", 7, ingress, false),
        ("10.0.0.1", 70, ingress, false),
        ("10.0.0.1", 8, ingress, true),
        ("10.0.0.1", 80, ingress, true),
        ("10.0.0.1", 8, egress, false),
        ("10.0.0.1", 1, ingress, false),
        ("8.8.8.8", 7, ingress, true),
        ("8.8.8.8", 70, ingress, true),
        ("8.8.8.8", 7, egress, false),
        ("8.8.8.8", 8, ingress, false),
        ("64:ff9b::10.0.0.1", 8, ingress, true),
    ] {
        let destination = if source.contains(':') { "2a00::2" } else { "9.9.9.9" };
        let record = between(source, destination, record(UDP, 40_000, 40_001));
        let tags = tagger.tags(&at(interface, direction, record));
        assert_eq!(tags.contains(Tag::SpoofedSource), is_spoofed, "{source} at {interface}");
    }
    // A host of the site that has no address yet, and neighbours on the link.
    for (source, destination, record) in [
        ("0.0.0.0", "255.255.255.255", record(UDP, 68, 67)),
        ("fe80::1", "ff02::1", record(protocol::ICMPV6, 0, 135 << 8)),
    ] {
        let record = at(7, ingress, between(source, destination, record));
        assert!(tagger.tags(&record).is_empty(), "{record:?}");
    }
}

/// A field that is not in the key is 0 in records and tells nothing.
#[test]
fn a_reduced_key_tells_less() {
    let all = [
        tcp(80, 0x02, 3, 144),
        tcp(445, 0x03, 1, 40),
        tcp(25, 0x29, 1, 40),
        tcp(4662, 0x01, 1, 40),
        tcp(1, 0x00, 1, 40),
        udp(53, 1434, 1, 404),
        udp(53, 1434, 2, 1404),
        icmp(IpVersion::V4, 8, 0),
        icmp(IpVersion::V4, 3, 1),
        icmp(IpVersion::V4, 3, 3),
        between("127.0.0.1", "127.0.0.1", udp(1, 2, 1, 100)),
        FlowRecord { key: FlowKey { interface: 8, ..record(UDP, 1, 2).key }, ..record(UDP, 1, 2) },
    ];
    let home = || site(&["8.8.8.8"]);
    let seen = |key: KeyFields| {
        let tagger = Tagger::new(home(), key);
        all.iter().fold(Tags::NONE, |tags, record| tags | tagger.tags(record))
    };
    assert_eq!(seen(KeyFields::SEVEN), Tags::ALL);
    for (missing, lost) in [
        (KeyField::Source, &[Tag::BogonSource, Tag::SpoofedSource, Tag::Land, Tag::Mail25][..]),
        (KeyField::Destination, &[Tag::Land, Tag::BogonSource, Tag::Amplified]),
        (KeyField::SourcePort, &[Tag::Null, Tag::Amplified, Tag::Slammer]),
        (KeyField::DestinationPort, &[Tag::IcmpEcho, Tag::Worm445, Tag::Edonkey, Tag::CodeRed]),
        (KeyField::Protocol, &[Tag::SynOnly, Tag::SynFin, Tag::Amplified, Tag::IcmpEcho]),
        (KeyField::Interface, &[Tag::SpoofedSource]),
    ] {
        let rest = KeyField::ALL.into_iter().filter(|field| *field != missing);
        let seen = seen(KeyFields::new(rest));
        assert!(lost.iter().all(|tag| !seen.contains(*tag)), "{missing:?}");
    }
}

/// Tags depend on the record alone: not on time, and not on the records before.
#[test]
fn any_record_can_be_tagged() {
    let tagger = Tagger::new(site(&["10.0.0.0/8"]), KeyFields::SEVEN);
    let mut state = 7_u64;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let small = |number: u64| u8::try_from(number & 0xff).unwrap();
    let mut seen = Tags::NONE;
    for _ in 0..200_000 {
        let protocol = [TCP, TCP, UDP, protocol::ICMP, protocol::GRE][small(random()) as usize % 5];
        let ports = [0, 25, 53, 80, 123, 445, 768, 769, 771, 1434, 2048, 4662, 4672, 40_000];
        let mut record = record(protocol, ports[small(random()) as usize % ports.len()], 0);
        record.key.destination_port = ports[small(random()) as usize % ports.len()];
        record.key.source[0] = [8, 9, 10, 127][small(random()) as usize % 4];
        record.key.destination = record.key.source;
        record.key.destination[0] = [8, 9, 10, 127][small(random()) as usize % 4];
        record.key.interface = u32::from(small(random()) % 10);
        record.packets = 1 + random() % 8;
        record.octets = record.packets * [40, 48, 60, 404, 1400][small(random()) as usize % 5];
        record.tcp_control_bits = small(random()) & 0x3f;
        let tags = tagger.tags(&record);
        seen |= tags;
        let shifted = FlowRecord {
            start: Timestamp::from_millis(1 + random()),
            end: Timestamp::MAX,
            exported: Timestamp::MAX,
            vlan_id: 7,
            ..record
        };
        assert_eq!(tagger.tags(&shifted), tags);
        let has_ack = record.tcp_control_bits & 0x10 != 0;
        if protocol == TCP && has_ack && record.packets > 1 {
            let about_bits = [Tag::SynOnly, Tag::Xmas, Tag::Null, Tag::SynFin, Tag::FinOnly];
            assert!((tags & about_bits.into_iter().collect()).is_empty(), "{record:?}");
        }
    }
    assert_eq!(seen, Tags::ALL, "the records reach all tags");
}
