//! Names of interfaces, in options records of IPFIX.

use std::collections::BTreeMap;
use std::sync::Arc;

use exporter::{Interface, MeterReport};

use crate::collector::{Session, context};
use crate::record::{T0, udp4};
use crate::support::ipfix::{Message, number, session};

/// ingressInterface and interfaceName.
const INTERFACE: u16 = 10;
const NAME: u16 = 82;

/// `IFNAMSIZ`.
const OCTETS: usize = 16;

fn report(interfaces: &[(u32, &str)]) -> MeterReport {
    let named = |(number, name): &(u32, &str)| Interface { number: *number, name: (*name).into() };
    MeterReport { interfaces: interfaces.iter().map(named).collect(), ..MeterReport::default() }
}

/// What the messages say of names, and how often.
fn names(messages: &[Message]) -> BTreeMap<(u64, String), usize> {
    let mut names = BTreeMap::new();
    let records = messages.iter().flat_map(|message| &message.sets).flat_map(|set| &set.records);
    for record in records.filter(|record| record.contains_key(&NAME)) {
        assert_eq!(record[&NAME].len(), OCTETS);
        let name = String::from_utf8(record[&NAME].clone()).expect("whole characters");
        let name = name.trim_end_matches('\0').to_owned();
        *names.entry((number(record, INTERFACE), name)).or_default() += 1;
    }
    names
}

/// All messages; their sequence numbers count the records of names too.
fn finished(session_of: Session) -> Vec<Message> {
    let (datagrams, _) = session_of.finish();
    let messages = session(&datagrams.concat());
    let mut sequence = 0;
    for message in &messages {
        assert_eq!(message.sequence, sequence);
        sequence += u32::try_from(message.data_records()).unwrap();
    }
    messages
}

#[test]
fn names_are_announced_with_the_templates_and_again() {
    let mut session = Session::open("ipfix", "template-packets=2", &context());
    session.exporter.observe(&report(&[
        (7, "eth1"),
        (9, "fünfzehnzeichen"),
        (1, "ethernet-behind-the-wall"),
    ]));
    session.export(&vec![udp4(T0); 60]);
    let messages = finished(session);
    let announcements = messages.iter().filter(|message| message.has_templates()).count();
    assert!(announcements > 2);
    // Cut to 16 octets, between two characters: ü has two.
    let expected = [(7, "eth1"), (9, "fünfzehnzeichen"), (1, "ethernet-behind-")];
    let expected = expected.map(|(number, name)| ((number, name.to_owned()), announcements));
    assert_eq!(names(&messages), expected.into());
}

#[test]
fn more_names_than_a_message_takes_go_into_several() {
    let mut session = Session::open("ipfix", "mtu=576", &context());
    let many: Vec<_> = (0..200).map(|number| (number, format!("eth{number}"))).collect();
    let many: Vec<_> = many.iter().map(|(number, name)| (*number, name.as_str())).collect();
    session.exporter.observe(&report(&many));
    session.export(&[udp4(T0)]);
    let (datagrams, _) = session.finish();
    assert!(datagrams.iter().all(|datagram| datagram.len() <= 576 - 28));
    let names = names(&crate::support::ipfix::session(&datagrams.concat()));
    assert_eq!(names.len(), many.len());
}

#[test]
fn name_that_becomes_known_later_is_announced_at_once() {
    let mut session = Session::open("ipfix", "", &context());
    session.export(&[udp4(T0)]);
    let mut meter = report(&[(7, "eth1")]);
    session.exporter.observe(&meter);
    session.tick(T0 + 1000);
    assert_eq!(names(&crate::support::ipfix::session(&session.datagrams().concat())).len(), 1);
    // The same once more is no news.
    let before = session.datagrams().len();
    meter.interfaces = Arc::clone(&meter.interfaces);
    session.exporter.observe(&meter);
    session.tick(T0 + 2000);
    assert_eq!(session.datagrams().len(), before);
    finished(session);
}

#[test]
fn without_names_nothing_is_said_of_them() {
    let mut session = Session::open("ipfix", "", &context());
    session.export(&[udp4(T0)]);
    assert!(names(&finished(session)).is_empty());
}
