use alloc::vec::Vec;

use super::*;
use crate::clock::TraceTime;
use crate::frame::{Fragment, Packet};
use crate::hash::HashSeed;
use crate::key::{Address, IpVersion, KeyField, KeyFields, Ports};
use crate::point::ObservationPoint;

mod idle;
mod look;
mod timeouts;

const ACK: u8 = 0x10;

/// A table of 1000 flows, idle timeout 15 s, active timeout 60 s, and its clock.
struct Fixture {
    table: FlowTable,
    fields: KeyFields,
    now: u64,
    records: Vec<FlowRecord>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(1000, KeyFields::SEVEN)
    }

    fn with(flows_max: u32, fields: KeyFields) -> Self {
        let table = FlowTable::new(&Self::settings(flows_max, fields)).unwrap();
        Self { table, fields, now: 0, records: Vec::new() }
    }

    fn settings(flows_max: u32, key: KeyFields) -> TableSettings {
        TableSettings {
            flows_max,
            flows_start: flows_max,
            idle_timeout_ms: 15_000,
            active_timeout_ms: 60_000,
            key,
            seed: HashSeed::new(1),
            burst: BURST_MAX,
        }
    }

    /// A TCP packet of 100 octets from a host, at a time.
    fn packet(&mut self, time: u64, host: u32, bits: u8) -> &mut Self {
        self.packet_of(time, Packet { tcp_control_bits: bits, ..packet(host) })
    }

    fn packet_of(&mut self, time: u64, packet: Packet) -> &mut Self {
        self.now = self.now.max(time);
        let at = Timestamp::from_millis(time);
        let late_ms = u32::try_from(self.now - time).unwrap_or(u32::MAX);
        let mut observation = Observation::new(
            &packet,
            ObservationPoint::ingress(1),
            TraceTime { time: at, late_ms, clock: 0 },
        );
        observation.keep(self.fields, u32::MAX);
        self.table.process(&[observation], &mut |record| self.records.push(record));
        self.table.settle(&mut |record| self.records.push(record));
        self
    }

    fn finish(&mut self) -> &mut Self {
        let now = Timestamp::from_millis(self.now);
        self.table.finish(now, &mut |record| self.records.push(record));
        assert_eq!(self.table.flows(), 0);
        self
    }

    /// Start, end, packets and reason of the records so far, and forgets them.
    fn records(&mut self) -> Vec<(u64, u64, u64, FlowEndReason)> {
        self.records
            .drain(..)
            .map(|record| {
                let (start, end) = (record.start.as_millis(), record.end.as_millis());
                assert_eq!(record.octets, record.packets * 100);
                (start, end, record.packets, record.end_reason)
            })
            .collect()
    }
}

fn packet(host: u32) -> Packet {
    Packet {
        ip_version: IpVersion::V4,
        source: Address::v4(host.to_be_bytes()),
        destination: Address::v4([192, 0, 2, 1]),
        ports: Ports::new(40_000, 443),
        protocol: 6,
        type_of_service: 0,
        ttl: 64,
        tcp_control_bits: 0,
        vlan_id: 0,
        octets: 100,
        exceeds_wire: false,
        fragment: Fragment::Whole,
    }
}

use FlowEndReason::{ActiveTimeout, EndOfFlow, ForcedEnd, IdleTimeout, LackOfResources};

#[test]
fn flow_is_over_only_when_the_idle_timeout_has_passed() {
    let mut at_the_limit = Fixture::new();
    at_the_limit.packet(1000, 1, ACK).packet(16_000, 1, ACK).finish();
    assert_eq!(at_the_limit.records(), [(1000, 16_000, 2, ForcedEnd)]);

    let mut one_later = Fixture::new();
    one_later.packet(1000, 1, ACK).packet(16_001, 1, ACK).finish();
    assert_eq!(one_later.records(), [(1000, 1000, 1, IdleTimeout), (16_001, 16_001, 1, ForcedEnd)]);
}

#[test]
fn active_timeout_ends_a_flow_before_the_packet_is_added() {
    let mut fixture = Fixture::new();
    for second in 0..=61 {
        fixture.packet(second * 1000, 1, ACK);
    }
    assert_eq!(fixture.records(), [(0, 60_000, 61, ActiveTimeout)]);
    fixture.finish();
    assert_eq!(fixture.records(), [(61_000, 61_000, 1, ForcedEnd)]);
}

#[test]
fn earlier_deadline_gives_the_reason_whoever_finds_it() {
    // Deadlines 60,000 (active) and 50,000 + 15,000 (idle), found at 100,000.
    let cases = [(50_000, ActiveTimeout), (45_000, ActiveTimeout), (44_999, IdleTimeout)];
    for (last, reason) in cases {
        let fill = |fixture: &mut Fixture| {
            for time in (0..last).step_by(10_000).chain([last]) {
                fixture.packet(time, 1, ACK);
            }
        };
        let mut by_packet = Fixture::new();
        fill(&mut by_packet);
        by_packet.packet(100_000, 1, ACK);
        let mut by_finish = Fixture::new();
        fill(&mut by_finish);
        by_finish.now = 100_000;
        by_finish.finish();
        let mut by_sweep = Fixture::new();
        fill(&mut by_sweep);
        (0..2000)
            .for_each(|host| _ = by_sweep.packet(100_000 + u64::from(host), 1000 + host % 8, 0));
        let packets = last.div_ceil(10_000) + 1;
        let expected = (0, last, packets, reason);
        assert_eq!(by_packet.records(), [expected], "last {last}");
        assert_eq!(by_finish.records(), [expected], "last {last}");
        assert_eq!(by_sweep.records(), [expected], "last {last}");
    }
}

#[test]
fn closed_flow_lingers_for_trailing_acknowledgements() {
    let mut fixture = Fixture::new();
    fixture.packet(0, 1, SYN).packet(100, 1, FIN | ACK).packet(2000, 1, ACK).packet(4000, 1, ACK);
    assert_eq!(fixture.records(), []);
    fixture.packet(6001, 1, ACK);
    assert_eq!(fixture.records(), [(0, 4000, 4, EndOfFlow)]);
    // The packet after that began an open flow: no linger.
    fixture.packet(12_000, 1, ACK).finish();
    assert_eq!(fixture.records(), [(6001, 12_000, 2, ForcedEnd)]);
}

#[test]
fn syn_on_a_closed_flow_begins_the_next() {
    for closing in [FIN, RST, FIN | RST] {
        let mut fixture = Fixture::new();
        fixture.packet(0, 1, SYN).packet(1, 1, closing | ACK).packet(2, 1, SYN | ACK).finish();
        assert_eq!(fixture.records(), [(0, 1, 2, EndOfFlow), (2, 2, 1, ForcedEnd)]);
    }
    let mut open = Fixture::new();
    open.packet(0, 1, SYN).packet(1, 1, SYN).finish();
    assert_eq!(open.records(), [(0, 1, 2, ForcedEnd)]);
}

#[test]
fn tcp_end_is_not_looked_at_when_the_key_is_not_a_connection() {
    let fields = KeyFields::new([KeyField::Source, KeyField::Destination]);
    let mut fixture = Fixture::with(1000, fields);
    fixture.packet(0, 1, FIN).packet(1, 1, SYN).packet(9000, 1, ACK).finish();
    assert_eq!(fixture.records[0].tcp_control_bits, FIN | SYN | ACK);
    assert_eq!(fixture.records[0].key.source_port, 0);
    assert_eq!(fixture.records(), [(0, 9000, 3, ForcedEnd)]);
}

#[test]
fn late_packets_merge_by_minimum_and_maximum() {
    let mut fixture = Fixture::new();
    fixture.packet(10_000, 1, ACK).packet(9000, 1, ACK).packet(9500, 1, ACK).finish();
    assert_eq!(fixture.records(), [(9000, 10_000, 3, ForcedEnd)]);
}

#[test]
fn too_late_packet_is_a_record_of_its_own() {
    let mut fixture = Fixture::new();
    fixture.packet(100_000, 9, ACK).packet(80_000, 1, ACK).packet(80_001, 1, ACK).finish();
    assert_eq!(
        fixture.records(),
        [
            (80_000, 80_000, 1, IdleTimeout),
            (100_000, 100_000, 1, ForcedEnd),
            (80_001, 80_001, 1, IdleTimeout),
        ]
    );
}

#[test]
fn packet_without_a_clock_leaves_the_flow_alone() {
    // The lateness of the second packet is that of packets without a clock.
    let now = 10_000 * 24 * 60 * 60 * 1000;
    let mut fixture = Fixture::new();
    fixture.packet(now, 1, ACK).packet(0, 1, ACK).packet(now + 1, 1, ACK).finish();
    assert_eq!(fixture.records(), [(0, 0, 1, ForcedEnd), (now, now + 1, 2, ForcedEnd)]);
}

#[test]
fn times_are_right_across_the_wrap_of_their_low_bits() {
    for base in [1 << 31, 1 << 32, (1 << 32) * 400, (1 << 31) * 801] {
        let mut fixture = Fixture::new();
        fixture.packet(base - 7000, 1, ACK).packet(base + 5000, 1, ACK).packet(base - 1, 1, ACK);
        fixture.packet(base + 20_001, 1, ACK).finish();
        assert_eq!(
            fixture.records(),
            [
                (base - 7000, base + 5000, 3, IdleTimeout),
                (base + 20_001, base + 20_001, 1, ForcedEnd)
            ]
        );
    }
}

#[test]
fn jump_forward_of_any_size_ends_what_is_over() {
    for jump in [20_000, 1 << 28, (1 << 31) + 5, 1 << 32, (1 << 32) + 1000, 1 << 40] {
        let mut fixture = Fixture::new();
        for host in 0..100 {
            fixture.packet(1000 + u64::from(host), host, ACK);
        }
        fixture.packet(1000 + jump, 7777, ACK).finish();
        let records = fixture.records();
        assert_eq!(records.len(), 101);
        let last = (1000 + jump, 1000 + jump, 1, ForcedEnd);
        for record in &records {
            let host = record.0.wrapping_sub(1000);
            assert!(*record == last || *record == (1000 + host, 1000 + host, 1, IdleTimeout));
        }
    }
}

#[test]
fn flows_stay_apart_by_every_field_of_the_key() {
    let base = packet(1);
    let variants = [
        base,
        Packet { source: Address::v4([1, 2, 3, 4]), ..base },
        Packet { destination: Address::v4([1, 2, 3, 4]), ..base },
        Packet { ports: Ports::new(1, 443), ..base },
        Packet { ports: Ports::new(40_000, 1), ..base },
        Packet { protocol: 17, ..base },
        Packet { type_of_service: 1, ..base },
        Packet { ip_version: IpVersion::V6, ..base },
        Packet { vlan_id: 9, ..base },
    ];
    let count = |fields| {
        let mut fixture = Fixture::with(1000, fields);
        for variant in variants {
            fixture.packet_of(0, variant).packet_of(0, variant);
        }
        fixture.finish().records.len()
    };
    assert_eq!(count(KeyFields::SEVEN), 8);
    assert_eq!(count(KeyFields::new(KeyField::ALL)), 9);
    assert_eq!(count(KeyFields::new([])), 2);
    assert_eq!(count(KeyFields::new([KeyField::Vlan])), 3);
}

#[test]
fn record_carries_the_attributes_of_all_packets() {
    let mut fixture = Fixture::new();
    for (vlan_id, ttl, bits, octets) in [(5, 60, 0x02, 40), (6, 64, 0xd0, 1500), (7, 58, 0x01, 9)] {
        let packet = Packet { vlan_id, ttl, tcp_control_bits: bits, octets, ..packet(1) };
        fixture.packet_of(0, packet);
    }
    fixture.finish();
    let record = fixture.records[0];
    assert_eq!((record.vlan_id, record.tcp_control_bits), (5, 0xd3));
    assert_eq!((record.minimum_ttl, record.maximum_ttl), (58, 64));
    assert_eq!((record.packets, record.octets), (3, 1549));
    assert_eq!(record.key.interface, 1);
}

#[test]
fn counter_about_to_overflow_exports_the_flow_first() {
    let mut fixture = Fixture::new();
    fixture.packet(0, 1, ACK);
    let position = Position { group: fixture.table.groups.first_occupied(0).unwrap(), lane: 0 };
    let (slot, _) = fixture.table.groups.get_mut(position);
    (slot.packets, slot.octets) = (u32::MAX, u64::from(u32::MAX) * 100);
    fixture.packet(1, 1, ACK).finish();
    assert_eq!(fixture.records(), [(0, 0, u32::MAX.into(), ActiveTimeout), (1, 1, 1, ForcedEnd)]);
}

#[test]
fn table_holds_its_limit_without_evicting_and_evicts_beyond_it() {
    for limit in [1, 14, 15, 16, 100, 1000, 50_000] {
        let mut fixture = Fixture::with(limit, KeyFields::SEVEN);
        for host in 0..limit {
            fixture.packet(0, host, ACK);
        }
        assert_eq!((fixture.table.flows(), fixture.records.len()), (limit, 0));
        for host in limit..2 * limit {
            fixture.packet(1, host, ACK);
        }
        assert_eq!(fixture.table.flows(), limit);
        let records = fixture.records();
        assert_eq!(records.len(), limit as usize);
        assert!(records.iter().all(|record| record.3 == LackOfResources));
    }
}

#[test]
fn evicted_is_the_flow_that_was_idle_longest() {
    // All of them are in one group.
    let mut fixture = Fixture::with(9, KeyFields::SEVEN);
    for host in 0..9 {
        fixture.packet(100 + u64::from(host), host, ACK);
    }
    fixture.packet(200, 0, ACK).packet(300, 99, ACK);
    assert_eq!(fixture.records(), [(101, 101, 1, LackOfResources)]);
}

#[test]
fn evicted_flow_that_was_over_says_so() {
    let mut fixture = Fixture::with(1, KeyFields::SEVEN);
    fixture.packet(0, 1, ACK).packet(20_000, 2, ACK);
    assert_eq!(fixture.records(), [(0, 0, 1, IdleTimeout)]);
}

#[test]
fn constructed_collisions_cost_a_bounded_search_and_lose_nothing() {
    let mut fixture = Fixture::with(20_000, KeyFields::SEVEN);
    let groups = fixture.table.groups.count();
    let hash_of = |table: &FlowTable, host| {
        let time = Timestamp::default();
        table.hash(
            &Observation::new(
                &packet(host),
                ObservationPoint::ingress(1),
                TraceTime { time, late_ms: 0, clock: 0 },
            )
            .words,
        )
    };
    let colliding: Vec<u32> = (0..8_000_000)
        .filter(|&host| crate::hash::pick(hash_of(&fixture.table, host), groups) == 5)
        .collect();
    assert!(colliding.len() > 2000, "{}", colliding.len());
    for &host in &colliding {
        fixture.packet(0, host, ACK).packet(1, host, ACK);
    }
    // So many groups hold them, then each new one takes the place of an old one.
    assert_eq!(fixture.table.flows(), groups::PROBES_MAX * u32::try_from(group::SLOTS).unwrap());
    fixture.finish();
    let records = fixture.records();
    assert_eq!(records.iter().map(|record| record.2).sum::<u64>(), 2 * colliding.len() as u64);
    assert_eq!(records.len(), colliding.len());
}

#[test]
fn passed_groups_are_forgotten_when_their_flows_are_gone() {
    let mut fixture = Fixture::with(100, KeyFields::SEVEN);
    for round in 0..50 {
        for host in 0..100 {
            fixture.packet(round * 100_000, host, ACK);
        }
        fixture.table.end_some(0, u32::MAX, &mut |_| true, &mut |_| ());
        for group in 0..fixture.table.groups.count() {
            assert_eq!(fixture.table.groups.occupied_lanes(group), 0);
            assert_eq!(fixture.table.groups.passed(group), 0, "round {round}");
        }
    }
}

#[test]
fn number_of_a_clock_is_used_again_after_its_flows_have_left() {
    let mut fixture = Fixture::new();
    fixture.packet(1_000_000, 1, ACK).packet(1_080_000, 2, ACK);
    let now = Timestamp::from_millis(1_080_000);
    let clock = NewClock { number: 0, offset_ms: 80_000, now };
    fixture.table.begin_clock(clock, &mut |record| fixture.records.push(record));
    assert_eq!(fixture.records(), [(1_000_000, 1_000_000, 1, IdleTimeout)]);
    fixture.finish();
    assert_eq!(fixture.records(), [(1_000_000, 1_000_000, 1, ForcedEnd)]);
}

#[test]
fn records_come_in_the_same_order_whatever_the_bursts() {
    let mut random = 12345_u64;
    let packets: Vec<Observation> = (0..20_000_u64)
        .map(|n| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let host = low32(random >> 33) % 400;
            Observation::new(
                &packet(host),
                ObservationPoint::ingress(1),
                TraceTime { time: Timestamp::from_millis(n * 40), late_ms: 0, clock: 0 },
            )
        })
        .collect();
    // `settled`: how often the table is told to settle, in packets.
    let run = |burst: u16, settled: usize| {
        let settings = TableSettings { burst, ..Fixture::settings(300, KeyFields::SEVEN) };
        let (mut table, mut records) = (FlowTable::new(&settings).unwrap(), Vec::new());
        for some in packets.chunks(settled) {
            table.process(some, &mut |record| records.push(record));
            table.settle(&mut |record| records.push(record));
        }
        records
    };
    let one = run(1, 1);
    assert!(one.len() > 1000);
    for (burst, settled) in
        [(2, 20_000), (BURST_MAX, 20_000), (BURST_MAX, 1), (BURST_MAX, 65), (7, 16), (7, 1000)]
    {
        assert_eq!(run(burst, settled), one, "bursts of {burst}, settled after {settled}");
    }
}

#[test]
fn growing_tables_keep_all_flows() {
    for flows_start in [1, 7, 8, 100, 999, 1000] {
        let settings = TableSettings { flows_start, ..Fixture::settings(1000, KeyFields::SEVEN) };
        let table = FlowTable::new(&settings).unwrap();
        let mut fixture = Fixture { table, ..Fixture::new() };
        let start = fixture.table.groups.count();
        (0..1000).for_each(|host| _ = fixture.packet(host.into(), host, ACK));
        assert_eq!(fixture.records(), [], "{flows_start}: none has ended");
        let end = fixture.table.groups.count();
        assert!(start < end || flows_start > 990, "{flows_start}: {start} groups, then {end}");
        (0..1000).for_each(|host| _ = fixture.packet(1000, host, ACK));
        assert_eq!((fixture.records(), fixture.table.flows()), (Vec::new(), 1000), "all are found");
        // The next one ends another early.
        fixture.packet(1000, 1000, ACK);
        assert_eq!(fixture.records().len(), 1);
        fixture.finish();
        let records = fixture.records();
        assert_eq!(records.len(), 1000);
        assert_eq!(records.iter().filter(|(_, _, packets, _)| *packets == 2).count(), 999);
        for group in 0..fixture.table.groups.count() {
            assert_eq!(fixture.table.groups.passed(group), 0, "{flows_start}: group {group}");
        }
    }
}

#[test]
fn growing_tables_end_expired_flows_first() {
    let settings = TableSettings { flows_start: 100, ..Fixture::settings(1000, KeyFields::SEVEN) };
    let table = FlowTable::new(&settings).unwrap();
    let mut fixture = Fixture { table, ..Fixture::new() };
    (0..100).for_each(|host| _ = fixture.packet(0, host, ACK));
    fixture.packet(15_500, 100, ACK);
    assert_eq!(fixture.records(), [(0, 0, 1, IdleTimeout); 100]);
    fixture.finish();
}
