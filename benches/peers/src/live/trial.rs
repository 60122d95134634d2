//! One measurement: a program, a load, and what became of the packets. And the search for the
//! highest rate at which all of them are metered (RFC 2544, section 26.1; RFC 6645).

use std::env;
use std::fmt::{self, Display, Formatter};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::link::Link;
use super::meter::{Counts, Meter};
use crate::rounds::whole;
use crate::tool::Place;

/// Where measurements are made.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) place: &'a Place,
    pub(super) link: Link,
    pub(super) effort: Effort,
}

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Of a trial.
    pub(super) seconds: u32,
    /// Trials without loss that make a rate good.
    pub(super) times: u32,
    /// Rates that are tried.
    pub(super) steps: u32,
    /// Of the trial at a given rate.
    pub(super) steady_seconds: u32,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) flows: u32,
    /// Packets in a second; none: as many as the generator can.
    pub(super) rate: Option<u64>,
}

/// What came of a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) sent: u64,
    /// Packets in a second, as they were sent.
    pub(super) rate: f64,
    pub(super) counts: Counts,
    /// Of the program.
    pub(super) processor: Duration,
}

/// The highest rate without loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The slowest of the trials at that rate; none: no rate was without loss.
    pub(super) best: Option<Trial>,
    /// It took all that the generator can send.
    pub(super) is_generators_limit: bool,
    /// As much as the generator can send.
    pub(super) overload: Trial,
}

/// The processor of the generator.
const PROCESSOR: &str = "1";

/// Rates that are tried when repetition shows that the one found was lucky, each lower by
/// [`STEP_DOWN`].
const STEPS_DOWN: u32 = 5;
const STEP_DOWN: f64 = 0.95;

/// The generator waits between packets no longer than for this rate.
const RATE_MIN: f64 = 20_000.0;

/// A search that is so close has found it.
const CLOSE: f64 = 1.03;

impl Bench<'_> {
    /// Runs a program under a load.
    pub(super) fn trial(&self, meter: Meter, load: Load, seconds: u32) -> Result<Trial> {
        let mut running = meter.start(self.place, &self.link, load.flows)?;
        let before = running.processor_time()?;
        let (sent, rate) = self.generate(load, seconds)?;
        running.catch_up()?;
        let processor = running.processor_time()? - before;
        let trial = Trial { sent, rate, counts: running.finish()?, processor };
        println!("{}, {} flows: {trial}", meter.name(), load.flows);
        Ok(trial)
    }

    /// Sends; how many packets, and how many in a second.
    fn generate(&self, load: Load, seconds: u32) -> Result<(u64, f64)> {
        let this = env::current_exe().context("finding this program")?;
        let mut command = Command::new(this);
        command.args(["loadgen", "tx0", "--netns", &self.link.sender, "--cpu", PROCESSOR, "flows"]);
        command.args(["--flows", &load.flows.to_string(), "--seconds", &seconds.to_string()]);
        if let Some(rate) = load.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let output = command.output().context("starting the generator")?;
        let messages = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the generator: {messages}");
        let said: Value = serde_json::from_slice(&output.stdout).context("what was sent")?;
        let sent = said["sent"]["packets"].as_u64().context("packets sent")?;
        Ok((sent, said["packets_per_second"].as_f64().context("a rate")?))
    }

    /// Searches between nothing and what the generator can send, by one trial for each rate, or
    /// two where the first has lost something. What is found counts if it is good several times.
    pub(super) fn highest_rate(&self, meter: Meter, flows: u32) -> Result<Found> {
        let seconds = self.effort.seconds;
        let overload = self.trial(meter, Load { flows, rate: None }, seconds)?;
        let mut found = Found { best: None, is_generators_limit: false, overload };
        if overload.lost() == 0 {
            found.best = self.repeat(meter, Load { flows, rate: None })?;
            if found.best.is_some() {
                found.is_generators_limit = true;
                return Ok(found);
            }
        }
        let (mut low, mut high) = (RATE_MIN, overload.rate);
        // What it takes when it has too much is near what it can take.
        let mut next = overload.rate * overload.share() * 0.9;
        for _ in 0..self.effort.steps {
            let rate = next.clamp(low, high);
            let load = Load { flows, rate: Some(whole(rate)) };
            // A host that pauses once says nothing of a rate.
            let is_good = self.trial(meter, load, seconds)?.lost() == 0
                || self.trial(meter, load, seconds)?.lost() == 0;
            if is_good {
                low = rate
            } else {
                high = rate
            }
            if high / low < CLOSE {
                break;
            }
            next = (low + high) / 2.0;
        }
        for _ in 0..STEPS_DOWN {
            found.best = self.repeat(meter, Load { flows, rate: Some(whole(low)) })?;
            if found.best.is_some() {
                break;
            }
            low = (low * STEP_DOWN).max(RATE_MIN);
        }
        Ok(found)
    }

    /// The slowest of several trials, if none of them has lost a packet.
    fn repeat(&self, meter: Meter, load: Load) -> Result<Option<Trial>> {
        let mut slowest: Option<Trial> = None;
        for _ in 0..self.effort.times {
            let trial = self.trial(meter, load, self.effort.seconds)?;
            if trial.lost() > 0 {
                return Ok(None);
            }
            slowest = Some(slowest.map_or(trial, |before| before.slower(trial)));
        }
        Ok(slowest)
    }
}

impl Trial {
    /// Packets that were sent and not metered.
    pub(super) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.counts.metered)
    }

    /// Of all packets, those that were metered.
    #[expect(clippy::cast_precision_loss, reason = "for a first guess")]
    fn share(&self) -> f64 {
        self.counts.metered as f64 / self.sent.max(1) as f64
    }

    /// Whether the program knows of each packet that it has not metered.
    pub(super) fn is_accounted_for(&self) -> bool {
        self.sent == self.counts.metered + self.counts.lost
    }

    /// Of the processor, for a packet metered.
    #[expect(clippy::cast_precision_loss, reason = "a rounded figure")]
    pub(super) fn nanos_per_packet(&self) -> f64 {
        self.processor.as_nanos() as f64 / self.counts.metered.max(1) as f64
    }

    fn slower(self, other: Self) -> Self {
        if other.rate < self.rate { other } else { self }
    }
}

impl Display for Trial {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (rate, lost) = (self.rate / 1e6, self.lost());
        write!(
            f,
            "{rate:.3} Mpps, {lost} of {} lost, {:.0} ns each",
            self.sent,
            self.nanos_per_packet()
        )
    }
}

impl Display for Found {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.best {
            Some(trial) => write!(f, "{:.3} Mpps", trial.rate / 1e6)?,
            None => write!(f, "no rate without loss")?,
        }
        if self.is_generators_limit { write!(f, ", the generator's limit") } else { Ok(()) }
    }
}
