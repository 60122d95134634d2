//! Values of settings, parsed from text.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use exporter::{missing_unit, number_with_unit};
use flow::{KeyField, KeyFields};

use crate::capture::packet::Direction;

/// Longest time between two totals.
const INTERVAL_MAX: Duration = Duration::from_secs(365 * 86_400);

/// A fixed seed, or a random one for this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// Always the same.
    Fixed(u64),
    /// A new one for each run.
    Random,
}

/// Output of totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stats {
    /// As text.
    Text,
    /// A line of JSON on standard error.
    Json,
    /// A line of JSON in a separate file.
    JsonFile(PathBuf),
    /// A line of JSON on standard output, which has nothing else.
    JsonStdout,
}

/// Form of messages on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A line of JSON for each message and for the totals, with the fields of ECS.
    Json,
}

/// Maximum number of workers. More are a mistake.
const WORKERS_MAX: u64 = 256;

/// Maximum number of flows: 93 GB of memory.
const FLOWS_MAX: u64 = 1_000_000_000;

/// A number with a unit or without one. `None` if it is no such number, or out of range.
fn number(text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    number_with_unit(text).filter(|number| range.contains(number))
}

/// Octets.
pub(super) fn size(text: &str) -> Result<u64, String> {
    number(text, 1_000_000..=64 << 30)
        .ok_or_else(|| "a size from 1M to 64Gi is needed, such as 64M or 64Mi".to_owned())
}

/// Flows of the table.
pub(super) fn flow_count(text: &str) -> Result<NonZeroU32, String> {
    count(text, FLOWS_MAX)
        .ok_or_else(|| "a number from 1 to 1000M is needed, such as 500k".to_owned())
}

pub(super) fn workers(text: &str) -> Result<NonZeroU32, String> {
    count(text, WORKERS_MAX).ok_or_else(|| format!("a number from 1 to {WORKERS_MAX} is needed"))
}

fn count(text: &str, most: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(number(text, 1..=most)?.try_into().ok()?)
}

/// Rows of the table on the terminal.
pub(super) fn rows(text: &str) -> Result<usize, String> {
    let rows = number(text, 0..=1_000_000).and_then(|rows| usize::try_from(rows).ok());
    rows.ok_or_else(|| "a number from 0 to 1M is needed, such as 50".to_owned())
}

/// An idle or active timeout.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let most = Duration::from_millis(flow::TIMEOUT_MS_MAX.into());
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| (Duration::from_millis(1)..=most).contains(time)).ok_or_else(|| {
        let tip = missing_unit(text, "s");
        format!("a time from 1ms to 1day is needed, such as 15s or 2min{tip}")
    })
}

/// A time that may be 0.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| *time <= INTERVAL_MAX).ok_or_else(|| {
        let tip = missing_unit(text, "s");
        format!("a time up to 365days is needed, such as 60s or 5min; 0s is never{tip}")
    })
}

/// A power of two.
pub(super) fn ring(text: &str) -> Result<u32, String> {
    let number = number(text, 64..=65_536).filter(|number| number.is_power_of_two());
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| "a power of two from 64 to 65536 is needed".to_owned())
}

pub(super) fn key_fields(text: &str) -> Result<KeyFields, String> {
    let mut fields = Vec::new();
    for name in text.split(',') {
        let field = KeyField::ALL.into_iter().find(|field| field.name() == name);
        let field = field.ok_or_else(|| {
            let names = KeyField::ALL.map(KeyField::name).join(",");
            format!("there is no field {name:?}; the fields are {names}")
        })?;
        if fields.contains(&field) {
            return Err(format!("field {name} is given twice"));
        }
        fields.push(field);
    }
    Ok(KeyFields::new(fields))
}

/// Numbers of ports with commas between them.
pub(super) fn ports(text: &str) -> Result<Vec<u16>, String> {
    let port = |word: &str| {
        let port = word.parse().ok().filter(|port| *port != 0);
        port.ok_or_else(|| format!("{word:?} is no port from 1 to 65535"))
    };
    text.split(',').map(port).collect()
}

/// An Ethertype of VLAN tags, with 0x in hexadecimal.
pub(super) fn ethertype(text: &str) -> Result<u16, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let number = number.filter(|number| *number >= 0x0600);
    number.ok_or_else(|| "an Ethertype from 0x0600 to 0xffff is needed".to_owned())
}

pub(super) fn sampling(text: &str) -> Result<NonZeroU32, String> {
    let interval = text.strip_prefix("1:").and_then(|interval| count(interval, u32::MAX.into()));
    interval.ok_or_else(|| "1:N is needed, with N from 1 to 4294967295, such as 1:100".to_owned())
}

pub(super) fn interface_number(text: &str) -> Result<(String, u32), String> {
    let parts = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
    let number = parts.and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    number.ok_or_else(|| "NAME=N is needed, with N from 0 to 4294967295, such as eth1=7".to_owned())
}

pub(super) fn stats(text: &str) -> Result<Stats, String> {
    match text.strip_prefix("json:") {
        Some("-") => Ok(Stats::JsonStdout),
        Some(path) if !path.is_empty() => Ok(Stats::JsonFile(path.into())),
        None if text == "text" => Ok(Stats::Text),
        None if text == "json" => Ok(Stats::Json),
        _ => Err("text, json or json:FILE is needed; json:- is standard output".to_owned()),
    }
}

pub(super) fn hash_seed(text: &str) -> Result<Seed, String> {
    if text == "random" {
        return Ok(Seed::Random);
    }
    text.parse()
        .map(Seed::Fixed)
        .map_err(|_error| format!("a number from 0 to {} or random is needed", u64::MAX))
}

impl ValueEnum for Direction {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::In, Self::Out, Self::Both]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Both => "both",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1000_or_1024() {
        for (text, expected) in [
            ("0", 0),
            ("1k", 1000),
            ("1Ki", 1024),
            ("3M", 3_000_000),
            ("3Mi", 3 << 20),
            ("2G", 2_000_000_000),
            ("2Gi", 2 << 30),
        ] {
            assert_eq!(number(text, 0..=u64::MAX), Some(expected), "{text}");
        }
        for text in ["", "k", "Ki", "1K", "1ki", "1m", "1 k", "1.5k", "-1", "+1", "20000000000G"] {
            assert_eq!(number(text, 0..=u64::MAX), None, "{text}");
        }
    }

    #[test]
    fn counts_and_sizes_have_limits() {
        for (text, count) in
            [("1", 1), ("500k", 500_000), ("2M", 2_000_000), ("1000M", 1_000_000_000)]
        {
            assert_eq!(flow_count(text).unwrap().get(), count);
        }
        for text in ["0", "-1", "2G", "M", "1001M", "99999999999", "1.5M", ""] {
            assert!(flow_count(text).is_err(), "{text}");
        }
        assert_eq!((size("1M"), size("64Gi")), (Ok(1_000_000), Ok(64 << 30)));
        assert_eq!((ring("4Ki"), ring("65536"), ring("64Ki")), (Ok(4096), Ok(65_536), Ok(65_536)));
        assert!(ring("4k").is_err() && ring("128Ki").is_err() && ring("0").is_err());
        assert_eq!(sampling("1:1k").unwrap().get(), 1000);
        assert!(size("999k").is_err() && size("65Gi").is_err());
        assert!(workers("256").is_ok() && workers("257").is_err() && workers("0").is_err());
    }

    #[test]
    fn times_have_units() {
        for (text, tip) in [("60", "; 60 has no unit: 60s?"), ("0", ""), ("soon", ""), ("", "")] {
            let refused = timeout(text).unwrap_err();
            assert_eq!(refused.strip_prefix(TIMEOUT).unwrap(), tip, "{text}");
        }
        assert!(interval("300").unwrap_err().ends_with("; 300 has no unit: 300s?"));
        assert!(timeout("60s").is_ok() && interval("0s").is_ok());
    }

    /// What a timeout has to be.
    const TIMEOUT: &str = "a time from 1ms to 1day is needed, such as 15s or 2min";

    #[test]
    fn key_fields_are_read_by_name() {
        assert_eq!(key_fields("src,dst,sport,dport,proto,tos,iface").unwrap(), KeyFields::SEVEN);
        assert!(key_fields("src,vlan").unwrap().contains(KeyField::Vlan));
        for text in ["", "src,", "source", "src,src"] {
            assert!(key_fields(text).is_err(), "{text}");
        }
    }
}
