//! The whole program: a capture file in memory, replayed to IPFIX, which is discarded.
//!
//! The results include the start of the process, a few milliseconds.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use support::packet::{ethernet, ipv4, udp};
use support::random::Random;

#[path = "../tests/support/mod.rs"]
mod support;

const PACKETS: u32 = 2_000_000;

/// Packets per second of the trace clock.
const RATE: u64 = 1_000_000;

/// A folder in memory, if possible.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder for the capture")
}

/// A capture of frames of 60 octets, of `flows` flows with the same probability.
fn capture(folder: &Path, flows: u32) -> PathBuf {
    let path = folder.join(format!("{flows}.pcap"));
    let mut file = BufWriter::new(File::create(&path).expect("room for the capture"));
    file.write_all(&support::capture::pcap(&[])).expect("room for the capture");
    let mut frame = ethernet(&ipv4([10, 0, 0, 0], [192, 0, 2, 1], 17, &udp(1024, 53, 18)));
    let length = u32::try_from(frame.len()).unwrap();
    let mut random = Random::new(1);
    for n in 0..u64::from(PACKETS) {
        let flow = u32::try_from(random.below(flows.into())).unwrap();
        frame[27..30].copy_from_slice(&flow.to_be_bytes()[1..]);
        let micros = n * 1_000_000 / RATE;
        let seconds = u32::try_from(1_700_000_000 + micros / 1_000_000).unwrap();
        let fraction = u32::try_from(micros % 1_000_000).unwrap();
        for word in [seconds, fraction, length, length] {
            file.write_all(&word.to_le_bytes()).expect("room for the capture");
        }
        file.write_all(&frame).expect("room for the capture");
    }
    file.flush().expect("room for the capture");
    path
}

fn replay(program: &mut Command) {
    let status = program.status().expect("the program starts");
    assert!(status.success(), "{status}");
}

fn pipeline(criterion: &mut Criterion) {
    let folder = folder();
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(PACKETS.into()));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for flows in [1000, 100_000, 1_000_000] {
        let path = capture(folder.path(), flows);
        for workers in ["1", "2"] {
            let id = BenchmarkId::new(format!("{flows}-flows"), format!("{workers}-workers"));
            group.bench_function(id, |bencher| {
                let mut program = support::flowprobe();
                program.arg("-r").arg(&path).args(["-o", "ipfix-file:/dev/null", "--quiet"]);
                program.args(["--workers", workers, "--max-flows", "2M"]);
                program.stdout(Stdio::null()).stderr(Stdio::null());
                bencher.iter(|| replay(&mut program));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
