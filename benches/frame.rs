//! Dissection of frames: cost to find the flow of a frame.
//!
//! Each sample dissects 1024 frames that differ in addresses and ports; divide the time by that.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flow::frame::{Packet, dissect, dissect_plain};
use flow::{Frame, Ignored, LinkType, ObservationPoint, Timestamp};
use support::packet::{ethernet, icmp, ipv4, ipv6, tagged, tcp, udp};

#[path = "../tests/support/mod.rs"]
mod support;

const FRAMES: u16 = 1024;

/// Makes the n-th frame of a kind.
type Make = fn(u16) -> Vec<u8>;

const KINDS: [(&str, Make); 8] = [
    ("udp-60", |n| v4(n, 17, &udp(n, 53, 18))),
    ("tcp-60", |n| v4(n, 6, &tcp(n, 443, 0x10, 6))),
    ("icmp-60", |n| v4(n, 1, &icmp(8, 0, 18))),
    ("ipv6-tcp", |n| ethernet(&ipv6("2001:db8::1", "2001:db8::2", 6, &tcp(n, 443, 0x10, 0)))),
    ("vlan-tcp", |n| tagged(&v4(n, 6, &tcp(n, 443, 0x10, 6)), 0x8100, 7)),
    ("qinq-tcp", |n| tagged(&tagged(&v4(n, 6, &tcp(n, 443, 0x10, 6)), 0x8100, 7), 0x88a8, 8)),
    ("options-tcp", |n| {
        let mut frame = v4(n, 6, &[&[7, 7, 4, 0, 0, 0, 0, 0], &tcp(n, 443, 0x10, 0)[..]].concat());
        frame[14] = 0x47;
        frame
    }),
    ("ipv6-extensions", |n| {
        let headers = [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0];
        let payload = [&headers, &tcp(n, 443, 0x10, 0)[..]].concat();
        ethernet(&ipv6("2001:db8::1", "2001:db8::2", 0, &payload))
    }),
];

fn v4(n: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    ethernet(&ipv4([10, 0, high, low], [192, 0, 2, low], protocol, payload))
}

/// As in the program: the fast path, and the general one if the fast path gives no result.
#[inline]
fn either_way(frame: &Frame<'_>) -> Result<Packet, Ignored> {
    dissect_plain(frame).map_or_else(|| dissect(frame), Ok)
}

fn dissection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(FRAMES.into()));
    for (name, make) in KINDS {
        let octets: Vec<_> = (0..FRAMES).map(make).collect();
        let frames: Vec<_> = octets
            .iter()
            .map(|data| Frame {
                data,
                wire_length: u32::try_from(data.len()).unwrap(),
                time: Timestamp::default(),
                point: ObservationPoint::ingress(1),
                link_type: LinkType::Ethernet,
            })
            .collect();
        assert!(frames.iter().all(|frame| dissect(frame).is_ok_and(|it| it.protocol != 0)));
        group.bench_function(BenchmarkId::new("as-used", name), |bencher| {
            bencher.iter(|| {
                for frame in &frames {
                    let packet = either_way(black_box(frame));
                    black_box(&packet);
                }
            });
        });
        group.bench_function(BenchmarkId::new("general", name), |bencher| {
            bencher.iter(|| {
                for frame in &frames {
                    let packet = dissect(black_box(frame));
                    black_box(&packet);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, dissection);
criterion_main!(benches);
