//! Sends traffic to an interface, for tests and measurements of live capture. Reports the exact
//! number of packets that were sent.

#![allow(clippy::print_stdout, reason = "tasks talk to who started them")]

mod counters;
mod file;
mod flows;
mod pace;
mod place;
mod sys;

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};

use place::Place;

/// Interface, place and traffic of the generator.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Interface to send into; the one with the default route is refused
    interface: String,

    /// Network namespace in which the interface is
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,

    /// Processor to run on
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<usize>,

    #[command(subcommand)]
    traffic: Traffic,
}

/// Kind of traffic.
#[derive(Debug, Subcommand)]
enum Traffic {
    /// Synthetic flows, made by a program in the kernel
    Flows(flows::Options),
    /// Capture files, frame by frame
    File(file::Options),
}

/// Sends traffic, and prints the counts as a line of JSON.
///
/// # Errors
///
/// A resource could not be opened, read or sent.
pub fn run(options: &Options) -> Result<()> {
    let place = Place::enter(&options.interface, options.netns.as_deref(), options.cpu)?;
    let (what, outcome) = match &options.traffic {
        Traffic::Flows(flows) => (json!({ "flows": flows.flows }), flows::send(&place, flows)?),
        Traffic::File(file) => (json!({ "files": file.paths }), file::send(&place, file)?),
    };
    println!("{}", outcome.document(&place, what));
    Ok(())
}

/// A number from 1 to 4,294,967,295, with `k` for thousands and `M` for millions.
fn number(text: &str) -> Result<u32, String> {
    let scales = [('k', 1000), ('M', 1_000_000)];
    let scaled = scales.iter().find_map(|(unit, scale)| Some((text.strip_suffix(*unit)?, *scale)));
    let (digits, scale) = scaled.unwrap_or((text, 1));
    let number: Option<u32> = digits.parse().ok().and_then(|count: u32| count.checked_mul(scale));
    let expected = "expected 1 to 4294967295, with k for thousands and M for millions";
    number.filter(|&number| number > 0).ok_or_else(|| expected.to_owned())
}

/// Counts of sent and refused frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Outcome {
    sent: u64,
    /// Octets of frames, without preamble, frame check sequence and gap.
    octets: u64,
    /// Frames that were dropped because a queue was full.
    queue_full: u64,
    /// Frames that the interface does not accept: too long or too short.
    not_sendable: u64,
    elapsed: Duration,
}

impl Outcome {
    fn document(&self, place: &Place, what: Value) -> Value {
        let seconds = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate is a rounded figure")]
        let rate = (self.sent as f64 / seconds).round();
        let mut document = json!({
            "interface": place.interface,
            "sent": { "packets": self.sent, "octets": self.octets },
            "refused": { "queue_full": self.queue_full, "not_sendable": self.not_sendable },
            "seconds": seconds,
            "packets_per_second": rate,
        });
        if let (Some(document), Value::Object(what)) = (document.as_object_mut(), what) {
            document.extend(what);
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_bounds() {
        let good = [("1", 1), ("600k", 600_000), ("10M", 10_000_000), ("4294967295", u32::MAX)];
        for (text, expected) in good {
            assert_eq!(number(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "k", "-1", "5G", "5000M", "1.5M", "4294967296"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
