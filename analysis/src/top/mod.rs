//! Top lists: the subjects with the most sessions, targets, octets or packets.
//!
//! A list has room for 1,024 subjects (Space-Saving). Counts are exact until there are more
//! subjects; then each count is a range.

mod cardinality;
mod space_saving;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

use flow::{FlowEndReason, FlowKey, FlowRecord, HashSeed, KeyField, KeyFields};

use cardinality::Cardinality;
pub use space_saving::Counted;
use space_saving::SpaceSaving;

/// Subjects of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subjects {
    /// Source addresses.
    Sources,
    /// Destination addresses.
    Destinations,
    /// Pairs of addresses, both directions together.
    Conversations,
    /// Ports of servers: the lower one of the two.
    Ports,
}

/// The count of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Ended flows. A flow with several records because of the active timeout counts once.
    Sessions,
    /// Different destinations of a source or of a port, sources of a destination, ports of a
    /// conversation. They are estimated: most estimates are less than a tenth wrong.
    Targets,
    /// Octets of IP packets.
    Octets,
    /// Packets.
    Packets,
}

impl Subjects {
    const ALL: [Self; 4] = [Self::Sources, Self::Destinations, Self::Conversations, Self::Ports];

    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Destinations => "destinations",
            Self::Conversations => "conversations",
            Self::Ports => "ports",
        }
    }
}

impl Measure {
    const ALL: [Self; 4] = [Self::Sessions, Self::Targets, Self::Octets, Self::Packets];

    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Targets => "targets",
            Self::Octets => "octets",
            Self::Packets => "packets",
        }
    }
}

/// Subjects and measure of a list: `sources:targets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopBy {
    /// Subjects of the list.
    pub subjects: Subjects,
    /// The count that orders the list.
    pub measure: Measure,
}

impl TopBy {
    /// Checks that the flow key has the fields that the list needs.
    ///
    /// # Errors
    ///
    /// The field that is missing.
    pub fn check(self, key: KeyFields) -> Result<(), String> {
        let (source, destination) = (&[KeyField::Source][..], &[KeyField::Destination][..]);
        let pair = &[KeyField::Source, KeyField::Destination][..];
        let ports = &[KeyField::SourcePort, KeyField::DestinationPort, KeyField::Protocol][..];
        let is_targets = self.measure == Measure::Targets;
        let (own, others) = match self.subjects {
            Subjects::Sources => (source, destination),
            Subjects::Destinations => (destination, source),
            Subjects::Conversations => (pair, ports),
            Subjects::Ports => (ports, destination),
        };
        let needed = own.iter().chain(others.iter().filter(|_| is_targets));
        for field in needed {
            if !key.contains(*field) {
                return Err(format!("{self}: the flow key has no field {}", field.name()));
            }
        }
        Ok(())
    }
}

impl FromStr for TopBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (subjects, measure) = text.split_once(':').unwrap_or((text, Measure::Octets.name()));
        let subjects = Subjects::ALL.into_iter().find(|one| one.name() == subjects);
        let measure = Measure::ALL.into_iter().find(|one| one.name() == measure);
        match (subjects, measure) {
            (Some(subjects), Some(measure)) => Ok(Self { subjects, measure }),
            _ => Err(format!(
                "WHO:COUNT is needed, such as sources:targets; WHO is {}; COUNT is {}",
                Subjects::ALL.map(Subjects::name).join(", "),
                Measure::ALL.map(Measure::name).join(", ")
            )),
        }
    }
}

impl Display for TopBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.subjects.name(), self.measure.name())
    }
}

/// A subject of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A source or a destination.
    Host(IpAddr),
    /// Two hosts, the lower address first.
    Pair(IpAddr, IpAddr),
    /// A port of a protocol.
    Port(u8, u16),
}

/// A top list.
#[derive(Debug)]
pub struct TopList {
    by: TopBy,
    seed: HashSeed,
    counters: SpaceSaving<Subject, Option<Cardinality>>,
}

impl TopList {
    /// An empty list. The seed is for the estimates of targets.
    pub fn new(by: TopBy, seed: HashSeed) -> Self {
        Self { by, seed, counters: SpaceSaving::default() }
    }

    /// Subjects and measure of the list.
    pub fn by(&self) -> TopBy {
        self.by
    }

    /// Takes a record into account.
    pub fn add(&mut self, record: &FlowRecord) {
        let subject = subject(self.by.subjects, &record.key);
        match self.by.measure {
            Measure::Sessions if record.end_reason == FlowEndReason::ActiveTimeout => {}
            Measure::Sessions => self.counters.add(subject, 1),
            Measure::Octets => self.counters.add(subject, record.octets),
            Measure::Packets => self.counters.add(subject, record.packets),
            Measure::Targets => {
                let hash = self.seed.hash(target(self.by.subjects, &record.key));
                self.counters.update(subject, |seen| {
                    let seen = seen.get_or_insert_default();
                    seen.insert(hash);
                    seen.count()
                });
            }
        }
    }

    /// The subjects with the largest counts; equal counts in the order of subjects.
    pub fn largest(&self, rows: usize) -> Vec<(Subject, Counted)> {
        self.counters.largest(rows)
    }

    /// The sum over all subjects, also those that have no counter any more. `None` for targets:
    /// several subjects can share one target.
    pub fn whole(&self) -> Option<u64> {
        (self.by.measure != Measure::Targets).then(|| self.counters.whole())
    }

    /// The largest possible count of a subject that is not in the list, if there were more subjects
    /// than it has room for.
    pub fn missing_at_most(&self) -> Option<u64> {
        self.counters.missing_at_most()
    }
}

fn subject(subjects: Subjects, key: &FlowKey) -> Subject {
    let (source, destination) = (key.source_address(), key.destination_address());
    match subjects {
        Subjects::Sources => Subject::Host(source),
        Subjects::Destinations => Subject::Host(destination),
        Subjects::Conversations => Subject::Pair(source.min(destination), source.max(destination)),
        Subjects::Ports => Subject::Port(key.protocol, server_port(key)),
    }
}

/// The lower port; for ICMP type * 256 + code.
fn server_port(key: &FlowKey) -> u16 {
    if key.is_icmp() { key.destination_port } else { key.source_port.min(key.destination_port) }
}

/// The words of a target, for its hash.
fn target(subjects: Subjects, key: &FlowKey) -> [u64; 6] {
    let address = |octets: [u8; 16]| {
        let number = u128::from_be_bytes(octets);
        let [high, low] = [number >> 64, number & u128::from(u64::MAX)];
        let [high, low] = [high, low].map(|half| u64::try_from(half).unwrap_or_default());
        [high, low, key.ip_version.number().into(), 0, 0, 0]
    };
    match subjects {
        Subjects::Sources | Subjects::Ports => address(key.destination),
        Subjects::Destinations => address(key.source),
        Subjects::Conversations => [key.protocol.into(), server_port(key).into(), 0, 0, 0, 0],
    }
}
