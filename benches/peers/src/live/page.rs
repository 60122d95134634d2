//! Live capture without a page, and with one that is open, in turn.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::FLOWS;
use super::link::Link;
use super::meter::Meter;
use super::trial::{Bench, Effort, Load};
use crate::page::{Cost, Viewer};
use crate::rounds::Rounds;
use crate::tool::Place;

/// Long enough for a look at a table of a million flows, of which there is one in half a minute.
/// The rate is not searched.
const EFFORT: Effort = Effort { seconds: 20, times: 1, steps: 1, steady_seconds: 20 };

/// Packets a second of a busy mirror port. The page costs the same at any rate.
const RATE: u64 = 2_000_000;

/// Address in the namespace of the program.
const PAGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9108);

/// Measures and prints the costs.
pub(super) fn cost(place: &Place, rounds: Rounds) -> Result<()> {
    let bench = Bench { place, flowprobe: &place.flowprobe, link: Link::make()?, effort: EFFORT };
    for flows in FLOWS {
        let (mut nanos, mut processor) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        for _ in 0..rounds.counted {
            for with_page in [false, true] {
                let load = Load { flows, rate: Some(RATE) };
                let (rate, each) = trial(&bench, load, with_page)?;
                println!("{flows} flows, page: {with_page}: {each:.1} ns each");
                nanos[usize::from(with_page)].push(1e9 / rate);
                processor[usize::from(with_page)].push(each);
            }
        }
        println!("live, AF_XDP, {flows} flows: {}", Cost::of(nanos, processor));
    }
    Ok(())
}

/// Packets per second, and processor time of a packet in nanoseconds. Nothing may be lost.
fn trial(bench: &Bench<'_>, load: Load, with_page: bool) -> Result<(f64, f64)> {
    let address = PAGE.to_string();
    let more: &[&str] = if with_page { &["--http", &address] } else { &[] };
    let (program, memory) = (bench.flowprobe, &bench.place.memory);
    let running = Meter::FlowprobeXdp.start(program, memory, &bench.link, load.flows, more)?;
    let viewer = with_page.then(|| Viewer::open(PAGE, bench.link.entrance()));
    let before = running.exact_time()?;
    let (sent, rate) = bench.generate(load, bench.effort.seconds)?;
    // What waits is processed, and the table is looked at.
    std::thread::sleep(Duration::from_secs(1));
    let took = running.exact_time()? - before;
    viewer.map_or(Ok(()), Viewer::close)?;
    let counts = running.finish()?;
    ensure!((counts.metered, counts.lost) == (sent, 0), "{counts:?} of {sent} packets");
    Ok((rate, took.as_nanos() as f64 / sent as f64))
}
