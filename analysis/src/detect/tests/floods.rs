//! Floods, amplification, spikes.

use flow::words::counted;

use super::*;

/// So many packets a second of one source, for some seconds from a time on.
fn rate(
    (from_s, seconds): (u64, u64),
    per_second: u64,
    make: impl Fn(u64, u64) -> FlowRecord,
) -> Vec<FlowRecord> {
    let one = |second: u64, number: u64| {
        make(second * 1000 + number * 1000 / per_second, second * per_second + number)
    };
    let seconds = from_s..from_s + seconds;
    seconds
        .flat_map(|second| (0..per_second).map(move |number| (second, number)))
        .map(|(second, number)| one(second, number))
        .collect()
}

fn low(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}

/// SYNs from so many sources in turn.
fn syns_of(sources: u64, from: (u64, u64), per_second: u64) -> Vec<FlowRecord> {
    rate(from, per_second, |at, number| {
        let source = std::net::Ipv4Addr::from(0xc612_0000 + low(number % sources));
        tcp(at, SYN, (source.into(), 1024), (inside(1), 443))
    })
}

/// SYNs from sources that are made up.
fn syns(from: (u64, u64), per_second: u64) -> Vec<FlowRecord> {
    syns_of(100_000, from, per_second)
}

#[test]
fn syn_floods_flip_at_their_threshold_and_last_two_windows() {
    let few = |from, per_second| syns_of(500, from, per_second);
    assert_flips("syn-flood", &few((0, 20), 1000), &few((0, 20), 1001));
    assert_eq!(found(&few((0, 10), 3000)), [""; 0], "one window");
    assert_eq!(found(&few((5, 10), 3000)), ["syn-flood"], "in two windows");
}

#[test]
fn a_thousand_made_up_sources_are_a_flood_at_any_rate() {
    assert_flips("syn-flood", &syns((0, 10), 80), &syns((0, 10), 120));
    // The same sources make connections, too.
    let visits = rate((0, 10), 120, |at, number| {
        let source = std::net::Ipv4Addr::from(0xc612_0000 + low(number));
        tcp(at, SYN | ACK, (source.into(), 1025), (inside(1), 443))
    });
    let answers = rate((0, 10), 120, |at, number| {
        let source = std::net::Ipv4Addr::from(0xc612_0000 + low(number));
        tcp(at, SYN | ACK, (inside(1), 443), (source.into(), 1025))
    });
    assert_eq!(found(&[syns((0, 10), 120), visits, answers].concat()), [""; 0]);
    // Far below the threshold.
    let tuned = RuleSettings { threshold: Some(20_000), ..rule("syn-flood") };
    let detectors = detectors_with(vec![tuned], &SiteSettings::default());
    assert_eq!(opened(&events_of(detectors, &syns((0, 10), 120))), ["syn-flood"]);
}

#[test]
fn numbers_in_sentences_are_grouped_and_their_nouns_fit() {
    let words = [1, 2, 1536].map(|number| counted(number, "source", "sources"));
    assert_eq!(words, ["1 source", "2 sources", "1,536 sources"]);
    let events = events_of(detectors(), &syns((0, 10), 1200));
    let reason = text(events.last().unwrap(), "event.reason");
    let (_, after) = reason.split_once(" from ").unwrap();
    let (number, _) = after.split_once(" made-up sources").unwrap();
    assert!(number.contains(','), "{reason}");
}

#[test]
fn a_server_that_answers_all_with_cookies_is_flooded_too() {
    let answers = rate((0, 20), 1500, |at, number| {
        let source = std::net::Ipv4Addr::from(0xc612_0000 + low(number));
        tcp(at, SYN | ACK, (inside(1), 443), (source.into(), 1024))
    });
    let both = [syns((0, 20), 1500), answers].concat();
    let mut both = both;
    both.sort_by_key(|record| record.end);
    assert_eq!(found(&both), ["syn-flood"]);
}

#[test]
fn many_downloads_are_no_flood() {
    let visits = rate((0, 30), 2000, |at, number| {
        let source = (outside(low(number % 5000)), 20_000);
        sized(tcp(at, SYN | ACK, source, (inside(1), 443)), 20, 2000)
    });
    assert_eq!(found(&visits), [""; 0]);
}

#[test]
fn a_flood_is_more_than_4_times_what_is_usual() {
    // A server whose monitors connect in vain at 900 a second; then at 2,000.
    let from = |(from, seconds), per_second| {
        rate((from, seconds), per_second, |at, number| {
            tcp(at, SYN, (inside(2 + low(number % 500)), 1024), (inside(1), 443))
        })
    };
    let rules = ["scan-horizontal", "scan-vertical", "scan-random", "scan-slow", "traffic-spike"];
    let off = rules.map(|id| RuleSettings { enabled: Some(false), ..rule(id) }).to_vec();
    let records = [from((0, 120), 900), from((120, 30), 2000)].concat();
    let detectors = detectors_with(off.clone(), &SiteSettings::default());
    assert_eq!(opened(&events_of(detectors, &records)), [""; 0]);
    let records = [from((0, 120), 900), from((120, 30), 4000)].concat();
    let detectors = detectors_with(off, &SiteSettings::default());
    let events = events_of(detectors, &records);
    assert_eq!(opened(&events), ["syn-flood"]);
    assert_eq!(number(&events[0], "flowprobe.alert.baseline"), 900);
}

fn datagrams(per_second: u64) -> Vec<FlowRecord> {
    rate((0, 20), 100, |at, number| {
        let record = udp(at, (outside(low(number % 50)), 5000), (inside(1), 80));
        sized(record, per_second / 100, per_second)
    })
}

#[test]
fn udp_icmp_and_fragment_floods_flip_at_their_threshold() {
    assert_flips("udp-flood", &datagrams(20_000), &datagrams(20_100));
    let pings = |per_second: u64| {
        rate((0, 20), 100, |at, number| {
            sized(icmp(at, 8, 0, outside(low(number % 5)), inside(1)), per_second / 100, 100)
        })
    };
    assert_flips("icmp-flood", &pings(20_000), &pings(20_100));
    let [from, to] = [1_u128, 2].map(|last| std::net::Ipv6Addr::from((0x2a00 << 112) + last));
    let pings = rate((0, 20), 100, |at, _| {
        let ping = record(at, protocol::ICMPV6, (from.into(), 0), (to.into(), 128 << 8));
        sized(ping, 201, 100)
    });
    let events = events_of(detectors(), &pings);
    assert_eq!(opened(&events), ["icmp-flood"]);
    assert_eq!(text(&events[0], "network.transport"), "ipv6-icmp");
    let reason = text(&events[0], "event.reason");
    assert!(reason.contains("packets/s from 1 source ("), "{reason}");
    let fragments = |per_second: u64| {
        rate((0, 20), 100, |at, number| {
            let record = udp(at, (outside(low(number % 5)), 0), (inside(1), 0));
            sized(record, per_second / 100, 100)
        })
    };
    assert_flips("fragment-flood", &fragments(20_000), &fragments(20_100));
}

#[test]
fn a_gigabit_a_second_is_a_flood_as_well() {
    let gigabits = |octets_per_second: u64| {
        rate((0, 20), 100, |at, number| {
            let record = udp(at, (outside(low(number % 50)), 5000), (inside(1), 80));
            sized(record, 80, octets_per_second / 100)
        })
    };
    assert_flips("udp-flood", &gigabits(124_000_000), &gigabits(126_000_000));
}

/// A long record ends in one window, but its packets came in all windows before.
#[test]
fn a_long_stream_counts_with_its_rate() {
    let stream = |per_second: u64| {
        let records = (1..=10).map(|minute| {
            let record = udp(minute * 60_000, (outside(1), 5000), (inside(1), 5000));
            let record = sized(record, 60 * per_second, 60 * per_second * 100);
            let start = Timestamp::from_millis(T0 + (minute - 1) * 60_000);
            FlowRecord { start, end_reason: FlowEndReason::ActiveTimeout, ..record }
        });
        records.collect::<Vec<_>>()
    };
    assert_eq!(found(&stream(19_000)), [""; 0]);
    let events = events_of(detectors(), &stream(21_000));
    assert_eq!(opened(&events).first().map(String::as_str), Some("udp-flood"));
    let ids: std::collections::BTreeSet<_> =
        events.iter().map(|event| text(event, "event.id")).collect();
    assert_eq!(ids.len(), 1, "it is one incident");
}

/// Long answers to a host that did not ask.
fn answers(servers: u32, octets_per_second: u64, asks: bool) -> Vec<FlowRecord> {
    rate((0, 60), u64::from(servers), |at, number| {
        let server = (outside(low(number % u64::from(servers))), 53);
        let octets = octets_per_second / u64::from(servers);
        sized(udp(at, server, (inside(1), 4444)), octets.div_ceil(1000), octets)
    })
    .into_iter()
    .flat_map(|answer| {
        let mut question = answer;
        mem::swap(&mut question.key.source, &mut question.key.destination);
        mem::swap(&mut question.key.source_port, &mut question.key.destination_port);
        std::iter::once(answer).chain(asks.then_some(question))
    })
    .collect()
}

#[test]
fn amplification_flips_at_its_threshold() {
    assert_flips(
        "amplification-victim",
        &answers(20, 124_000, false),
        &answers(20, 128_000, false),
    );
    assert_has_source_port(&answers(20, 128_000, false), 53);
    assert_eq!(found(&answers(8, 500_000, false)), [""; 0], "too few servers");
    assert_eq!(found(&answers(20, 500_000, true)), [""; 0], "it asked");
}

#[track_caller]
fn assert_has_source_port(records: &[FlowRecord], port: u64) {
    let events = events_of(detectors(), records);
    assert_eq!(number(&events[0], "source.port"), port);
    assert_eq!(field(&events[0], "destination.port"), None);
}

#[test]
fn an_amplifier_inside_is_found() {
    let used = |octets: u64| {
        let answer = sized(udp(0, (inside(1), 11_211), (outside(1), 80)), octets / 1000, octets);
        let question = sized(udp(0, (outside(1), 80), (inside(1), 11_211)), 10, 600);
        vec![question, answer]
    };
    assert_flips("amplifier-used", &used(9_900_000), &used(10_100_000));
    assert_has_source_port(&used(10_100_000), 11_211);
    // A server of big files that is asked for them.
    let asked = sized(udp(0, (outside(1), 80), (inside(1), 69)), 20_000, 1_100_000);
    let given = sized(udp(0, (inside(1), 69), (outside(1), 80)), 10_000, 10_500_000);
    assert_eq!(found(&[asked, given]), [""; 0]);
}

#[test]
fn lists_of_ntp_clients_are_found() {
    let list =
        |packets, octets| vec![sized(udp(0, (inside(1), 123), (outside(1), 80)), packets, octets)];
    assert_flips("ntp-monlist", &list(99, 99 * 440), &list(100, 100 * 440));
    assert_has_source_port(&list(100, 100 * 440), 123);
    assert_eq!(found(&list(10_000, 76 * 10_000)), [""; 0], "ordinary answers");
}

#[test]
fn spikes_are_told_against_the_past() {
    let web = |(from, seconds), per_second: u64| {
        rate((from, seconds), 10, |at, number| {
            let record = tcp(at, ACK, (outside(low(number % 9)), 443), (inside(3), 999));
            sized(record, per_second / 10, per_second * 50)
        })
    };
    let spike = |usual, then| [web((0, 120), usual), web((120, 30), then)].concat();
    assert_flips("traffic-spike", &spike(500, 1990), &spike(500, 2010));
    assert_eq!(found(&spike(10, 990)), [""; 0], "below the floor");
    assert_eq!(found(&web((0, 60), 5000)), [""; 0], "a run begins without a past");
}
