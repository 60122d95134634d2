//! The flow table, beside two maps that others would have taken: hashbrown's, and dashmap's, which
//! threads can share.
//!
//! All three get the same packets, in bursts of 64, and do the same with a packet: find or create
//! its flow, look whether its timeouts have passed, count, widen times and TTLs, OR the control
//! bits. The maps have keys of the same 48 octets, compared whole, and the same hash: folded
//! multiplication with secret words. They have room for all flows from the beginning.
//!
//! What the maps do not do: end flows that get no more packets (the table sweeps), and stay within
//! a limit (the table evicts). So with new flows only they are emptied when they are full. Memory
//! is in small pages here; the program asks for huge ones.
//!
//! Each sample is 65,536 packets. After the means, the times of single bursts are printed: the
//! worst call is what a capture ring has to bridge.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group};
use flow::frame::{Fragment, Packet};
use flow::{
    Address, FlowKey, FlowTable, HashSeed, IpVersion, KeyFields, Observation, TableSettings,
    Timestamp,
};
use support::random::Random;

#[path = "../tests/support/mod.rs"]
mod support;

const BURST: usize = 64;

const BATCH: usize = 1024 * BURST;

/// Packets per millisecond of the trace clock.
const RATE: u64 = 1000;

const IDLE_MS: u32 = 15_000;
const ACTIVE_MS: u32 = 60_000;

/// Of the table, and where the maps are emptied.
const FLOWS_MAX: u32 = 1_250_000;

/// Which flow the next packet belongs to.
#[derive(Clone, Copy, Debug)]
enum Flows {
    /// One of so many, each as likely as another.
    Uniform(u64),
    /// One that was not there before.
    New,
}

impl Flows {
    const ALL: [Self; 4] =
        [Self::Uniform(1000), Self::Uniform(100_000), Self::Uniform(1_000_000), Self::New];

    fn name(self) -> String {
        match self {
            Self::Uniform(count) => format!("{count}-flows"),
            Self::New => "new-flows".to_owned(),
        }
    }
}

/// Packets without end.
struct Traffic {
    flows: Flows,
    random: Random,
    packets: u64,
}

impl Traffic {
    fn new(flows: Flows) -> Self {
        Self { flows, random: Random::new(1), packets: 0 }
    }

    fn batch(&mut self) -> Vec<Observation> {
        (0..BATCH).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Observation {
        let flow = match self.flows {
            Flows::Uniform(count) => self.random.below(count),
            Flows::New => self.packets,
        };
        // The flows of a network differ in low bits of addresses and ports.
        let [.., a, b, c, d] = flow.to_be_bytes();
        let packet = Packet {
            ip_version: IpVersion::V4,
            source: Address::v4([10, a, b, c]),
            destination: Address::v4([192, 0, 2, 1]),
            source_port: 1024 + u16::from(d),
            destination_port: 443,
            protocol: 6,
            type_of_service: 0,
            ttl: 64,
            tcp_control_bits: 0x10,
            vlan_id: 0,
            octets: 46,
            exceeds_wire: false,
            fragment: Fragment::Whole,
        };
        let time = Timestamp::from_millis(1_700_000_000_000 + self.packets / RATE);
        self.packets += 1;
        Observation::new(&packet, 1, time, 0)
    }
}

/// What takes packets.
trait Cache {
    const NAME: &str;

    /// A packet as this cache takes it; making it is not measured.
    type Packet;

    fn new() -> Self;
    fn convert(packets: Vec<Observation>) -> Vec<Self::Packet>;
    fn process(&mut self, burst: &[Self::Packet]);
}

impl Cache for FlowTable {
    const NAME: &str = "table";

    type Packet = Observation;

    fn new() -> Self {
        Self::new(&TableSettings {
            flows_max: FLOWS_MAX,
            idle_timeout_ms: IDLE_MS,
            active_timeout_ms: ACTIVE_MS,
            key: KeyFields::SEVEN,
            seed: HashSeed::new(1),
        })
    }

    fn convert(packets: Vec<Observation>) -> Vec<Observation> {
        packets
    }

    #[inline]
    fn process(&mut self, burst: &[Observation]) {
        self.process(burst, &mut |record| {
            black_box(record);
        });
    }
}

/// The key of a map: the words of the table's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key([u64; 6]);

impl From<FlowKey> for Key {
    fn from(key: FlowKey) -> Self {
        let [s0, s1] = halves(key.source);
        let [d0, d1] = halves(key.destination);
        let ports = u64::from(key.source_port)
            | u64::from(key.destination_port) << 16
            | u64::from(key.ingress_interface) << 32;
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

/// Takes the key's own hash as it is.
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
struct Keyed {
    key: Key,
    flow: Flow,
}

/// What a map keeps of a flow; a packet is a flow of one.
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

struct Hashbrown(hashbrown::HashMap<Key, Flow, BuildAsItIs>);

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

struct Dashmap(dashmap::DashMap<Key, Flow, BuildAsItIs>);

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
        // It counts itself shard by shard: only where flows came is that worth a look.
        if new > 0 && self.0.len() >= FLOWS_MAX as usize {
            self.0.retain(|_, flow| {
                black_box(flow);
                false
            });
        }
    }
}

fn means(criterion: &mut Criterion) {
    for flows in Flows::ALL {
        mean::<FlowTable>(criterion, flows);
        mean::<Hashbrown>(criterion, flows);
        mean::<Dashmap>(criterion, flows);
    }
}

fn mean<C: Cache>(criterion: &mut Criterion, flows: Flows) {
    let (mut cache, mut traffic) = filled::<C>(flows);
    let mut group = criterion.benchmark_group("table");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(BenchmarkId::new(C::NAME, flows.name()), |bencher| {
        bencher.iter_batched_ref(
            || C::convert(traffic.batch()),
            |packets| packets.chunks(BURST).for_each(|burst| cache.process(burst)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A cache that has seen nearly all flows, and the packets that follow.
fn filled<C: Cache>(flows: Flows) -> (C, Traffic) {
    let (mut cache, mut traffic) = (C::new(), Traffic::new(flows));
    let packets = match flows {
        Flows::Uniform(count) => 3 * count,
        Flows::New => u64::from(FLOWS_MAX),
    };
    for _ in 0..packets.div_ceil(BATCH as u64) {
        let packets = C::convert(traffic.batch());
        packets.chunks(BURST).for_each(|burst| cache.process(burst));
    }
    (cache, traffic)
}

/// Prints the times of single bursts, so many batches of them.
fn worst_calls(batches: usize) {
    println!("\nbursts of {BURST} packets     median     99.99 %      worst");
    for flows in Flows::ALL {
        worst_call::<FlowTable>(flows, batches);
        worst_call::<Hashbrown>(flows, batches);
        worst_call::<Dashmap>(flows, batches);
    }
}

fn worst_call<C: Cache>(flows: Flows, batches: usize) {
    let (mut cache, mut traffic) = filled::<C>(flows);
    let mut times: Vec<Duration> = Vec::with_capacity(batches * BATCH / BURST);
    for _ in 0..batches {
        let packets = C::convert(traffic.batch());
        for burst in packets.chunks(BURST) {
            let begin = Instant::now();
            cache.process(burst);
            times.push(begin.elapsed());
        }
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{:9} {:14} {:>10.1?} {:>11.1?} {:>10.1?}",
        C::NAME,
        flows.name(),
        at(0.5),
        at(0.9999),
        at(1.0)
    );
}

criterion_group!(benches, means);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if has("--test") || has("--list") || !has("--bench") {
        // Only whether it runs is of interest.
        return;
    }
    worst_calls(if has("--quick") { 20 } else { 400 });
}
