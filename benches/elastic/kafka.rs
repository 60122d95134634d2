//! Documents into one partition of a real broker: speed, and packets captured meanwhile.

use std::time::{Duration, Instant};

use nix::sys::resource::UsageWho;

use crate::broker::Broker;
use crate::outage::{FLOWS, measure};
use crate::sink::cpu;
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
    let mut figures = codecs.map(|codec| (codec, Vec::new(), Vec::new()));
    // The first round is not counted.
    for round in 0..=effort.rounds {
        for (codec, rates, cpu_nanos) in &mut figures {
            let output = broker.output(codec, &format!("compression={codec}"));
            let (begin, before) = (Instant::now(), cpu(UsageWho::RUSAGE_SELF));
            export(&output, "bench", &batches);
            let rate = DOCUMENTS as f64 / begin.elapsed().as_secs_f64();
            let used = cpu(UsageWho::RUSAGE_SELF).saturating_sub(before);
            let nanos = used.as_secs_f64() * 1e9 / DOCUMENTS as f64;
            println!("{codec:7} {rate:10.0}/s {nanos:6.0} ns of CPU");
            if round > 0 {
                rates.push(rate);
                cpu_nanos.push(nanos);
            }
        }
    }
    stay_on(&usable);
    println!("\ninto one partition, full documents, on one CPU beside that of the broker:");
    for (codec, rates, cpu_nanos) in figures {
        let (rate, nanos) = (median(rates), median(cpu_nanos));
        let of_target = 100.0 * rate / TARGET;
        let stored = broker.stored(codec) as f64 / (DOCUMENTS * (effort.rounds + 1)) as f64;
        println!(
            "{codec:7} {rate:10.0} documents/s, {nanos:6.0} ns of CPU and {stored:.0} octets on \
             the disk of the broker each"
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
