//! Counter samples: what an agent counted at its interfaces.

use std::collections::BTreeMap;

use super::octets::Octets;
use super::{Record, checked_records};
use crate::counts::Counts;
use crate::limits::{INTERFACES_MAX, SFLOW_SOURCES_MAX};
use crate::message::Malformed;

/// A counter sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CounterSample<'a> {
    records: Octets<'a>,
    count: u32,
}

/// The counters of an interface of an sFlow agent, as it sent them last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceReport {
    /// ifIndex.
    pub number: u32,
    /// ifSpeed, in bits per second; 0 if it is not known.
    pub speed: u64,
    /// ifInOctets.
    pub in_octets: u64,
    /// ifOutOctets.
    pub out_octets: u64,
}

/// The interfaces of an agent, by sub agent and number. New ones beyond the limits are not kept.
#[derive(Debug, Default)]
pub(crate) struct Interfaces(BTreeMap<(u32, u32), InterfaceReport>);

/// The kind of record with the counters that all interfaces have.
const GENERIC: u32 = 1;

impl<'a> CounterSample<'a> {
    /// Reads a sample: its sequence number, its source, the number of records, and the records.
    pub(super) fn read(mut rest: Octets<'a>) -> Result<Self, Malformed> {
        let [_sequence, _source, count] = rest.numbers()?;
        checked_records(rest, count)?;
        Ok(Self { records: rest, count })
    }

    /// The source has two numbers.
    pub(super) fn read_expanded(mut rest: Octets<'a>) -> Result<Self, Malformed> {
        let [_sequence, _kind, _number, count] = rest.numbers()?;
        checked_records(rest, count)?;
        Ok(Self { records: rest, count })
    }
}

impl Interfaces {
    /// Learns the counters of a sample. `all` are the interfaces of all agents.
    pub(crate) fn learn(
        &mut self,
        sub_agent: u32,
        sample: &CounterSample<'_>,
        all: &mut usize,
        counts: &mut Counts,
    ) {
        let mut rest = sample.records;
        let records = (0..sample.count).map_while(|_| Record::read(&mut rest).ok());
        for record in records.filter(|record| record.format == GENERIC) {
            let Ok(report) = generic(Octets(record.content)) else {
                counts.sflow_cut_records += 1;
                continue;
            };
            let key = (sub_agent, report.number);
            if let Some(known) = self.0.get_mut(&key) {
                *known = report;
            } else if self.0.len() < SFLOW_SOURCES_MAX && *all < INTERFACES_MAX {
                *all += 1;
                self.0.insert(key, report);
            } else {
                counts.sflow_interfaces_refused += 1;
            }
        }
    }

    /// The interfaces of a sub agent.
    pub(crate) fn of(&self, sub_agent: u32) -> impl Iterator<Item = InterfaceReport> {
        self.0.range((sub_agent, 0)..=(sub_agent, u32::MAX)).map(|(_, report)| *report)
    }

    /// Number of interfaces.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// ```text
/// | ifIndex | ifType | ifSpeed (8) | ifDirection | ifStatus | ifInOctets (8)
/// | packets in: unicast, multicast, broadcast, discarded, with errors, of unknown protocols
/// | ifOutOctets (8) | packets out
/// ```
fn generic(mut rest: Octets<'_>) -> Result<InterfaceReport, Malformed> {
    let [number, _kind] = rest.numbers()?;
    let speed = rest.u64()?;
    let [_direction, _status] = rest.numbers()?;
    let in_octets = rest.u64()?;
    let _packets: [u32; 6] = rest.numbers()?;
    let out_octets = rest.u64()?;
    Ok(InterfaceReport { number, speed, in_octets, out_octets })
}
