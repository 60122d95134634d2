//! Packets decoded from octets, through the observer and the flow table as a worker does it, and
//! through a model of the same rules that has a simple map and no cleverness.
//!
//! Without evictions the records are the same; with evictions the sums of each flow are.

mod clock;
mod packet;

use std::collections::BTreeMap;

use flow::{
    BURST_MAX, DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, FlowTable, Frame,
    HashSeed, KeyField, KeyFields, LinkType, Naming, NewClock, Observation, ObservationPoint,
    Observer, ObserverSettings, RecordTally, Sampling, Sink, TableSettings, Tags, Timestamp,
};

use self::packet::Packet;
use super::input::Input;

/// Keys come from one octet, so this many flows are enough for all of them.
const ENOUGH: u32 = 4096;

/// Packets of a check: more do not find more.
const PACKETS_MAX: usize = 2000;

/// Settings (8), then packets: key (1), attributes (1), time (2), and how often (1).
pub fn check(octets: &[u8]) {
    let mut input = Input::new(octets);
    let settings = Settings::read(&mut input);
    let mut meter = Meter::new(settings);
    let mut model = Model::new(settings);
    let mut packets = 0;
    while !input.is_empty() && packets < PACKETS_MAX {
        let packet = Packet::read(&mut input);
        let step = Step::read(&mut input);
        let count = if input.u8() < 240 { 1 } else { 1 + usize::from(input.u8() % 80) };
        for _ in 0..count {
            let time = step.from(model.now, settings);
            meter.take(packet, time);
            model.take(packet, time);
        }
        packets += count;
    }
    let records = meter.finish();
    model.end_of_input();
    if settings.flows_max == ENOUGH {
        assert_eq!(sorted(records), sorted(model.records));
    } else {
        assert_eq!(sums(&records), sums(&model.records));
    }
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    idle_ms: u32,
    active_ms: u32,
    flows_max: u32,
    key: KeyFields,
    burst: u16,
    sampling: u32,
    seed: u64,
    begin: u64,
}

impl Settings {
    fn read(input: &mut Input<'_>) -> Self {
        Self {
            idle_ms: input.pick(&[15_000, 1, 50, 1999, 2000, 2001, 90_000, 86_400_000]),
            active_ms: input.pick(&[60_000, 1, 60, 2000, 14_999, 15_000, 86_400_000]),
            flows_max: input.pick(&[ENOUGH, ENOUGH, 1, 2, 14, 15, 16, 31, 100]),
            key: match input.u8() {
                bits if bits % 2 == 0 => KeyFields::SEVEN,
                bits => KeyFields::new(
                    KeyField::ALL.into_iter().filter(|&field| bits.rotate_left(field as u32) > 99),
                ),
            },
            burst: input.pick(&[BURST_MAX, 1, 2, 7, BURST_MAX - 1]),
            sampling: input.pick(&[1, 1, 1, 2, 3]),
            seed: input.u8().into(),
            begin: input.pick(&[
                1_700_000_000_000,
                0,
                1 << 31,
                1 << 32,
                (1 << 32) * 400,
                Timestamp::MAX.as_millis() - 1000,
            ]),
        }
    }
}

/// Key, VLAN and direction.
type Identity = (FlowKey, u16, FlowDirection);

/// How far the next packet is from now.
#[derive(Clone, Copy, Debug)]
struct Step(u8, u8);

impl Step {
    fn read(input: &mut Input<'_>) -> Self {
        Self(input.u8(), input.u8())
    }

    fn from(self, now: u64, settings: Settings) -> u64 {
        let (idle, active) = (u64::from(settings.idle_ms), u64::from(settings.active_ms));
        let very_late = 1_u64 << 28;
        let amount = u64::from(self.1);
        let size = match self.0 >> 1 {
            0..32 => amount,
            32..64 => amount * 100,
            64..80 => idle + amount % 3 - idle.min(1),
            80..96 => active + amount % 3 - active.min(1),
            96..108 => 1999 + amount % 3,
            108..112 => active + idle + amount,
            112..116 => very_late + amount % 3 - 1,
            116..118 => 2 * very_late + amount,
            118..120 => (1 << 31) - 1 + amount % 3,
            120..122 => (1 << 32) - 1 + amount % 3,
            122..124 => 24 * 60 * 60 * 1000 + amount % 2,
            _ => 0,
        };
        let time = if self.0 & 1 == 0 { now + size } else { now.saturating_sub(size) };
        time.min(Timestamp::MAX.as_millis())
    }
}

/// The real thing, as a worker uses it.
struct Meter {
    settings: Settings,
    observer: Observer,
    flows: Flows,
}

/// A table and its records.
struct Flows {
    table: FlowTable,
    records: Vec<FlowRecord>,
}

impl Sink for Flows {
    fn vacancy(&mut self) -> &mut Observation {
        self.table.vacancy()
    }

    fn push(&mut self) {
        self.table.push(&mut |record| self.records.push(record));
    }

    fn begin_clock(&mut self, clock: NewClock) {
        self.table.begin_clock(clock, &mut |record| self.records.push(record));
    }

    fn learn(&mut self, _: Naming) {}
}

impl Meter {
    fn new(settings: Settings) -> Self {
        let seed = HashSeed::new(settings.seed);
        let table = FlowTable::new(&TableSettings {
            flows_max: settings.flows_max,
            flows_start: settings.flows_max.div_ceil(8),
            idle_timeout_ms: settings.idle_ms,
            active_timeout_ms: settings.active_ms,
            key: settings.key,
            seed,
            burst: settings.burst,
        })
        .unwrap();
        Self {
            settings,
            observer: Observer::new(&ObserverSettings {
                key: settings.key,
                idle_timeout_ms: settings.idle_ms,
                active_timeout_ms: settings.active_ms,
                tpids: flow::Tpids::default(),
                decap: flow::DecapSettings::default(),
                sampling: Sampling { interval: settings.sampling },
                seed,
            }),
            flows: Flows { table, records: Vec::new() },
        }
    }

    fn take(&mut self, packet: Packet, time: u64) {
        let data = packet.frame();
        let frame = Frame {
            data: &data,
            wire_length: u32::try_from(data.len()).expect("frames are short"),
            time: Timestamp::from_millis(time),
            point: ObservationPoint { interface: packet.interface, direction: packet.direction },
            link_type: LinkType::Ethernet,
        };
        self.observer.observe(&frame, &mut self.flows);
        assert!(self.flows.table.flows() <= self.settings.flows_max);
    }

    /// All records. Every packet is in one.
    fn finish(mut self) -> Vec<FlowRecord> {
        self.observer.finish(&mut self.flows);
        let Flows { mut table, mut records } = self.flows;
        table.settle(&mut |record| records.push(record));
        assert!(table.flows() <= self.settings.flows_max);
        table.finish(self.observer.now(), &mut |record| records.push(record));
        assert_eq!(table.flows(), 0);
        let metered = self.observer.counts().metered;
        let mut left = RecordTally::default();
        records.iter().for_each(|record| left.count(record));
        assert_eq!((metered.packets, metered.octets), (left.packets, left.octets));
        let ended = table.ended().into_iter().fold(RecordTally::default(), |a, b| a + b);
        assert_eq!(ended, left);
        records
    }
}

/// A flow of the model: a record that is not complete. Its reason is not known yet.
#[derive(Clone, Copy, Debug)]
struct Flow {
    record: FlowRecord,
    closed: bool,
    /// Trace time less its own time.
    offset: i64,
}

/// The meaning of a flow, step by step.
struct Model {
    settings: Settings,
    now: u64,
    /// Offset of each clock, and now at its last packet.
    clocks: Vec<(i64, u64)>,
    current: usize,
    /// A frame ahead of all clocks, whether it is sampled.
    held: Option<(Packet, u64, bool)>,
    frames: u32,
    flows: BTreeMap<(Identity, usize), Flow>,
    records: Vec<FlowRecord>,
}

impl Model {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: settings.begin,
            clocks: Vec::new(),
            current: 0,
            held: None,
            frames: 0,
            flows: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    fn take(&mut self, packet: Packet, time: u64) {
        let is_sampled = self.frames.is_multiple_of(self.settings.sampling);
        self.frames += 1;
        if self.clocks.is_empty() {
            (self.now, self.clocks) = (time, vec![(0, time)]);
        }
        let idle = u64::from(self.settings.idle_ms);
        if let Some(held) = self.held.take() {
            let is_real = self.clock_of(time).is_none() && time + idle / 2 >= held.1;
            self.release(held, is_real);
        }
        if let Some(clock) = self.clock_of(time) {
            self.enter(clock, time);
            self.place(packet, time, Some(clock), is_sampled);
        } else if self.distance(self.current, time) > 0 {
            self.held = Some((packet, time, is_sampled));
        } else {
            let clock = self.begin(time);
            self.place(packet, time, clock, is_sampled);
            if let Some(clock) = clock {
                self.enter(clock, time);
            }
        }
    }

    /// A packet at its place in trace time.
    fn place(&mut self, packet: Packet, time: u64, clock: Option<usize>, is_sampled: bool) {
        if !is_sampled {
            return;
        }
        let key = packet.key(self.settings.key);
        let bits = if packet.tcp { packet.bits } else { 0 };
        let is_connection = self.settings.key.contains_five_tuple();
        let new = Flow {
            record: FlowRecord {
                key: key.0,
                octets: packet.octets(),
                packets: 1,
                start: Timestamp::from_millis(time),
                end: Timestamp::from_millis(time),
                exported: Timestamp::default(),
                vlan_id: packet.vlan_id,
                direction: packet.direction,
                tcp_control_bits: bits,
                minimum_ttl: packet.ttl,
                maximum_ttl: packet.ttl,
                end_reason: FlowEndReason::ForcedEnd,
                tags: Tags::NONE,
                details: DetailsIndex::NONE,
            },
            closed: is_connection && bits & 0x05 != 0,
            offset: clock.map_or(0, |clock| self.clocks[clock].0),
        };
        let Some(clock) = clock else {
            self.records.push(new.record);
            return;
        };
        let key = (key, clock);
        if let Some(flow) = self.flows.remove(&key) {
            let begins_anew = flow.closed && bits & 0x02 != 0;
            if self.over(&flow).is_some() || begins_anew {
                self.end(flow, FlowEndReason::EndOfFlow);
                self.flows.insert(key, new);
            } else {
                self.flows.insert(key, joined(flow, new));
            }
        } else {
            self.flows.insert(key, new);
        }
    }

    /// Ends all flows: those that are over say why, the others are forced to.
    fn finish(&mut self) {
        for flow in std::mem::take(&mut self.flows).into_values() {
            self.end(flow, FlowEndReason::ForcedEnd);
        }
    }

    fn end(&mut self, flow: Flow, otherwise: FlowEndReason) {
        let end_reason = self.over(&flow).unwrap_or(otherwise);
        self.records.push(FlowRecord { end_reason, ..flow.record });
    }

    /// Whether now is past the earlier of the deadlines; that one is the reason.
    fn over(&self, flow: &Flow) -> Option<FlowEndReason> {
        let idle_ms = u64::from(self.settings.idle_ms);
        let idle_ms = if flow.closed { idle_ms.min(2000) } else { idle_ms };
        let trace = |time: Timestamp| {
            time.as_millis().checked_add_signed(flow.offset).expect("it is not negative")
        };
        let idle_deadline = trace(flow.record.end) + idle_ms;
        let active_deadline = trace(flow.record.start) + u64::from(self.settings.active_ms);
        if self.now <= idle_deadline.min(active_deadline) {
            None
        } else if active_deadline <= idle_deadline {
            Some(FlowEndReason::ActiveTimeout)
        } else if flow.closed {
            Some(FlowEndReason::EndOfFlow)
        } else {
            Some(FlowEndReason::IdleTimeout)
        }
    }
}

fn joined(flow: Flow, packet: Flow) -> Flow {
    let (one, other) = (flow.record, packet.record);
    Flow {
        record: FlowRecord {
            octets: one.octets + other.octets,
            packets: one.packets + other.packets,
            start: one.start.min(other.start),
            end: one.end.max(other.end),
            tcp_control_bits: one.tcp_control_bits | other.tcp_control_bits,
            minimum_ttl: one.minimum_ttl.min(other.minimum_ttl),
            maximum_ttl: one.maximum_ttl.max(other.maximum_ttl),
            ..one
        },
        closed: flow.closed || packet.closed,
        offset: flow.offset,
    }
}

/// All that a record says but when it left.
type Said = (FlowKey, u64, u64, Timestamp, Timestamp, (u16, FlowDirection), [u8; 3], FlowEndReason);

fn sorted(records: Vec<FlowRecord>) -> Vec<Said> {
    let said = |record: FlowRecord| {
        assert!(record.start <= record.end);
        let octets = [record.tcp_control_bits, record.minimum_ttl, record.maximum_ttl];
        (
            record.key,
            record.packets,
            record.octets,
            record.start,
            record.end,
            (record.vlan_id, record.direction),
            octets,
            record.end_reason,
        )
    };
    let mut sorted: Vec<_> = records.into_iter().map(said).collect();
    sorted.sort_unstable();
    sorted
}

/// By key: packets, octets, earliest, latest, control bits, lowest and highest TTL.
type Sums = BTreeMap<FlowKey, (u64, u64, Timestamp, Timestamp, u8, u8, u8)>;

fn sums(records: &[FlowRecord]) -> Sums {
    let mut sums = Sums::new();
    for record in records {
        let sum = sums.entry(record.key).or_insert((0, 0, record.start, record.end, 0, 255, 0));
        sum.0 += record.packets;
        sum.1 += record.octets;
        sum.2 = sum.2.min(record.start);
        sum.3 = sum.3.max(record.end);
        sum.4 |= record.tcp_control_bits;
        sum.5 = sum.5.min(record.minimum_ttl);
        sum.6 = sum.6.max(record.maximum_ttl);
    }
    sums
}
