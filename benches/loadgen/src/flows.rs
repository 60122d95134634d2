//! Synthetic traffic with frames that exist only in the kernel: `BPF_PROG_TEST_RUN` runs the
//! program of probe-ebpf/src/bin/loadgen.rs on frames that the kernel makes, and sends them.
//!
//! The kernel needs 20 ms to set up a run. Nothing is sent in this time. So runs are long, and the
//! program itself waits until each packet is due.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aya::maps::{Array, MapData};
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};

use super::counters::Transmitted;
use super::pace::{Amount, Pace};
use super::place::Place;
use super::{Outcome, number};

/// Properties of the flows, and the number of packets.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Number of flows; each flow gets one packet before any gets its second
    #[arg(long, value_parser = number, default_value = "1M")]
    pub(super) flows: u32,

    /// Packets per second, from 20k [default: as many as possible]
    #[arg(long, value_parser = number)]
    rate: Option<u32>,

    /// Duration in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// Number of packets, instead of a duration
    #[arg(long, value_parser = number, conflicts_with = "seconds")]
    packets: Option<u32>,

    /// Octets of a frame, from 60 to 1514: a TCP acknowledgement, padded
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(60..=1514))]
    frame: u16,
}

static PROGRAM: &[u8] = include_bytes!("../../../probe-ebpf/src/bin/loadgen.bpf.o");

/// Indices in the program's map of variables.
const DUE: u32 = 1;
const INTERVAL: u32 = 2;

/// The program waits at most about 100 us for a packet.
const RATE_MIN: u32 = 20_000;

/// Frames that the kernel makes and sends at once.
const BATCH: u32 = 64;

pub(super) fn send(place: &Place, options: &Options) -> Result<Outcome> {
    ensure!(
        options.rate.is_none_or(|rate| rate >= RATE_MIN),
        "the program in the kernel cannot wait for less than {RATE_MIN} packets a second; \
         send a file for that"
    );
    let frame = frame(options.frame);
    let mut generator = Generator::load(place, options.flows, &frame)?;
    let before = Transmitted::read(&place.interface)?;
    let begin = Instant::now();
    let tried = generator.run(options, begin)?;
    let elapsed = begin.elapsed();
    let Transmitted { sent, refused } = Transmitted::read(&place.interface)?.since(before);
    ensure!(
        sent + refused > 0,
        "none of {tried} frames went out: the other end of {} needs an XDP program or \
         `ethtool -K INTERFACE gro on`, and as many queues",
        place.interface
    );
    let octets = sent * u64::from(options.frame);
    // Frames that the kernel did not pass to the driver are in none of its counters.
    let not_sendable = tried.saturating_sub(sent + refused);
    Ok(Outcome { sent, octets, queue_full: refused, not_sendable, elapsed })
}

struct Generator<'a> {
    program: Ebpf,
    frame: &'a [u8],
}

impl<'a> Generator<'a> {
    fn load(place: &Place, flows: u32, frame: &'a [u8]) -> Result<Self> {
        let sum = header_sum(frame);
        let step = step(flows);
        let mut program = EbpfLoader::new()
            .override_global("INTERFACE", &place.index, true)
            .override_global("FLOWS", &flows, true)
            .override_global("STEP", &step, true)
            .override_global("HEADER_SUM", &sum, true)
            .verifier_log_level(VerifierLogLevel::DISABLE)
            .load(PROGRAM)
            .context("loading the program into the kernel; it takes CAP_BPF and CAP_NET_ADMIN")?;
        xdp(&mut program)?.load().context("the kernel checks the program")?;
        Ok(Self { program, frame })
    }

    /// Sends the requested packets. Returns the number of frames.
    fn run(&mut self, options: &Options, begin: Instant) -> Result<u64> {
        let seconds = options.seconds;
        let amount = match (options.packets, options.rate) {
            (Some(packets), _) => Amount::Packets(packets.into()),
            (None, Some(rate)) => Amount::Packets(u64::from(rate) * u64::from(seconds)),
            (None, None) => Amount::Time(Duration::from_secs(seconds.into())),
        };
        let mut pace = Pace::new(amount, options.rate);
        let mut tried = 0;
        while let Some(run) = pace.next(tried, begin.elapsed()) {
            self.set_interval(run.interval_ns)?;
            let took = self.run_once(run.packets)?;
            pace.learn(run, took);
            tried += u64::from(run.packets);
        }
        Ok(tried)
    }

    fn set_interval(&mut self, nanoseconds: u64) -> Result<()> {
        let map = self.program.map_mut("STATE").context("the program has its map")?;
        let mut state: Array<&mut MapData, u64> = Array::try_from(map)?;
        state.set(INTERVAL, nanoseconds, 0)?;
        // The first packet of a run is due at once.
        Ok(state.set(DUE, 0, 0)?)
    }

    fn run_once(&mut self, packets: u32) -> Result<Duration> {
        let begin = Instant::now();
        xdp(&mut self.program)?
            .test_run(TestRunOptions {
                data_in: Some(self.frame),
                repeat: packets,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::new()
            })
            .context("sending frames from the kernel; it takes Linux 5.18")?;
        Ok(begin.elapsed())
    }
}

fn xdp(program: &mut Ebpf) -> Result<&mut Xdp> {
    let program = program.program_mut("loadgen").context("the object has its program")?;
    Ok(program.try_into()?)
}

/// A number below the number of flows, coprime to it. Steps of this size lead to distant flows.
fn step(flows: u32) -> u32 {
    let divide = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    // The golden ratio.
    let first = u64::from(flows) * 618 / 1000;
    let first = u32::try_from(first).expect("less than the flows").max(1);
    (first..flows).find(|&step| divide(step, flows) == 1).unwrap_or(1)
}

/// A TCP acknowledgement over IPv4, without the fields that differ between flows.
fn frame(length: u16) -> Vec<u8> {
    let mut frame = vec![0; length.into()];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    // Frames are padded to 60 octets. In those, the packet has no payload.
    let packet = if length == 60 { 40 } else { length - 14 };
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&packet.to_be_bytes());
    frame[22] = 64;
    frame[23] = 6;
    frame[46] = 0x50;
    frame[47] = 0x10;
    frame[48..50].copy_from_slice(&[0xff, 0xff]);
    frame
}

/// The sum of the 16-bit words of the IP header.
fn header_sum(frame: &[u8]) -> u32 {
    let words = frame[14..34].as_chunks().0;
    words.iter().map(|&word| u32::from(u16::from_be_bytes(word))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_has_its_turn() {
        for flows in [1, 2, 3, 4, 10, 1000, 1 << 10, 9_973] {
            let step = step(flows);
            let mut seen = vec![false; flows as usize];
            let mut number = 0;
            for _ in 0..flows {
                assert!(!seen[number as usize], "{flows} by {step}");
                seen[number as usize] = true;
                number = (number + step) % flows;
            }
        }
    }
}
