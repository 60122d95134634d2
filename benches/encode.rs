//! Export of flow records: encoding, and sending to the kernel.
//!
//! Files are written to /dev/null. NetFlow v5 and v9 exist only as datagrams. Those are sent to a
//! socket of the loopback interface without a reader, so their times include the kernel's sends.

use std::net::UdpSocket;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use exporter::{Context, Destination};
use flow::Batch;

#[path = "scenario/records.rs"]
mod records;

/// Records that a worker sends at once.
const BATCH: usize = 256;

const BATCHES: usize = 64;

fn context() -> Context {
    Context { name: "bench".to_owned(), version: "0".to_owned(), ..Context::default() }
}

fn encoding(criterion: &mut Criterion) {
    let records = (0..).take(BATCH * BATCHES).map(records::record).collect::<Vec<_>>();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port of the loopback interface");
    let at = socket.local_addr().expect("a bound socket has an address");
    let outputs = [
        ("ipfix-file", "ipfix-file:/dev/null".to_owned()),
        ("json", "json:/dev/null".to_owned()),
        ("ipfix", format!("ipfix://{at}?pps=0")),
        ("netflow9", format!("netflow9://{at}?pps=0")),
        ("netflow5", format!("netflow5://{at}?pps=0")),
    ];
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(records.len() as u64));
    let batches: Vec<Batch> = records.chunks(BATCH).map(Batch::from).collect();
    for (name, output) in outputs {
        let destination: Destination = output.parse().expect("an output");
        let mut exporter = destination.open(&context()).expect("the output opens");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                for batch in &batches {
                    exporter.export(batch).expect("it takes everything");
                }
            });
        });
        let counts = exporter.counts();
        assert_eq!(counts.failed.records + counts.not_exportable.records, 0, "{name}: {counts:?}");
    }
    group.finish();
}

criterion_group!(benches, encoding);
criterion_main!(benches);
