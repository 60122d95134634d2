//! What is so for all rules: order, memory, incidents, settings.

use super::*;

/// Numbers that look random.
fn shuffle<T>(list: &mut [T], seed: u64) {
    let seed = HashSeed::new(seed);
    for last in (1..list.len()).rev() {
        let hash = seed.hash([last as u64, 0, 0, 0, 0, 0]);
        list.swap(last, usize::try_from(hash % (last as u64 + 1)).unwrap());
    }
}

/// A scan, a flood and a worm among ordinary flows, in three minutes.
fn mixed() -> Vec<FlowRecord> {
    let mut records = Vec::new();
    for number in 0..400_u32 {
        let at = u64::from(number) * 300;
        records.push(tcp(at, SYN, (outside(9), 4000), (inside(number), 3389)));
        records.push(tcp(at, SYN, (inside(5), 4000), (outside(number * 3), 445)));
        records.push(tcp(at, SYN | ACK, (outside(number % 30), 4000), (inside(1), 443)));
        records.push(udp(at, (inside(8), 4000), (inside(1), 53)));
    }
    for number in 0..45_000_u32 {
        let source = std::net::Ipv4Addr::from(0xc612_0000 + number);
        let at = u64::from(number) / 2;
        records.push(tcp(at, SYN, (source.into(), 1024), (inside(1), 443)));
    }
    records
}

/// All events if windows close at the end only, so that all records may come in any order.
fn events_at_the_end(records: &[FlowRecord]) -> Vec<Event> {
    let mut detectors = detectors();
    records.chunks(256).for_each(|some| detectors.batch(&mut Batch::from(some)));
    let mut events = Vec::new();
    detectors.settle(Timestamp::MAX, &mut events);
    events
}

#[test]
fn two_parts_find_what_all_rules_find() {
    for rule in &RULES {
        let part = |rule: &Rule| [Part::Floods, Part::Others].map(|part| part.contains(rule));
        assert!(part(rule) == [true, false] || part(rule) == [false, true], "{}", rule.id);
        for other in RULES.iter().filter(|other| rule.yields_to.contains(&other.id)) {
            assert_eq!(part(rule), part(other), "{} yields to {}", rule.id, other.id);
        }
    }
    let mut records = mixed();
    records.sort_by_key(|record| record.end);
    let all = events_of(detectors(), &records);
    let parts = [Part::Floods, Part::Others].map(|part| events_of(detectors_of(part), &records));
    assert!(parts.iter().all(|events| !events.is_empty()));
    let mut parts = parts.concat();
    parts.sort_by_key(|event| event.time);
    let mut all = without_losses(&all);
    all.sort_by_key(|event| (event.time, is_of_others(event)));
    assert_eq!(without_losses(&parts), all);
}

fn is_of_others(event: &Event) -> bool {
    let rule = RULES.iter().find(|rule| event.fields.contains(&("rule.id", rule.id.into())));
    Part::Others.contains(rule.expect("each event names its rule"))
}

#[test]
fn the_order_of_records_does_not_matter() {
    let mut records = mixed();
    let expected = events_at_the_end(&records);
    assert_eq!(opened(&expected).len(), 3, "{:?}", opened(&expected));
    for seed in 0..4 {
        shuffle(&mut records, seed);
        let events = events_at_the_end(&records);
        assert_eq!(without_losses(&events), without_losses(&expected), "seed {seed}");
    }
    records.sort_by_key(|record| record.end);
    let events = events_of(detectors(), &records);
    assert_eq!(without_losses(&events), without_losses(&expected), "windows that close early");
}

/// Which subjects have room when tables are full depends on the order.
fn without_losses(events: &[Event]) -> Vec<Event> {
    let lost = ["flowprobe.alert.evicted", "flowprobe.alert.complete"];
    let mut events = events.to_vec();
    for event in &mut events {
        event.fields.retain(|(name, _)| !lost.contains(name));
    }
    events
}

#[test]
fn a_million_made_up_sources_are_one_incident_in_fixed_memory() {
    let mut detectors = detectors();
    let mut events = Vec::new();
    for second in 0..100_u64 {
        let records: Vec<_> = (0..10_000)
            .map(|number| {
                let source = std::net::Ipv4Addr::from(
                    0x2000_0000 + u32::try_from(second * 10_000 + number).unwrap(),
                );
                let at = second * 1000 + number / 10;
                tcp(at, SYN, (source.into(), 1024), (inside(1), 443))
            })
            .collect();
        records.chunks(256).for_each(|some| detectors.batch(&mut Batch::from(some)));
        let until = Timestamp::from_millis((T0 + second * 1000).saturating_sub(17_000));
        detectors.settle(until, &mut events);
    }
    let counts = detectors.counts();
    let counts = counts.lock().unwrap().clone();
    let open: Vec<_> = counts.rules.iter().filter(|rule| rule.open > 0).collect();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].id, open[0].open, open[0].evicted), ("syn-flood", 1, 0));
    assert!(counts.rules.iter().any(|rule| rule.evicted > 100_000), "tables were full");
    assert_eq!(counts.late, 0);
    detectors.settle(Timestamp::MAX, &mut events);
    assert_eq!(opened(&events), ["syn-flood"]);
    let sources = number(events.last().unwrap(), "flowprobe.alert.sources");
    assert!((100_000..1_200_000).contains(&sources), "{sources}");
    assert!(text(&events[0], "event.reason").contains("made-up sources"));
}

/// SYNs to one host for some seconds.
fn flood(from_s: u64, seconds: u64) -> Vec<FlowRecord> {
    (from_s * 2000..(from_s + seconds) * 2000)
        .map(|number| {
            let source = std::net::Ipv4Addr::from(0x2000_0000 + u32::try_from(number).unwrap());
            tcp(number / 2, SYN, (source.into(), 1024), (inside(1), 443))
        })
        .collect()
}

fn actions(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| text(event, "event.action").replace("syn-flood-", "")).collect()
}

#[test]
fn an_incident_is_told_once_and_again_every_five_minutes() {
    let events = events_of(detectors(), &flood(0, 640));
    assert_eq!(actions(&events), ["opened", "updated", "updated", "closed"]);
    let ids: std::collections::BTreeSet<_> =
        events.iter().map(|event| text(event, "event.id")).collect();
    assert_eq!(ids.len(), 1);
    let packets: Vec<_> = events.iter().map(|event| number(event, "network.packets")).collect();
    assert!(packets.is_sorted(), "{packets:?}");
    assert_eq!(packets.last(), Some(&1_280_000));
}

#[test]
fn an_incident_that_begins_again_soon_is_the_same() {
    let again = |pause_s: u64| {
        let events = events_of(detectors(), &[flood(0, 30), flood(30 + pause_s, 30)].concat());
        let ids: std::collections::BTreeSet<_> =
            events.iter().map(|event| text(event, "event.id")).collect();
        (actions(&events), ids.len())
    };
    let (all, ids) = again(20);
    assert_eq!((all, ids), (vec!["opened".to_owned(), "closed".to_owned()], 1), "a short pause");
    let twice = ["opened", "closed", "opened", "closed"].map(str::to_owned).to_vec();
    assert_eq!(again(120), (twice.clone(), 1));
    assert_eq!(again(600), (twice, 2), "another incident");
}

#[test]
fn half_of_the_threshold_keeps_an_incident_open() {
    // Every other source: 1,000 a second are over half of the threshold of 1,000 and not over it.
    let half: Vec<_> = flood(30, 60).into_iter().step_by(3).collect();
    let events = events_of(detectors(), &[flood(0, 30), half, flood(90, 10)].concat());
    assert_eq!(actions(&events), ["opened", "closed"]);
}

#[test]
fn incidents_beyond_the_limit_are_counted() {
    let mut records = Vec::new();
    for source in 0..150 {
        for host in 0..40 {
            let source = (outside(source), 4000);
            records.push(tcp(u64::from(host), SYN, source, (inside(host), 22)));
        }
    }
    let off = RuleSettings { enabled: Some(false), ..rule("scan-slow") };
    let events = events_of(detectors_with(vec![off], &SiteSettings::default()), &records);
    assert_eq!(opened(&events).len(), 100);
    let many = events.iter().find(|event| text(event, "event.action") == "scan-horizontal-many");
    assert_eq!(number(many.unwrap(), "flowprobe.alert.count"), 50);
}

fn scan(source: IpAddr, hosts: u32) -> Vec<FlowRecord> {
    (0..hosts).map(|host| tcp(0, SYN, (source, 4000), (inside(host + 1), 22))).collect()
}

#[test]
fn rules_are_turned_off_tuned_and_told_whom_to_ignore() {
    let site = SiteSettings {
        groups: vec!["guests=203.0.113.0/28".parse().unwrap()],
        ..SiteSettings::default()
    };
    let found = |settings: RuleSettings, source: IpAddr, hosts| {
        let off = RuleSettings { enabled: Some(false), ..rule("scan-slow") };
        let detectors = detectors_with(vec![settings, off], &site);
        opened(&events_of(detectors, &scan(source, hosts)))
    };
    let base = || rule("scan-horizontal");
    let yes = ["scan-horizontal"];
    assert_eq!(found(base(), outside(3), 40), yes);
    let off = RuleSettings { enabled: Some(false), ..base() };
    assert_eq!(found(off, outside(3), 40), [""; 0]);
    let tuned = || RuleSettings { threshold: Some(10), ..base() };
    assert_eq!(found(tuned(), outside(3), 13), yes);
    assert_eq!(found(tuned(), inside(1 << 20), 13), yes, "for sources inside, too");
    let ignored = |name: &str| RuleSettings { ignore: vec![name.parse().unwrap()], ..base() };
    assert_eq!(found(ignored("203.0.113.3"), outside(3), 40), [""; 0]);
    assert_eq!(found(ignored("guests"), outside(3), 40), [""; 0]);
    assert_eq!(found(ignored("guests"), outside(30), 40), yes);
    let grouped = || RuleSettings { groups: vec![("guests".parse().unwrap(), 200)], ..base() };
    assert_eq!(found(grouped(), outside(3), 100), [""; 0]);
    assert_eq!(found(grouped(), outside(30), 100), yes);
}

#[test]
fn a_host_with_one_record_counts_as_any_other() {
    let tuned = RuleSettings { threshold: Some(1), ..rule("scan-horizontal") };
    let records = scan(outside(3), 1);
    let events = events_of(detectors_with(vec![tuned], &SiteSettings::default()), &records);
    assert_eq!(opened(&events), ["scan-horizontal"]);
    assert_eq!(number(&events[0], "network.packets"), 1);
    // One attempt in each window.
    let records: Vec<_> = (0..30)
        .map(|number| tcp(61_000 * u64::from(number), SYN, (outside(3), 1), (inside(number), 22)))
        .collect();
    let tuned = RuleSettings { threshold: Some(10), ..rule("scan-slow") };
    let events = events_of(detectors_with(vec![tuned], &SiteSettings::default()), &records);
    assert_eq!(opened(&events), ["scan-slow"]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let problem = check(&rule("scan")).unwrap_err();
    assert!(problem.starts_with("there is no rule scan; rules are worm-port, "), "{problem}");
    let with = |threshold| RuleSettings { threshold: Some(threshold), ..rule("scan-slow") };
    assert_eq!(check(&with(2000)), Ok(()));
    assert_eq!(check(&with(2001)).unwrap_err(), "a whole number from 1 to 2000 is needed");
    assert!(check(&with(0)).is_err());
    let window = RuleSettings { window_s: Some(3601), ..rule("syn-flood") };
    assert!(check(&window).is_err());
    let group = RuleSettings { ignore: vec!["nobody".parse().unwrap()], ..rule("syn-flood") };
    let settings = DetectSettings {
        seed: HashSeed::new(1),
        rules: vec![group],
        memory: 1 << 20,
        observer: String::new(),
        version: String::new(),
    };
    let problems = Detectors::new(&settings, Site::default(), Part::All).err().unwrap();
    assert_eq!(problems, ["--rule syn-flood.ignore: there is no group nobody"]);
}

#[test]
fn a_jump_of_the_clock_closes_what_is_open() {
    let mut records = flood(0, 30);
    records.push(udp(1000 * 86_400, (inside(1), 999), (inside(2), 999)));
    let events = events_of(detectors(), &records);
    assert_eq!(actions(&events), ["opened", "closed"]);
    let closed = Timestamp::from_millis(T0 + 60_000);
    assert_eq!(events[1].time, closed, "three windows after the last");
}

#[test]
fn a_record_that_comes_late_is_counted_once() {
    let mut parts = [Part::Floods, Part::Others].map(detectors_of);
    let mut events = Vec::new();
    let late = tcp(0, SYN, (outside(1), 4000), (inside(1), 22));
    for detectors in &mut parts {
        detectors.batch(&mut Batch::from(&scan(outside(1), 3)[..]));
        detectors.settle(Timestamp::from_millis(T0 + 120_000), &mut events);
        // Several rules count it, in the windows that are open.
        detectors
            .batch(&mut Batch::from(&[late, udp(130_000, (inside(1), 1), (inside(2), 2))][..]));
        detectors.settle(Timestamp::MAX, &mut events);
    }
    let late = parts.map(|detectors| detectors.counts().lock().unwrap().late);
    assert_eq!(late, [0, 1]);
}

#[test]
fn a_wrong_time_of_another_exporter_keeps_no_incident_open() {
    let day_ms = 86_400_000;
    let mut records = flood(0, 30);
    // A flow since 1970, a flow that ends in 2554, and the last record four days later.
    records[0].start = Timestamp::from_millis(0);
    records[1].end = Timestamp::from_millis(u64::MAX / 1_000_000);
    records.push(udp(4 * day_ms, (inside(1), 999), (inside(2), 999)));
    let events = events_of(detectors(), &records);
    assert_eq!(actions(&events).last().unwrap(), "closed");
    let closed = events.last().unwrap().time;
    assert_eq!(closed, Timestamp::from_millis(T0 + 60_000 + day_ms), "a day after the last");
}

#[test]
fn sums_of_the_largest_counts_are_the_largest() {
    let mut records = [flood(0, 30), scan(outside(1), 40)].concat();
    records.extend((0..3).map(|at| udp(at, (inside(1), 53), (outside(1), 53))));
    let most = |record: FlowRecord| sized(record, 1 << 50, u64::MAX);
    records.extend(records.clone().into_iter().rev().take(60).map(most));
    let events = events_at_the_end(&records);
    assert!(opened(&events).contains(&"syn-flood".to_owned()), "{events:?}");
}

#[test]
fn packets_without_a_clock_are_in_no_window() {
    let mut records = scan(outside(1), 40);
    records.iter_mut().for_each(|record| record.details = DetailsIndex::WITHOUT_CLOCK);
    let mut detectors = detectors();
    detectors.batch(&mut Batch::from(records));
    let mut events = Vec::new();
    detectors.settle(Timestamp::MAX, &mut events);
    assert!(events.is_empty());
    assert_eq!(detectors.counts().lock().unwrap().timeless, 40);
}
