//! Collecting from other exporters, in comparison with other collectors: the same datagrams to
//! each, over the loopback, as fast as it takes them.
//!
//! A program has one processor, the sender has another. The sender waits while datagrams wait at
//! the receiver, so that none is lost: what counts is the processor time of the program, with what
//! the kernel needs to give it datagrams.

mod collector;
mod load;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use self::collector::{Collector, Took};
use self::load::{Load, Protocol, RECORDS};
use super::report::machine;
use super::rounds::{Rounds, Spread};
use super::tool::Place;
use commands::debian::{self, Need};

const NEEDS: [Need; 1] = [Need { package: "nfdump", check: &["nfcapd", "-V"] }];

/// Datagrams for each program, and for those that take a minute for so many.
const DATAGRAMS: u32 = 50_000;
const DATAGRAMS_SLOW: u32 = 1500;
const DATAGRAMS_QUICK: u32 = 500;

/// A program on the datagrams of a protocol.
struct Row<'a> {
    load: &'a Load,
    collector: Collector,
    /// From a capture file. Otherwise over the loopback.
    from_file: bool,
    took: Vec<Took>,
}

/// Measures, and prints what comes out.
pub(super) fn run(place: &Place, rounds: Rounds) -> Result<()> {
    measure(place, rounds, [DATAGRAMS, DATAGRAMS_SLOW])
}

/// Runs each program once, and checks that it counts all.
pub(super) fn check(place: &Place) -> Result<()> {
    measure(place, Rounds { discarded: 0, counted: 1 }, [DATAGRAMS_QUICK; 2])
}

fn measure(place: &Place, rounds: Rounds, datagrams: [u32; 2]) -> Result<()> {
    debian::install(&NEEDS);
    let processors = std::thread::available_parallelism()?.get();
    ensure!(processors > 1, "the sender and the program each need a processor of their own");
    let machine = machine();
    let mut own = CpuSet::new();
    own.set(1)?;
    sched_setaffinity(Pid::from_raw(0), &own)?;
    let [loads, loads_slow] =
        &datagrams.map(|datagrams| Protocol::ALL.map(|it| Load::new(it, datagrams)));
    let mut rows = Vec::new();
    for (load, load_slow) in loads.iter().zip(loads_slow) {
        for collector in Collector::ALL.into_iter().filter(|collector| collector.is_there()) {
            let load = if collector.is_slow() { load_slow } else { load };
            let row = |from_file| Row { load, collector, from_file, took: Vec::new() };
            rows.push(row(false));
            rows.extend(collector.is_ours().then(|| row(true)));
        }
    }
    for round in 0..rounds.discarded + rounds.counted {
        for row in &mut rows {
            let took = if row.from_file {
                let capture = row.load.capture(&place.memory)?;
                row.collector.read(place, &capture, row.load)?
            } else {
                row.collector.run(place, row.load)?
            };
            if round >= rounds.discarded {
                row.took.push(took);
            }
        }
    }
    rows.iter().for_each(|row| println!("{row}"));
    println!("{RECORDS} records a datagram, {} rounds, {machine}", rounds.counted);
    Ok(())
}

impl Row<'_> {
    /// Nanoseconds a record.
    fn nanos(&self, of: impl Fn(&Took) -> Option<Duration>) -> Spread {
        let records = self.load.sums[0] as f64;
        let took = self.took.iter().filter_map(of);
        Spread::of(took.map(|took| took.as_secs_f64() * 1e9 / records).collect())
    }
}

impl Display for Row<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Spread { median, least, greatest } = self.nanos(|took| Some(took.cpu));
        let way = if self.from_file { "-r" } else { "UDP" };
        let [rate, low, high] = [median, greatest, least].map(|nanos| 1000.0 / nanos);
        write!(
            out,
            "{:10} {way:3} {:28} {rate:.3} M records a second of CPU ({low:.3} to {high:.3}), \
             {median:.0} ns of CPU a record",
            self.load.protocol.name(),
            self.collector.name(),
        )?;
        let decoding = self.nanos(|took| took.decoding).median;
        if decoding.is_finite() {
            write!(
                out,
                ", of which {decoding:.0} receive and decode ({:.3} M)",
                1000.0 / decoding
            )?;
        }
        Ok(())
    }
}
