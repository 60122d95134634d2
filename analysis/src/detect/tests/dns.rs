//! Rules that use names in DNS.

use flow::{Details, DnsFacts, Facts, Named};

use super::*;

/// The events of records with the first DNS question of their conversations, of this type.
fn events_with_names(
    detectors: Detectors,
    records: &[FlowRecord],
    kind: u16,
    from_client: bool,
) -> Vec<Event> {
    let mut detectors = detectors;
    let dns = DnsFacts { kind: Named { number: kind, name: "".into() }, ..DnsFacts::default() };
    let facts = Arc::new(Facts { dns: Some(dns), ..Facts::default() });
    let mut events = Vec::new();
    for some in records.chunks(200) {
        let mut batch = Batch::default();
        for record in some {
            let facts = Some(Arc::clone(&facts));
            batch.push(*record, Details { facts, from_client, ..Details::default() });
        }
        detectors.batch(&mut batch);
    }
    detectors.settle(Timestamp::MAX, &mut events);
    events
}

fn with_servers() -> Detectors {
    let servers = SiteSettings {
        dns_servers: vec!["203.0.113.0".parse().unwrap(), "10.0.0.53".parse().unwrap()],
        ..SiteSettings::default()
    };
    detectors_with(Vec::new(), &servers)
}

/// Questions of this host to so many servers, two minutes apart, of which the first is known.
fn questions(source: IpAddr, servers: u32) -> Vec<FlowRecord> {
    let ask = |server: u32| {
        let port = 4000 + u16::try_from(server).unwrap();
        udp(u64::from(server) * 120_000, (source, port), (outside(server), 53))
    };
    (0..servers).map(ask).collect()
}

#[test]
fn unknown_servers_flip_at_their_threshold_within_an_hour() {
    let found =
        |records: &[FlowRecord]| opened(&events_with_names(with_servers(), records, 1, true));
    // Four that are not known, and five.
    assert_eq!(found(&questions(inside(1), 5)), [""; 0]);
    assert_eq!(found(&questions(inside(1), 6)), ["unknown-dns-server"]);
    // A known server asks others, and hosts elsewhere ask whom they like.
    assert_eq!(found(&questions(inside(53), 20)), [""; 0]);
    assert_eq!(found(&questions(outside(99), 20)), [""; 0]);
}

#[test]
fn without_names_or_known_servers_nobody_asks_unknown_ones() {
    let records = questions(inside(1), 20);
    assert_eq!(opened(&events_of(with_servers(), &records)), [""; 0], "without names");
    assert_eq!(opened(&events_with_names(detectors(), &records, 1, true)), [""; 0]);
    let answers = events_with_names(with_servers(), &records, 1, false);
    assert_eq!(opened(&answers), [""; 0], "the other direction");
}

/// Answers of some servers to one host: so many packets, of so many octets each.
fn answers(packets: u64, octets: u64) -> Vec<FlowRecord> {
    let answer = |server: u32| {
        let record = udp(u64::from(server), (outside(server), 53), (inside(9), 4000));
        sized(record, packets / 4, octets * (packets / 4))
    };
    (0..4).map(answer).collect()
}

#[test]
fn long_answers_flip_by_number_type_and_length() {
    let found = |records: &[FlowRecord], kind| {
        opened(&events_with_names(detectors(), records, kind, false))
    };
    for kind in [16, 46, 48, 255] {
        assert_eq!(found(&answers(496, 469), kind), [""; 0], "{kind}");
        assert_eq!(found(&answers(500, 469), kind), ["dns-amplification"], "{kind}");
    }
    assert_eq!(found(&answers(500, 468), 255), [""; 0], "short answers");
    for kind in [1, 28, 5, 15] {
        assert_eq!(found(&answers(500, 469), kind), [""; 0], "{kind}");
    }
    assert_eq!(opened(&events_of(detectors(), &answers(500, 469))), [""; 0], "without names");
}

#[test]
fn an_incident_of_long_answers_names_its_host_and_servers() {
    let events = events_with_names(detectors(), &answers(2000, 600), 255, false);
    assert_eq!(text(&events[0], "destination.ip"), "10.0.0.9");
    assert_eq!(number(&events[0], "flowprobe.alert.sources"), 4);
    assert_eq!(number(&events[0], "source.port"), 53);
    let reason = text(&events[0], "event.reason");
    let expected = "10.0.0.9 got 2,000 long answers of 4 DNS servers in a minute to questions of \
                    type ANY, TXT, DNSKEY or RRSIG (threshold 500)";
    assert_eq!(reason, expected);
}
