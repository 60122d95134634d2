//! One measurement: a program, a load, and the outcome of the packets. Also the search for the
//! highest rate at which all packets are metered (RFC 2544, section 26.1; RFC 6645).

use std::env;
use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::link::Link;
use super::meter::{Counts, Meter};
use crate::rounds::whole;
use crate::tool::Place;

/// Environment of measurements.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) place: &'a Place,
    /// The build of our own program.
    pub(super) flowprobe: &'a Path,
    pub(super) link: Link,
    pub(super) effort: Effort,
}

/// Duration and number of measurements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Duration of a trial.
    pub(super) seconds: u32,
    /// Number of trials without loss that a rate needs.
    pub(super) times: u32,
    /// Number of rates that are tried.
    pub(super) steps: u32,
    /// Duration of the trial at a given rate.
    pub(super) steady_seconds: u32,
}

/// Load of a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) flows: u32,
    /// Packets per second. `None`: as many as the generator can send.
    pub(super) rate: Option<u64>,
}

/// Result of a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) sent: u64,
    /// Actual packets per second.
    pub(super) rate: f64,
    pub(super) counts: Counts,
    /// Processor time of the program.
    pub(super) processor: Duration,
}

/// The highest rate without loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The slowest of the trials at this rate. `None`: no rate was without loss.
    pub(super) best: Option<Trial>,
    /// The program handled the maximum rate of the generator.
    pub(super) is_generators_limit: bool,
    /// Trial at the maximum rate of the generator.
    pub(super) overload: Trial,
}

/// The processor of the generator.
const PROCESSOR: &str = "1";

/// Number of rates that are tried if the found rate fails when repeated. Each is lower by
/// [`STEP_DOWN`].
const STEPS_DOWN: u32 = 5;
const STEP_DOWN: f64 = 0.95;

/// Rate below which the generator cannot wait between packets.
const RATE_MIN: f64 = 20_000.0;

/// Ratio of bounds at which a search ends.
const CLOSE: f64 = 1.03;

impl Bench<'_> {
    /// Runs a program under a load.
    pub(super) fn trial(&self, meter: Meter, load: Load, seconds: u32) -> Result<Trial> {
        let mut running =
            meter.start(self.flowprobe, &self.place.memory, &self.link, load.flows, &[])?;
        let before = running.processor_time()?;
        let (sent, rate) = self.generate(load, seconds)?;
        running.catch_up()?;
        let processor = running.processor_time()? - before;
        let trial = Trial { sent, rate, counts: running.finish()?, processor };
        println!("{}, {} flows: {trial}", meter.name(), load.flows);
        Ok(trial)
    }

    /// Sends packets. Returns their number and their rate per second.
    pub(super) fn generate(&self, load: Load, seconds: u32) -> Result<(u64, f64)> {
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

    /// Searches between 0 and the maximum rate of the generator. Each rate gets one trial, or two
    /// if the first one had loss. The result counts only if several trials are without loss.
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
        // The rate that it handles under overload is close to its maximum rate.
        let mut next = overload.rate * overload.share() * 0.9;
        for _ in 0..self.effort.steps {
            let rate = next.clamp(low, high);
            let load = Load { flows, rate: Some(whole(rate)) };
            // A single pause of the host is no evidence against a rate.
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

    /// The slowest of several trials; `None` if one of them has lost a packet.
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
    /// Packets that were sent but not metered.
    pub(super) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.counts.metered)
    }

    /// Ratio of metered packets to all packets.
    #[expect(clippy::cast_precision_loss, reason = "for a first guess")]
    pub(super) fn share(&self) -> f64 {
        self.counts.metered as f64 / self.sent.max(1) as f64
    }

    /// Whether the program has counted every packet that it did not meter as lost.
    pub(super) fn is_accounted_for(&self) -> bool {
        self.sent == self.counts.metered + self.counts.lost
    }

    /// Processor time per metered packet.
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
