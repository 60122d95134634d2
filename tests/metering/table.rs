//! A table that is too small, and sampling.

use std::collections::BTreeMap;

use crate::support::capture::{Captured, pcap};
use crate::support::flows::Flow;
use crate::support::packet::{ethernet, ipv4, tcp};
use crate::support::random::Random;
use crate::{A, B, TCP, meter_once, meter_packets};

/// Packets of a few hundred connections in random order, some of them late.
fn connections(packets: usize) -> Vec<u8> {
    let mut random = Random::new(3);
    let mut packet = |index: usize| {
        let port = u16::try_from(1000 + random.below(300)).unwrap();
        let flags = 1 << random.below(8);
        let payload = random.below(100) as usize;
        let late = if random.one_in(10) { random.below(3000) } else { 0 };
        let frame = ethernet(&ipv4(A, B, TCP, &tcp(port, 80, flags, payload)));
        Captured::at(10_000 + index as u64 * 10 - late, frame)
    };
    pcap(&(0..packets).map(&mut packet).collect::<Vec<_>>())
}

/// What does not depend on where flows are cut into records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    packets: u64,
    octets: u64,
    flags: u64,
    first: Option<u64>,
    last: u64,
}

fn sums(flows: &[Flow]) -> BTreeMap<u64, Sum> {
    let mut sums = BTreeMap::<u64, Sum>::new();
    for flow in flows {
        let sum = sums.entry(flow.source_port).or_default();
        sum.packets += flow.packets;
        sum.octets += flow.octets;
        sum.flags |= flow.flags;
        sum.first = Some(sum.first.map_or(flow.start, |first| first.min(flow.start)));
        sum.last = sum.last.max(flow.end);
    }
    sums
}

#[test]
fn full_table_evicts_and_loses_nothing() {
    let file = connections(5000);
    let roomy = meter_once(&[], &file);
    assert_eq!(roomy.run.count("ended.evicted.records"), 0);
    for (flows, workers) in [("1", "1"), ("2", "1"), ("2", "2"), ("17", "1"), ("100", "3")] {
        let arguments = ["--max-flows", flows, "--workers", workers];
        let tight = meter_once(&arguments, &file);
        assert_eq!(sums(&tight.flows), sums(&roomy.flows), "{arguments:?}");
        let evicted = tight.flows.iter().filter(|flow| flow.end_reason == 5).count();
        assert!(evicted > 1000, "{evicted}");
        assert_eq!(tight.run.count("ended.evicted.records"), evicted as u64);
        assert!(tight.flows.iter().all(|flow| flow.packets > 0 && flow.start <= flow.end));
    }
}

#[test]
fn table_holds_as_many_flows_as_it_is_told_to() {
    let packets = |count: u16| {
        let frames = (0..count).map(|port| ethernet(&ipv4(A, B, TCP, &tcp(port, 80, 0, 0))));
        pcap(&frames.map(|frame| Captured::at(1000, frame)).collect::<Vec<_>>())
    };
    for flows in [1, 2, 15, 16, 333] {
        let arguments = ["--max-flows", &flows.to_string()];
        let evicted = |file: &[u8]| meter_once(&arguments, file).run.count("ended.evicted.records");
        assert_eq!(evicted(&packets(flows)), 0, "{flows}");
        assert_eq!(evicted(&packets(flows + 1)), 1, "{flows}");
    }
}

#[test]
fn flow_that_was_idle_longest_goes_first() {
    let of =
        |port, millis| Captured::at(millis, ethernet(&ipv4(A, B, TCP, &tcp(port, 80, 0x10, 0))));
    // All are in one group of the table. Port 2 has the oldest last packet.
    let packets = [of(1, 1000), of(2, 1001), of(3, 1002), of(1, 1003), of(4, 1004)];
    let metered = meter_once(&["--max-flows", "3"], &pcap(&packets));
    let evicted: Vec<_> = metered.flows.iter().filter(|flow| flow.end_reason == 5).collect();
    assert_eq!(evicted.len(), 1);
    assert_eq!((evicted[0].source_port, evicted[0].packets), (2, 1));
}

#[test]
fn one_of_n_packets_is_sampled() {
    let packets: Vec<_> = (0..10)
        .map(|port| Captured::at(1000, ethernet(&ipv4(A, B, TCP, &tcp(port, 80, 0x10, 10)))))
        .collect();
    for (interval, ports) in
        [(1, (0..10).collect::<Vec<_>>()), (3, vec![0, 3, 6, 9]), (20, vec![0])]
    {
        let metered = meter_packets(&["--sample", &format!("1:{interval}")], &packets);
        let found: Vec<_> = metered.flows.iter().map(|flow| flow.source_port).collect();
        assert_eq!(found, ports);
        let left_out = 10 - ports.len() as u64;
        assert_eq!(metered.ignored("not_sampled"), left_out);
        assert_eq!(metered.run.count("ignored.not_sampled.octets"), left_out * 64);
        // Counts are of what was metered: collectors multiply by the interval.
        assert!(metered.flows.iter().all(|flow| (flow.packets, flow.octets) == (1, 50)));
        let said = metered.run.documents()[0]["netflow"]["sampling_interval"].as_u64();
        assert_eq!(said, (interval > 1).then_some(interval));
    }
}
