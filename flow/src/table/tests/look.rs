//! Flows that are shown, and flows that are ended early.

use super::*;

/// The packets of all flows that a look in pieces of this many groups shows, sorted.
fn shown(table: &FlowTable, groups: u32) -> Vec<u64> {
    let mut packets = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        next = table.look(from, groups, &mut |flow| packets.push(flow.tally().packets));
    }
    packets.sort_unstable();
    packets
}

#[test]
fn a_look_shows_each_flow_once_and_changes_nothing() {
    let mut fixture = Fixture::new();
    assert!(shown(&fixture.table, 1).is_empty());
    for host in 1..=300 {
        (0..host).for_each(|_| _ = fixture.packet(1000, host, ACK));
    }
    let all: Vec<u64> = (1..=300).collect();
    for groups in [1, 7, 10_000] {
        assert_eq!(shown(&fixture.table, groups), all);
    }
    let mut now = Vec::new();
    fixture.table.look(0, u32::MAX, &mut |flow| now.push(flow.record()));
    fixture.finish();
    now.sort_by_key(|flow| flow.key);
    fixture.records.sort_by_key(|flow| flow.key);
    assert_eq!(fixture.records, now, "they are the records that end");
}

#[test]
fn flows_that_are_meant_end_and_others_stay() {
    let mut fixture = Fixture::new();
    (1..=300).for_each(|host| _ = fixture.packet(1000, host, ACK));
    let mut next = Some(0);
    let mut is_meant = |flow: &FlowRecord| flow.key.source[3].is_multiple_of(3);
    while let Some(from) = next {
        let Fixture { table, records, .. } = &mut fixture;
        next = table.end_some(from, 2, &mut is_meant, &mut |record| records.push(record));
    }
    let ended = fixture.records.len();
    assert!(fixture.records.iter().all(|flow| flow.end_reason == ForcedEnd && is_meant(flow)));
    assert_eq!(ended, (1..=300_u32).filter(|host| (host % 256).is_multiple_of(3)).count());
    assert_eq!(fixture.table.flows() as usize, 300 - ended);
    // A flow that has ended begins again.
    fixture.packet(1001, 3, ACK).finish();
    assert_eq!(fixture.records.len(), 301);
}
