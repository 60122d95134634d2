//! Any octets as datagrams and messages of exporters: nothing panics, everything is counted once,
//! what is kept stays within its limits, and templates come back out of a store.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use collect::{
    Collector, Limits, OptionsRecord, SamplingSettings, Sink, StoredTemplate, TemplateScope,
};
use flow::{Details, Exporter, FlowRecord, Timestamp};

use super::input::Input;

/// 2024-05-06T07:08:09Z
const BEGIN: u64 = 1_714_979_289_000;

/// Limits that a few datagrams reach.
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
    options: u64,
}

impl Sink for Sum {
    fn record(&mut self, _exporter: &Arc<Exporter>, record: FlowRecord, details: Details) {
        assert!(record.start <= record.end);
        assert!(details.collected.is_some());
        self.records += 1;
    }

    fn options(&mut self, _exporter: &Arc<Exporter>, record: OptionsRecord) {
        assert!(record.fields.len() <= 512);
        self.options += 1;
    }
}

/// Settings, then datagrams, each after its exporter, the seconds since the one before, and its
/// length.
pub fn check(octets: &[u8]) {
    let mut input = Input::new(octets);
    let settings = input.u8();
    let limits = if settings & 1 == 0 { LIMITS } else { Limits::default() };
    let mut collector = collector(settings, limits);
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
        assert_bounded(&collector, &limits);
    }
    if settings & 16 != 0 {
        assert_stored(&collector, settings, limits, Timestamp::from_millis(now));
    }
    collector.finish();
    let counts = collector.counts();
    assert_eq!((counts.datagrams, counts.records), (datagrams, sum.records));
    assert!(sum.options <= counts.options);
    assert_eq!(counts.waiting_sets, 0);
}

fn collector(settings: u8, limits: Limits) -> Collector {
    let sampling = SamplingSettings { scales: settings & 8 != 0, ..SamplingSettings::default() };
    let scope = if settings & 4 == 0 { TemplateScope::Address } else { TemplateScope::Port };
    let collector = Collector::new(limits).with_sampling(sampling).with_scope(scope);
    collector.with_options(settings & 2 != 0)
}

fn assert_bounded(collector: &Collector, limits: &Limits) {
    let counts = collector.counts();
    let exporters = limits.exporters as u64 + 1;
    let of_exporter = limits.templates_of_exporter as u64;
    assert!(counts.exporters <= exporters);
    assert!(counts.waiting_sets <= exporters * limits.waiting_sets as u64);
    // Those of one message may be too many.
    assert!(counts.templates <= limits.templates as u64 + of_exporter);
    let decoded = counts.netflow5 + counts.netflow9 + counts.ipfix + counts.sflow;
    assert_eq!(counts.datagrams, decoded + counts.malformed + counts.unknown_version);
}

/// A collector that reads what was stored knows the same templates.
fn assert_stored(collector: &Collector, settings: u8, limits: Limits, now: Timestamp) {
    let mut next = self::collector(settings, limits);
    let stored: Vec<_> = collector.templates().collect();
    for template in &stored {
        assert_eq!(StoredTemplate::of_line(&template.line()).as_ref(), Some(template));
        next.restore(template, now);
    }
    assert_bounded(&next, &limits);
    assert_eq!(next.counts().templates_refused, 0);
    if limits != LIMITS && settings & 4 == 0 {
        let age_ms = |template: &&StoredTemplate| now.millis_since(template.sent);
        let valid: Vec<_> = stored.iter().filter(|it| age_ms(it) <= 1_800_000).collect();
        let known: Vec<_> = next.templates().collect();
        assert_eq!(known.iter().collect::<Vec<_>>(), valid);
    }
}
