//! The totals of the places of addresses.

use flow::Timestamp;
use flow::words::{counted, grouped};
use serde_json::{Value, json};

use crate::places::{FileKind, FileReport, PlaceReport};
use crate::report::units::date_and_time;

/// The year 9999, the last one with a date, in seconds since 1970.
const YEAR_9999: u64 = 253_370_764_800;

/// A line for the lookups, and one for each file.
pub(super) fn words(report: &PlaceReport) -> Vec<String> {
    let counts = &report.counts;
    let mut words = format!(
        "{} looked up, {} found, {} from the cache",
        counted(counts.lookups, "address", "addresses"),
        grouped(counts.found),
        grouped(counts.cached)
    );
    for (number, one, several) in [
        (counts.errors, "damaged record", "damaged records"),
        (report.reloads, "file read again", "files read again"),
        (report.reload_failures, "file could not be read again", "files could not be read again"),
    ] {
        if number > 0 {
            words.push_str(&format!(", {}", counted(number, one, several)));
        }
    }
    std::iter::once(words).chain(report.files.iter().map(file_words)).collect()
}

fn file_words(file: &FileReport) -> String {
    let kind = match &file.kind {
        FileKind::Database { database_type, build_epoch } => {
            let built = Timestamp::from_millis(*build_epoch.min(&YEAR_9999) * 1000);
            format!("{database_type}, built {} UTC", date_and_time(built))
        }
        FileKind::Networks(count) => counted(*count as u64, "network", "networks"),
    };
    format!("{}: {kind}, SHA-256 {}", file.path, file.sha256)
}

/// As JSON.
pub(super) fn json(report: &PlaceReport) -> Value {
    json!({
        "lookups": report.counts.lookups,
        "found": report.counts.found,
        "cached": report.counts.cached,
        "errors": report.counts.errors,
        "reloads": report.reloads,
        "reload_failures": report.reload_failures,
        "files": report.files.iter().map(file_json).collect::<Vec<_>>(),
    })
}

fn file_json(file: &FileReport) -> Value {
    match &file.kind {
        FileKind::Database { database_type, build_epoch } => json!({
            "file": file.path,
            "sha256": file.sha256,
            "database_type": database_type,
            "build_epoch": build_epoch,
        }),
        FileKind::Networks(count) => json!({
            "file": file.path,
            "sha256": file.sha256,
            "networks": count,
        }),
    }
}
