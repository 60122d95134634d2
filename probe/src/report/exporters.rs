//! The exporters from which flows are collected, in totals.

use collect::{ExporterReport, InterfaceReport};
use flow::words::{counted, grouped};
use serde_json::{Value, json};

use crate::report::totals::in_brackets;

/// Maximum number of Observation Domains in totals.
pub(crate) const REPORTED: usize = 1000;

/// Maximum number of interfaces of all of them in totals.
const INTERFACES: usize = 1000;

/// Maximum number of lines of text.
const LINES: usize = 10;

/// A clock that is off by more than this is told, in milliseconds.
const CLOCK_MS: u32 = 60_000;

/// Sorts the reports of all workers, and leaves those with the most records.
pub(crate) fn largest(mut all: Vec<ExporterReport>) -> Vec<ExporterReport> {
    let order = |it: &ExporterReport| {
        let exporter = &it.exporter;
        (u64::MAX - it.records, exporter.address, exporter.protocol, exporter.domain)
    };
    all.sort_by_key(order);
    all.truncate(REPORTED);
    let mut left = INTERFACES;
    for report in &mut all {
        report.interfaces.truncate(left);
        left -= report.interfaces.len();
    }
    all
}

/// A line for each of the first exporters.
pub(crate) fn lines(reports: &[ExporterReport]) -> Vec<String> {
    let mut lines: Vec<_> = reports.iter().take(LINES).map(words).collect();
    if let Some(others) = reports.len().checked_sub(LINES).filter(|others| *others > 0) {
        lines.push(format!("{} more", grouped(others as u64)));
    }
    lines
}

fn words(report: &ExporterReport) -> String {
    let mut others = Vec::new();
    if report.sampling_interval > 1 {
        others.push(format!("1 of {} packets", grouped(report.sampling_interval.into())));
    }
    if report.malformed > 0 {
        others.push(format!("{} MALFORMED", grouped(report.malformed)));
    }
    if report.lost > 0 {
        others.push(format!("{} LOST by the sequence numbers", grouped(report.lost)));
    }
    if report.restarts > 0 {
        others.push(counted(report.restarts, "restart", "restarts"));
    }
    let offset_ms = report.clock_offset_ms;
    if offset_ms.unsigned_abs() > CLOCK_MS {
        let seconds = grouped((offset_ms.unsigned_abs() / 1000).into());
        let side = if offset_ms > 0 { "AHEAD" } else { "BEHIND" };
        others.push(format!("its clock is {seconds} s {side}"));
    }
    format!(
        "{}: {} in {}, {}{}",
        name(report),
        counted(report.records, "record", "records"),
        counted(report.datagrams, "datagram", "datagrams"),
        counted(report.templates as u64, "template", "templates"),
        in_brackets(&others.join(", "))
    )
}

/// Address, protocol and domain.
fn name(report: &ExporterReport) -> String {
    let exporter = &report.exporter;
    format!("{} {} {}", exporter.address.ip(), exporter.protocol.name(), exporter.domain)
}

/// The counters of an interface of an sFlow agent.
fn interface(report: &InterfaceReport) -> Value {
    json!({
        "interface": report.number.to_string(),
        "speed": report.speed,
        "in_octets": report.in_octets,
        "out_octets": report.out_octets,
    })
}

/// A list of objects.
pub(crate) fn json(reports: &[ExporterReport]) -> Value {
    let one = |report: &ExporterReport| {
        json!({
            "exporter": name(report),
            "address": report.exporter.address.ip().to_string(),
            "protocol": report.exporter.protocol.name(),
            "domain": report.exporter.domain.to_string(),
            "name": report.exporter.name.as_deref(),
            "datagrams": report.datagrams,
            "records": report.records,
            "malformed": report.malformed,
            "lost": report.lost,
            "restarts": report.restarts,
            "templates": report.templates,
            "sampling_interval": report.sampling_interval,
            "clock_offset_ms": report.clock_offset_ms,
            "last_seen_ms": report.last_seen.as_millis(),
            "interfaces": report.interfaces.iter().map(interface).collect::<Vec<_>>(),
        })
    };
    reports.iter().map(one).collect::<Vec<_>>().into()
}
