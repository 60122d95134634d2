use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::counts::MeterCounts;
use crate::frame::{Frame, LinkType};
use crate::hash::HashSeed;
use crate::key::KeyFields;
use crate::observation::Observation;
use crate::observer::{Observer, ObserverSettings, Sampling, Sink};
use crate::point::ObservationPoint;
use crate::record::FlowRecord;
use crate::table::{BURST_MAX, FlowTable, TableSettings};
use crate::time::Timestamp;

use super::{Clocks, NewClock};
use crate::Naming;

const T: u64 = 1_700_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

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

const IDLE_MS: u32 = 15_000;
const ACTIVE_MS: u32 = 60_000;

fn settings() -> ObserverSettings {
    ObserverSettings {
        key: KeyFields::SEVEN,
        idle_timeout_ms: IDLE_MS,
        active_timeout_ms: ACTIVE_MS,
        tpids: crate::Tpids::default(),
        decap: crate::DecapSettings::default(),
        sampling: Sampling { interval: 1 },
        seed: HashSeed::new(1),
    }
}

fn table_settings() -> TableSettings {
    TableSettings {
        flows_max: 100,
        flows_start: 100,
        idle_timeout_ms: IDLE_MS,
        active_timeout_ms: ACTIVE_MS,
        key: KeyFields::SEVEN,
        seed: HashSeed::new(1),
        burst: BURST_MAX,
    }
}

fn observe(observer: &mut Observer, flows: &mut Flows, (time, host): (u64, u8)) {
    observe_fragment(observer, flows, (time, host), 0);
}

/// The first fragment of a datagram, and a later one: flags and offset.
const FIRST: u16 = 0x2000;
const LATER: u16 = 1;

/// A datagram, or a fragment of it.
fn observe_fragment(
    observer: &mut Observer,
    flows: &mut Flows,
    (time, host): (u64, u8),
    place: u16,
) {
    let [flags, offset] = place.to_be_bytes();
    let data = [
        0x45, 0, 0, 28, 0, 1, flags, offset, 64, 17, 0, 0, 10, 0, 0, host, 10, 0, 0, 99, 1, 1, 1,
        1, 0, 8, 0, 0,
    ];
    let frame = Frame {
        data: &data,
        wire_length: 28,
        time: Timestamp::from_millis(time),
        point: ObservationPoint::ingress(1),
        link_type: LinkType::RawIp,
    };
    observer.observe(&frame, flows);
}

/// The records of packets, each a time and the last octet of its source address.
fn meter(packets: &[(u64, u8)]) -> (Vec<FlowRecord>, MeterCounts) {
    let mut observer = Observer::new(&settings());
    let mut flows =
        Flows { table: FlowTable::new(&table_settings()).unwrap(), records: Vec::new() };
    for &packet in packets {
        observe(&mut observer, &mut flows, packet);
    }
    observer.finish(&mut flows);
    let Flows { mut table, mut records } = flows;
    table.finish(observer.now(), &mut |record| records.push(record));
    let sum: u64 = records.iter().map(|record| record.packets).sum();
    assert_eq!(sum, packets.len() as u64);
    let times: BTreeSet<u64> = packets.iter().map(|packet| packet.0).collect();
    for record in &records {
        assert!(times.contains(&record.start.as_millis()), "{record:?}");
        assert!(times.contains(&record.end.as_millis()), "{record:?}");
        assert!(record.start <= record.end && record.end <= record.exported, "{record:?}");
    }
    (records, observer.counts())
}

fn check(packets: &[(u64, u8)], records: usize) {
    let (got, counts) = meter(packets);
    assert_eq!(got.len(), records, "{counts:?}");
}

/// A flow of 20 s.
fn flow(host: u8) -> Vec<(u64, u8)> {
    (0..200).map(|n| (T + n * 100, host)).collect()
}

/// Two flows, the second on a clock that is behind.
fn lagging(lag: u64, is_reversed: bool) -> Vec<(u64, u8)> {
    let pairs = (0..200).map(|n| T + n * 100).map(|time| [(time, 1), (time - lag, 2)]);
    pairs.flat_map(|[one, two]| if is_reversed { [two, one] } else { [one, two] }).collect()
}

#[test]
fn flow_goes_on_over_one_wrong_time() {
    let one = flow(1);
    check(&one, 1);
    let with = |wrong: &[(u64, u8)]| [&one[..50], wrong, &one[50..]].concat();
    check(&with(&[(T + 3650 * DAY, 77)]), 2);
    check(&with(&[(T - 3650 * DAY, 77)]), 2);
    check(&with(&[(T + 60_000_000, 77)]), 2);
    let (_, counts) = meter(&with(&[(T + 3650 * DAY, 77)]));
    assert_eq!((counts.clock_jumps, counts.clock_jumps_refused, counts.clocks_added), (0, 1, 1));
}

#[test]
fn flow_goes_on_over_a_wrong_time_now_and_then() {
    let mut packets = Vec::new();
    for n in 0..600 {
        packets.push((T + n * 10, 1));
        if n % 60 == 59 {
            packets.push((T + (100_000 + n) * 1000, 77));
        }
    }
    check(&packets, 11);
}

#[test]
fn flows_of_clocks_that_differ_go_on() {
    check(&lagging(20_000, false), 2);
    check(&lagging(20_000, true), 2);
    for lag in (100..40_000).step_by(50) {
        for is_reversed in [false, true] {
            let (records, counts) = meter(&lagging(lag, is_reversed));
            assert!(records.len() <= 3, "{lag} ms, {is_reversed}: {counts:?}");
        }
    }
}

#[test]
fn capture_behind_another_of_the_same_time_is_metered_as_such() {
    let minute = |host| (0..600).map(move |n| (T + n * 100, host));
    check(&minute(1).chain(minute(2)).collect::<Vec<_>>(), 2);
}

/// One interface sees the first fragment, another one the rest.
#[test]
fn fragments_of_clocks_that_differ_have_the_same_ports() {
    for lag in [0, 20_000, DAY] {
        for [of_first, of_later] in [[0, lag], [lag, 0]] {
            let mut observer = Observer::new(&settings());
            let mut flows =
                Flows { table: FlowTable::new(&table_settings()).unwrap(), records: Vec::new() };
            // Both clocks are known before.
            for behind in [0, lag] {
                observe(&mut observer, &mut flows, (T - behind, 1));
            }
            observe_fragment(&mut observer, &mut flows, (T + 100 - of_first, 2), FIRST);
            observe_fragment(&mut observer, &mut flows, (T + 200 - of_later, 2), LATER);
            observer.finish(&mut flows);
            let Flows { mut table, mut records } = flows;
            table.finish(observer.now(), &mut |record| records.push(record));
            let ports = |record: &FlowRecord| (record.key.source_port, record.key.destination_port);
            let is_of_datagram = |record: &&FlowRecord| record.key.source[3] == 2;
            let found: Vec<_> = records.iter().filter(is_of_datagram).map(ports).collect();
            assert!(!found.is_empty() && found.iter().all(|ports| *ports == (0x101, 0x101)));
            assert_eq!(observer.counts().fragments_unknown, 0, "{lag} ms");
        }
    }
}

#[test]
fn captures_in_order_have_the_records_of_one_clock() {
    for seed in 0..300_u64 {
        let mut random = seed;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            (random >> 33) % below
        };
        let mut time = T;
        let steps = [1, 100, 3000, 6000, 9000, 14_000, 16_000, 40_000, 5 * DAY];
        let packets: Vec<(u64, u8)> = (0..300)
            .map(|_| {
                time +=
                    if next(10) < 3 { steps[usize::try_from(next(9)).unwrap()] } else { next(200) };
                (time, u8::try_from(next(4)).unwrap())
            })
            .collect();
        let (records, counts) = meter(&packets);
        let got: BTreeSet<_> = records.iter().map(said).collect();
        assert_eq!(got.len(), records.len());
        assert_eq!(got, in_order(&packets), "seed {seed}");
        assert_eq!((counts.clocks_added, counts.clock_jumps_refused), (0, 0));
    }
}

type Said = (u8, u64, u64, u64);

fn said(record: &FlowRecord) -> Said {
    let (start, end) = (record.start.as_millis(), record.end.as_millis());
    (record.key.source[3], start, end, record.packets)
}

/// The records of packets in order, by the timeouts alone.
fn in_order(packets: &[(u64, u8)]) -> BTreeSet<Said> {
    let mut live: [Option<Said>; 4] = [None; 4];
    let mut records = BTreeSet::new();
    for &(time, host) in packets {
        let flow = &mut live[usize::from(host)];
        match flow {
            Some((_, start, end, packets)) if time <= (*end + 15_000).min(*start + 60_000) => {
                *end = time;
                *packets += 1;
            }
            Some(_) | None => {
                records.extend(flow.take());
                *flow = Some((host, time, time, 1));
            }
        }
    }
    records.extend(live.into_iter().flatten());
    records
}

#[test]
fn numbers_of_clocks_are_bounded_and_used_again() {
    // Nine clocks at once: the ninth has no number.
    let apart = |clock: u64| T - clock * 20_000;
    let mut packets: Vec<_> = (0..9).map(|clock| (apart(clock.into()), clock)).collect();
    let (records, counts) = meter(&packets);
    assert_eq!((records.len(), counts.clocks_added, counts.without_clock), (9, 7, 1));
    // After active and idle timeout of the first clock all other numbers are free.
    packets.extend((0..800).map(|n| (T + n * 100, 0)));
    packets.push((T - DAY, 9));
    let (_, counts) = meter(&packets);
    assert_eq!((counts.clocks_added, counts.without_clock), (8, 1));
}

#[test]
fn tick_moves_now_forward_only() {
    let at = Timestamp::from_millis;
    let mut clocks = Clocks::new(15_000, 60_000);
    clocks.tick(at(T));
    assert!(!clocks.has_started());
    clocks.start(at(T));
    clocks.tick(at(T + 10_000));
    assert_eq!(clocks.now(), at(T + 10_000));
    // The time of day is a little behind packets: it waits. A day behind: it goes on from now.
    clocks.tick(at(T));
    clocks.tick(at(T + 10_001));
    assert_eq!(clocks.now(), at(T + 10_001));
    clocks.tick(at(T - DAY));
    assert_eq!(clocks.now(), at(T + 10_001));
    clocks.tick(at(T - DAY + 500));
    assert_eq!(clocks.now(), at(T + 10_501));
}

#[test]
fn tick_believes_a_packet_up_to_a_second_ahead_of_the_time_of_day() {
    for (ahead_ms, is_believed) in [(1000, true), (1001, false)] {
        let mut observer = Observer::new(&settings());
        let mut flows =
            Flows { table: FlowTable::new(&table_settings()).unwrap(), records: Vec::new() };
        observe(&mut observer, &mut flows, (T, 1));
        observe(&mut observer, &mut flows, (T + 100_000, 2));
        observer.tick(Timestamp::from_millis(T + 100_000 - ahead_ms), &mut flows);
        let counts = observer.counts();
        assert_eq!((counts.metered.packets, counts.clocks_added), (2, u64::from(!is_believed)));
        let now = T + 100_000 - if is_believed { 0 } else { ahead_ms };
        assert_eq!(observer.now(), Timestamp::from_millis(now));
    }
}
