//! What sFlow tells besides sampled packets: counters of interfaces, and discarded packets.

use collect::InterfaceReport;
use serde_json::json;

use crate::messages::{Session, be32, flow_sample, raw_header, sflow, sflow_part};
use crate::program;
use crate::support::{self, packet};

/// The counters that all interfaces have.
fn generic(number: u32, speed: u64, octets: [u64; 2]) -> Vec<u8> {
    let wide = |number: u64| number.to_be_bytes().to_vec();
    let parts = [
        be32(&[number, 6]),
        wide(speed),
        be32(&[1, 3]),
        wide(octets[0]),
        be32(&[1, 2, 3, 4, 5, 6]),
        wide(octets[1]),
        be32(&[7, 8, 9, 10, 11, 0]),
    ];
    sflow_part(1, &parts.concat())
}

/// A counter sample of interface 3.
fn counter_sample(records: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(records.len()).unwrap();
    sflow_part(2, &[be32(&[1, 3, count]), records.concat()].concat())
}

/// A packet that was discarded at interface 3 for this reason.
fn discard(reason: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(records.len()).unwrap();
    sflow_part(5, &[be32(&[1, 0, 3, 2, 3, 0, reason, count]), records.concat()].concat())
}

fn header() -> Vec<u8> {
    let ip = packet::ipv4([192, 0, 2, 10], [203, 0, 113, 5], 17, &packet::udp(4000, 53, 60));
    raw_header(11, u32::try_from(ip.len() + 4).unwrap(), &ip)
}

#[test]
fn counters_of_interfaces_are_those_of_the_last_sample() {
    let mut session = Session::new();
    let ethernet = sflow_part(2, &[0; 52]);
    let first = counter_sample(&[generic(3, 10_000_000_000, [1, 2]), ethernet]);
    let expanded = [be32(&[1, 0, 4, 1]), generic(4, 0, [u64::MAX, 1 << 40])].concat();
    session.take(&sflow(1, &[first, sflow_part(4, &expanded)]));
    session.take(&sflow(2, &[counter_sample(&[generic(3, 1000, [5, 6])])]));
    let interfaces = |session: &Session| session.exporters()[0].interfaces.clone();
    let third = InterfaceReport { number: 3, speed: 1000, in_octets: 5, out_octets: 6 };
    let fourth = InterfaceReport { number: 4, speed: 0, in_octets: u64::MAX, out_octets: 1 << 40 };
    assert_eq!(interfaces(&session), [third, fourth]);
    assert_eq!((session.counts().sflow_counter_samples, session.counts().records), (3, 0));
    // A record that is too short changes nothing.
    session.take(&sflow(3, &[counter_sample(&[sflow_part(1, &[0; 59])])]));
    assert_eq!((interfaces(&session).len(), session.counts().sflow_cut_records), (2, 1));
}

#[test]
fn interfaces_are_bounded() {
    let mut session = Session::new();
    for number in 1..=1100 {
        session.take(&sflow(number, &[counter_sample(&[generic(number, 0, [0, 0])])]));
    }
    session.take(&sflow(1101, &[counter_sample(&[generic(1, 7, [0, 0])])]));
    let interfaces = session.exporters()[0].interfaces.clone();
    assert_eq!((interfaces.len(), interfaces[0].speed), (1024, 7));
    assert_eq!(session.counts().sflow_interfaces_refused, 76);
}

#[test]
fn discarded_packets_are_records_with_the_reason() {
    for (reason, status) in [(0, 131), (256, 128), (257, 137), (258, 129), (260, 139), (262, 133)] {
        let mut session = Session::new();
        session.take(&sflow(1, &[discard(reason, &[header()])]));
        let (record, details) = session.only();
        let collected = details.collected.unwrap();
        assert_eq!((record.packets, record.octets, record.key.destination_port), (1, 88, 53));
        assert_eq!((collected.ingress_interface, collected.egress_interface), (3, 0));
        assert_eq!((collected.forwarding_status, collected.sampling_interval), (status, 1));
        assert_eq!((session.counts().sflow_samples, session.counts().sflow_discards), (1, 1));
    }
    // Its source has counters of its own, and its rate is not that of the samples.
    let mut session = Session::new();
    session.take(&sflow(1, &[flow_sample(&[header()]), discard(258, &[header()])]));
    assert_eq!(session.counts().sflow_dropped, 0);
    assert_eq!(session.exporters()[0].sampling_interval, 512);
}

#[test]
fn totals_and_documents_tell_of_both() {
    let folder = support::scratch();
    let samples =
        [counter_sample(&[generic(3, 1_000_000_000, [12, 34])]), discard(257, &[header()])];
    let capture = program::capture(&[sflow(1, &samples)]);
    let file = support::write(&folder, "datagrams.pcap", &capture);
    let run = program::collect(&[file], &[]);
    let [document] = &run.documents()[..] else { panic!("{}", run.stderr) };
    assert_eq!(document["netflow"]["forwarding_status"], 137);
    assert_eq!(document["netflow"].get("sampling_interval"), None);
    let interface = json!([
        {"interface": "3", "speed": 1_000_000_000, "in_octets": 12, "out_octets": 34}
    ]);
    assert_eq!(run.stats["exporters"][0]["interfaces"], interface);
    assert_eq!(web::without_metric(&run.stats), Vec::<String>::new());
}
