//! Forms of tunnels that are seldom, and what a flow in a tunnel has of the packet inside.

use std::net::UdpSocket;
use std::time::Duration;

use flow::{
    Conversation, DecapSettings, Frame, HashSeed, KeyFields, LinkType, Naming, NewClock,
    Observation, ObservationPoint, Observer, ObserverSettings, Sampling, Sink, Timestamp, Tpids,
    TunnelKinds,
};

use crate::support::capture::{Captured, pcap};
use crate::support::tunnel::{INNER, OUTER, around, inner, udp_to, vxlan, with};
use crate::support::{self, packet};
use crate::{ALL, assert_octets_are_conserved, frames, replay};

fn udp(port: u16, header: &[u8], rest: &[u8]) -> Vec<u8> {
    around(17, &udp_to(port, &with(header, rest)))
}

/// From a port instead of to it.
fn udp_from(port: u16, header: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut datagram = udp_to(50_001, &with(header, rest));
    datagram[..2].copy_from_slice(&port.to_be_bytes());
    around(17, &datagram)
}

fn gre(header: &[u8], rest: &[u8]) -> Vec<u8> {
    around(47, &with(header, rest))
}

/// A kind, what is special, and the packet around.
type Form = (&'static str, &'static str, Vec<u8>);

fn check(forms: Vec<Form>) {
    for (kind, what, around) in forms {
        let captured = frames([&around]);
        let replayed = replay(&captured, ALL);
        let [document] = &replayed.documents[..] else { panic!("{kind}, {what}: one flow") };
        assert_eq!(document["flowprobe"]["tunnel"]["type"], kind, "{what}");
        assert_eq!(document["source"]["ip"], "10.0.0.1", "{kind}, {what}");
        assert_eq!(document["network"]["bytes"], 60, "{kind}, {what}");
        assert_octets_are_conserved(&captured, &replayed);
    }
}

#[test]
fn what_is_in_generic_routing_encapsulation() {
    let (ip, frame) = (inner(), packet::unpadded(&inner()));
    let label = [0, 1, 0x31, 64];
    let third = |flags: u8| {
        let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 18, 0, 0, 0, 0];
        with(&header, &[0, 0, flags, u8::from(flags == 1)])
    };
    check(vec![
        ("gre", "MPLS", gre(&with(&[0, 0, 0x88, 0x47], &label), &ip)),
        ("gre", "MPLS to many", gre(&with(&[0, 0, 0x88, 0x48], &label), &ip)),
        ("gre", "a VLAN tag", gre(&[0, 0, 0x81, 0, 0, 9, 8, 0], &ip)),
        ("gre", "a provider's tag", gre(&[0, 0, 0x88, 0xa8, 0, 9, 8, 0], &ip)),
        ("gre", "WCCP 1", gre(&[0, 0, 0x88, 0x3e], &ip)),
        ("gre", "WCCP 2", gre(&[0, 0, 0x88, 0x3e, 0, 1, 2, 3], &ip)),
        ("gre", "NSH", gre(&[0, 0, 0x89, 0x4f, 0x0f, 0xc2, 2, 1, 0, 0, 0x0a, 0xff], &ip)),
        ("gre", "Ethernet without a key", gre(&[0, 0, 0x65, 0x58], &frame)),
        ("erspan", "III, IP", gre(&third(2 << 2), &ip)),
        (
            "erspan",
            "III, a subheader",
            gre(&with(&third(1)[..18], &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), &frame),
        ),
        ("pptp", "no sequence", gre(&[0x20, 1, 0x88, 0x0b, 0, 64, 0, 4, 0, 0x21], &ip)),
    ]);
}

#[test]
fn what_is_in_udp() {
    let (ip, frame) = (inner(), packet::unpadded(&inner()));
    let mut service = vec![0x0c, 0, 0, 4, 0, 0, 5, 0, 0x0f, 0xc6, 1, 1, 0, 0, 0x0a, 0xff];
    service.extend([0; 16]);
    let mut to_ethernet = service.clone();
    to_ethernet[11] = 3;
    let label = [0, 1, 0x31, 64];
    check(vec![
        ("vxlan_gpe", "NSH with IPv4", udp(4790, &service, &ip)),
        ("vxlan_gpe", "NSH with Ethernet", udp(4790, &to_ethernet, &frame)),
        ("vxlan", "reserved bits, 8472", udp(8472, &[0xff, 1, 2, 3, 0, 0, 7, 9], &frame)),
        ("geneve", "Ethernet", udp(6081, &[0, 0x40, 0x65, 0x58, 0, 0, 9, 0], &frame)),
        ("mpls", "a pseudowire", udp(6635, &label, &frame)),
        ("mpls", "a control word", udp(6635, &with(&label, &[0; 4]), &frame)),
        ("mpls", "two labels", udp(6635, &[0, 1, 0x30, 64, 0, 2, 0x31, 64], &ip)),
        ("gtpu", "no extension", udp(2152, &[0x30, 255, 0, 60, 0, 0, 0, 21], &ip)),
        ("gtpu", "a sequence number", udp(2152, &[0x32, 255, 0, 64, 0, 0, 0, 21, 0, 1, 0, 0], &ip)),
        ("gtpu", "from the port", udp_from(2152, &[0x30, 255, 0, 60, 0, 0, 0, 21], &ip)),
        ("l2tp", "from the port", udp_from(1701, &[0, 2, 0, 1, 0, 2, 0x21], &ip)),
    ]);
}

/// Eight extension headers are read.
#[test]
fn extensions_of_gtp_are_walked_through() {
    let mut header = vec![0x34, 255, 0, 60, 0, 0, 0, 21, 0, 0, 0, 0x85];
    for left in (0..8).rev() {
        header.extend([1, 0, 0, if left == 0 { 0 } else { 0x85 }]);
    }
    check(vec![("gtpu", "eight extensions", udp(2152, &header, &inner()))]);
}

#[test]
fn time_to_live_and_type_of_service_are_those_inside() {
    let mut ip = inner();
    (ip[1], ip[8]) = (0xb8, 33);
    let replayed = replay(&frames([&vxlan(1, &ip)]), ALL);
    let netflow = &replayed.documents[0]["netflow"];
    assert_eq!(netflow["minimum_ttl"], 33);
    assert_eq!(netflow["ip_class_of_service"], 0xb8);
}

/// Octets are those of the inner header, also where it claims more than there is.
#[test]
fn more_octets_inside_than_outside_are_counted() {
    let mut ip = inner();
    ip[2..4].copy_from_slice(&60_000_u16.to_be_bytes());
    let captured = frames([&vxlan(1, &ip)]);
    let replayed = replay(&captured, ALL);
    assert_eq!(replayed.run.count("metered.octets"), 60_000);
    assert_eq!(replayed.run.count("exceeding_wire"), 1);
    let overhead = replayed.run.stats["tunnels"]["tunnel_overhead_octets"].as_i64().unwrap();
    assert!(overhead < 0, "{overhead}");
    assert_octets_are_conserved(&captured, &replayed);
}

/// A jumbogram inside counts with what there is.
#[test]
fn jumbograms_inside_count_with_what_is_outside() {
    // UDP, options, length 0xfffffff0; no payload length.
    let options = [17, 0, 0xc2, 4, 0xff, 0xff, 0xff, 0xf0];
    let mut ip = packet::ipv6("2001:db8::1", "2001:db8::2", 0, &with(&options, &[0; 8]));
    ip[4..6].copy_from_slice(&[0, 0]);
    let captured = frames([&around(41, &ip)]);
    let replayed = replay(&captured, ALL);
    assert_eq!(replayed.run.count("metered.octets"), ip.len() as u64);
    assert_eq!(replayed.run.count("exceeding_wire"), 1);
}

/// Later fragments inside have the ports of the first one of the same network.
#[test]
fn fragments_inside_are_told_apart_by_network() {
    let part = |offset: u16, more: bool, ports: [u16; 2]| {
        let payload = if offset == 0 { packet::udp(ports[0], ports[1], 24) } else { vec![0; 16] };
        let mut ip = packet::ipv4(INNER[0], INNER[1], 17, &payload);
        ip[4..6].copy_from_slice(&9_u16.to_be_bytes());
        let field = (offset / 8) | if more { 0x2000 } else { 0 };
        ip[6..8].copy_from_slice(&field.to_be_bytes());
        ip
    };
    let packets = [
        vxlan(1, &part(0, true, [1111, 1])),
        vxlan(2, &part(0, true, [2222, 2])),
        vxlan(2, &part(32, false, [0, 0])),
        vxlan(1, &part(32, false, [0, 0])),
        vxlan(3, &part(32, false, [0, 0])),
    ];
    let captured = frames(&packets);
    let replayed = replay(&captured, ALL);
    let mut flows: Vec<_> = replayed
        .documents
        .iter()
        .map(|flow| {
            let port = flow["source"]["port"].as_u64().unwrap();
            let id = flow["flowprobe"]["tunnel"]["id"].as_u64().unwrap();
            (id, port, flow["network"]["packets"].as_u64().unwrap())
        })
        .collect();
    flows.sort_unstable();
    assert_eq!(flows, [(1, 1111, 2), (2, 2222, 2), (3, 0, 1)]);
    assert_eq!(replayed.run.count("fragments_unknown"), 1);
    assert_octets_are_conserved(&captured, &replayed);
}

/// Fragments of IPv6 around: the first counts all that is inside.
#[test]
fn fragments_of_ipv6_around_count_once() {
    let mut header = vec![8, 0, 0, 0, 0, 0, 1, 0];
    header.extend(packet::unpadded(&inner()));
    let datagram = udp_to(4789, &header);
    let part = |offset: u16, more: bool, octets: &[u8]| {
        let [high, low] = (offset | u16::from(more)).to_be_bytes();
        let payload = with(&[17, 0, high, low, 0, 0, 0, 5], octets);
        packet::ipv6("2001:db8::1", "2001:db8::2", 44, &payload)
    };
    let packets = [part(0, true, &datagram[..64]), part(64, false, &datagram[64..])];
    let captured = frames(&packets);
    let replayed = replay(&captured, ALL);
    assert_eq!(replayed.run.count("metered.octets"), 60);
    assert_eq!(replayed.run.count("ignored.tunnel_fragment.packets"), 1);
    assert_octets_are_conserved(&captured, &replayed);
}

/// NetFlow v9 and v5 of packets in tunnels are those of the packets alone.
#[test]
fn netflow_9_and_5_say_nothing_of_tunnels() {
    let folder = support::scratch();
    let plain = support::write(&folder, "plain.pcap", &pcap(&frames([&inner()])));
    let wrapped = support::write(&folder, "vxlan.pcap", &pcap(&frames([&vxlan(1, &inner())])));
    for protocol in ["netflow9", "netflow5"] {
        let sent = |file: &std::path::Path, settings: &[&str]| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let output = format!("{protocol}://{}", socket.local_addr().unwrap());
            let words = ["-r", file.to_str().unwrap(), "-o", &output];
            assert_eq!(support::run(words.iter().chain(settings)).status, 0);
            let mut octets = Vec::new();
            let mut datagram = [0; 2000];
            while let Ok(length) = socket.recv(&mut datagram) {
                octets.push(datagram[..length].to_vec());
            }
            octets
        };
        let expected = sent(&plain, &[]);
        assert!(!expected.is_empty());
        assert_eq!(sent(&wrapped, &["--decap", "vxlan"]), expected, "{protocol}");
    }
}

/// A mirror may show the exporter's own messages in a tunnel: they are known by the inner
/// addresses.
#[test]
fn own_messages_in_a_tunnel_are_filtered() {
    let mut observer = Observer::new(&ObserverSettings {
        key: KeyFields::SEVEN,
        idle_timeout_ms: 1000,
        active_timeout_ms: 1000,
        sampling: Sampling { interval: 1 },
        tpids: Tpids::default(),
        decap: DecapSettings { kinds: TunnelKinds::ALL, ..DecapSettings::default() },
        seed: HashSeed::new(1),
    });
    let remote = (INNER[1], 4739).into();
    observer.exclude(vec![Conversation { protocol: 17, local: INNER[0].into(), remote }]);
    let own = packet::ipv4(INNER[0], INNER[1], 17, &packet::udp(40_000, 4739, 100));
    let other = packet::ipv4(INNER[0], INNER[1], 17, &packet::udp(40_000, 4740, 100));
    let outside = packet::ipv4(OUTER[0], OUTER[1], 17, &packet::udp(40_000, 4739, 100));
    let mut sink = Counted::default();
    for packet in [vxlan(7, &own), vxlan(7, &other), outside, own] {
        let data = packet::unpadded(&packet);
        observer.observe(
            &Frame {
                data: &data,
                wire_length: u32::try_from(data.len()).unwrap(),
                time: Timestamp::from_millis(1_700_000_000_000),
                point: ObservationPoint::ingress(1),
                link_type: LinkType::Ethernet,
            },
            &mut sink,
        );
    }
    observer.finish(&mut sink);
    let counts = observer.counts();
    let filtered = counts.ignored[flow::Ignored::Filtered as usize].packets;
    assert_eq!((filtered, counts.metered.packets, sink.packets), (2, 2, 2));
}

/// Counts packets.
#[derive(Default)]
struct Counted {
    packet: Observation,
    packets: u64,
}

impl Sink for Counted {
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.packet
    }

    fn push(&mut self) {
        self.packets += 1;
    }

    fn begin_clock(&mut self, _: NewClock) {}

    fn learn(&mut self, _: Naming) {}
}

/// Frames of the spanning tree in a tunnel are no IP, as without one.
#[test]
fn spanning_tree_in_a_tunnel_is_ignored() {
    let mut frame = packet::unpadded(&inner())[..12].to_vec();
    frame.extend([0, 38, 0x42, 0x42, 3]);
    frame.resize(52, 0);
    let captured =
        [Captured::at(0, packet::unpadded(&udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &frame)))];
    let replayed = replay(&captured, ALL);
    assert_eq!(replayed.run.count("ignored.not_ip.packets"), 1);
    assert_octets_are_conserved(&captured, &replayed);
}
