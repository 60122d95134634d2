//! The fast path of tunnels against the general one: random nestings, changed and cut at random.

use alloc::vec::Vec;

use super::differential::Random;
use super::*;
use crate::clock::NewClock;
use crate::decap::Decapsulator;
use crate::hash::HashSeed;
use crate::key::KeyFields;
use crate::names::Naming;
use crate::numbering::PASSAGES_NAMED;
use crate::observation::Observation;
use crate::observer::{Conversation, Observer, ObserverSettings, Sampling, Sink};
use tunnel::{L2tpV3, TunnelKind, TunnelKinds};

/// One frame of this number is of another hour.
const FRAMES_PER_JUMP: usize = 500;

const FRAMES: usize = 100_000;

const DECAP: DecapSettings = DecapSettings {
    kinds: TunnelKinds::ALL,
    vxlan_ports: tunnel::VxlanPorts([4789, 8472, 0, 0]),
    l2tpv3: Some(L2tpV3 { cookie: 4, sublayer: 0 }),
    whole_key: false,
};

/// What follows the header of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Frame,
    Ip,
    Ipv4,
    Ipv6,
}

use Content::{Frame as InFrame, Ip, Ipv4, Ipv6};

/// IP protocol, UDP port, header, content. An octet of 0xff stands for an id, and an Ethertype of
/// 0xeeee for that of the content.
const TUNNELS: [(u8, u16, &[u8], Content); 24] = [
    (17, 4789, &[8, 0, 0, 0, 0, 0, 0xff, 0], InFrame),
    (17, 4789, &[8, 0, 0, 0, 0, 0, 0xff, 0], InFrame),
    (17, 8472, &[0x88, 0, 0, 9, 0, 0, 0xff, 0], InFrame),
    (17, 4790, &[0x0c, 0, 0, 1, 0, 0, 0xff, 0], Ipv4),
    (17, 4790, &[0x0c, 0, 0, 2, 0, 0, 0xff, 0], Ipv6),
    (17, 4790, &[0x0c, 0, 0, 3, 0, 0, 0xff, 0], InFrame),
    (17, 6081, &[0, 0, 0x65, 0x58, 0, 0, 0xff, 0], InFrame),
    (17, 6081, &[2, 0, 0xee, 0xee, 0, 0, 0xff, 0, 1, 2, 3, 1, 4, 5, 6, 7], Ip),
    (47, 0, &[0, 0, 0xee, 0xee], Ip),
    (47, 0, &[0xb0, 0, 0xee, 0xee, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 1], Ip),
    (47, 0, &[0x20, 0, 0x65, 0x58, 0, 0, 0xff, 1], InFrame),
    (47, 0, &[0, 0, 0x88, 0xbe], InFrame),
    (47, 0, &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 0xff, 0, 0, 0, 0], InFrame),
    (47, 0, &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 0xff, 0, 0, 0, 0, 0, 0, 0x08, 0], Ip),
    (47, 0, &[0, 0, 0x81, 0, 0, 9, 0xee, 0xee], Ip),
    (17, 2152, &[0x30, 0xfe, 0, 0, 0, 0, 0, 0xff], Ip),
    (17, 2152, &[0x34, 0xfe, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0x85, 1, 0, 0, 0], Ip),
    (4, 0, &[], Ipv4),
    (41, 0, &[], Ipv6),
    (97, 0, &[0x30, 0], InFrame),
    (137, 0, &[0, 1, 0x31, 64], Ip),
    (17, 6635, &[0, 1, 0x31, 64], Ip),
    (17, 1701, &[0, 2, 0, 1, 0, 0xff, 0x21], Ipv4),
    (115, 0, &[0, 0, 0, 0xff, 9, 9, 9, 9], InFrame),
];

fn ip(random: &mut Random, protocol: u8, payload: &[u8]) -> Vec<u8> {
    if random.below(2) == 0 { made::ipv4(protocol, payload) } else { made::ipv6(protocol, payload) }
}

fn ethernet(random: &mut Random, packet: &[u8]) -> Vec<u8> {
    let tags = [(0x8100, 0x6007), (0x8100, 8)];
    let count = random.pick(&[0, 0, 0, 1, 1, 2]);
    made::ethernet(&tags[..count], packet)
}

/// The packet in a random tunnel that can have it.
fn wrap(random: &mut Random, packet: &[u8]) -> Vec<u8> {
    let is_v4 = packet[0] >> 4 == 4;
    let (protocol, port, header, content) = loop {
        let tunnel = random.pick(&TUNNELS);
        if tunnel.3 != (if is_v4 { Ipv6 } else { Ipv4 }) {
            break tunnel;
        }
    };
    let mut octets = Vec::from(header);
    let ethertype = if is_v4 { [0x08, 0] } else { [0x86, 0xdd] };
    if let Some(at) = octets.windows(2).position(|two| two == [0xee, 0xee]) {
        octets[at..at + 2].copy_from_slice(&ethertype);
    }
    let id = u8::try_from(random.below(3)).unwrap();
    for octet in &mut octets {
        *octet = match *octet {
            0xff => id,
            0xfe => 255,
            other => other,
        };
    }
    if content == InFrame {
        octets.extend(ethernet(random, packet));
    } else {
        octets.extend(packet);
    }
    if protocol == 17 {
        let ports = if random.below(8) == 0 { [port, 2152] } else { [50_000, port] };
        octets = made::datagram(ports, &octets);
    }
    ip(random, protocol, &octets)
}

/// An IP packet in up to three tunnels, most often in one.
fn nesting(random: &mut Random) -> Vec<u8> {
    let mut packet = match random.below(7) {
        6 => ip(random, 132, &made::tcp()),
        kind => made::plain()[kind].clone(),
    };
    for _ in 0..random.pick(&[0, 1, 1, 1, 1, 1, 2, 3]) {
        packet = wrap(random, &packet);
    }
    packet
}

/// Up to three changes. Returns how long the frame was on the wire.
fn mutate(random: &mut Random, octets: &mut Vec<u8>) -> u32 {
    for _ in 0..random.pick(&[0, 0, 0, 1, 1, 2, 3]) {
        if octets.is_empty() {
            break;
        }
        let at = random.below(octets.len());
        match random.below(5) {
            0 => octets[at] ^= 1 << random.below(8),
            1 => octets[at] = random.pick(&[0, 1, 4, 5, 17, 20, 40, 0x45, 0x60, 0xff]),
            2 => octets[at] = random.octet(),
            3 => octets.truncate(at),
            _ => octets.extend([0xa5; 3]),
        }
    }
    u32::try_from(octets.len()).unwrap() + random.pick(&[0, 0, 0, 0, 1, 4, 100, 1500, 70_000])
}

pub(super) fn settings(key: KeyFields, decap: DecapSettings) -> ObserverSettings {
    ObserverSettings {
        key,
        idle_timeout_ms: 15_000,
        active_timeout_ms: 60_000,
        sampling: Sampling { interval: 1 },
        tpids: Tpids::default(),
        decap,
        seed: HashSeed::new(1),
    }
}

/// Of frames of any kind and of any setting, both paths find the same packet, give it the same
/// numbers, and count the same.
#[test]
fn both_paths_open_the_same_tunnels() {
    let only = TunnelKinds::of_option("vxlan").with(TunnelKinds::of_option("ipip"));
    let settings = [
        (DECAP, false),
        (DecapSettings { whole_key: true, ..DECAP }, true),
        (DecapSettings { kinds: only, l2tpv3: None, ..DECAP }, false),
    ];
    let (mut random, mut opened, mut known) = (Random(21), [0; TunnelKind::ALL.len()], 0);
    for (decap, vlan_in_key) in settings {
        let new = || Decapsulator::new(decap, vlan_in_key, HashSeed::new(1));
        let (mut fast, mut general) = (new(), new());
        for _ in 0..FRAMES {
            let packet = nesting(&mut random);
            let mut octets = ethernet(&mut random, &packet);
            let wire_length = mutate(&mut random, &mut octets);
            let point = ObservationPoint::ingress(random.pick(&[0, 1, 2, 40_000, u32::MAX]));
            let frame = Frame { point, ..frame(LinkType::Ethernet, &octets, wire_length) };
            let expected = on_general_path(&mut general, &frame);
            let (found, way) = on_fastest_path(&mut fast, &frame);
            match way {
                Way::Known => known += 1,
                Way::Plain(kind) => opened[kind as usize] += 1,
                Way::General => {}
            }
            assert_eq!(found, expected, "{frame:x?}");
            let news = [fast.news().collect::<Vec<_>>(), general.news().collect()];
            assert_eq!(news[0], news[1], "{frame:x?}");
        }
        assert_eq!(fast.counts(), general.counts());
    }
    for (kind, count) in TunnelKind::ALL.into_iter().zip(opened) {
        let is_fast = !matches!(kind, TunnelKind::Mpls | TunnelKind::L2tp | TunnelKind::Pptp)
            && kind != TunnelKind::Teredo;
        assert_eq!(count > FRAMES / 100, is_fast, "{}: {count}", kind.name());
    }
    assert!(known > 0, "{known}");
}

type Numbered = Result<(Packet, ObservationPoint), (Ignored, Unread)>;

/// The path on which a packet was found.
enum Way {
    Known,
    Plain(TunnelKind),
    General,
}

fn on_general_path(decap: &mut Decapsulator, frame: &Frame<'_>) -> Numbered {
    decap.dissect(frame, Tpids::default()).map_err(|stop| (stop.reason, stop.unread))
}

fn on_fastest_path(decap: &mut Decapsulator, frame: &Frame<'_>) -> (Numbered, Way) {
    if let Some(again) = decap.open_known(frame) {
        (Ok(decap.number_known(again, frame.point)), Way::Known)
    } else if let Some(found) = decap.open_plain(frame) {
        (Ok(decap.number(frame, found)), Way::Plain(found.tunnel.kind))
    } else {
        (on_general_path(decap, frame), Way::General)
    }
}

/// A tunnel is known, and then a frame comes that differs from its frames in one bit, or that is
/// cut: it has the same result as on the general path.
#[test]
fn a_known_tunnel_is_not_taken_for_another() {
    let inner = |protocol, payload: &[u8]| made::ethernet(&[], &made::ipv4(protocol, payload));
    let headers: [(u16, [u8; 8]); 2] =
        [(4789, [8, 0, 0, 0, 0, 0, 7, 0]), (4790, [0x0c, 0, 0, 3, 0, 0, 7, 0])];
    for (port, header) in headers {
        for inside in [inner(6, &made::tcp()), inner(17, &made::udp())] {
            let [port_high, port_low] = port.to_be_bytes();
            let length = u8::try_from(16 + inside.len()).unwrap();
            let udp = [0xc0, 1, port_high, port_low, 0, length, 0, 0];
            let packet = made::ipv4(17, &[&udp[..], &header, &inside].concat());
            check_variants(&made::ethernet(&[], &packet));
        }
    }
}

fn check_variants(octets: &[u8]) {
    let new = || Decapsulator::new(DECAP, false, HashSeed::new(1));
    let (mut fast, mut general) = (new(), new());
    let mut known = 0;
    let mut check = |octets: &[u8], wire_length| {
        let point = ObservationPoint::ingress(1);
        let frame = Frame { point, ..frame(LinkType::Ethernet, octets, wire_length) };
        let expected = on_general_path(&mut general, &frame);
        let (found, way) = on_fastest_path(&mut fast, &frame);
        assert_eq!(found, expected, "{frame:x?}");
        let news = [fast.news().collect::<Vec<_>>(), general.news().collect()];
        assert_eq!(news[0], news[1], "{frame:x?}");
        assert_eq!(fast.counts(), general.counts(), "{frame:x?}");
        known += usize::from(matches!(way, Way::Known));
    };
    let whole = u32::try_from(octets.len()).unwrap();
    for at in 0..octets.len() {
        for bit in 0..8 {
            let mut changed = Vec::from(octets);
            changed[at] ^= 1 << bit;
            // Twice, so that the tunnel is known again.
            check(octets, whole);
            check(octets, whole);
            for captured in [octets.len(), at] {
                for wire_length in [whole, whole + 9, u32::try_from(captured).unwrap()] {
                    check(&changed[..captured], wire_length);
                }
            }
        }
    }
    // Most bits of addresses and ports, and the frames that are not changed.
    assert!(known > octets.len() * 8 * 3, "{known}");
}

/// What an observer says, in order.
#[derive(Debug, Default)]
struct Said {
    packet: Observation,
    packets: Vec<Observation>,
    clocks: Vec<NewClock>,
    names: Vec<Naming>,
}

impl Sink for Said {
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.packet
    }

    fn push(&mut self) {
        if let Some(index) = self.packet.words.vlan_id().checked_sub(PASSAGES_NAMED) {
            assert!(usize::from(index) < self.names.len(), "a number is announced before its use");
        }
        self.packets.push(self.packet);
    }

    fn begin_clock(&mut self, clock: NewClock) {
        self.clocks.push(clock);
    }

    fn learn(&mut self, naming: Naming) {
        self.names.push(naming);
    }
}

/// IP packets without Ethernet take the general path: the observer says the same of them, in the
/// same order, also where a packet is held or in an excluded conversation.
#[test]
fn observer_says_the_same_of_tunnels_on_both_paths() {
    let local = core::net::Ipv4Addr::new(192, 0, 2, 1).into();
    let remote = (core::net::Ipv4Addr::new(198, 51, 100, 2), made::DESTINATION_PORT).into();
    let udp = Conversation { protocol: 17, local, remote };
    for excluded in [Vec::new(), Vec::from([udp])] {
        let mut random = Random(22);
        let new = || {
            let mut observer = Observer::new(&settings(KeyFields::SEVEN, DECAP));
            observer.exclude(excluded.clone());
            observer
        };
        let (mut fast, mut general) = (new(), new());
        let (mut of_fast, mut of_general) = (Said::default(), Said::default());
        let mut now = Timestamp::from_millis(1_700_000_000_000);
        for at in 1..=FRAMES / 10 {
            let packet = nesting(&mut random);
            let frame = made::ethernet(&[], &packet);
            let mut time = now.plus_millis(random.next() % 3);
            now = time;
            if at.is_multiple_of(FRAMES_PER_JUMP) {
                let hour = now.plus_millis(3_600_000);
                (time, now) = if random.below(2) == 0 { (hour, now) } else { (hour, hour) };
            }
            let of = |link_type, data| {
                let wire_length = u32::try_from(packet.len() + 14).unwrap();
                let cut = if link_type == LinkType::Ethernet { 0 } else { 14 };
                Frame { time, ..super::frame(link_type, data, wire_length - cut) }
            };
            fast.observe(&of(LinkType::Ethernet, &frame), &mut of_fast);
            general.observe(&of(LinkType::RawIp, &packet), &mut of_general);
            assert_eq!(of_fast.packets, of_general.packets, "{packet:x?}");
            of_fast.packets.clear();
            of_general.packets.clear();
        }
        assert_eq!((of_fast.clocks, of_fast.names), (of_general.clocks, of_general.names));
        assert_eq!(fast.counts().tunnels, general.counts().tunnels);
        let filtered = fast.counts().ignored[Ignored::Filtered as usize].packets;
        assert_eq!(filtered > 0, !excluded.is_empty());
    }
}
