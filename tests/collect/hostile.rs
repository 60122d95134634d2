//! Senders that want the collector to use up its memory, or to forget others.

use std::net::{Ipv4Addr, SocketAddr};

use collect::{Collector, Limits, SamplingSettings};
use flow::Timestamp;

use crate::messages::{
    FIELDS, Given, NOW, Session, flow, ipfix, ipfix_of, netflow9, set, template,
};

/// A collector that does not keep what it gives.
struct Target {
    collector: Collector,
    given: Given,
    records: usize,
}

impl Target {
    fn new() -> Self {
        let collector = Collector::new(Limits::default());
        Self { collector, given: Given::default(), records: 0 }
    }

    fn take(&mut self, from: Ipv4Addr, datagram: &[u8]) {
        let received = Timestamp::from_millis(u64::from(NOW) * 1000);
        let from = SocketAddr::new(from.into(), 2055);
        self.collector.datagram(from, received, datagram, &mut self.given);
        self.records += self.given.0.drain(..).count();
    }
}

#[test]
fn a_million_sources_leave_one_that_is_heard_of_alone() {
    let mut target = Target::new();
    let ours = Ipv4Addr::new(192, 0, 2, 1);
    let templates = ipfix(0, &[set(2, &template(300, &FIELDS))]);
    let data = ipfix(0, &[set(300, &flow(1))]);
    // One with a template, and one whose data waits.
    let of_others = [templates.clone(), ipfix(0, &[set(400, &flow(1))])];
    target.take(ours, &templates);
    for number in 0..1_000_000 {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
        target.take(address, &of_others[usize::from(number % 2 == 0)]);
        if number % 1000 == 0 {
            target.take(ours, &data);
        }
    }
    let counts = target.collector.counts();
    assert_eq!(target.records, 1000, "none of ours was lost");
    assert_eq!((counts.exporters, counts.exporters_evicted), (4096, 1_000_001 - 4096));
    assert!(counts.templates <= 4096 && counts.waiting_sets <= 4096, "{counts:?}");
    assert_eq!(counts.no_template + counts.waiting_sets, 500_000);
    assert!(target.collector.exporters(10).len() == 10);
}

#[test]
fn an_exporter_with_all_template_ids_and_domains_is_bounded() {
    let mut target = Target::new();
    let hostile = Ipv4Addr::new(192, 0, 2, 66);
    for id in 256..=u16::MAX {
        target.take(hostile, &ipfix(0, &[set(2, &template(id, &FIELDS))]));
    }
    let counts = target.collector.counts();
    assert_eq!((counts.templates, counts.templates_evicted), (1024, 65_280 - 1024));
    for domain in 0..100_000 {
        target.take(hostile, &ipfix_of(domain, 0, &[set(2, &template(300, &FIELDS))]));
    }
    assert_eq!(target.collector.counts().templates, 1024);
    assert_eq!(target.collector.exporters(usize::MAX).len(), 256);
}

#[test]
fn many_exporters_with_many_templates_are_bounded() {
    let mut target = Target::new();
    let of_exporter: Vec<_> = (256..1256).map(|id| template(id, &FIELDS)).collect();
    let messages = of_exporter.chunks(40).map(|some| netflow9(0, &[set(0, &some.concat())]));
    let messages: Vec<_> = messages.collect();
    for exporter in 0..200 {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + exporter);
        messages.iter().for_each(|message| target.take(address, message));
    }
    let counts = target.collector.counts();
    assert!(counts.templates <= 65_536, "{counts:?}");
    assert_eq!(counts.templates + counts.templates_evicted, 200_000);
    assert!(counts.exporters_evicted >= 130, "{counts:?}");
}

#[test]
fn an_exporter_with_too_many_templates_pushes_no_other_out() {
    let learn = |id: u16| ipfix(0, &[set(2, &template(id, &FIELDS))]);
    let data = |id: u16| ipfix(0, &[set(id, &flow(1))]);
    let fields = 20 * FIELDS.len();
    for limits in
        [Limits { templates: 20, ..Limits::default() }, Limits { fields, ..Limits::default() }]
    {
        let mut session = Session::with(limits);
        session.take_from("10.0.0.1:2055", &learn(300));
        for id in 400..500 {
            session.take_from("10.0.0.2:2055", &learn(id));
            session.take_from("10.0.0.1:2055", &data(300));
            session.take_from("10.0.0.2:2055", &data(id));
        }
        let counts = session.counts();
        assert_eq!((counts.records, counts.exporters_evicted), (200, 0), "{limits:?}");
        assert_eq!((counts.templates, counts.templates_evicted), (20, 81), "{limits:?}");
    }
    let mut session = Session::with(Limits { templates: 1, ..Limits::default() });
    session.take(&learn(300)).take(&learn(301)).take(&data(301));
    assert_eq!((session.counts().records, session.counts().templates_evicted), (1, 1));
}

#[test]
fn domains_that_are_forgotten_are_counted() {
    let mut session = Session::with(Limits { domains_of_exporter: 4, ..Limits::default() });
    for domain in 0..10 {
        session.take(&ipfix_of(domain, 0, &[]));
    }
    assert_eq!((session.exporters().len(), session.counts().domains_evicted), (4, 6));
}

#[test]
fn counts_that_cannot_be_true_are_zero() {
    let fields = [(8, 4), (12, 4), (1, 8), (2, 8)];
    let record = |octets: u64, packets: u64| {
        let addresses = [192, 0, 2, 10, 198, 51, 100, 20];
        [&addresses[..], &octets.to_be_bytes(), &packets.to_be_bytes()].concat()
    };
    let most = 1 << 48;
    let records =
        [record(most, most), record(most + 1, 7), record(7, u64::MAX), record(most / 2, 3)];
    let message = ipfix(0, &[set(2, &template(300, &fields)), set(300, &records.concat())]);
    let received = Timestamp::from_millis(u64::from(NOW) * 1000);
    let from = "192.0.2.1:2055".parse().unwrap();
    let read = |scales| {
        let sampling = SamplingSettings { default: 10, scales, ..SamplingSettings::default() };
        let mut collector = Collector::new(Limits::default()).with_sampling(sampling);
        let mut given = Given::default();
        collector.datagram(from, received, &message, &mut given);
        assert_eq!(collector.counts().counts_invalid, 2);
        let counts = given.0.iter().map(|(_, record, _)| (record.octets, record.packets));
        counts.collect::<Vec<_>>()
    };
    assert_eq!(read(false), [(most, most), (0, 7), (7, 0), (most / 2, 3)]);
    assert_eq!(read(true), [(most, most), (0, 70), (70, 0), (most, 30)]);
}
