//! When flows end and why, and what becomes of packets whose times are out of order.

use crate::support::capture::{Captured, Order, pcap, pcap_as};
use crate::support::flows::Flow;
use crate::support::ipfix;
use crate::support::packet::{ethernet, ipv4, tcp, udp};
use crate::{A, ACK, B, FIN, RST, SYN, TCP, UDP, meter_file, meter_packets, support};

const IDLE: u64 = 1;
const ACTIVE: u64 = 2;
const END: u64 = 3;
const FORCED: u64 = 4;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// A packet of 28 octets of the flow from this port.
fn of(port: u16, millis: u64) -> Captured {
    Captured::at(millis, ethernet(&ipv4(A, B, UDP, &udp(port, 53, 0))))
}

/// A packet of 40 octets of a connection.
fn segment(millis: u64, flags: u8) -> Captured {
    Captured::at(millis, ethernet(&ipv4(A, B, TCP, &tcp(1000, 80, flags, 0))))
}

/// Packets, start, end and reason of the flows from a port.
fn records(flows: &[Flow], port: u64) -> Vec<(u64, u64, u64, u64)> {
    let flows = flows.iter().filter(|flow| flow.source_port == port);
    flows.map(|flow| (flow.packets, flow.start, flow.end, flow.end_reason)).collect()
}

/// Checks the records of packets of port 1, with what else is in the capture.
fn check(arguments: &[&str], packets: &[Captured], expected: &[(u64, u64, u64, u64)]) {
    let metered = meter_packets(arguments, packets);
    assert_eq!(records(&metered.flows, 1), expected);
}

/// Checks the records of a connection.
fn check_connection(packets: &[Captured], expected: &[(u64, u64, u64, u64)]) {
    let metered = meter_packets(&[], packets);
    assert_eq!(records(&metered.flows, 1000), expected);
}

#[test]
fn times_are_floored_to_milliseconds() {
    let mut packets = [of(1, 0), of(1, 0)];
    packets[0].nanos = 1_700_000_000_123_999_999;
    packets[1].nanos = 1_700_000_001_000_999_999;
    let metered = meter_file(&[], &pcap_as(Order::Little, true, 1, &packets));
    assert_eq!(metered.one().start, 1_700_000_000_123);
    assert_eq!(metered.one().end, 1_700_000_001_000);
    let duration = &metered.run.documents()[0]["netflow"]["flow_duration_milliseconds"];
    assert_eq!(duration, 877);
}

#[test]
fn flow_is_over_after_the_idle_timeout_and_not_at_it() {
    check(&[], &[of(1, 1000), of(1, 16_000)], &[(2, 1000, 16_000, FORCED)]);
    let two = [(1, 1000, 1000, IDLE), (1, 16_001, 16_001, FORCED)];
    check(&[], &[of(1, 1000), of(1, 16_001)], &two);
    let settings = ["--idle-timeout", "3s"];
    check(&settings, &[of(1, 1000), of(1, 4000)], &[(2, 1000, 4000, FORCED)]);
    let two = [(1, 1000, 1000, IDLE), (1, 4001, 4001, FORCED)];
    check(&settings, &[of(1, 1000), of(1, 4001)], &two);
}

#[test]
fn packets_of_other_flows_end_a_flow_too() {
    check(&[], &[of(1, 1000), of(2, 16_000)], &[(1, 1000, 1000, FORCED)]);
    check(&[], &[of(1, 1000), of(2, 16_001)], &[(1, 1000, 1000, IDLE)]);
    check(&[], &[of(1, 1000), of(2, 3_600_000)], &[(1, 1000, 1000, IDLE)]);
}

#[test]
fn flow_that_goes_on_is_reported_after_the_active_timeout() {
    // Every 10 s. The record ends at the packet 60 s after the first; the next begins another.
    let every = |last: u64| (0..=last).map(|n| of(1, 1000 + n * 10_000)).collect::<Vec<_>>();
    check(&[], &every(6), &[(7, 1000, 61_000, FORCED)]);
    check(&[], &every(7), &[(7, 1000, 61_000, ACTIVE), (1, 71_000, 71_000, FORCED)]);
    let records = [(7, 1000, 61_000, ACTIVE), (1, 61_001, 61_001, FORCED)];
    check(&[], &[every(6), vec![of(1, 61_001)]].concat(), &records);
    let settings = ["--active-timeout", "15s"];
    let records =
        [(2, 1000, 11_000, ACTIVE), (2, 21_000, 31_000, ACTIVE), (1, 41_000, 41_000, FORCED)];
    check(&settings, &every(4), &records);
}

#[test]
fn earlier_deadline_gives_the_reason() {
    // The active deadline is 61,000 for all of them.
    let with_last = |last| [of(1, 1000), of(1, 16_000), of(1, 31_000), of(1, last), of(2, 99_000)];
    check(&[], &with_last(45_999), &[(4, 1000, 45_999, IDLE)]);
    check(&[], &with_last(46_000), &[(4, 1000, 46_000, ACTIVE)]);
    let equal = ["--idle-timeout", "7s", "--active-timeout", "7s"];
    check(&equal, &[of(1, 1000), of(2, 9000)], &[(1, 1000, 1000, ACTIVE)]);
}

#[test]
fn late_packets_merge_by_their_times() {
    let packets = [of(1, 10_000), of(1, 4000), of(1, 7000), of(1, 11_000)];
    check(&[], &packets, &[(4, 4000, 11_000, FORCED)]);
    // The flow is no younger for a late packet: it is idle from its last time on.
    let packets = [of(1, 10_000), of(2, 16_000), of(1, 9000), of(2, 25_001)];
    check(&[], &packets, &[(2, 9000, 10_000, IDLE)]);
    // An earlier first time brings the active deadline forward.
    let packets = [of(1, 52_000), of(1, 45_000), of(1, 66_000), of(1, 80_999), of(1, 95_000)];
    check(&[], &packets, &[(5, 45_000, 95_000, FORCED)]);
    let packets = [&packets[..], &[of(1, 105_001)]].concat();
    check(&[], &packets, &[(5, 45_000, 95_000, ACTIVE), (1, 105_001, 105_001, FORCED)]);
}

#[test]
fn packet_of_a_flow_that_is_over_is_a_record_of_its_own() {
    // Nothing but time has passed, and the sweep has not looked at the flow in between.
    let packets = [of(1, 10_000), of(2, 16_000), of(1, 9500), of(1, 9000), of(1, 16_000)];
    let expected = [
        (1, 9000, 9000, ACTIVE),
        (1, 9500, 9500, ACTIVE),
        (1, 10_000, 10_000, ACTIVE),
        (1, 16_000, 16_000, FORCED),
    ];
    check(&["--active-timeout", "5s"], &packets, &expected);
    // 1,000 is exactly the idle timeout ago: that flow is not over.
    let packets = [of(1, 1000), of(2, 16_000), of(1, 9000), of(1, 8500), of(1, 16_000)];
    check(&[], &packets, &[(4, 1000, 16_000, FORCED)]);
}

#[test]
fn packet_that_is_days_late_leaves_its_flow_alone() {
    let now = 100 * DAY;
    let packets = [of(1, now), of(1, now - 4 * DAY), of(1, now + 1)];
    let alone = (1, now - 4 * DAY, now - 4 * DAY, FORCED);
    check(&[], &packets, &[alone, (2, now, now + 1, FORCED)]);
}

#[test]
fn clock_that_is_set_back_goes_on_as_another() {
    let now = 3_600_000;
    for late in [1, 63, 64, 100] {
        let mut packets = vec![of(1, now), of(2, now)];
        packets.extend((0..late).map(|n| of(2, 1000 + n)));
        packets.push(of(1, now + 1));
        let metered = meter_packets(&[], &packets);
        assert_eq!(metered.run.count("clock_steps_back"), 1);
        assert_eq!(metered.run.count("clocks_added"), 1);
        assert_eq!(records(&metered.flows, 1), [(2, now, now + 1, FORCED)]);
        let expected = [(late, 1000, 1000 + late - 1, FORCED), (1, now, now, FORCED)];
        assert_eq!(records(&metered.flows, 2), expected);
    }
}

#[test]
fn one_wrong_time_in_the_future_does_not_spoil_the_rest() {
    let time = |n: u64| 1_700_000_000_000 + n * 100;
    let mut packets: Vec<_> = (0..50).map(|n| of(1, time(n))).collect();
    packets.push(of(2, time(50) + 3650 * DAY));
    packets.extend((50..500).map(|n| of(1, time(n))));
    let metered = meter_packets(&[], &packets);
    assert_eq!(metered.run.count("clock_jumps"), 0);
    assert_eq!(metered.run.count("clock_jumps_refused"), 1);
    assert_eq!(records(&metered.flows, 1), [(500, time(0), time(499), FORCED)]);
}

#[test]
fn flows_end_at_jumps_of_any_length() {
    // 2^31 and 2^32 milliseconds are where times of 31 and 32 bits come round.
    for jump in [DAY, 25 * DAY, 1 << 31, 50 * DAY, 1 << 32, 1 << 33, 20_000 * DAY] {
        for off in [0, 1, 1000] {
            let then = 1000 + jump + off;
            let packets = [of(1, 1000), of(2, 2000), of(1, then), of(1, then + 5)];
            check(&[], &packets, &[(1, 1000, 1000, IDLE), (2, then, then + 5, FORCED)]);
        }
    }
    let count = |jump| {
        let packets = [of(1, 1000), of(1, 1000 + jump)];
        meter_packets(&[], &packets).run.count("clock_jumps")
    };
    assert_eq!((count(DAY), count(DAY + 1)), (0, 1));
}

#[test]
fn flow_with_fin_or_rst_lingers_for_two_seconds() {
    for end in [FIN, FIN | ACK, RST, RST | ACK] {
        let start = segment(1000, SYN);
        let closed = segment(2000, end);
        check_connection(&[start.clone(), closed.clone()], &[(2, 1000, 2000, FORCED)]);
        let other = [start.clone(), closed.clone(), of(2, 4000)];
        check_connection(&other, &[(2, 1000, 2000, FORCED)]);
        let other = [start.clone(), closed.clone(), of(2, 4001)];
        check_connection(&other, &[(2, 1000, 2000, END)]);
        // Trailing packets belong to it, and it lingers from the last one on.
        let packets = [start, closed, segment(4000, ACK), segment(6000, ACK), segment(8001, ACK)];
        check_connection(&packets, &[(4, 1000, 6000, END), (1, 8001, 8001, FORCED)]);
    }
}

#[test]
fn linger_is_no_longer_than_the_idle_timeout() {
    let packets = [segment(1000, FIN), segment(2000, ACK), segment(3001, ACK)];
    let metered = meter_packets(&["--idle-timeout", "1s"], &packets);
    let expected = [(2, 1000, 2000, END), (1, 3001, 3001, FORCED)];
    assert_eq!(records(&metered.flows, 1000), expected);
}

#[test]
fn active_timeout_comes_before_the_linger_time_where_it_is_earlier() {
    let packets = [segment(1000, ACK), segment(1900, FIN), of(2, 9000)];
    let metered = meter_packets(&["--active-timeout", "2s"], &packets);
    assert_eq!(records(&metered.flows, 1000), [(2, 1000, 1900, ACTIVE)]);
}

#[test]
fn syn_on_a_closed_flow_begins_another() {
    for syn in [SYN, SYN | ACK, SYN | RST] {
        let packets = [segment(1000, SYN), segment(1100, FIN | ACK), segment(1200, syn)];
        check_connection(&packets, &[(2, 1000, 1100, END), (1, 1200, 1200, FORCED)]);
    }
    // On one that is not closed it is only seen again.
    let packets = [segment(1000, SYN), segment(1100, ACK), segment(1200, SYN)];
    check_connection(&packets, &[(3, 1000, 1200, FORCED)]);
}

#[test]
fn other_direction_is_not_looked_at() {
    let back =
        |millis, flags| Captured::at(millis, ethernet(&ipv4(B, A, TCP, &tcp(80, 1000, flags, 0))));
    let packets = [segment(1000, ACK), back(1100, FIN | ACK), segment(9000, ACK)];
    check_connection(&packets, &[(2, 1000, 9000, FORCED)]);
}

#[test]
fn end_of_the_input_ends_everything() {
    let packets: Vec<_> = (1..200).map(|port| of(port, 1000 + u64::from(port))).collect();
    let metered = meter_packets(&[], &packets);
    assert_eq!(metered.flows.len(), 199);
    assert!(metered.flows.iter().all(|flow| flow.end_reason == FORCED));
    assert_eq!(metered.run.count("ended.forced.records"), 199);
    let nothing = meter_packets(&[], &[]);
    assert_eq!(nothing.run.count("received.packets"), 0);
}

/// A clock that is set back, and one packet years ahead: flows keep their times, while the time in
/// the header is that of the trace clock.
#[test]
fn export_time_of_ipfix_never_goes_back() {
    const START: u64 = 1_700_000_000_000;
    let folder = support::scratch();
    let path = folder.path().join("flows.ipfix");
    let every_second = |from: u64, to: u64| (from..to).map(|n| (n, n * 1000));
    for back in [40_000, 3 * DAY, 4000 * DAY] {
        let before = every_second(0, 600);
        let after = every_second(600, 1200).map(|(n, millis)| (n, millis + 4000 * DAY - back));
        let wrong = [(300, 299_500 + 9000 * DAY)];
        let before = before.map(|(n, millis)| (n, millis + 4000 * DAY));
        let mut packets: Vec<(u64, u64)> = before.chain(after).collect();
        packets.splice(300..300, wrong);
        let packets = packets.into_iter().map(|(n, millis)| {
            // Flows end all the time.
            of((n / 10) as u16 + 1, START + millis)
        });
        let output = format!("ipfix-file:{}", path.display());
        let file = pcap(&packets.collect::<Vec<_>>());
        let run = support::run_with_input(["-r", "-", "-o", &output], &file);
        assert_eq!((run.status, run.count("metered.packets")), (0, 1201), "{}", run.stderr);
        let messages = ipfix::session(&std::fs::read(&path).unwrap());
        let times: Vec<_> = messages.iter().map(|message| u64::from(message.export_time)).collect();
        assert!(times.is_sorted(), "{back}: {times:?}");
        // The packet years ahead has not moved it, and the set-back has not stopped it.
        let (first, last) = (times[0], times[times.len() - 1]);
        assert!((600..1300).contains(&(last - first)), "{back}: {times:?}");
    }
}
