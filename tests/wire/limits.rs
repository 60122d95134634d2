//! How much goes into a message: up to the MTU, and not one record more.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use flow::{Batch, FlowRecord, IpVersion, RecordTally};

use crate::collector::{Session, assert_accounted, context, exported, open};
use crate::message::{IPFIX_RECORD, NETFLOW9_RECORD, read_stream, split_file};
use crate::record::{T0, udp4, udp6};
use crate::support;
use crate::support::net::{Host, Links, Network};

#[test]
fn messages_have_as_many_flows_as_the_mtu_allows() {
    // The IP and UDP headers of a datagram have 28 octets, those of a message are 24 in v5, and
    // with one set's header 24 in v9 and 20 in IPFIX.
    let cases = [
        ("netflow5", 576, 10),
        ("netflow5", 1491, 29),
        ("netflow5", 1492, 30),
        ("netflow5", 1500, 30),
        ("netflow5", 9000, 30),
        ("netflow9", 576, 9),
        ("netflow9", 1500, 25),
        ("netflow9", 1507, 25),
        ("netflow9", 1508, 26),
        ("netflow9", 9000, 159),
        ("ipfix", 576, 7),
        ("ipfix", 1500, 21),
        ("ipfix", 1543, 21),
        ("ipfix", 1544, 22),
        ("ipfix", 9000, 131),
    ];
    for (scheme, mtu, full) in cases {
        let settings = format!("mtu={mtu}");
        check_full(Session::open(scheme, &settings, &context()), mtu - 28, full, scheme);
    }
}

#[test]
fn messages_over_ipv6_leave_room_for_its_header() {
    let localhost = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((localhost, 0)).is_err() {
        return support::skip_without("IPv6 on the loopback interface");
    }
    for (mtu, full) in [(1495, 20), (1496, 21)] {
        let settings = format!("mtu={mtu}");
        let session = Session::open_at(localhost, "ipfix", &settings, &context());
        check_full(session, mtu - 48, full, "ipfix");
    }
}

/// Exports more flows than fit in two messages: all but the last have as many as they can.
fn check_full(mut session: Session, limit: usize, full: usize, scheme: &str) {
    let records = vec![udp4(T0); 2 * full + 1];
    session.export(&records);
    let (datagrams, counts) = session.finish();
    assert_eq!(counts.sent.records, records.len() as u64);
    let messages = read_stream(&datagrams);
    let flows: Vec<_> = messages.iter().map(|message| message.flows().len()).collect();
    let expected: &[usize] =
        if scheme == "netflow5" { &[full, full, 1] } else { &[0, full, full, 1, 0] };
    assert_eq!(flows, expected, "{scheme} with {limit} octets");
    assert!(datagrams.iter().all(|datagram| datagram.len() <= limit), "{scheme} {limit}");
}

#[test]
fn messages_become_shorter_when_the_path_does_and_none_is_lost_in_silence() {
    let Some(network) = Network::new(Links::default()) else { return };
    network.ip(Host::Probe, &["link", "set", "lo", "mtu", "1500"]);
    for (scheme, mtu) in [("netflow5", 1400), ("netflow9", 1000), ("ipfix", 800)] {
        let (datagrams, counts) = network.on(Host::Probe, || {
            let mut session = Session::open(scheme, "", &context());
            session.export(&vec![udp4(T0); 500]);
            network.ip(Host::Probe, &["link", "set", "lo", "mtu", &mtu.to_string()]);
            session.export(&vec![udp4(T0); 500]);
            let (datagrams, counts) = session.finish();
            network.ip(Host::Probe, &["link", "set", "lo", "mtu", "1500"]);
            (datagrams, counts)
        });
        // A message that was refused would be a gap.
        let messages = read_stream(&datagrams);
        let flows: usize = messages.iter().map(|message| message.flows().len()).sum();
        assert_eq!((flows, counts.sent.records), (1000, 1000), "{scheme}");
        let longest = |part: &[Vec<u8>]| part.iter().map(Vec::len).max().unwrap();
        let last = datagrams.len() - 3;
        assert!(longest(&datagrams[..last]) > mtu - 28);
        assert!(longest(&datagrams[last..]) <= mtu - 28, "{scheme}");
    }
}

#[test]
fn message_is_full_when_the_next_record_and_its_set_header_do_not_fit() {
    for (scheme, lengths) in [("netflow9", NETFLOW9_RECORD), ("ipfix", IPFIX_RECORD)] {
        for mtu in 576..=700 {
            check_mixed(scheme, lengths, mtu);
        }
    }
}

/// Exports flows of both IP versions in an order that changes within each message.
fn check_mixed(scheme: &str, lengths: [usize; 2], mtu: usize) {
    let record = |n: usize| if n * n % 7 < 3 { udp6(T0) } else { udp4(T0) };
    let records: Vec<FlowRecord> = (0..40).map(record).collect();
    let (datagrams, _) = exported(scheme, &format!("mtu={mtu}"), &context(), &records);
    let mut rest = &records[..];
    for (message, datagram) in read_stream(&datagrams).iter().zip(&datagrams) {
        assert!(datagram.len() <= mtu - 28);
        let flows = message.flows();
        let (sent, after) = rest.split_at(flows.len());
        for (flow, record) in flows.iter().zip(sent) {
            assert_eq!(flow.len(), length(record, lengths), "flows leave in their order");
        }
        rest = after;
        let (Some(last), Some(next)) = (sent.last(), rest.first()) else { continue };
        let same_set = last.key.ip_version == next.key.ip_version;
        let set_header = if same_set { 0 } else { 4 };
        let longer = datagram.len() + set_header + length(next, lengths);
        assert!(longer > mtu - 28, "{scheme}, {mtu}: another record has room");
    }
    assert!(rest.is_empty());
}

fn length(record: &FlowRecord, [v4, v6]: [usize; 2]) -> usize {
    match record.key.ip_version {
        IpVersion::V4 => v4,
        IpVersion::V6 => v6,
    }
}

#[test]
fn messages_in_a_file_are_short_enough_for_every_collector() {
    let folder = support::scratch();
    let path = folder.path().join("flows.ipfix");
    let mut exporter = open(&format!("ipfix-file:{}", path.display()), &context());
    let records = vec![udp6(T0); 1000];
    let mut given = RecordTally::default();
    records.iter().for_each(|record| given.count(record));
    exporter.export(&Batch::from(records)).unwrap();
    exporter.finish().unwrap();
    assert_accounted(given, &exporter.counts());
    let messages = split_file(&std::fs::read(path).unwrap());
    assert!(messages.iter().all(|message| message.len() <= 10 * 1024), "no collector takes more");
    let messages = read_stream(&messages);
    assert!(messages.len() < 20);
    assert_eq!(messages.iter().map(|message| message.flows().len()).sum::<usize>(), 1000);
}
