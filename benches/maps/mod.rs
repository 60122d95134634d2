//! The maps with which the flow table is compared.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::hint::black_box;

use flow::{FlowKey, Observation};

use crate::{ACTIVE_MS, Cache, FLOWS_MAX, IDLE_MS};

/// The key of a map, which has the same words as the key of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key([u64; 6]);

impl From<FlowKey> for Key {
    fn from(key: FlowKey) -> Self {
        let [s0, s1] = halves(key.source);
        let [d0, d1] = halves(key.destination);
        let ports = u64::from(key.source_port)
            | u64::from(key.destination_port) << 16
            | u64::from(key.interface) << 32;
        let rest = u64::from(key.protocol)
            | u64::from(key.type_of_service) << 8
            | u64::from(key.ip_version.number()) << 16;
        Self([s0, s1, d0, d1, ports, rest])
    }
}

fn halves(octets: [u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(octets);
    [number as u64, (number >> 64) as u64]
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f] = self.0;
        let [s0, s1, s2, s3, s4, s5, s6] = SECRET;
        let addresses = fold(a ^ s0, b ^ s1) ^ fold(c ^ s2, d ^ s3);
        state.write_u64(fold(addresses, fold(e ^ s4, f ^ s5) ^ s6));
    }
}

/// Multiplies to 128 bits and folds the halves together.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Digits of pi.
const SECRET: [u64; 7] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6c,
    0xc0ac_29b7_c97c_50dd,
];

/// Uses the key's own hash unchanged.
#[derive(Clone, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _octets: &[u8]) {
        unreachable!("keys are hashed as one word");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

type BuildAsItIs = BuildHasherDefault<AsItIs>;

/// A packet for a map.
pub struct Keyed {
    key: Key,
    flow: Flow,
}

/// Data of a flow in a map. A packet is a flow of one packet.
#[derive(Clone, Copy, Debug)]
struct Flow {
    octets: u64,
    packets: u32,
    first: u32,
    last: u32,
    tcp_control_bits: u8,
    minimum_ttl: u8,
    maximum_ttl: u8,
}

impl Flow {
    #[inline]
    fn add(&mut self, packet: &Self) {
        let (idle, age) =
            (packet.last.wrapping_sub(self.last), packet.last.wrapping_sub(self.first));
        if idle > IDLE_MS || age > ACTIVE_MS {
            black_box(std::mem::replace(self, *packet));
            return;
        }
        self.octets += packet.octets;
        self.packets += packet.packets;
        self.last = self.last.max(packet.last);
        self.tcp_control_bits |= packet.tcp_control_bits;
        self.minimum_ttl = self.minimum_ttl.min(packet.minimum_ttl);
        self.maximum_ttl = self.maximum_ttl.max(packet.maximum_ttl);
    }
}

fn keyed(packets: Vec<Observation>) -> Vec<Keyed> {
    let keyed = |packet: Observation| {
        let time = packet.time().as_millis() as u32;
        Keyed {
            key: packet.key().into(),
            flow: Flow {
                octets: packet.octets().into(),
                packets: 1,
                first: time,
                last: time,
                tcp_control_bits: 0x10,
                minimum_ttl: 64,
                maximum_ttl: 64,
            },
        }
    };
    packets.into_iter().map(keyed).collect()
}

pub struct Hashbrown(hashbrown::HashMap<Key, Flow, BuildAsItIs>);

impl Cache for Hashbrown {
    const NAME: &str = "hashbrown";

    type Packet = Keyed;

    fn new() -> Self {
        Self(hashbrown::HashMap::with_capacity_and_hasher(
            FLOWS_MAX as usize,
            BuildAsItIs::default(),
        ))
    }

    fn convert(packets: Vec<Observation>) -> Vec<Keyed> {
        keyed(packets)
    }

    #[inline]
    fn process(&mut self, burst: &[Keyed]) {
        for packet in burst {
            self.0
                .entry(packet.key)
                .and_modify(|flow| flow.add(&packet.flow))
                .or_insert(packet.flow);
        }
        if self.0.len() >= FLOWS_MAX as usize {
            self.0.drain().for_each(|flow| {
                black_box(flow);
            });
        }
    }
}

pub struct Dashmap(dashmap::DashMap<Key, Flow, BuildAsItIs>);

impl Cache for Dashmap {
    const NAME: &str = "dashmap";

    type Packet = Keyed;

    fn new() -> Self {
        Self(dashmap::DashMap::with_capacity_and_hasher(FLOWS_MAX as usize, BuildAsItIs::default()))
    }

    fn convert(packets: Vec<Observation>) -> Vec<Keyed> {
        keyed(packets)
    }

    #[inline]
    fn process(&mut self, burst: &[Keyed]) {
        let mut new = 0;
        for packet in burst {
            self.0.entry(packet.key).and_modify(|flow| flow.add(&packet.flow)).or_insert_with(
                || {
                    new += 1;
                    packet.flow
                },
            );
        }
        // The map counts itself shard by shard, so its length is checked only after new flows.
        if new > 0 && self.0.len() >= FLOWS_MAX as usize {
            self.0.retain(|_, flow| {
                black_box(flow);
                false
            });
        }
    }
}
