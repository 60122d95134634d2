//! Timeouts that change, and those of protocols.

use super::*;

#[test]
fn timeouts_change_while_flows_are_in_the_table() {
    let mut it = Fixture::new();
    let set = |it: &mut Fixture, idle_ms, active_ms| {
        let now = Timestamp::from_millis(it.now);
        it.table.set_timeouts(idle_ms, active_ms, now, &mut |record| it.records.push(record));
    };
    it.packet(1_000, 1, ACK).packet(10_000, 2, ACK).packet(12_000, 3, ACK);
    // What was over by the timeouts before has left by them, though the new ones are longer.
    it.now = 16_001;
    set(&mut it, 30_000, 120_000);
    assert_eq!(it.records(), [(1_000, 1_000, 1, IdleTimeout)]);
    // A flow that would have been over goes on.
    it.packet(39_000, 2, ACK).packet(40_000, 3, ACK);
    assert!(it.records().is_empty());
    // What is over by shorter ones leaves at once, and the others stay.
    it.now = 44_500;
    set(&mut it, 5_000, 60_000);
    assert_eq!(it.records(), [(10_000, 39_000, 2, IdleTimeout)]);
    set(&mut it, 5_000, 20_000);
    assert_eq!(it.records(), [(12_000, 40_000, 2, ActiveTimeout)]);
    it.packet(45_000, 3, ACK).finish();
    assert_eq!(it.records(), [(45_000, 45_000, 1, ForcedEnd)]);
}

#[test]
fn protocol_has_a_timeout_of_its_own() {
    let mut it = Fixture::new();
    it.table.set_idle_timeout_of(6, 20_000);
    it.packet(0, 1, ACK).packet(20_000, 1, ACK).packet(40_001, 1, ACK).finish();
    assert_eq!(it.records(), [(0, 20_000, 2, IdleTimeout), (40_001, 40_001, 1, ForcedEnd)]);
}
