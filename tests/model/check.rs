//! How a script is run through the real thing, compared, and cut down when they differ.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use flow::{
    FlowEndReason, FlowRecord, FlowTable, Frame, HashSeed, KeyFields, LinkType, MeterCounts,
    Naming, NewClock, Observation, Observer, ObserverSettings, RecordTally, Sampling, Sink,
    TableSettings, Tally, Timestamp,
};

use crate::record::{Identity, Record};
use crate::script::{Packet, Script, Settings};

/// Whether a script shows what it should; if not, what is wrong.
pub type Verdict = Result<(), String>;

/// Fails if the check does on any of the scripts, with the shortest part of the script that shows
/// it.
pub fn assert_all(scripts: impl IntoIterator<Item = Script>, check: impl Fn(&Script) -> Verdict) {
    for script in scripts {
        if let Err(reason) = judge(&script, &check) {
            let length = script.packets.len();
            let (script, reason) = shrink(script, reason, &check);
            panic!("{}", describe(&script, length, &reason));
        }
    }
}

/// A panic in the code under test is a verdict too.
fn judge(script: &Script, check: &impl Fn(&Script) -> Verdict) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| check(script))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// A shorter script that fails is looked for during this time.
const SHRINKING: Duration = Duration::from_secs(10);

/// Bisects for a short beginning that fails, then leaves out ever smaller pieces of it.
fn shrink(script: Script, reason: String, check: &impl Fn(&Script) -> Verdict) -> (Script, String) {
    let began = Instant::now();
    let fails = |packets: &[Packet]| {
        let shorter = Script { packets: packets.to_vec(), ..script.clone() };
        if began.elapsed() > SHRINKING { None } else { judge(&shorter, check).err() }
    };
    let (mut packets, mut reason) = (script.packets.clone(), reason);
    let (mut passing, mut failing) = (0, packets.len());
    while failing - passing > 1 {
        let middle = passing.midpoint(failing);
        match fails(&packets[..middle]) {
            Some(why) => (failing, reason) = (middle, why),
            None => passing = middle,
        }
    }
    packets.truncate(failing);
    let mut piece = packets.len() / 2;
    while piece > 0 {
        let mut start = 0;
        while start < packets.len() {
            let end = (start + piece).min(packets.len());
            let without = [&packets[..start], &packets[end..]].concat();
            match fails(&without) {
                Some(why) => (packets, reason) = (without, why),
                None => start = end,
            }
        }
        piece /= 2;
    }
    (Script { packets, ..script }, reason)
}

fn describe(script: &Script, length: usize, reason: &str) -> String {
    let Script { seed, settings, packets } = script;
    let mut text = format!("seed {seed}, {settings:?}\n{reason}\n");
    writeln!(text, "{} of {length} packets are enough:", packets.len()).unwrap();
    for (index, packet) in packets.iter().enumerate().take(100) {
        writeln!(text, "{index:4} {packet:?}").unwrap();
    }
    text
}

/// What became of a script in process.
#[derive(Debug)]
pub struct Metered {
    pub records: Vec<FlowRecord>,
    pub counts: MeterCounts,
    pub ended: [RecordTally; FlowEndReason::ALL.len()],
    /// The most flows that a table held after a burst.
    pub flows_peak: u32,
}

/// How the real thing is run: so many tables, so many packets at a time.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub workers: usize,
    pub burst: u16,
    /// Of each table.
    pub flows_max: u32,
}

/// The real thing in process.
#[derive(Debug)]
pub struct Probe {
    observer: Observer,
    pub tables: Tables,
}

/// The tables of all workers, and their records.
#[derive(Debug)]
pub struct Tables {
    seed: HashSeed,
    key: KeyFields,
    packet: Observation,
    pub tables: Vec<FlowTable>,
    pub records: Vec<FlowRecord>,
    /// With each packet settled at once: how many records there were after it.
    pub after: Option<Vec<usize>>,
    flows_peak: u32,
}

impl Sink for Tables {
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.packet
    }

    fn push(&mut self) {
        let table = self.packet.shard(&self.seed, self.key, self.tables.len());
        let table = &mut self.tables[table];
        table.process(&[self.packet], &mut |record| self.records.push(record));
        if let Some(after) = &mut self.after {
            table.settle(&mut |record| self.records.push(record));
            after.push(self.records.len());
        }
        self.flows_peak = self.flows_peak.max(table.flows());
    }

    fn begin_clock(&mut self, clock: NewClock) {
        for table in &mut self.tables {
            table.begin_clock(clock, &mut |record| self.records.push(record));
        }
    }

    fn learn(&mut self, _: Naming) {}
}

impl Tables {
    pub fn settle(&mut self) {
        for table in &mut self.tables {
            table.settle(&mut |record| self.records.push(record));
            self.flows_peak = self.flows_peak.max(table.flows());
        }
    }

    pub fn finish(&mut self, now: Timestamp) {
        for table in &mut self.tables {
            table.finish(now, &mut |record| self.records.push(record));
        }
    }
}

fn new_table(table: &TableSettings, settings: &Settings) -> FlowTable {
    let mut table = FlowTable::new(table).unwrap();
    for (protocol, idle_ms) in &settings.idle_ms_of {
        table.set_idle_timeout_of(*protocol, *idle_ms);
    }
    table
}

impl Probe {
    pub fn new(script: &Script, way: Way) -> Self {
        let Settings { idle_ms, active_ms, sampling, .. } = script.settings;
        let longer_ms = script.settings.longest_idle_ms() - idle_ms;
        let (key, seed) = (script.settings.key_fields(), HashSeed::new(script.seed));
        let observer = ObserverSettings {
            key,
            idle_timeout_ms: idle_ms,
            active_timeout_ms: active_ms + longer_ms,
            tpids: flow::Tpids::default(),
            decap: flow::DecapSettings::default(),
            sampling: Sampling { interval: sampling },
            seed,
        };
        let table = TableSettings {
            flows_max: way.flows_max,
            flows_start: way.flows_max.div_ceil(8),
            idle_timeout_ms: idle_ms,
            active_timeout_ms: active_ms,
            key,
            seed,
            burst: way.burst,
        };
        let tables = Tables {
            seed,
            key,
            packet: Observation::default(),
            tables: (0..way.workers).map(|_| new_table(&table, &script.settings)).collect(),
            records: Vec::new(),
            after: None,
            flows_peak: 0,
        };
        Self { observer: Observer::new(&observer), tables }
    }

    /// The end of the input.
    pub fn end(&mut self) {
        self.observer.finish(&mut self.tables);
    }

    pub fn now(&self) -> Timestamp {
        self.observer.now()
    }

    pub fn observe(&mut self, packet: &Packet) {
        let (data, wire_length) = packet.frame();
        let frame = Frame {
            data: &data,
            wire_length,
            time: timestamp(packet),
            point: packet.point,
            link_type: LinkType::Ethernet,
        };
        self.observer.observe(&frame, &mut self.tables);
    }
}

fn timestamp(packet: &Packet) -> Timestamp {
    Timestamp::from_millis(packet.time.try_into().unwrap())
}

/// Runs a script through observer and tables.
pub fn meter(script: &Script, way: Way) -> Metered {
    let mut probe = Probe::new(script, way);
    for packet in &script.packets {
        probe.observe(packet);
    }
    probe.end();
    probe.tables.settle();
    probe.tables.finish(probe.observer.now());
    let Probe { observer, tables: Tables { tables, records, flows_peak, .. } } = probe;
    let mut ended = [RecordTally::default(); FlowEndReason::ALL.len()];
    for table in &tables {
        ended.iter_mut().zip(table.ended()).for_each(|(sum, tally)| *sum += tally);
    }
    Metered { records, counts: observer.counts(), ended, flows_peak }
}

impl Metered {
    pub fn records(&self) -> Vec<Record> {
        self.records.iter().copied().map(Record::from).collect()
    }

    /// Every frame is ignored for a reason or in exactly one record, and no record left before
    /// what it tells.
    pub fn conserved(&self, script: &Script) -> Verdict {
        if let Some(early) = self.records.iter().find(|record| record.exported < record.end) {
            return Err(format!("exported before its end: {early:?}"));
        }
        let counts = &self.counts;
        let received = counts.ignored_total() + counts.metered;
        equal("received packets", counts.received.packets, received.packets)?;
        equal("received packets", counts.received.packets, script.packets.len() as u64)?;
        let in_records = self.records.iter().fold(Tally::default(), |sum, record| {
            sum + Tally { packets: record.packets, octets: record.octets }
        });
        equal("metered packets and octets", in_records, counts.metered)?;
        for (reason, ended) in FlowEndReason::ALL.into_iter().zip(self.ended) {
            let mut tally = RecordTally::default();
            let of_reason = self.records.iter().filter(|record| record.end_reason == reason);
            of_reason.for_each(|record| tally.count(record));
            equal(&format!("ended by {}", reason.name()), ended, tally)?;
        }
        Ok(())
    }
}

pub fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Verdict {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, not {expected:?}")) }
}

/// Whether both are the same, in any order.
pub fn same_records(what: &str, mut got: Vec<Record>, expected: &[Record]) -> Verdict {
    let mut expected = expected.to_vec();
    got.sort_unstable();
    expected.sort_unstable();
    if got == expected {
        return Ok(());
    }
    let mut text = format!("{what}: {} records, not {}", got.len(), expected.len());
    let sides = [("it has, the model has not", &got, &expected), ("missing", &expected, &got)];
    for (label, mine, other) in sides {
        for record in only_in(mine, other).iter().take(3) {
            write!(text, "\n{label}: {} {record:?}", record.key).unwrap();
        }
    }
    Err(text)
}

/// Whether both are the same records, which left in the same order at the same time.
pub fn same_order(what: &str, got: &[FlowRecord], expected: &[FlowRecord]) -> Verdict {
    let length = got.len().max(expected.len());
    match (0..length).find(|&index| got.get(index) != expected.get(index)) {
        None => Ok(()),
        Some(index) => {
            let (got, expected) = (got.get(index), expected.get(index));
            Err(format!("{what}: record {index} is\n{got:?}, not\n{expected:?}"))
        }
    }
}

/// What sorted `mine` has more than sorted `other`.
fn only_in(mine: &[Record], other: &[Record]) -> Vec<Record> {
    let mut rest = other.iter().peekable();
    let mut only = Vec::new();
    for record in mine {
        while rest.next_if(|&other| other < record).is_some() {}
        if rest.next_if_eq(&record).is_none() {
            only.push(*record);
        }
    }
    only
}

/// What stays the same of a flow's records however often it was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    packets: u64,
    octets: u64,
    tcp_control_bits: u8,
    minimum_ttl: u8,
    maximum_ttl: u8,
    first: i64,
    last: i64,
}

pub fn sums(settings: &Settings, records: &[Record]) -> BTreeMap<Identity, Sum> {
    let mut sums = BTreeMap::<_, Sum>::new();
    for record in records {
        let one = Sum {
            packets: record.packets,
            octets: record.octets,
            tcp_control_bits: record.tcp_control_bits,
            minimum_ttl: record.minimum_ttl,
            maximum_ttl: record.maximum_ttl,
            first: record.first,
            last: record.last,
        };
        let sum = sums.entry(record.identity(settings));
        sum.and_modify(|sum| sum.add(&one)).or_insert(one);
    }
    sums
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.octets += other.octets;
        self.tcp_control_bits |= other.tcp_control_bits;
        self.minimum_ttl = self.minimum_ttl.min(other.minimum_ttl);
        self.maximum_ttl = self.maximum_ttl.max(other.maximum_ttl);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Whether the records of both add up to the same by key.
pub fn same_sums(what: &str, settings: &Settings, got: &[Record], expected: &[Record]) -> Verdict {
    let (got, expected) = (sums(settings, got), sums(settings, expected));
    for key in got.keys().chain(expected.keys()) {
        if got.get(key) != expected.get(key) {
            let (got, expected) = (got.get(key), expected.get(key));
            return Err(format!("{what}: {key:?}\ngot      {got:?}\nexpected {expected:?}"));
        }
    }
    Ok(())
}
