//! The hot functions on fixed inputs, normal and adverse ones: to count instructions
//! (instructions/) and to find the slowest single call (paths.rs).

#![allow(dead_code, reason = "each bench uses a part of it")]

mod packets;
mod records;

use std::hint::black_box;

use exporter::{Context, Destination};
use flow::{
    BURST_MAX, Batch, DecapSettings, FlowRecord, Frame, HashSeed, KeyFields, LinkType, Naming,
    NewClock, Observation, ObservationPoint, Observer, ObserverSettings, Sampling, Sink,
    TableSettings, Timestamp, TunnelKinds,
};

use self::packets::{Arrival, Traffic};

/// Work in calls, as in the program.
pub struct Scenario {
    pub name: &'static str,
    /// Packets or records.
    pub unit: &'static str,
    prepare: fn() -> Work,
}

/// The measured work, after its preparation.
pub struct Work {
    pub calls: usize,
    /// Packets or records of a call.
    pub size: usize,
    pub call: Box<dyn FnMut(usize)>,
}

impl Scenario {
    pub fn prepare(&self) -> Work {
        (self.prepare)()
    }

    const fn of_packets(name: &'static str, prepare: fn() -> Work) -> Self {
        Self { name, unit: "packet", prepare }
    }

    const fn of_records(name: &'static str, prepare: fn() -> Work) -> Self {
        Self { name, unit: "record", prepare }
    }
}

/// Size of bursts in the program.
const BURST: usize = BURST_MAX as usize;

pub const SCENARIOS: [Scenario; 32] = [
    Scenario::of_packets("frame-ipv4-tcp", || frames(&packets::ipv4_tcp())),
    Scenario::of_packets("frame-ipv4-udp", || frames(&packets::ipv4_udp())),
    Scenario::of_packets("frame-ipv6-tcp", || frames(&packets::ipv6_tcp())),
    Scenario::of_packets("frame-vlan", || frames(&packets::vlan(1))),
    Scenario::of_packets("frame-9000-octets", || frames(&packets::long())),
    Scenario::of_packets("frame-ipv4-options", || frames(&packets::options())),
    Scenario::of_packets("frame-64-vlan-tags", || frames(&packets::vlan(64))),
    Scenario::of_packets("frame-decap-ipv4-tcp", || opened(&packets::ipv4_tcp())),
    Scenario::of_packets("frame-decap-ipv4-udp", || opened(&packets::ipv4_udp())),
    Scenario::of_packets("frame-decap-ipv6-tcp", || opened(&packets::ipv6_tcp())),
    Scenario::of_packets("frame-vxlan", || opened(&packets::tunnels("vxlan"))),
    Scenario::of_packets("frame-geneve", || opened(&packets::tunnels("geneve"))),
    Scenario::of_packets("frame-gre", || opened(&packets::tunnels("gre"))),
    Scenario::of_packets("frame-gtpu", || opened(&packets::tunnels("gtpu"))),
    Scenario::of_packets("frame-ipip", || opened(&packets::tunnels("ipip"))),
    Scenario::of_packets("frame-every-second-vxlan", || opened(&packets::every_second_vxlan())),
    Scenario::of_packets("frame-64-tunnels", || opened(&packets::many_tunnels())),
    Scenario::of_packets("table-hit-1k", || table(Traffic::hits(1000), 1_000_000, BURST)),
    Scenario::of_packets("table-hit-100k", || table(Traffic::hits(100_000), 1_000_000, BURST)),
    Scenario::of_packets("table-bursts-of-1", || table(Traffic::hits(100_000), 1_000_000, 1)),
    Scenario::of_packets("table-new", || table(Traffic::new_flows(0), 1_000_000, BURST)),
    Scenario::of_packets("table-full-hit", || table(Traffic::hits(100_000), 100_000, BURST)),
    Scenario::of_packets("table-full-new", || table(Traffic::new_flows(100_000), 100_000, BURST)),
    Scenario::of_packets("table-100k-end-at-once", || {
        table(Traffic::ending(100_000), 1_000_000, BURST)
    }),
    Scenario::of_packets("table-hashes-collide", || {
        table(Traffic::colliding(packets::TABLE_OF_COLLISIONS), packets::TABLE_OF_COLLISIONS, BURST)
    }),
    Scenario::of_packets("table-clock-back-and-forth", || {
        table(Traffic::back_and_forth(), 1_000_000, BURST)
    }),
    Scenario::of_packets("table-clock-jumps", || table(Traffic::jumping(), 1_000_000, BURST)),
    Scenario::of_records("encode-ipfix", || encode("ipfix-file:/dev/null")),
    Scenario::of_records("encode-netflow9", || encode("netflow9://127.0.0.1:9?pps=0")),
    Scenario::of_records("encode-netflow5", || encode("netflow5://127.0.0.1:9?pps=0")),
    Scenario::of_records("encode-json", || encode("json:/dev/null")),
    Scenario::of_records("table-finish", finish),
];

const SEED: u64 = 1;

const IDLE_MS: u32 = 15_000;

fn settings(flows_max: u32) -> TableSettings {
    TableSettings {
        flows_max,
        flows_start: flows_max,
        idle_timeout_ms: IDLE_MS,
        active_timeout_ms: 60_000,
        key: KeyFields::SEVEN,
        seed: HashSeed::new(SEED),
        burst: BURST_MAX,
    }
}

fn observer(kinds: TunnelKinds) -> Observer {
    Observer::new(&ObserverSettings {
        key: KeyFields::SEVEN,
        idle_timeout_ms: IDLE_MS,
        tpids: flow::Tpids::default(),
        decap: DecapSettings { kinds, ..DecapSettings::default() },
        active_timeout_ms: 60_000,
        sampling: Sampling { interval: 1 },
        seed: HashSeed::new(SEED),
    })
}

/// Converts frames to observations.
fn frames(octets: &[Vec<u8>]) -> Work {
    observe(octets, observer(TunnelKinds::default()))
}

/// Converts frames to observations of the packets in tunnels.
fn opened(octets: &[Vec<u8>]) -> Work {
    observe(octets, observer(TunnelKinds::ALL))
}

fn observe(octets: &[Vec<u8>], mut observer: Observer) -> Work {
    const CALLS: usize = 256;
    let octets = octets.to_vec();
    let mut sink = Last(Observation::default());
    let call = move |call: usize| {
        for data in &octets {
            let frame = Frame {
                data,
                wire_length: u32::try_from(data.len()).unwrap(),
                time: Timestamp::from_millis(packets::BEGIN_MS + call as u64),
                point: ObservationPoint::ingress(1),
                link_type: LinkType::Ethernet,
            };
            observer.observe(black_box(&frame), &mut sink);
        }
    };
    Work { calls: CALLS, size: packets::FRAMES, call: Box::new(call) }
}

/// Keeps only the last observation.
struct Last(Observation);

impl Sink for Last {
    #[inline(always)]
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.0
    }

    #[inline(always)]
    fn push(&mut self) {
        black_box(&self.0);
    }

    fn begin_clock(&mut self, clock: NewClock) {
        black_box(clock);
    }

    fn learn(&mut self, _: Naming) {}
}

/// Adds observations to flows, in bursts.
fn table(traffic: Traffic, flows_max: u32, burst: usize) -> Work {
    let mut table = flow::FlowTable::new(&settings(flows_max)).unwrap();
    let observe = |packets: &[Arrival], shift_ms| -> Vec<_> {
        packets.iter().map(|packet| packet.observation(shift_ms)).collect()
    };
    // Once before the measurement, so that the memory has been touched. Time does not go back, so
    // the measured packets are later.
    table.process(&observe(&traffic.packets, 0), &mut discard);
    let end =
        traffic.packets.last().map_or_else(Timestamp::default, |last| last.time(packets::HOUR_MS));
    table.finish(end, &mut discard);
    let shift_ms = end.as_millis() - packets::BEGIN_MS;
    table.process(&observe(&traffic.before, shift_ms), &mut discard);
    let packets = observe(&traffic.packets, shift_ms);
    let calls = packets.len() / burst;
    let call = move |call: usize| {
        table.process(&packets[call * burst..(call + 1) * burst], &mut discard);
    };
    Work { calls, size: burst, call: Box::new(call) }
}

/// Ends all flows of a table.
fn finish() -> Work {
    const FLOWS: u32 = 100_000;
    let mut table = flow::FlowTable::new(&settings(FLOWS)).unwrap();
    for packet in &Traffic::new_flows(0).packets[..FLOWS as usize] {
        table.process(&[packet.observation(0)], &mut discard);
    }
    let call = move |_| {
        table.finish(Timestamp::from_millis(packets::BEGIN_MS + 1_000_000), &mut discard);
    };
    Work { calls: 1, size: FLOWS as usize, call: Box::new(call) }
}

fn discard(record: FlowRecord) {
    black_box(&record);
}

/// Encodes records to messages. Datagrams are sent to a port without a listener.
fn encode(output: &str) -> Work {
    const BATCH: usize = 256;
    const CALLS: usize = 64;
    let records = (0..).take(BATCH * CALLS).map(records::record).collect::<Vec<_>>();
    let batches: Vec<Batch> = records.chunks(BATCH).map(Batch::from).collect();
    let destination: Destination = output.parse().expect("an output");
    let mut exporter = destination
        .open(&Context { name: "bench".to_owned(), version: "0".to_owned(), ..Context::default() })
        .expect("the output opens");
    let call = move |call: usize| {
        exporter.export(&batches[call]).expect("it takes everything");
    };
    Work { calls: CALLS, size: BATCH, call: Box::new(call) }
}
