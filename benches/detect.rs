//! The detectors: cost per record, with all rules together and with each alone.

use analysis::detect::{DetectSettings, Detectors, Part, RULES, RuleSettings};
use analysis::{Site, SiteSettings};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flow::number::protocol;
use flow::{Batch, FlowRecord, HashSeed, Stage, Timestamp};

#[path = "scenario/records.rs"]
mod records;

const BATCH: usize = 256;

const RECORDS: u32 = 1 << 18;

/// Connections of clients to a few servers, with answers.
fn connections() -> Vec<Batch> {
    batches(|mut record, n| {
        record.key.source[..4].copy_from_slice(&[10, 0, 0, (n % 200).to_le_bytes()[0]]);
        record
    })
}

/// Each record has another source: attempts without an answer.
fn attempts() -> Vec<Batch> {
    batches(|mut record, _| {
        (record.packets, record.octets, record.tcp_control_bits) = (1, 40, 2);
        record
    })
}

/// Each record has another source, with UDP.
fn datagrams() -> Vec<Batch> {
    batches(|mut record, _| {
        (record.packets, record.octets, record.tcp_control_bits) = (1, 60, 0);
        record.key.protocol = protocol::UDP;
        record.key.destination_port = 5000;
        record
    })
}

/// 100,000 records a second of trace time.
fn batches(change: impl Fn(FlowRecord, u32) -> FlowRecord) -> Vec<Batch> {
    let records: Vec<_> = (0..RECORDS)
        .map(|n| {
            let time = Timestamp::from_millis(1_714_979_280_000 + u64::from(n) / 100);
            change(FlowRecord { start: time, end: time, ..records::record(n) }, n)
        })
        .collect();
    records.chunks(BATCH).map(Batch::from).collect()
}

fn detectors(only: Option<&str>) -> Detectors {
    let is_off = |id: &str| only.is_some_and(|only| only != id);
    let rules = RULES.iter().filter(|rule| is_off(rule.id)).map(|rule| RuleSettings {
        id: rule.id.to_owned(),
        enabled: Some(false),
        ..RuleSettings::default()
    });
    let settings = DetectSettings {
        seed: HashSeed::new(1),
        rules: rules.collect(),
        memory: 128 << 20,
        observer: "bench".to_owned(),
        version: "0".to_owned(),
    };
    let site = Site::new(&SiteSettings::default()).expect("nothing is known of the site");
    Detectors::new(&settings, site, Part::All).expect("the settings are right")
}

fn watch(detectors: &mut Detectors, batches: &mut [Batch]) {
    let mut events = Vec::new();
    for batch in batches {
        detectors.batch(batch);
        let latest = batch.records[0].end;
        detectors.settle(latest.minus_millis(16_000), &mut events);
    }
    detectors.settle(Timestamp::MAX, &mut events);
}

fn detect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detect");
    group.throughput(Throughput::Elements(RECORDS.into())).sample_size(10);
    let cases =
        [("connections", connections()), ("attempts", attempts()), ("datagrams", datagrams())];
    for (name, mut batches) in cases {
        let rules = RULES.iter().map(|rule| Some(rule.id));
        for only in std::iter::once(None).chain(rules) {
            let id = BenchmarkId::new(name, only.unwrap_or("all rules"));
            group.bench_function(id, |bencher| {
                bencher.iter_batched_ref(
                    || detectors(only),
                    |detectors| watch(detectors, &mut batches),
                    criterion::BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, detect);
criterion_main!(benches);
