//! The fast path against the general one, and that against etherparse's own walk, over seeded
//! mutations of valid frames.

use alloc::vec::Vec;

use etherparse::err::packet::SliceError;
use etherparse::err::{Layer, ipv6_exts};
use etherparse::{
    EtherType, Ipv6ExtensionSlice, LaxIpv4Slice, LaxIpv6Slice, LaxLinkExtSlice, LaxNetSlice,
    LaxSlicedPacket, TransportSlice, ether_type,
};

use super::*;
use crate::clock::TraceTime;
use crate::conversation::{ConversationKeys, Look};
use crate::frame::tunnel::{DecapSettings, TunnelKinds};
use crate::hash::HashSeed;
use crate::key::{Address, KeyField, KeyFields, Ports};
use crate::observation::Observation;
use crate::observer::ObserverSettings;

const FRAMES: usize = 400_000;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(count).unwrap()).unwrap()
    }

    pub(super) fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// IP packets of all kinds that the parser knows.
fn packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for protocol in [1, 6, 17, 33, 47, 50, 132, 136] {
        packets.push(made::ipv4(protocol, &made::tcp()));
    }
    for (at, octet) in [(6, 0x20), (7, 0x20), (6, 0x40)] {
        let mut fragment = made::ipv4(17, &made::udp());
        fragment[at] = octet;
        packets.push(fragment);
    }
    let mut options = made::ipv4(6, &made::tcp());
    options.splice(20..20, [1, 1, 1, 0, 7, 7, 4, 0]);
    (options[0], options[3]) = (0x47, 48);
    packets.push(options);
    let mut behind_ah = Vec::from([6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
    behind_ah.extend([0; 12]);
    behind_ah.extend(made::tcp());
    packets.push(made::ipv4(51, &behind_ah));
    packets.push(made::ipv6(51, &behind_ah));
    for protocol in [1, 6, 17, 50, 58, 59, 132] {
        packets.push(made::ipv6(protocol, &made::tcp()));
    }
    let options = [0, 1, 4, 0, 0, 0, 0];
    for first in [0, 43, 60] {
        for (word, next) in [(0, 6), (1, 17), (0x99, 17), (8, 60)] {
            let mut payload = Vec::from([44]);
            payload.extend(options);
            payload.extend([next, 0, 0, word, 1, 2, 3, 4]);
            payload.extend(made::tcp());
            packets.push(made::ipv6(first, &payload));
        }
    }
    let mut jumbo = Vec::from([17, 0, 0xc2, 4, 0, 1, 0, 8]);
    jumbo.extend(made::udp());
    let mut jumbo = made::ipv6(0, &jumbo);
    jumbo[5] = 0;
    packets.push(jumbo);
    packets
}

/// A frame that is mutated, and where its IP header is.
struct Seed {
    link_type: LinkType,
    octets: Vec<u8>,
    header: usize,
}

/// Every packet in Ethernet, with up to four tags, padded and not.
fn ethernet_seeds() -> Vec<Seed> {
    let tags = [(0x8100, 0x6007), (0x88a8, 8), (0x9100, 9), (0x8100, 10)];
    let mut seeds = Vec::new();
    for packet in packets() {
        for count in [0, 0, 0, 1, 2, 3, 4] {
            let mut octets = made::ethernet(&tags[..count], &packet);
            octets.resize(octets.len().max(60), 0);
            seeds.push(Seed { link_type: LinkType::Ethernet, octets, header: 14 + 4 * count });
        }
    }
    seeds
}

/// What takes the fast path, until it is mutated.
fn plain_seeds() -> Vec<Seed> {
    let tags = [(0x8100, 0x6007)];
    let seed = |packet: &Vec<u8>, count: usize| Seed {
        link_type: LinkType::Ethernet,
        octets: made::ethernet(&tags[..count], packet),
        header: 14 + 4 * count,
    };
    made::plain().iter().flat_map(|packet| [seed(packet, 0), seed(packet, 1)]).collect()
}

/// Every packet in every link layer.
fn seeds() -> Vec<Seed> {
    let mut seeds = ethernet_seeds();
    let links: [(LinkType, &[u8], &[u8]); 7] = [
        (LinkType::RawIp, &[], &[]),
        (LinkType::Null, &[2, 0, 0, 0], &[0, 0, 0, 24]),
        (LinkType::Loop, &[0, 0, 0, 2], &[0, 0, 0, 30]),
        (LinkType::Ppp, &[0xff, 0x03, 0x00, 0x21], &[0x57]),
        (LinkType::Ppp, &[0x02, 0x81, 0, 0, 1, 64], &[0x02, 0x81, 0, 0, 0, 64, 0, 0, 1, 64]),
        (
            LinkType::LinuxCooked,
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 0x08, 0x00],
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 0x86, 0xdd],
        ),
        (
            LinkType::Ethernet,
            &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x64, 0x11, 0, 0, 1, 0, 40, 0, 0x21],
            &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x47, 0, 0, 1, 64],
        ),
    ];
    for packet in packets() {
        for (link_type, v4, v6) in links {
            let link = if packet[0] >> 4 == 6 { v6 } else { v4 };
            let octets = [link, &packet].concat();
            seeds.push(Seed { link_type, octets, header: link.len() });
        }
    }
    seeds
}

/// Values that lie at the borders of what a header can say.
const BORDERS: [u16; 18] =
    [0, 1, 3, 4, 8, 13, 14, 19, 20, 21, 23, 24, 33, 34, 40, 60, 1500, u16::MAX];

const OCTETS: [u8; 20] =
    [0, 1, 2, 5, 6, 17, 20, 21, 43, 44, 0x45, 0x46, 0x4f, 50, 51, 58, 60, 0x60, 0x80, 0xff];

/// Up to three changes, each of one kind. Returns how long the frame was on the wire.
fn mutate(random: &mut Random, seed: &Seed, octets: &mut Vec<u8>) -> u32 {
    octets.clear();
    octets.extend(&seed.octets);
    for _ in 0..random.below(4) {
        if octets.is_empty() {
            break;
        }
        let at = random.below(octets.len());
        match random.below(6) {
            0 => octets[at] ^= 1 << random.below(8),
            1 => octets[at] = random.pick(&OCTETS),
            2 => octets[at] = random.octet(),
            3 => octets.truncate(at),
            4 => octets.extend([0xa5; 3]),
            _ => {
                let is_v6 = octets.get(seed.header).is_some_and(|octet| octet >> 4 == 6);
                let field = seed.header + if is_v6 { 4 } else { 2 };
                let value = random.pick(&BORDERS).to_be_bytes();
                if let Some(length) = octets.get_mut(field..field + 2) {
                    length.copy_from_slice(&value);
                }
            }
        }
    }
    let captured = u32::try_from(octets.len()).unwrap();
    captured + random.pick(&[0, 0, 0, 1, 4, 100, 1500, 70_000])
}

#[test]
fn both_paths_say_the_same() {
    let (all, plain, mut random, mut octets) = (seeds(), plain_seeds(), Random(1), Vec::new());
    let mut plain_count = 0;
    for _ in 0..FRAMES {
        let seeds = if random.below(2) == 0 { &all } else { &plain };
        let seed = &seeds[random.below(seeds.len())];
        let wire_length = mutate(&mut random, seed, &mut octets);
        let frame = frame(seed.link_type, &octets, wire_length);
        if let Some(packet) = dissect_plain(&frame) {
            assert_eq!(dissect(&frame), Ok(packet), "{frame:x?}");
            plain_count += 1;
        }
    }
    assert!(plain_count > FRAMES / 5, "{plain_count} frames took the fast path");
}

#[test]
fn a_glance_at_payload_sees_what_is_there() {
    let (all, plain, mut random, mut octets) = (seeds(), plain_seeds(), Random(3), Vec::new());
    let mut counts = [0; 4];
    for round in 0..FRAMES {
        let seeds = if random.below(2) == 0 { &all } else { &plain };
        let seed = &seeds[random.below(seeds.len())];
        let wire_length = mutate(&mut random, seed, &mut octets);
        let frame = frame(seed.link_type, &octets, wire_length);
        let keys = ConversationKeys::new(&settings(round));
        let look = keys.look(&frame);
        let kind = match (keys.glance(&frame), look) {
            (Glance::Nothing, look) => {
                assert_eq!(look, None, "{frame:x?}");
                0
            }
            (Glance::Begins, look) => {
                // Behind options control bits are elsewhere.
                assert!(!matches!(look, Some(Look::Segment(_))), "{frame:x?}");
                1
            }
            (Glance::Plain(it), Some(Look::Segment(whole))) => {
                assert_eq!((it.octets, it.ports), (whole.payload, whole.ports), "{frame:x?}");
                assert_eq!(it.is_tcp, whole.sequence.is_some(), "{frame:x?}");
                assert_eq!(it.hash(&keys), whole.conversation.hash(), "{frame:x?}");
                assert_eq!(of_observation(&frame), whole.conversation.shard(1000), "{frame:x?}");
                2
            }
            (Glance::Plain(_), other) => panic!("{other:?} {frame:x?}"),
            (Glance::Other, _) => 3,
        };
        counts[kind] += 1;
    }
    let least = [FRAMES / 20, 50, FRAMES / 50, FRAMES / 10];
    assert!(counts.iter().zip(least).all(|(count, least)| *count > least), "{counts:?}");
}

/// Without tunnels and VLANs in the key, with one of them, and with both.
fn settings(round: usize) -> ObserverSettings {
    let key = if round.is_multiple_of(2) {
        KeyFields::SEVEN
    } else {
        KeyFields::SEVEN.with(KeyField::Vlan)
    };
    let kinds = if round % 4 < 2 { TunnelKinds::default() } else { TunnelKinds::ALL };
    opened::settings(key, DecapSettings { kinds, ..DecapSettings::default() })
}

/// The worker of a plain packet's conversation.
fn of_observation(frame: &Frame<'_>) -> usize {
    let packet = dissect(frame).unwrap();
    let at = TraceTime { time: Timestamp::default(), late_ms: 0, clock: 0 };
    let observation = Observation::new(&packet, ObservationPoint::ingress(7), at);
    observation.shard_of_conversation(&HashSeed::new(1), 1000)
}

#[test]
fn etherparse_says_the_same_of_what_it_can_walk_through() {
    let (seeds, mut random, mut octets) = (ethernet_seeds(), Random(2), Vec::new());
    let (mut packets, mut ignored) = (0, 0);
    for _ in 0..FRAMES {
        let seed = &seeds[random.below(seeds.len())];
        let wire_length = mutate(&mut random, seed, &mut octets);
        let frame = frame(LinkType::Ethernet, &octets, wire_length);
        let Some(expected) = etherparse_walk(&frame) else { continue };
        assert_eq!(dissect(&frame), expected, "{frame:x?}");
        packets += usize::from(expected.is_ok());
        ignored += usize::from(expected.is_err());
    }
    assert!(packets > FRAMES / 2 && ignored > FRAMES / 50, "{packets} packets, {ignored} ignored");
}

/// What etherparse makes of an Ethernet frame. Nothing where it goes another way than we do, or
/// not as far.
fn etherparse_walk(frame: &Frame<'_>) -> Option<Result<Packet, Ignored>> {
    let Ok(sliced) = LaxSlicedPacket::from_ethernet(frame.data) else {
        return Some(Err(Ignored::CutShort));
    };
    let payload = sliced.ether_payload()?;
    let (ip_version, header) = match payload.ether_type {
        ether_type::IPV4 => (IpVersion::V4, 20),
        ether_type::IPV6 => (IpVersion::V6, 40),
        ether_type::VLAN_TAGGED_FRAME
        | ether_type::PROVIDER_BRIDGING
        | ether_type::VLAN_DOUBLE_TAGGED_FRAME => {
            // Either the capture ends in a tag, or there are more than three.
            return sliced.stop_err.is_some().then_some(Err(Ignored::CutShort));
        }
        // 802.3, MPLS, PPPoE, and link layers that etherparse does not know.
        EtherType(0..=1500 | 0x8847 | 0x8848 | 0x8864 | 0x8870 | 0x88e5 | 0x88e7) => return None,
        EtherType(0x22f3 | 0x8903 | 0x8909 | 0x8926 | 0x892f | 0x893f) => return None,
        EtherType(0x894f | 0x8988 | 0xd28b) => return None,
        _ => return Some(Err(Ignored::NotIp)),
    };
    if sliced.link_exts.iter().any(|layer| matches!(layer, LaxLinkExtSlice::Macsec(_))) {
        return None;
    }
    if payload.payload.len() < header {
        return Some(Err(Ignored::CutShort));
    }
    let link_octets = u32::try_from(frame.data.len() - payload.payload.len()).unwrap();
    let wire_octets = frame.wire_length - link_octets;
    let packet = match (ip_version, &sliced.net) {
        (IpVersion::V4, Some(LaxNetSlice::Ipv4(ip))) => ipv4_packet(&sliced, ip, wire_octets)?,
        (IpVersion::V6, Some(LaxNetSlice::Ipv6(ip))) => ipv6_packet(&sliced, ip, wire_octets)?,
        // The header is not of the version that the link layer promised, or it is malformed.
        (_, Some(_)) => Err(Ignored::Malformed),
        (_, None) => match sliced.stop_err {
            Some((SliceError::Ip(_), _)) => Err(Ignored::Malformed),
            // The capture ends in the options; etherparse then says nothing.
            _ => return None,
        },
    };
    let vlan_id = sliced.vlan_ids().first().map_or(0, |id| id.value());
    Some(packet.map(|packet| Packet { vlan_id, ..packet }))
}

fn ipv4_packet(
    sliced: &LaxSlicedPacket<'_>,
    ip: &LaxIpv4Slice<'_>,
    wire_octets: u32,
) -> Option<Result<Packet, Ignored>> {
    let header = ip.header();
    let octets = match usize::from(header.total_len()) {
        0 => wire_octets,
        length if length < header.slice().len() => return Some(Err(Ignored::Malformed)),
        length => u32::try_from(length).unwrap(),
    };
    let identification = header.identification().into();
    let later = header.fragments_offset().value() != 0;
    let fragment = match (header.is_fragmenting_payload(), later) {
        (false, _) => Fragment::Whole,
        (true, false) => Fragment::First(identification),
        (true, true) => Fragment::Later(identification),
    };
    // etherparse goes on behind an authentication header, we do not.
    let protocol = header.protocol().0;
    let transport = if later || ip.extensions().auth.is_some() {
        (0, 0, 0)
    } else {
        transport(sliced, protocol, 1, ip.payload().payload)
    };
    Some(Ok(Packet {
        ip_version: IpVersion::V4,
        source: Address::v4(header.source()),
        destination: Address::v4(header.destination()),
        ports: Ports::new(transport.0, transport.1),
        protocol,
        type_of_service: header.dcp().value() << 2 | header.ecn().value(),
        ttl: header.ttl(),
        tcp_control_bits: transport.2,
        vlan_id: 0,
        octets: octets.min(wire_octets),
        exceeds_wire: octets > wire_octets,
        fragment,
    }))
}

fn ipv6_packet(
    sliced: &LaxSlicedPacket<'_>,
    ip: &LaxIpv6Slice<'_>,
    wire_octets: u32,
) -> Option<Result<Packet, Ignored>> {
    let header = ip.header();
    let payload_length = header.payload_length();
    // A jumbogram, or a packet without anything behind its header: etherparse knows neither.
    if payload_length == 0 && (header.next_header().0 == 0 || wire_octets <= 100) {
        return None;
    }
    let octets = if payload_length == 0 { wire_octets } else { u32::from(payload_length) + 40 };
    let stopped_in_extensions = match &sliced.stop_err {
        // Only its place is wrong.
        Some((SliceError::Ipv6Exts(ipv6_exts::HeaderError::HopByHopNotAtStart), _)) => return None,
        Some((_, layer)) => matches!(
            layer,
            Layer::Ipv6HopByHopHeader
                | Layer::Ipv6DestOptionsHeader
                | Layer::Ipv6RouteHeader
                | Layer::Ipv6FragHeader
                | Layer::IpAuthHeader
        ),
        None => false,
    };
    // The iterator must not be used then: it would read behind the last whole header.
    let fragments = if !stopped_in_extensions {
        ip.extensions().clone().into_iter().find_map(|extension| {
            if let Ipv6ExtensionSlice::Fragment(part) = extension {
                part.is_fragmenting_payload().then_some(part)
            } else {
                None
            }
        })
    } else if ip.extensions().is_fragmenting_payload() {
        return None;
    } else {
        None
    };
    let walked_to = ip.payload().ip_number.0;
    let (fragment, protocol) = match &fragments {
        None => (Fragment::Whole, walked_to),
        Some(part) if part.fragment_offset().value() == 0 => {
            (Fragment::First(part.identification()), walked_to)
        }
        Some(part) => (Fragment::Later(part.identification()), part.next_header().0),
    };
    let transport = match fragment {
        Fragment::Later(_) => (0, 0, 0),
        Fragment::Whole | Fragment::First(_) => {
            transport(sliced, protocol, 58, ip.payload().payload)
        }
    };
    Some(Ok(Packet {
        ip_version: IpVersion::V6,
        source: Address::v6(header.source()),
        destination: Address::v6(header.destination()),
        ports: Ports::new(transport.0, transport.1),
        protocol,
        type_of_service: header.traffic_class(),
        ttl: header.hop_limit(),
        tcp_control_bits: transport.2,
        vlan_id: 0,
        octets: octets.min(wire_octets),
        exceeds_wire: octets > wire_octets,
        fragment,
    }))
}

/// Ports and control bits, as etherparse reads them. Of fragments, of headers that are cut or
/// contradict themselves, and of protocols that it does not know, it gives only the octets.
fn transport(
    sliced: &LaxSlicedPacket<'_>,
    protocol: u8,
    icmp: u8,
    payload: &[u8],
) -> (u16, u16, u8) {
    let two = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]))
    };
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let bits = [
                tcp.fin(),
                tcp.syn(),
                tcp.rst(),
                tcp.psh(),
                tcp.ack(),
                tcp.urg(),
                tcp.ece(),
                tcp.cwr(),
            ];
            let bits = bits.iter().rev().fold(0, |octet, &bit| octet << 1 | u8::from(bit));
            (tcp.source_port(), tcp.destination_port(), bits)
        }
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port(), 0),
        Some(TransportSlice::Icmpv4(message)) if icmp == 1 => {
            (0, u16::from_be_bytes([message.type_u8(), message.code_u8()]), 0)
        }
        Some(TransportSlice::Icmpv6(message)) if icmp == 58 => {
            (0, u16::from_be_bytes([message.type_u8(), message.code_u8()]), 0)
        }
        _ => match (protocol, two(0), two(2)) {
            (6, Some(source), Some(destination)) => {
                (source, destination, payload.get(13).copied().unwrap_or(0))
            }
            (17 | 33 | 132 | 136, Some(source), Some(destination)) => (source, destination, 0),
            (protocol, Some(kind), _) if protocol == icmp => (0, kind, 0),
            _ => (0, 0, 0),
        },
    }
}
