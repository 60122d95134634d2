//! Flow records to what leaves: encoding, and handing over to the kernel.
//!
//! Files go to /dev/null. NetFlow v5 and v9 exist only as datagrams: those go to a socket of the
//! loopback interface that nobody reads, so their figures include the kernel's sends.

use std::net::UdpSocket;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use exporter::{Context, Destination, Patience};
use flow::{FlowEndReason, FlowKey, FlowRecord, IpVersion, KeyFields, Timestamp};

/// As many as a worker hands over at once.
const BATCH: usize = 256;

const BATCHES: usize = 64;

/// 2024-05-06T07:08:09.123Z
const BEGIN: u64 = 1_714_979_289_123;

fn record(n: u32) -> FlowRecord {
    let [a, b, c, d] = n.wrapping_mul(0x9e37_79b9).to_be_bytes();
    let mut source = [0; 16];
    source[..4].copy_from_slice(&[10, b, c, d]);
    let mut destination = [0; 16];
    destination[..4].copy_from_slice(&[192, 0, 2, a]);
    let end = BEGIN + u64::from(n / 8);
    FlowRecord {
        key: FlowKey {
            ip_version: IpVersion::V4,
            source,
            destination,
            source_port: u16::from_be_bytes([c, d]),
            destination_port: 443,
            protocol: 6,
            type_of_service: 0,
            ingress_interface: 1,
        },
        octets: u64::from(n) * 977,
        packets: u64::from(n) + 1,
        start: Timestamp::from_millis(end - u64::from(b) * 10),
        end: Timestamp::from_millis(end),
        exported: Timestamp::from_millis(end + 15_000),
        vlan_id: 0,
        tcp_control_bits: 0x1b,
        minimum_ttl: 57,
        maximum_ttl: 64,
        end_reason: FlowEndReason::IdleTimeout,
    }
}

fn context() -> Context {
    Context {
        patience: Patience::Wait,
        uptime_start: None,
        observation_domain_id: 1,
        sampling_interval: 1,
        key: KeyFields::SEVEN,
        name: "bench".to_owned(),
        version: "0".to_owned(),
    }
}

fn encoding(criterion: &mut Criterion) {
    let records: Vec<_> = (0..).take(BATCH * BATCHES).map(record).collect();
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
    for (name, output) in outputs {
        let destination: Destination = output.parse().expect("an output");
        let mut exporter = destination.open(&context()).expect("the output opens");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                for batch in records.chunks(BATCH) {
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
