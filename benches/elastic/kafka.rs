//! Documents into one partition of a real broker: speed, and packets captured meanwhile.

use std::time::{Duration, Instant};

use nix::sys::resource::UsageWho;

use crate::broker::Broker;
use crate::outage::{FLOWS, measure};
use crate::sink::{cpu, cpu_of_children};
use crate::speed::{DOCUMENTS, batches, export, stay_on, usable_cpus};
use crate::support::net::{Host, Links, Network};
use crate::{Effort, median};

/// Documents a second from one core.
const TARGET: f64 = 100_000.0;

/// How long packets are captured.
const CAPTURE: Duration = Duration::from_secs(20);

pub fn run(effort: Effort) {
    from_one_cpu(effort);
    while_packets_are_captured();
}

/// What a codec came to in each round.
struct Figures {
    codec: &'static str,
    /// Documents per second.
    rates: Vec<f64>,
    /// CPU time of a document, of this process and of the broker.
    cpu_nanos: Vec<f64>,
    broker_nanos: Vec<f64>,
}

impl Figures {
    fn of(codec: &'static str) -> Self {
        Self { codec, rates: Vec::new(), cpu_nanos: Vec::new(), broker_nanos: Vec::new() }
    }
}

/// The output runs on one CPU, the broker on the others.
fn from_one_cpu(effort: Effort) {
    let usable = usable_cpus();
    stay_on(&usable[1.min(usable.len() - 1)..]);
    let Some(broker) = Broker::start() else { return };
    let codecs = ["zstd", "lz4"];
    for codec in codecs {
        broker.create(codec, 1, &[]);
    }
    stay_on(&usable[..1]);
    let batches = batches(DOCUMENTS);
    let mut figures = codecs.map(Figures::of);
    // The first round is not counted.
    for round in 0..=effort.rounds {
        for figures in &mut figures {
            let codec = figures.codec;
            let output = broker.output(codec, &format!("compression={codec}"));
            let times = || (cpu(UsageWho::RUSAGE_SELF), cpu_of_children());
            let (begin, before) = (Instant::now(), times());
            export(&output, "bench", &batches);
            let rate = DOCUMENTS as f64 / begin.elapsed().as_secs_f64();
            let after = times();
            let nanos = |before, after: Duration| {
                after.saturating_sub(before).as_secs_f64() * 1e9 / DOCUMENTS as f64
            };
            let (own, brokers) = (nanos(before.0, after.0), nanos(before.1, after.1));
            println!("{codec:7} {rate:10.0}/s {own:6.0} ns of CPU, the broker {brokers:6.0} ns");
            if round > 0 {
                figures.rates.push(rate);
                figures.cpu_nanos.push(own);
                figures.broker_nanos.push(brokers);
            }
        }
    }
    stay_on(&usable);
    println!("\ninto one partition, full documents, on one CPU beside that of the broker:");
    for Figures { codec, rates, cpu_nanos, broker_nanos } in figures {
        let (rate, nanos, brokers) = (median(rates), median(cpu_nanos), median(broker_nanos));
        let of_target = 100.0 * rate / TARGET;
        let stored = broker.stored(codec) as f64 / (DOCUMENTS * (effort.rounds + 1)) as f64;
        println!(
            "{codec:7} {rate:10.0} documents/s, {nanos:6.0} ns of CPU, {brokers:6.0} of the \
             broker and {stored:.0} octets on its disk each"
        );
        println!(
            "  of the target {of_target:.0} % by time, {:.0} % by CPU time",
            1e11 / nanos / TARGET
        );
    }
}

/// Live, with as many documents a second as flows: the broker and the load generator have the same
/// CPUs.
fn while_packets_are_captured() {
    let Some(network) = Network::new(Links::default()) else { return };
    network.offload(Host::Probe, "rx0", "gro", "on");
    // Builds the load generator now, so that it is not built while the program runs.
    network.send_flows("tx0", &["--flows", "1", "--packets", "1"]);
    // The broker is on the loopback of the probe's host.
    network.on(Host::Probe, || {
        let Some(broker) = Broker::start() else { return };
        broker.create("flows", 1, &[]);
        for flows in [FLOWS, 5.0 * FLOWS] {
            let output = broker.output("flows", "");
            let done = measure(&network, &output, flows, CAPTURE, |load| load.peak(CAPTURE));
            println!("\ncapture meanwhile, zstd: {}; {:.0} MB", done.packets, done.memory / 1e6);
            println!("documents: {}", done.documents);
        }
    });
}
