//! The metrics: one row for each.

use super::{collected, findings, interfaces, names, outputs, packets, records, tunnels, workers};

/// The metric of numbers of the statistics.
#[derive(Debug)]
pub(super) struct Row {
    /// The place of the numbers: keys separated by dots. `{label}` matches any key, which becomes
    /// the value of this label. `[label=key]` matches each object of a list; the value of its `key`
    /// becomes the value of this label.
    pub(super) place: &'static str,
    /// The name without `flowprobe_` and without `_total` of a counter.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its value never decreases.
    Counter,
    Gauge,
}

pub(super) const fn counter(place: &'static str, name: &'static str, help: &'static str) -> Row {
    Row { place, name, kind: Kind::Counter, help }
}

pub(super) const fn gauge(place: &'static str, name: &'static str, help: &'static str) -> Row {
    Row { place, name, kind: Kind::Gauge, help }
}

/// The rows of all numbers. To add a counter to the statistics, add a row to one of these lists. A
/// test reports numbers without a row. Of two rows for a place, the first one takes it.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    const LISTS: [&[Row]; 9] = [
        packets::ROWS,
        interfaces::ROWS,
        records::ROWS,
        workers::ROWS,
        names::ROWS,
        tunnels::ROWS,
        outputs::ROWS,
        findings::ROWS,
        collected::ROWS,
    ];
    LISTS.into_iter().flatten()
}
