//! Any octets as datagrams and messages of exporters: nothing panics, everything is counted once,
//! and what is kept stays within its limits.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use collect::{Collector, Limits, Sink};
use flow::{Details, Exporter, FlowRecord, Timestamp};

use super::input::Input;

/// 2024-05-06T07:08:09Z
const BEGIN: u64 = 1_714_979_289_000;

const LIMITS: Limits = Limits {
    exporters: 3,
    domains_of_exporter: 2,
    templates_of_exporter: 4,
    templates: 6,
    fields: 40,
    waiting_sets: 3,
    waiting_octets: 200,
    waiting_octets_total: 300,
    name_octets: 400,
};

/// The exporter with a connection, and the end of this.
const CONNECTED: u8 = 6;
const GONE: u8 = 7;

#[derive(Default)]
struct Sum {
    records: u64,
}

impl Sink for Sum {
    fn record(&mut self, _exporter: &Arc<Exporter>, record: FlowRecord, details: Details) {
        assert!(record.start <= record.end);
        assert!(details.collected.is_some());
        self.records += 1;
    }
}

/// Datagrams, each after its exporter, the seconds since the one before, and its length.
pub fn check(octets: &[u8]) {
    let mut input = Input::new(octets);
    let mut collector = Collector::new(LIMITS);
    let (mut sum, mut now, mut datagrams) = (Sum::default(), BEGIN, 0);
    while !input.is_empty() {
        let exporter = input.pick(&[1, 2, 3, 4, 5, CONNECTED, GONE]);
        now += input.pick(&[0, 1, 60, 301, 1801]) * 1000;
        let length = usize::from(input.u16()) % 1500;
        let from = SocketAddr::new(Ipv4Addr::new(10, 0, 0, exporter).into(), 2055);
        let octets = input.take(length);
        let received = Timestamp::from_millis(now);
        match exporter {
            CONNECTED if !collector.message_of(1, from, received, octets, &mut sum) => {
                collector.end_connection(1, from);
            }
            CONNECTED => {}
            GONE => collector.end_connection(1, from),
            _ => collector.datagram(from, received, octets, &mut sum),
        }
        datagrams += u64::from(exporter != GONE);
        let counts = collector.counts();
        assert!(counts.exporters <= 3 + 1 && counts.waiting_sets <= 12);
        assert!(counts.templates <= 6 + 4, "those of one message may be too many");
        let decoded = counts.netflow5 + counts.netflow9 + counts.ipfix + counts.sflow;
        assert_eq!(counts.datagrams, decoded + counts.malformed + counts.unknown_version);
    }
    collector.finish();
    let counts = collector.counts();
    assert_eq!((counts.datagrams, counts.records), (datagrams, sum.records));
    assert_eq!(counts.waiting_sets, 0);
}
