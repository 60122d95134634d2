//! What options records say of sampling, of the meter and of what was lost.

use std::net::{Ipv4Addr, UdpSocket};

use exporter::{Context, MeterReport};
use flow::{Batch, RecordTally, Tally, Timestamp};

use crate::collector::{Session, context, open};
use crate::message::{Message, options, read_stream};
use crate::record::{T0, udp4, udp6};

/// Template ids of the options: sampling, what was sent, what was ignored, what was not sent.
const SAMPLING: u16 = 258;
const SAMPLING_WITH_ALGORITHM: u16 = 259;
const IPFIX_SENT: u16 = 259;
const NETFLOW9_SENT: u16 = 260;
const IGNORED: u16 = 260;
const NOT_SENT: u16 = 261;

#[test]
fn every_announcement_says_how_packets_are_sampled() {
    for interval in [1, 100, u32::MAX] {
        let context = Context { sampling_interval: interval, ..context() };
        for scheme in ["ipfix", "netflow9"] {
            let mut session = Session::open(scheme, "odid=5&template-packets=2", &context);
            session.export(&vec![udp4(T0); 60]);
            let (datagrams, _) = session.finish();
            let messages = read_stream(&datagrams);
            let announced = messages.iter().filter(|message| message.is_announcement());
            assert!(announced.clone().count() > 2);
            for message in announced {
                assert_eq!(options(message, SAMPLING), [5, interval.into()]);
                if scheme == "netflow9" {
                    let both = options(message, SAMPLING_WITH_ALGORITHM);
                    assert_eq!(both, [5, interval.into(), 1]);
                }
            }
        }
    }
}

#[test]
fn last_announcement_has_the_counts_of_everything_before_it() {
    let mut session = Session::open("ipfix", "odid=5&template-packets=3", &context());
    session.export(&vec![udp4(T0); 30]);
    let mut report = MeterReport {
        ignored: Tally { packets: 7, octets: 700 },
        dropped: RecordTally { records: 1, packets: 2, octets: 3 },
        ..MeterReport::default()
    };
    session.exporter.observe(&report);
    session.export(&vec![udp6(T0); 30]);
    report.ignored.count(60);
    session.exporter.observe(&report);
    let (datagrams, _) = session.finish();
    let (last, before) = datagrams.split_last().unwrap();
    let octets: usize = before.iter().map(Vec::len).sum();
    let last = Message::read(last);
    let sent = [5, before.len() as u64, 60, octets as u64, 61];
    assert_eq!(options(&last, IPFIX_SENT), sent);
    assert_eq!(options(&last, IGNORED), [5, 8, 760]);
    assert_eq!(options(&last, NOT_SENT), [5, 1, 2, 3]);
}

#[test]
fn last_netflow9_announcement_has_the_counts_that_netflow9_knows() {
    let mut session = Session::open("netflow9", "odid=5", &context());
    session.export(&vec![udp4(T0); 60]);
    let (datagrams, _) = session.finish();
    let (last, before) = datagrams.split_last().unwrap();
    let octets: usize = before.iter().map(Vec::len).sum();
    let sent = [5, before.len() as u64, 60, octets as u64];
    assert_eq!(options(&Message::read(last), NETFLOW9_SENT), sent);
}

#[test]
fn flows_that_were_lost_are_reported_as_not_sent_and_not_as_sent() {
    // Nobody listens on this port until later.
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let rare = "template-refresh=1day&template-packets=1000000";
    let mut exporter = open(&format!("ipfix://{free}?{rare}"), &context());
    let mut given = RecordTally::default();
    let mut time = T0;
    // The kernel says with the next datagram that the one before was unwanted.
    while exporter.counts().failed.records == 0 {
        let record = udp4(time);
        exporter.export(&Batch::from(&[record][..])).unwrap();
        given.count(&record);
        exporter.tick(Timestamp::from_millis(time)).unwrap();
        time += 1;
        assert!(time < T0 + 10_000, "the kernel never refuses a datagram");
    }
    let collector = UdpSocket::bind(free).unwrap();
    exporter.finish().unwrap();
    let counts = exporter.counts();
    assert_eq!(given, counts.sent + counts.failed);
    let mut buffer = [0; 2048];
    let last = loop {
        let length = collector.recv(&mut buffer).expect("the last announcement arrives");
        let message = Message::read(&buffer[..length]);
        if message.is_announcement() {
            break message;
        }
    };
    let [_, not_sent, packets, octets] = options(&last, NOT_SENT)[..] else { panic!("4 numbers") };
    let [_, _, sent, _, observed] = options(&last, IPFIX_SENT)[..] else { panic!("5 numbers") };
    assert!(not_sent > 0);
    assert_eq!((packets, octets), (not_sent * 10, not_sent * 5000));
    assert_eq!(observed, given.records);
    assert_eq!(sent + not_sent, observed, "each flow is either sent or not");
    // What was lost keeps its numbers, as do the four options records before: a gap shows.
    assert_eq!(u64::from(last.sequence), given.records + 4);
}
