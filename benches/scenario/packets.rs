//! Frames and observations for the scenarios.

use flow::frame::{Fragment, Packet};
use flow::{Address, IpVersion, Observation, ObservationPoint, Ports, Timestamp, TraceTime};

use crate::support::packet::{ethernet, ipv4, ipv6, tagged, tcp, udp};
use crate::support::random::Random;
use crate::support::tunnel;

/// Frames per call.
pub const FRAMES: usize = 64;

/// 2023-11-14T22:13:20Z
pub const BEGIN_MS: u64 = 1_700_000_000_000;

pub const HOUR_MS: u64 = 60 * 60 * 1000;

const DAY_MS: u64 = 24 * HOUR_MS;

/// Number of measured packets.
const PACKETS: usize = 64 * 1024;

/// Packets per millisecond.
const RATE: u64 = 1000;

fn each(make: impl Fn([u8; 4]) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..FRAMES).map(|n| make([10, 0, 0, u8::try_from(n).unwrap()])).collect()
}

const SERVER: [u8; 4] = [192, 0, 2, 1];

pub fn ipv4_tcp() -> Vec<Vec<u8>> {
    each(|source| ethernet(&ipv4(source, SERVER, 6, &tcp(40_000, 443, 0x10, 0))))
}

pub fn ipv4_udp() -> Vec<Vec<u8>> {
    each(|source| ethernet(&ipv4(source, SERVER, 17, &udp(40_000, 53, 30))))
}

pub fn ipv6_tcp() -> Vec<Vec<u8>> {
    each(|[.., d]| {
        let source = format!("2001:db8::{d:x}");
        ethernet(&ipv6(&source, "2001:db8::ffff", 6, &tcp(40_000, 443, 0x10, 0)))
    })
}

/// Frames with `tags` VLAN tags.
pub fn vlan(tags: usize) -> Vec<Vec<u8>> {
    let add = |frames: Vec<Vec<u8>>, _| frames.iter().map(|it| tagged(it, 0x8100, 7)).collect();
    (0..tags).fold(ipv4_tcp(), add)
}

pub fn long() -> Vec<Vec<u8>> {
    each(|source| ethernet(&ipv4(source, SERVER, 6, &tcp(40_000, 443, 0x10, 8946))))
}

pub fn options() -> Vec<Vec<u8>> {
    each(|source| {
        let options = [7, 7, 4, 0, 0, 0, 0, 0];
        let segment = [&options, &tcp(40_000, 443, 0x10, 0)[..]].concat();
        let mut frame = ethernet(&ipv4(source, SERVER, 6, &segment));
        frame[14] = 0x47;
        frame
    })
}

/// Each packet in a tunnel of this kind, of one sender.
pub fn tunnels(kind: &str) -> Vec<Vec<u8>> {
    let around = |ip: &[u8]| {
        let mut samples = tunnel::samples_of(ip).into_iter();
        samples.find(|(name, ..)| *name == kind).map(|(.., around)| around)
    };
    each(|source| {
        let inside = ipv4(source, SERVER, 6, &tcp(40_000, 443, 0x10, 0));
        ethernet(&around(&inside).expect("there is a sample of each kind"))
    })
}

/// Packets in a tunnel and not, in turn.
pub fn every_second_vxlan() -> Vec<Vec<u8>> {
    let pairs = tunnels("vxlan").into_iter().zip(ipv4_tcp());
    pairs.flat_map(|(one, other)| [one, other]).take(FRAMES).collect()
}

/// Each packet in another tunnel.
pub fn many_tunnels() -> Vec<Vec<u8>> {
    each(|source| {
        let inside = ipv4(source, SERVER, 6, &tcp(40_000, 443, 0x10, 0));
        ethernet(&tunnel::vxlan(source[3], &inside))
    })
}

/// Packets before the measurement, and measured packets.
pub struct Traffic {
    pub before: Vec<Arrival>,
    pub packets: Vec<Arrival>,
}

impl Traffic {
    /// Packets of `flows` existing flows, each with the same probability.
    pub fn hits(flows: u32) -> Self {
        let mut random = Random::new(1);
        let mut next = |n: usize| {
            let flow = u32::try_from(random.below(flows.into())).unwrap();
            Arrival::new(flow, time_of(n), 0)
        };
        let packets = (0..PACKETS).map(&mut next).collect();
        Self { before: each_once(flows), packets }
    }

    /// Packets that each begin a flow, after `before` other flows.
    pub fn new_flows(before: u32) -> Self {
        let flow = |n: usize| before + u32::try_from(n).unwrap();
        let count = PACKETS * 2;
        let packets = (0..count).map(|n| Arrival::new(flow(n), time_of(n), 0)).collect();
        Self { before: each_once(before), packets }
    }

    /// `flows` flows end in the same millisecond, while another flow continues for two seconds.
    pub fn ending(flows: u32) -> Self {
        let end = BEGIN_MS + u64::from(super::IDLE_MS);
        let going_on = |n: usize| Arrival::new(flows, end + n as u64 * 2000 / PACKETS as u64, 0);
        let before = (0..flows).map(|flow| Arrival::new(flow, BEGIN_MS, 0)).collect();
        Self { before, packets: (0..PACKETS).map(going_on).collect() }
    }

    /// Flows whose hashes all select the first group of a table for `flows_max` flows: many more
    /// than fit in the groups where they may be stored.
    pub fn colliding(flows_max: u32) -> Self {
        let collisions: Vec<_> = colliding_flows(flows_max).take(2048).collect();
        let of = |n: usize| Arrival::new(collisions[n % collisions.len()], time_of(n), 0);
        let before = (0..collisions.len()).map(of).collect();
        Self { before, packets: (0..PACKETS).map(of).collect() }
    }

    /// Every second packet is late by seven seconds, nearly half of the idle timeout.
    pub fn back_and_forth() -> Self {
        let (mut now, mut late) = (0, 0);
        let mut next = |n: usize| {
            let flow = u32::try_from(n % 1000).unwrap();
            let time = time_of(n) + if n.is_multiple_of(2) { 7000 } else { 0 };
            now = time.max(now);
            late = late.max(now - time);
            Arrival::new(flow, time, u32::try_from(now - time).unwrap())
        };
        let packets = (0..PACKETS).map(&mut next).collect();
        assert!(late > 0);
        Self { before: each_once(1000), packets }
    }

    /// The clock goes forward by four days with each packet.
    pub fn jumping() -> Self {
        let at = |n: usize| {
            let time = BEGIN_MS + DAY_MS + n as u64 * 4 * DAY_MS;
            Arrival::new(u32::try_from(n % 1000).unwrap(), time, 0)
        };
        Self { before: each_once(100_000), packets: (0..PACKETS / 16).map(at).collect() }
    }
}

fn time_of(n: usize) -> u64 {
    BEGIN_MS + 1000 + n as u64 / RATE
}

fn each_once(flows: u32) -> Vec<Arrival> {
    (0..flows).map(|flow| Arrival::new(flow, BEGIN_MS, 0)).collect()
}

/// A packet of a flow.
pub struct Arrival {
    flow: u32,
    time_ms: u64,
    late_ms: u32,
}

impl Arrival {
    const fn new(flow: u32, time_ms: u64, late_ms: u32) -> Self {
        Self { flow, time_ms, late_ms }
    }

    /// The time of the packet, later by `shift_ms`.
    pub fn time(&self, shift_ms: u64) -> Timestamp {
        Timestamp::from_millis(self.time_ms + shift_ms)
    }

    /// The packet in the form for a table.
    pub fn observation(&self, shift_ms: u64) -> Observation {
        let [a, b, c, d] = self.flow.to_be_bytes();
        let packet = Packet {
            ip_version: IpVersion::V4,
            source: Address::v4([10 + a, b, c, d]),
            destination: Address::v4(SERVER),
            ports: Ports::new(1024, 443),
            protocol: 6,
            type_of_service: 0,
            ttl: 64,
            tcp_control_bits: 0x10,
            vlan_id: 0,
            octets: 40,
            exceeds_wire: false,
            fragment: Fragment::Whole,
        };
        let time = self.time(shift_ms);
        Observation::new(
            &packet,
            ObservationPoint::ingress(1),
            TraceTime { time, late_ms: self.late_ms, clock: 0 },
        )
    }
}

/// Size of the table with colliding flows. It is small, so that such flows are found quickly.
pub const TABLE_OF_COLLISIONS: u32 = 10_000;

/// Flows whose hash begins with enough zeros for the first group. This repeats the hash of the
/// table with the seed of the scenarios.
fn colliding_flows(flows_max: u32) -> impl Iterator<Item = u32> {
    let secret = {
        let mut random = Random::new(super::SEED);
        std::array::from_fn(|_| random.next())
    };
    let groups = (u64::from(flows_max) * 4).div_ceil(3).div_ceil(12);
    (0_u32..).filter(move |&flow| {
        let [a, b, c, d] = flow.to_be_bytes();
        let source = u64::from(u32::from_le_bytes([10 + a, b, c, d]));
        let destination = u64::from(u32::from_le_bytes(SERVER));
        let ports = u64::from(1024_u16.to_be()) | u64::from(443_u16.to_be()) << 16 | 1 << 32;
        let rest = 6 << 16 | 4 << 32;
        let upper = hash(&secret, [source, 0, destination, 0, ports, rest]) >> 32;
        // The group is the integer part.
        upper * groups < 1 << 32
    })
}

fn hash(secret: &[u64; 7], words: [u64; 6]) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let pair = |at: usize| fold(words[at] ^ secret[at], words[at + 1] ^ secret[at + 1]);
    fold(pair(0) ^ pair(2), pair(4) ^ secret[6])
}
