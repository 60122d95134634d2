//! Link layers, down to the IP header.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;

/// The octets of a link layer before an IP header of that version.
type Link = fn(IpVersion) -> Vec<u8>;

/// Ethernet addresses.
const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Link layers that lead to an IPv4 and to an IPv6 packet: the octets before the IP header.
fn check_leads_to_ip(
    name: &str,
    link_type: LinkType,
    link: impl Fn(IpVersion) -> Vec<u8>,
    vlan_id: u16,
) {
    for version in [IpVersion::V4, IpVersion::V6] {
        let (packet, header, bare) = match version {
            IpVersion::V4 => (made::ipv4(6, &made::tcp()), 20, made::bare_v4(6, 40)),
            IpVersion::V6 => (made::ipv6(6, &made::tcp()), 40, made::bare_v6(6, 60)),
        };
        let mut octets = link(version);
        let end = octets.len() + header;
        octets.extend(packet);
        let known = tcp(Packet { vlan_id, ..bare }, end, end);
        let mut case = Case::new(format!("{name}, {version:?}"), link_type, octets, known);
        check(&case);
        // Padding, a frame check sequence: the octets are those of the IP packet all the same.
        case.octets.extend([0; 18]);
        case.wire_length += 18;
        check(&case);
    }
}

/// Link layers that do not: after so many octets it is known why.
fn check_ignored(name: &str, link_type: LinkType, octets: &[u8], from: usize, reason: Ignored) {
    let mut octets = octets.to_vec();
    assert!(octets.len() >= from, "{name}: nothing is known after its end");
    octets.extend(made::ipv4(17, &made::udp()));
    let known = Vec::from([(from, Err(reason))]);
    check(&Case::new(name, link_type, octets, known));
}

fn ethertype(version: IpVersion) -> [u8; 2] {
    match version {
        IpVersion::V4 => [0x08, 0x00],
        IpVersion::V6 => [0x86, 0xdd],
    }
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// An MPLS label stack; the last label has the bottom bit.
fn labels(count: u8) -> Vec<u8> {
    (1..=count).flat_map(|n| [0, n, 0xf0 | u8::from(n == count), 64]).collect()
}

/// A PPPoE session header (RFC 2516 section 4).
const PPPOE: [u8; 8] = [0x88, 0x64, 0x11, 0, 0, 9, 0, 42];

#[test]
fn ethernet() {
    check_leads_to_ip(
        "Ethernet",
        LinkType::Ethernet,
        |version| joined(&[&ADDRESSES, &ethertype(version)]),
        0,
    );
    // ARP, LLDP, PPPoE discovery, CFM, loopback test, the undefined between length and type.
    for other in [0x0806_u16, 0x88cc, 0x8863, 0x8902, 0x9000, 1501, 1535, 0xffff] {
        let frame = joined(&[&ADDRESSES, &other.to_be_bytes()]);
        let name = format!("Ethertype {other:#06x}");
        check_ignored(&name, LinkType::Ethernet, &frame, 14, Ignored::NotIp);
    }
}

#[test]
fn vlan_tags() {
    // Protocol and tag control information, outermost first, and the VLAN id to be reported.
    let cases: [(&[(u16, u16)], u16); 10] = [
        (&[(0x8100, 7)], 7),
        (&[(0x88a8, 7)], 7),
        (&[(0x9100, 7)], 7),
        (&[(0x8100, 0xffff)], 0x0fff),
        (&[(0x8100, 0xf001)], 1),
        (&[(0x8100, 0xe000)], 0),
        (&[(0x88a8, 100), (0x8100, 200)], 100),
        (&[(0x8100, 0), (0x8100, 200)], 0),
        (&[(0x9100, 1), (0x9100, 2), (0x8100, 3)], 1),
        (&[(0x8100, 0x2bad); 8], 0x0bad),
    ];
    for (tags, vlan_id) in cases {
        check_leads_to_ip(
            &format!("tags {tags:x?}"),
            LinkType::Ethernet,
            |version| {
                let packet = [if version == IpVersion::V6 { 0x60 } else { 0x45 }];
                let mut frame = made::ethernet(tags, &packet);
                frame.pop();
                frame
            },
            vlan_id,
        );
    }
    let nine = made::ethernet(&[(0x8100, 5); 9], &[0x45]);
    check_ignored("9 tags", LinkType::Ethernet, &nine, 14 + 8 * 4, Ignored::TooDeep);
    let unknown = joined(&[&ADDRESSES, &[0x92, 0x00, 0, 5, 8, 0]]);
    check_ignored("tag protocol 0x9200", LinkType::Ethernet, &unknown, 14, Ignored::NotIp);
    let arp = joined(&[&ADDRESSES, &[0x81, 0x00, 0, 5, 8, 6]]);
    check_ignored("ARP in a VLAN", LinkType::Ethernet, &arp, 18, Ignored::NotIp);
}

#[test]
fn mpls_labels() {
    for (protocol, count) in
        [0x8847_u16, 0x8848].into_iter().flat_map(|p| (1..=8).map(move |n| (p, n)))
    {
        check_leads_to_ip(
            &format!("{count} labels after {protocol:#x}"),
            LinkType::Ethernet,
            |_| joined(&[&ADDRESSES, &protocol.to_be_bytes(), &labels(count)]),
            0,
        );
    }
    let nine = joined(&[&ADDRESSES, &[0x88, 0x47], &labels(9)]);
    check_ignored("9 labels", LinkType::Ethernet, &nine, 14 + 8 * 4, Ignored::TooDeep);
    // Neither IP, nor an Ethernet frame behind or without a control word.
    for first in [0x00, 0x10, 0x50, 0x70] {
        let behind = [first, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0xff, 0xff, 0, 0, 0xff, 0xff];
        let frame = joined(&[&ADDRESSES, &[0x88, 0x47], &labels(2), &behind]);
        let name = format!("first octet {first:#x} after labels");
        let from = if first == 0 { 18 } else { 14 };
        check_ignored(&name, LinkType::Ethernet, &frame, 14 + 2 * 4 + from, Ignored::NotIp);
    }
    check_leads_to_ip(
        "8 tags, then 8 labels",
        LinkType::Ethernet,
        |_| {
            let mut frame = made::ethernet(&[(0x8100, 5); 8], &[0x45]);
            frame.truncate(12 + 8 * 4);
            joined(&[&frame, &[0x88, 0x47], &labels(8)])
        },
        5,
    );
}

#[test]
fn pppoe() {
    let protocols: [(&str, Link); 3] = [
        ("PPPoE", |version| match version {
            IpVersion::V4 => Vec::from([0x00, 0x21]),
            IpVersion::V6 => Vec::from([0x00, 0x57]),
        }),
        ("PPPoE, compressed", |version| match version {
            IpVersion::V4 => Vec::from([0x21]),
            IpVersion::V6 => Vec::from([0x57]),
        }),
        ("MPLS in PPPoE", |_| joined(&[&[0x02, 0x81], &labels(3)])),
    ];
    for (name, protocol) in protocols {
        let session = |version| joined(&[&ADDRESSES, &PPPOE, &protocol(version)]);
        check_leads_to_ip(name, LinkType::Ethernet, session, 0);
        let tagged =
            |version| joined(&[&ADDRESSES, &[0x81, 0x00, 0, 33], &PPPOE, &protocol(version)]);
        check_leads_to_ip(&format!("{name}, in a VLAN"), LinkType::Ethernet, tagged, 33);
    }
    let cases: [(&str, &[u8], usize); 4] = [
        ("code of discovery", &[0x88, 0x64, 0x11, 0x09, 0, 9, 0, 42, 0, 0x21], 14 + 6),
        ("version 2", &[0x88, 0x64, 0x21, 0, 0, 9, 0, 42, 0, 0x21], 14 + 6),
        ("LCP", &[0x88, 0x64, 0x11, 0, 0, 9, 0, 42, 0xc0, 0x21], 14 + 8),
        ("IPCP", &[0x88, 0x64, 0x11, 0, 0, 9, 0, 42, 0x80, 0x21], 14 + 8),
    ];
    for (name, octets, from) in cases {
        let frame = joined(&[&ADDRESSES, octets]);
        check_ignored(name, LinkType::Ethernet, &frame, from, Ignored::NotIp);
    }
}

#[test]
fn ieee_802_3_and_snap() {
    for length in [0_u16, 46, 1500] {
        let snap = |version| {
            let llc = [0xaa, 0xaa, 0x03, 0, 0, 0];
            joined(&[&ADDRESSES, &length.to_be_bytes(), &llc, &ethertype(version)])
        };
        check_leads_to_ip(&format!("SNAP, length {length}"), LinkType::Ethernet, snap, 0);
    }
    let tag_in_snap = |version| {
        let snap = [0, 50, 0xaa, 0xaa, 0x03, 0, 0, 0, 0x81, 0x00, 0, 6];
        joined(&[&ADDRESSES, &snap, &ethertype(version)])
    };
    check_leads_to_ip("a tag in SNAP", LinkType::Ethernet, tag_in_snap, 6);
    let snap_in_tag = |version| {
        let snap = [0x81, 0x00, 0, 6, 0, 50, 0xaa, 0xaa, 0x03, 0, 0, 0];
        joined(&[&ADDRESSES, &snap, &ethertype(version)])
    };
    check_leads_to_ip("SNAP in a tag", LinkType::Ethernet, snap_in_tag, 6);
    let cases: [(&str, &[u8], usize); 6] = [
        ("spanning tree", &[0x42, 0x42, 0x03, 0, 0, 0, 8, 0], 14 + 3),
        ("IPX without LLC", &[0xff, 0xff, 0x03, 0, 0, 0, 8, 0], 14 + 3),
        ("an information frame", &[0xaa, 0xaa, 0x00, 0, 0, 0, 8, 0], 14 + 3),
        ("Cisco's SNAP", &[0xaa, 0xaa, 0x03, 0, 0, 0x0c, 8, 0], 14 + 8),
        ("a length in SNAP", &[0xaa, 0xaa, 0x03, 0, 0, 0, 0x05, 0xdc], 14 + 8),
        ("ARP in SNAP", &[0xaa, 0xaa, 0x03, 0, 0, 0, 8, 6], 14 + 8),
    ];
    for (name, octets, from) in cases {
        let frame = joined(&[&ADDRESSES, &[0, 60], octets]);
        check_ignored(name, LinkType::Ethernet, &frame, from, Ignored::NotIp);
    }
}

#[test]
fn ppp() {
    let v4_or_v6 = |version, v4, v6| if version == IpVersion::V4 { v4 } else { v6 };
    for (name, before) in [("PPP", &[][..]), ("PPP in HDLC", &[0xff, 0x03])] {
        let whole = |version| joined(&[before, &[0, v4_or_v6(version, 0x21, 0x57)]]);
        check_leads_to_ip(name, LinkType::Ppp, whole, 0);
        let compressed = |version| joined(&[before, &[v4_or_v6(version, 0x21, 0x57)]]);
        check_leads_to_ip(&format!("{name}, compressed"), LinkType::Ppp, compressed, 0);
        for low in [0x81, 0x83] {
            let mpls = |_| joined(&[before, &[0x02, low], &labels(8)]);
            check_leads_to_ip(&format!("{name}, MPLS {low:#x}"), LinkType::Ppp, mpls, 0);
        }
        let end = before.len();
        let lcp = joined(&[before, &[0xc0, 0x21]]);
        check_ignored("LCP", LinkType::Ppp, &lcp, end + 2, Ignored::NotIp);
        let compressed_other = joined(&[before, &[0x2d]]);
        check_ignored("VJ TCP", LinkType::Ppp, &compressed_other, end + 1, Ignored::NotIp);
        let nine = joined(&[before, &[0x02, 0x81], &labels(9)]);
        check_ignored("9 labels", LinkType::Ppp, &nine, end + 2 + 8 * 4, Ignored::TooDeep);
    }
    for address in [0x0f, 0x8f] {
        let hdlc = |version| joined(&[&[address, 0], &ethertype(version)]);
        check_leads_to_ip("Cisco HDLC", LinkType::Ppp, hdlc, 0);
        let slarp = [address, 0, 0x80, 0x35];
        check_ignored("SLARP", LinkType::Ppp, &slarp, 4, Ignored::NotIp);
    }
    // Without its second octet the address field is a protocol that does not exist.
    check_ignored("half of HDLC", LinkType::Ppp, &[0xff, 0x13, 0x21], 2, Ignored::NotIp);
}

#[test]
fn null_and_loop() {
    // AF_INET6 of Linux, NetBSD, FreeBSD, macOS.
    for v6 in [10_u32, 24, 28, 30] {
        let family = |version| if version == IpVersion::V4 { 2_u32 } else { v6 };
        let little = |version| family(version).to_le_bytes().to_vec();
        let big = |version| family(version).to_be_bytes().to_vec();
        check_leads_to_ip(&format!("null, {v6}, little"), LinkType::Null, little, 0);
        check_leads_to_ip(&format!("null, {v6}, big"), LinkType::Null, big, 0);
        check_leads_to_ip(&format!("loop, {v6}"), LinkType::Loop, big, 0);
        check_ignored("loop, little", LinkType::Loop, &little(IpVersion::V6), 4, Ignored::NotIp);
    }
    // AF_APPLETALK, AF_ISO, none, and numbers that only begin or end as AF_INET does.
    for other in [16_u32, 7, 0, 0x0002_0000, 0x0202, u32::MAX] {
        for octets in [other.to_le_bytes(), other.to_be_bytes()] {
            let name = format!("address family {other:#x}");
            check_ignored(&name, LinkType::Null, &octets, 4, Ignored::NotIp);
            check_ignored(&name, LinkType::Loop, &octets, 4, Ignored::NotIp);
        }
    }
}

/// A cooked header with this protocol, and what follows the protocol.
type Cooked<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// The part of a cooked header beside the protocol: packet and address type, address.
const COOKED: [u8; 14] = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0];

#[test]
fn linux_cooked() {
    let version_1 = |protocol: &[u8]| joined(&[&COOKED, protocol]);
    let version_2 = |protocol: &[u8]| {
        let rest = [0, 0, 0, 0, 0, 5, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0];
        joined(&[&protocol[..2], &rest, &protocol[2..]])
    };
    let forms: [(LinkType, Cooked<'_>, usize); 2] =
        [(LinkType::LinuxCooked, &version_1, 16), (LinkType::LinuxCooked2, &version_2, 20)];
    for (link_type, cooked, length) in forms {
        let named = |what: &str| -> String { format!("{link_type:?}, {what}") };
        let leads = |what, before: &[u8], behind: &[u8], vlan_id| {
            let link = |version| cooked(&joined(&[before, &ethertype(version), behind]));
            check_leads_to_ip(&named(what), link_type, link, vlan_id);
        };
        leads("plain", &[], &[], 0);
        leads("a tag", &[0x81, 0x00, 0x20, 0x09], &[], 9);
        leads("802.2 with SNAP", &[0, 4, 0xaa, 0xaa, 0x03, 0, 0, 0], &[], 0);
        let mpls = |_| cooked(&joined(&[&[0x88, 0x47], &labels(1)]));
        check_leads_to_ip(&named("MPLS"), link_type, mpls, 0);
        let ignored = |what, octets: &[u8], from| {
            check_ignored(&named(what), link_type, &cooked(octets), from, Ignored::NotIp);
        };
        ignored("ARP", &[0x08, 0x06], length);
        ignored("802.3 without LLC", &[0, 1, 0xff, 0xff, 0], length + 3);
        ignored("802.2 spanning tree", &[0, 4, 0x42, 0x42, 3], length + 3);
    }
}

#[test]
fn raw_ip() {
    check_leads_to_ip("raw", LinkType::RawIp, |_| Vec::new(), 0);
    for first in [0x00, 0x15, 0x55, 0x7f, 0xf0] {
        let name = format!("first octet {first:#x}");
        check_ignored(&name, LinkType::RawIp, &[first], 1, Ignored::NotIp);
    }
    let known = tcp(made::bare_v4(6, 40), 20, 20);
    check(&Case::new("IPv4", LinkType::Ipv4, made::ipv4(6, &made::tcp()), known));
    let known = tcp(made::bare_v6(6, 60), 40, 40);
    check(&Case::new("IPv6", LinkType::Ipv6, made::ipv6(6, &made::tcp()), known));
}

#[test]
fn link_types_that_cannot_be_read_are_ignored_whatever_is_in_them() {
    check_ignored("unsupported", LinkType::Unsupported(8), &[], 0, Ignored::LinkType);
    check_ignored("undescribed", LinkType::Undescribed, &[], 0, Ignored::UnknownInterface);
}
