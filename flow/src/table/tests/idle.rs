//! The sweep that says up to when all records have left.

use super::*;

fn end_idle(fixture: &mut Fixture, now: u64) -> Vec<(u64, u64, u64, FlowEndReason)> {
    let now = Timestamp::from_millis(now);
    let age_ms = fixture.table.end_idle(now, &mut |record| fixture.records.push(record));
    assert_eq!(age_ms, 15_000);
    fixture.records()
}

#[test]
fn all_flows_that_are_idle_leave_and_no_other() {
    let mut fixture = Fixture::new();
    for host in 0..600 {
        fixture.packet(1000 + u64::from(host), host, ACK);
    }
    assert_eq!(end_idle(&mut fixture, 16_000), []);
    assert_eq!(end_idle(&mut fixture, 16_301).len(), 301);
    assert_eq!((end_idle(&mut fixture, 16_301), fixture.table.flows()), (Vec::new(), 299));
    assert_eq!(end_idle(&mut fixture, 1 << 40).len(), 299, "times wrap around before");
}

#[test]
fn a_flow_behind_its_active_timeout_leaves_with_its_next_packet() {
    let mut fixture = Fixture::new();
    for second in (0..=60).step_by(10) {
        fixture.packet(second * 1000, 1, ACK);
    }
    assert_eq!(end_idle(&mut fixture, 70_000), []);
    fixture.packet(70_000, 1, ACK);
    assert_eq!(fixture.records(), [(0, 60_000, 7, ActiveTimeout)]);
    assert_eq!(end_idle(&mut fixture, 85_001), [(70_000, 70_000, 1, IdleTimeout)]);
}
