//! Counts of collection, in totals.

use std::ops::AddAssign;

use collect::Counts;
use flow::RecordTally;
use flow::words::{counted, grouped, noun};
use serde_json::{Map, Value};

use crate::report::totals::in_brackets;
use crate::report::units::octets;

/// Counts of a run that collects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CollectReport {
    pub(crate) counts: Counts,
    /// Datagrams come from sockets.
    pub(crate) listens: bool,
    /// Frames of captures, or datagrams of sockets. Each is a datagram that the collector takes, or
    /// is in one of the counts below.
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
    /// Datagrams from addresses that are not allowed.
    pub(crate) not_allowed: u64,
    /// Datagrams of a protocol that their listener does not take.
    pub(crate) not_listened: u64,
    /// Datagrams for which sockets had no room. They are in no other count.
    pub(crate) kernel_dropped: u64,
    /// Connections of exporters that were taken.
    pub(crate) connections: u64,
    /// Connections that were closed at once: from addresses that are not allowed, or too many.
    pub(crate) connections_refused: u64,
    /// Connections that were reset: for a malformed message, or an error of TCP or TLS.
    pub(crate) connections_reset: u64,
    /// Connections that were closed because a message, or TLS, took too long.
    pub(crate) connections_slow: u64,
    /// Connections that ended within a message.
    pub(crate) connections_cut: u64,
    /// Times that new connections had to wait: mostly for descriptors.
    pub(crate) connections_delayed: u64,
}

impl AddAssign for CollectReport {
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        self.listens |= other.listens;
        for (sum, part) in [
            (&mut self.frames, other.frames),
            (&mut self.filtered, other.filtered),
            (&mut self.unreadable, other.unreadable),
            (&mut self.not_udp, other.not_udp),
            (&mut self.fragments, other.fragments),
            (&mut self.incomplete, other.incomplete),
            (&mut self.not_allowed, other.not_allowed),
            (&mut self.not_listened, other.not_listened),
            (&mut self.kernel_dropped, other.kernel_dropped),
            (&mut self.connections, other.connections),
            (&mut self.connections_refused, other.connections_refused),
            (&mut self.connections_reset, other.connections_reset),
            (&mut self.connections_slow, other.connections_slow),
            (&mut self.connections_cut, other.connections_cut),
            (&mut self.connections_delayed, other.connections_delayed),
        ] {
            *sum += part;
        }
    }
}

impl CollectReport {
    /// Datagrams or records that were sent and are in no output.
    pub(crate) fn has_loss(&self) -> bool {
        let Self { counts, fragments, incomplete, connections_cut, .. } = self;
        counts.lost + counts.no_template + fragments + incomplete + connections_cut > 0
    }

    /// The records that were given to the outputs.
    pub(crate) fn records(&self) -> RecordTally {
        let Counts { records, packets, record_octets: octets, .. } = self.counts;
        RecordTally { records, packets, octets }
    }

    /// A line for each part of the totals: its label, and its words.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let counts = &self.counts;
        let frames = [
            (self.filtered, "filtered"),
            (self.unreadable, "without IP"),
            (self.not_udp, "not UDP"),
            (self.fragments, noun(self.fragments, "fragment", "fragments")),
            (self.incomplete, "incomplete"),
            (self.not_allowed, "not allowed"),
            (self.not_listened, "of a protocol that is not listened for"),
        ];
        let left_out = frames.iter().filter(|(number, _)| *number > 0);
        let left_out = left_out.map(|(number, words)| format!("{} {words}", grouped(*number)));
        let left_out = in_brackets(&left_out.collect::<Vec<_>>().join(", "));
        let dropped = match self.kernel_dropped {
            0 => String::new(),
            dropped => format!(", {} more DROPPED at full sockets", grouped(dropped)),
        };
        let datagrams = |number| counted(number, "datagram", "datagrams");
        let (frames, taken) = (self.frames, counts.datagrams);
        let (label, packets) = if self.listens {
            ("received", format!("{}, {} taken", datagrams(frames), grouped(taken)))
        } else {
            ("packets", format!("{} received, {}", grouped(frames), datagrams(taken)))
        };
        let packets = packets + &left_out + &dropped;
        let flows = format!(
            "{} of {}, {}, {}",
            counted(counts.records, "record", "records"),
            counted(counts.exporters, "exporter", "exporters"),
            counted(counts.packets, "packet", "packets"),
            octets(counts.record_octets)
        );
        let said = ["datagrams", "octets", "records", "packets", "record_octets", "exporters"];
        let others = counts.all().filter(|(name, _, number)| *number > 0 && !said.contains(name));
        let others: Vec<_> =
            others.map(|(_, words, number)| format!("{} {words}", grouped(number))).collect();
        let mut lines = vec![(label, packets), ("flows", flows)];
        if self.connections + self.connections_refused + self.connections_delayed > 0 {
            lines.push(("tcp", self.connections()));
        }
        if !others.is_empty() {
            lines.push(("collect", others.join(", ")));
        }
        lines
    }

    /// What became of connections.
    fn connections(&self) -> String {
        let parts = [
            (self.connections, noun(self.connections, "connection", "connections")),
            (self.connections_refused, "REFUSED"),
            (self.connections_reset, "reset"),
            (self.connections_slow, "too slow"),
            (self.connections_cut, "CUT within a message"),
            (
                self.connections_delayed,
                noun(
                    self.connections_delayed,
                    "time that new ones had to WAIT",
                    "times that new ones had to WAIT",
                ),
            ),
        ];
        let parts = parts.iter().filter(|(number, _)| *number > 0);
        let parts = parts.map(|(number, words)| format!("{} {words}", grouped(*number)));
        parts.collect::<Vec<_>>().join(", ")
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
            ("not_allowed", self.not_allowed),
            ("not_listened", self.not_listened),
            ("kernel_dropped", self.kernel_dropped),
            ("connections", self.connections),
            ("connections_refused", self.connections_refused),
            ("connections_reset", self.connections_reset),
            ("connections_slow", self.connections_slow),
            ("connections_cut", self.connections_cut),
            ("connections_delayed", self.connections_delayed),
        ];
        let all = frames.into_iter().chain(counts);
        all.map(|(name, number)| (name.to_owned(), number.into())).collect::<Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_their_nouns_fit() {
        let counts = Counts {
            datagrams: 1,
            records: 1,
            exporters: 1,
            packets: 1536,
            templates: 2,
            elements_unknown: 1,
            ..Counts::default()
        };
        let mut report = CollectReport { frames: 1, counts, ..CollectReport::default() };
        let words = |report: &CollectReport| {
            report.lines().into_iter().map(|(_, words)| words).collect::<Vec<_>>()
        };
        let flows = "1 record of 1 exporter, 1,536 packets, 0 B";
        let others = "2 templates, 1 unknown element in templates";
        assert_eq!(words(&report), ["1 received, 1 datagram", flows, others]);
        (report.listens, report.connections) = (true, 1);
        assert_eq!(words(&report), ["1 datagram, 1 taken", flows, "1 connection", others]);
    }
}
