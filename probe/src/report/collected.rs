//! Counts of collection, in totals.

use collect::Counts;
use serde_json::{Map, Value};

use crate::report::totals::in_brackets;
use crate::report::units::{grouped, octets};

/// Counts of a run that collects from capture files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CollectReport {
    pub(crate) counts: Counts,
    /// Frames read. Each has a datagram, or is in one of the counts below.
    pub(crate) frames: u64,
    /// Left out by a filter.
    pub(crate) filtered: u64,
    /// Without a readable IP header.
    pub(crate) unreadable: u64,
    /// Of another protocol than UDP.
    pub(crate) not_udp: u64,
    /// Fragments of datagrams, which are not put together.
    pub(crate) fragments: u64,
    /// Datagrams that the capture has not to their end.
    pub(crate) incomplete: u64,
}

impl CollectReport {
    /// Datagrams or records that were sent and are in no output.
    pub(crate) fn has_loss(&self) -> bool {
        self.counts.lost + self.counts.no_template + self.fragments + self.incomplete > 0
    }

    /// A line for each part of the totals: its label, and its words.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let counts = &self.counts;
        let frames = [
            (self.filtered, "filtered"),
            (self.unreadable, "without IP"),
            (self.not_udp, "not UDP"),
            (self.fragments, "fragments"),
            (self.incomplete, "incomplete"),
        ];
        let left_out = frames.iter().filter(|(number, _)| *number > 0);
        let left_out = left_out.map(|(number, words)| format!("{} {words}", grouped(*number)));
        let left_out = in_brackets(&left_out.collect::<Vec<_>>().join(", "));
        let packets = format!(
            "{} received, {} datagrams{left_out}",
            grouped(self.frames),
            grouped(counts.datagrams)
        );
        let flows = format!(
            "{} records of {} exporters, {} packets, {}",
            grouped(counts.records),
            grouped(counts.exporters),
            grouped(counts.packets),
            octets(counts.record_octets)
        );
        let said = ["datagrams", "octets", "records", "packets", "record_octets", "exporters"];
        let others = counts.all().filter(|(name, _, number)| *number > 0 && !said.contains(name));
        let others: Vec<_> =
            others.map(|(_, words, number)| format!("{} {words}", grouped(number))).collect();
        let mut lines = vec![("packets", packets), ("flows", flows)];
        if !others.is_empty() {
            lines.push(("collect", others.join(", ")));
        }
        lines
    }

    /// All counts as JSON.
    pub(crate) fn json(&self) -> Value {
        let counts = self.counts.all().map(|(name, _, number)| (name, number));
        let frames = [
            ("frames", self.frames),
            ("filtered", self.filtered),
            ("unreadable", self.unreadable),
            ("not_udp", self.not_udp),
            ("fragments", self.fragments),
            ("incomplete", self.incomplete),
        ];
        let all = frames.into_iter().chain(counts);
        all.map(|(name, number)| (name.to_owned(), number.into())).collect::<Map<_, _>>().into()
    }
}
