//! Writes batches to disk and reads them. The speed depends on the disk, so a plain file is
//! measured too.

use std::fs::File;
use std::os::unix::fs::FileExt;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exporter::spool::{Spool, SpooledBatch, WhenFull};
use flow::RecordTally;

const BATCH: usize = 5_000_000;

/// Maximum number of batches in the spool. Each push drops one, as in a long outage.
const BATCHES: u64 = 100;

fn batch() -> SpooledBatch {
    let octets = (0..BATCH).map(|value| (value * 7 % 251) as u8).collect();
    let records = RecordTally { records: 8000, packets: 8000, octets: 8000 };
    SpooledBatch { records, events: 0, octets }
}

fn full_spool(batch: &SpooledBatch) -> (tempfile::TempDir, Spool) {
    let directory = tempfile::tempdir().expect("a directory");
    let octets_max = BATCHES * BATCH as u64;
    let mut spool = Spool::open(directory.path(), octets_max, WhenFull::DropOldest).expect("opens");
    for _ in 0..BATCHES {
        spool.push(batch).expect("there is room");
    }
    (directory, spool)
}

fn spooling(criterion: &mut Criterion) {
    let batch = batch();
    let mut group = criterion.benchmark_group("spool");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(BATCH as u64));
    group.bench_function("write-fdatasync", |bencher| {
        let file = tempfile::tempfile().expect("a file");
        let mut number = 0;
        bencher.iter(|| {
            file.write_all_at(&batch.octets, number % BATCHES * BATCH as u64).expect("is written");
            File::sync_data(&file).expect("is on the disk");
            number += 1;
        });
    });
    let (_directory, mut spool) = full_spool(&batch);
    group.bench_function("push", |bencher| {
        bencher.iter(|| spool.push(&batch).expect("there is room"));
    });
    group.bench_function("push-take-remove", |bencher| {
        bencher.iter(|| {
            spool.push(&batch).expect("there is room");
            let taken = spool.take().expect("is read").expect("there are many");
            spool.remove(&[taken.key]).expect("is removed");
        });
    });
    group.throughput(Throughput::Bytes(4 * BATCH as u64));
    let batches: Vec<_> = (0..4).map(|_| batch.clone()).collect();
    group.bench_function("push-4", |bencher| {
        bencher.iter(|| spool.push_all(&batches).expect("there is room"));
    });
    group.finish();
}

criterion_group!(benches, spooling);
criterion_main!(benches);
