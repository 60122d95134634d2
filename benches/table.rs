//! The flow table in comparison with two other maps: hashbrown's, and dashmap's, which threads can
//! share.
//!
//! All three get the same packets in bursts of 64, and do the same with a packet: find or create
//! its flow, check its timeouts, count, extend times and TTLs, OR the control bits. The maps have
//! keys of the same 48 octets, compared as a whole, and the same hash: folded multiplication with
//! secret words. They have room for all flows from the start.
//!
//! Maps cannot end flows that get no more packets (the table sweeps), or stay within a limit (the
//! table evicts). So in the test with only new flows, they are emptied when full. Memory is in
//! small pages here, while the program requests huge ones.
//!
//! Each sample is 65,536 packets. After the means, the times of single bursts are printed: a
//! capture ring must bridge the slowest call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group};
use flow::frame::{Fragment, Packet};
use flow::{
    Address, BURST_MAX, FlowTable, HashSeed, IpVersion, KeyFields, Observation, ObservationPoint,
    Ports, TableSettings, Timestamp, TraceTime,
};
use maps::{Dashmap, Hashbrown};
use support::random::Random;

#[path = "maps/mod.rs"]
mod maps;
#[path = "../tests/support/mod.rs"]
mod support;

const BURST: usize = 64;

const BATCH: usize = 1024 * BURST;

/// Packets per millisecond of the trace clock.
const RATE: u64 = 1000;

const IDLE_MS: u32 = 15_000;
const ACTIVE_MS: u32 = 60_000;

/// Limit of the table. Maps are emptied at this number of flows.
const FLOWS_MAX: u32 = 1_250_000;

/// Choice of the flow of the next packet.
#[derive(Clone, Copy, Debug)]
enum Flows {
    /// One of this number of flows with the same probability.
    Uniform(u64),
    /// A new flow.
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

/// An endless sequence of packets.
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
            ports: Ports::new(1024 + u16::from(d), 443),
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
        Observation::new(
            &packet,
            ObservationPoint::ingress(1),
            TraceTime { time, late_ms: 0, clock: 0 },
        )
    }
}

/// A table or a map.
trait Cache {
    const NAME: &str;

    /// A packet in the form for this cache. The conversion is not measured.
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
            flows_start: FLOWS_MAX,
            idle_timeout_ms: IDLE_MS,
            active_timeout_ms: ACTIVE_MS,
            key: KeyFields::SEVEN,
            seed: HashSeed::new(1),
            burst: BURST_MAX,
        })
        .unwrap()
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

/// A cache with nearly all flows, and the packets that follow.
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

/// Prints the times of single bursts in `batches` batches.
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
        // Then only a test that it runs is needed.
        return;
    }
    worst_calls(if has("--quick") { 20 } else { 400 });
}
