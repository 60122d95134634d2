//! Scans.

use super::*;

/// Attempts at one port of so many hosts.
fn horizontal(source: IpAddr, hosts: u32) -> Vec<FlowRecord> {
    let at = |host| tcp(u64::from(host) * 10, SYN, (source, 40_000), (inside(1000 + host), 3389));
    (0..hosts).map(at).collect()
}

#[test]
fn horizontal_scans_have_thresholds_inside_and_outside() {
    assert_flips("scan-horizontal", &horizontal(outside(1), 24), &horizontal(outside(1), 28));
    assert_flips("scan-horizontal", &horizontal(inside(1), 90), &horizontal(inside(1), 110));
}

#[test]
fn a_scan_says_who_what_how_much_and_when() {
    let events = events_of(detectors(), &horizontal(outside(66), 254));
    assert_eq!(events.len(), 2, "opened and closed");
    let event = &events[0];
    assert_eq!(text(event, "source.ip"), "203.0.113.66");
    assert_eq!(text(event, "destination.port"), "3389");
    assert_eq!(text(event, "network.transport"), "tcp");
    assert_eq!(text(event, "rule.id"), "scan-horizontal");
    assert_eq!(number(event, "flowprobe.alert.threshold"), 25);
    let value = number(event, "flowprobe.alert.value");
    assert!((230..280).contains(&value), "{value}");
    assert_eq!(number(event, "network.packets"), 254);
    assert_eq!(field(event, "event.start"), Some(&Value::Time(Timestamp::from_millis(T0))));
    let end = Timestamp::from_millis(T0 + 2530);
    assert_eq!(field(event, "event.end"), Some(&Value::Time(end)));
    let reason = format!(
        "203.0.113.66 tried port 3389/tcp at {value} hosts in a minute without success (threshold \
         25)"
    );
    assert_eq!(text(event, "event.reason"), reason);
    assert_eq!(text(&events[1], "event.action"), "scan-horizontal-closed");
    assert_eq!(text(&events[1], "event.id"), text(event, "event.id"));
}

#[test]
fn refused_and_half_open_attempts_count() {
    let scan: Vec<_> = (0..30)
        .map(|host| tcp(0, SYN | RST, (outside(1), 40_000), (inside(host + 1), 22)))
        .collect();
    assert_eq!(found(&scan), ["scan-horizontal"]);
}

#[test]
fn a_crawler_is_no_scanner() {
    let crawl = |host| {
        let bits = SYN | ACK;
        sized(tcp(u64::from(host), bits, (outside(1), 40_000), (inside(host), 80)), 10, 900)
    };
    assert_eq!(found(&(1..2000).map(crawl).collect::<Vec<_>>()), [""; 0]);
}

#[test]
fn a_resolver_is_no_scanner() {
    let ask = |host| {
        let (at, port) = (u64::from(host), 30_000 + u16::try_from(host).unwrap());
        let (own, other) = ((inside(1), port), (outside(host), 53));
        let answer = (!host.is_multiple_of(10)).then(|| udp(at + 20, other, own));
        std::iter::once(udp(at, own, other)).chain(answer)
    };
    assert_eq!(found(&(1..500).flat_map(ask).collect::<Vec<_>>()), [""; 0]);
}

#[test]
fn unanswered_udp_and_pings_are_scans() {
    let ask = |host| udp(u64::from(host), (outside(1), 40_000), (inside(host), 161));
    let probe = |hosts| (1..=hosts).map(ask).collect::<Vec<_>>();
    assert_flips("scan-horizontal", &probe(24), &probe(29));
    let ping = |host| icmp(u64::from(host), 8, 0, outside(1), inside(host));
    let sweep = |hosts| (1..=hosts).map(ping).collect::<Vec<_>>();
    assert_flips("scan-horizontal", &sweep(24), &sweep(29));
    let answered = (1..=60)
        .flat_map(|host| [ping(host), icmp(u64::from(host) + 1, 0, 0, inside(host), outside(1))]);
    assert_eq!(found(&answered.collect::<Vec<_>>()), [""; 0]);
}

/// Attempts at so many ports of one host.
fn vertical(source: IpAddr, ports: u16) -> Vec<FlowRecord> {
    let at = |port: u16| tcp(port.into(), SYN, (source, 40_000), (inside(9), port));
    (1..=ports).map(at).collect()
}

#[test]
fn vertical_scans_flip_at_their_threshold() {
    assert_flips("scan-vertical", &vertical(outside(1), 24), &vertical(outside(1), 28));
    assert_flips("scan-vertical", &vertical(inside(1), 45), &vertical(inside(1), 56));
}

#[test]
fn refused_ports_of_udp_are_a_vertical_scan() {
    let scan = |refusals: u16| {
        let probe = |port: u16| udp(port.into(), (outside(1), 40_000), (inside(9), port));
        let refuse = |port: u16| icmp(u64::from(port) + 1, 3, 3, inside(9), outside(1));
        (1..=40).map(probe).chain((1..=refusals).map(refuse)).collect::<Vec<_>>()
    };
    assert_flips("scan-vertical", &scan(4), &scan(5));
}

/// Attempts at so many pairs of host and port, few of each.
fn random(source: IpAddr, pairs: u32, apart_ms: u64) -> Vec<FlowRecord> {
    let at = |pair: u32| {
        let to = (inside(1000 + pair % 20), 2000 + (pair * 7 % 10_000) as u16);
        tcp(u64::from(pair) * apart_ms, SYN, (source, 40_000), to)
    };
    (0..pairs).map(at).collect()
}

#[test]
fn random_scans_flip_at_their_threshold() {
    let only_random = |records: &[FlowRecord]| {
        let off = RuleSettings { enabled: Some(false), ..rule("scan-slow") };
        opened(&events_of(detectors_with(vec![off], &SiteSettings::default()), records))
    };
    assert_eq!(only_random(&random(outside(1), 90, 100)), [""; 0]);
    assert_eq!(only_random(&random(outside(1), 115, 100)), ["scan-random"]);
    assert_eq!(only_random(&random(inside(1), 220, 100)), [""; 0]);
    assert_eq!(only_random(&random(inside(1), 285, 100)), ["scan-random"]);
}

#[test]
fn slow_scans_count_over_a_quarter_of_an_hour() {
    let slow = |pairs| random(outside(1), pairs, 30_000);
    assert_flips("scan-slow", &slow(22), &slow(29));
    // Every 2 minutes: never 25 in 15 minutes.
    assert_eq!(found(&random(outside(1), 200, 120_000)), [""; 0]);
}

#[test]
fn a_peer_to_peer_program_is_no_scanner() {
    let peers: Vec<_> = (0..3000_u32)
        .map(|peer| {
            let to = (outside(peer), 6000 + (peer % 40_000) as u16);
            let bits = if peer.is_multiple_of(3) { SYN | ACK } else { SYN };
            tcp(u64::from(peer) * 300, bits, (inside(1), 40_000), to)
        })
        .collect();
    assert_eq!(found(&peers), [""; 0]);
}

#[test]
fn one_scan_is_one_incident() {
    // All of it is a random and a slow scan, too.
    let both = [vertical(outside(1), 300), horizontal(outside(1), 300)].concat();
    assert_eq!(found(&both), ["scan-horizontal", "scan-vertical"]);
}

#[test]
fn probes_of_a_load_balancer_are_no_scan() {
    let probes: Vec<_> = (0..600_u32)
        .flat_map(|second| {
            (1..=40).map(move |host| {
                let bits = SYN | if host == 7 { 0 } else { ACK | RST };
                tcp(u64::from(second) * 1000, bits, (inside(1), 30_000), (inside(100 + host), 80))
            })
        })
        .collect();
    assert_eq!(found(&probes), [""; 0]);
}
