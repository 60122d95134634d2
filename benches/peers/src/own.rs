//! Measurements of our own program only: workers, documents, datagrams, fixed memory.

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};

use super::process::Cpus;
use super::rounds::{Rounds, Spread, rate, warm, whole};
use super::sink::{Received, Sink};
use super::tool::{FLOWS_MAX_LEAST, Place, flowprobe, with_room};
use super::trace::{Recipe, Sums, Trace};

/// Two settings, in turn on the same trace.
#[derive(Clone, Debug)]
pub(super) struct Scaling {
    pub(super) trace: &'static str,
    /// Packets per second.
    pub(super) one: Spread,
    pub(super) two: Spread,
}

/// Records over UDP to a socket with a reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagrams {
    /// Permitted datagrams per second; 0: no limit.
    pub(super) pps: u64,
    pub(super) sent: u64,
    pub(super) received: Received,
    pub(super) seconds: f64,
}

/// Receive buffer of the socket, as an operator would configure it for an important collector.
pub(super) const SINK_BUFFER: usize = 32 << 20;

/// Steps of the search for the highest rate.
const STEPS: u32 = 7;

/// The cost of decapsulation, on packets per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decapsulation {
    /// Packets without tunnels, and no tunnel is opened.
    pub(super) off: Spread,
    /// The same packets, and tunnels would be opened.
    pub(super) plain: Spread,
    /// The same packets in VXLAN, which is opened.
    pub(super) inside: Spread,
}

impl Decapsulation {
    /// Rates to the one without decapsulation.
    pub(super) fn ratios(&self) -> [f64; 2] {
        [self.plain, self.inside].map(|spread| spread.median / self.off.median)
    }
}

/// Packets without tunnels, and the same in VXLAN.
pub(super) fn decapsulation(
    place: &Place,
    folder: &Path,
    [plain, in_vxlan]: [&Recipe; 2],
    rounds: Rounds,
) -> Result<Decapsulation> {
    let traces = [plain.make(folder, plain.packets)?, in_vxlan.make(folder, in_vxlan.packets)?];
    for trace in &traces {
        trace.warm()?;
    }
    let [plain, in_vxlan] = &traces;
    let open: &[&str] = &["--decap", "all"];
    let runs = [("off", plain, &[][..]), ("plain", plain, open), ("vxlan", in_vxlan, open)];
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..rounds.discarded + rounds.counted {
        for ((name, trace, settings), rates) in runs.into_iter().zip(&mut rates) {
            let flows_max = with_room(trace.sums.flows.max(FLOWS_MAX_LEAST));
            let output = ["-o", "ipfix-file:/dev/null", "--max-flows", &flows_max];
            let arguments = [&output[..], settings].concat();
            let counted = warm(|| flowprobe(place, Cpus::All, trace, &arguments))?;
            ensure!(
                (counted.packets, counted.octets) == (trace.sums.packets, trace.sums.octets),
                "flowprobe did not count what is in {}",
                trace.path.display()
            );
            let rate = rate(trace, &counted);
            println!("decap {name:5} {:>8.2} Mpps", rate / 1e6);
            if round >= rounds.discarded {
                rates.push(rate);
            }
        }
    }
    let [off, plain, inside] = rates.map(Spread::of);
    Ok(Decapsulation { off, plain, inside })
}

/// What tags and detectors cost.
pub(super) struct Meaning {
    /// Packets per second without them, with tags, and with tags and detectors.
    pub(super) rates: [Spread; 3],
    /// Nanoseconds of CPU that they take for a record: tags, and both.
    pub(super) nanos_per_record: [f64; 2],
}

impl fmt::Display for Meaning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [off, tags, all] = self.rates.map(|spread| spread.median);
        let [cpu_tags, cpu_all] = self.nanos_per_record;
        write!(
            out,
            "{:.2} Mpps; with tags {:.3} of it, {cpu_tags:.0} ns of CPU a record; \
             with tags and detectors {:.3} of it, {cpu_all:.0} ns",
            off / 1e6,
            tags / off,
            all / off
        )
    }
}

/// A trace without tags and detectors, with tags, and with both, in turn.
pub(super) fn meaning(
    place: &Place,
    folder: &Path,
    recipe: &Recipe,
    rounds: Rounds,
) -> Result<Meaning> {
    let trace = recipe.make(folder, recipe.packets)?;
    trace.warm()?;
    let flows_max = with_room(trace.sums.flows.max(FLOWS_MAX_LEAST));
    let output = ["-o", "ipfix-file:/dev/null", "--max-flows", &flows_max];
    let all = ["--tags", "on", "--alerts", "json:/dev/null"];
    let runs = [("off", &["--tags", "off"][..]), ("tags", &all[..2]), ("all", &all[..])];
    let mut figures = [const { (Vec::new(), Vec::new()) }; 3];
    for round in 0..rounds.discarded + rounds.counted {
        for ((name, settings), (rates, nanos)) in runs.into_iter().zip(&mut figures) {
            let arguments = [&output[..], settings].concat();
            let counted = warm(|| flowprobe(place, Cpus::All, &trace, &arguments))?;
            let rate = rate(&trace, &counted);
            println!("{:5} {name:5} {:>8.2} Mpps", recipe.name, rate / 1e6);
            if round >= rounds.discarded {
                rates.push(rate);
                nanos.push(counted.run.cpu_seconds * 1e9 / counted.records as f64);
            }
        }
    }
    let nanos = figures.each_ref().map(|(_, nanos)| Spread::of(nanos.clone()).median);
    let [off, tags, all] = nanos;
    let rates = figures.map(|(rates, _)| Spread::of(rates));
    Ok(Meaning { rates, nanos_per_record: [tags - off, all - off] })
}

/// Documents of flows with and without names in payload, in turn, with one worker.
pub(super) fn named(place: &Place, trace: &Trace, rounds: Rounds) -> Result<()> {
    trace.warm()?;
    let flows_max = with_room(trace.sums.flows);
    let output = ["-o", "json:/dev/null", "--max-flows", &flows_max, "--workers", "1"];
    let runs = [("without", &[][..]), ("with", &["--payload", "dns,tls,quic,http"])];
    let mut figures = [const { (Vec::new(), Vec::new()) }; 2];
    for round in 0..rounds.discarded + rounds.counted {
        for ((name, settings), (rates, nanos)) in runs.into_iter().zip(&mut figures) {
            let arguments = [&output[..], settings].concat();
            let counted = warm(|| flowprobe(place, Cpus::All, trace, &arguments))?;
            let rate = counted.records as f64 / counted.run.seconds;
            println!("names {name:7} {:>8.2} M documents/s", rate / 1e6);
            if round >= rounds.discarded {
                rates.push(rate);
                nanos.push(counted.run.cpu_seconds * 1e9 / counted.packets as f64);
            }
        }
    }
    let Sums { packets, flows, .. } = trace.sums;
    println!("names {packets} packets, {flows} flows");
    for ((name, _), (rates, nanos)) in runs.into_iter().zip(figures) {
        let (rate, nanos) = (Spread::of(rates).median / 1e6, Spread::of(nanos).median);
        println!("names {name:7} {rate:.2} M documents/s, {nanos:.0} ns of CPU a packet");
    }
    Ok(())
}

/// One worker compared with two.
pub(super) fn scaling(
    place: &Place,
    folder: &Path,
    recipe: &Recipe,
    rounds: Rounds,
) -> Result<Scaling> {
    let trace = recipe.make(folder, recipe.packets)?;
    trace.warm()?;
    let flows_max = with_room(trace.sums.flows);
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..rounds.discarded + rounds.counted {
        for (workers, rates) in ["1", "2"].into_iter().zip(&mut rates) {
            let output = ["-o", "ipfix-file:/dev/null", "--max-flows", &flows_max];
            let arguments = [&output[..], &["--workers", workers]].concat();
            let counted = warm(|| flowprobe(place, Cpus::All, &trace, &arguments))?;
            let rate = rate(&trace, &counted);
            println!("{:5} {workers} worker(s) {:>8.2} Mpps", recipe.name, rate / 1e6);
            if round >= rounds.discarded {
                rates.push(rate);
            }
        }
    }
    let [one, two] = rates.map(Spread::of);
    Ok(Scaling { trace: recipe.name, one, two })
}

/// Documents per second, with all threads on one CPU.
pub(super) fn documents(place: &Place, trace: &Trace, rounds: Rounds) -> Result<Spread> {
    trace.warm()?;
    let flows_max = with_room(trace.sums.flows);
    let arguments = ["-o", "json:/dev/null", "--max-flows", &flows_max, "--workers", "1"];
    let mut rates = Vec::new();
    for round in 0..rounds.discarded + rounds.counted {
        let counted = warm(|| flowprobe(place, Cpus::One, trace, &arguments))?;
        let rate = counted.records as f64 / counted.run.seconds;
        println!("json  one CPU {:>8.2} M documents/s", rate / 1e6);
        if round >= rounds.discarded {
            rates.push(rate);
        }
    }
    Ok(Spread::of(rates))
}

/// IPFIX over UDP as fast as possible, and at the highest rate without loss.
pub(super) fn datagrams(place: &Place, trace: &Trace) -> Result<[Datagrams; 2]> {
    trace.warm()?;
    let unlimited = send(place, trace, 0)?;
    if unlimited.lost() == 0 {
        return Ok([unlimited, unlimited]);
    }
    // The rate cannot be higher than the rate without a limit.
    let mut too_fast = whole(unlimited.received.datagrams as f64 / unlimited.seconds * 2.0);
    let mut best = send(place, trace, too_fast / 16)?;
    let mut slow_enough = if best.lost() == 0 { best.pps } else { 0 };
    for _ in 0..STEPS {
        let pps = (too_fast + slow_enough) / 2;
        let sent = send(place, trace, pps.max(1))?;
        if sent.lost() == 0 {
            (best, slow_enough) = (sent, pps);
        } else {
            too_fast = pps;
        }
    }
    Ok([unlimited, best])
}

fn send(place: &Place, trace: &Trace, pps: u64) -> Result<Datagrams> {
    let sink = Sink::open(SINK_BUFFER)?;
    let output = format!("ipfix://{}?pps={pps}", sink.address());
    let flows_max = with_room(trace.sums.flows);
    let counted = flowprobe(place, Cpus::All, trace, &["-o", &output, "--max-flows", &flows_max]);
    let received = sink.finish()?;
    let counted = counted?;
    let sent = Datagrams { pps, sent: counted.records, received, seconds: counted.run.seconds };
    println!("udp   pps={pps} lost {} of {} records", sent.lost(), sent.sent);
    Ok(sent)
}

impl Datagrams {
    pub(super) fn lost(&self) -> u64 {
        self.sent - self.received.records
    }
}

/// Memory of the program with very small tables, in octets. The number of workers is the same as
/// with large ones.
pub(super) fn fixed_memory(place: &Place, trace: &Trace) -> Result<u64> {
    let tables = ["-o", "ipfix-file:/dev/null", "--max-flows", "1000", "--workers", "2"];
    Ok(flowprobe(place, Cpus::All, trace, &tables)?.run.peak_memory)
}
