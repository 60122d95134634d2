//! sFlow version 5: samples of packets, with the first octets of each.
//!
//! The form of a datagram, of its samples, and of the records in its flow samples is checked before
//! any of it is used. What the records say is read in facts.rs, and is a flow record of one packet
//! in packet.rs.

mod counters;
mod facts;
mod octets;
mod packet;
mod sources;

use std::net::IpAddr;

use flow::{ExportProtocol, Timestamp};

use crate::limits::{SFLOW_RECORDS_MAX, SFLOW_SAMPLES_MAX};
use crate::message::{Header, Malformed};
use octets::Octets;

pub use counters::InterfaceReport;
pub(crate) use counters::{CounterSample, Interfaces};
pub(crate) use packet::{Common, record};
pub(crate) use sources::Sources;

/// The interface number of packets that begin or end in the agent, and the one in expanded form.
const LOCAL: [u32; 2] = [0x3fff_ffff, u32::MAX];

/// A datagram whose form is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) header: Header,
    /// Address of the agent. `None` if it does not know it.
    pub(crate) agent: Option<IpAddr>,
    /// Octets other than 0 follow the samples. They have no meaning.
    pub(crate) is_longer: bool,
    samples: Octets<'a>,
    count: u32,
}

/// A sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sample<'a> {
    Flow(FlowSample<'a>),
    Counters(CounterSample<'a>),
    Other,
}

/// A flow sample: facts about one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowSample<'a> {
    /// It is of a packet that was discarded. All such packets have a sample.
    pub(crate) is_discard: bool,
    /// The number of the sample, by its source.
    sequence: u32,
    /// Kind and number of the source.
    source: [u32; 2],
    /// Samples that the source took and could not send, so far.
    drops: u32,
    pub(crate) sampling_rate: u32,
    /// Interface at which the packet came in; 0 if there is none or it is not known.
    input: u32,
    /// Interface at which it left.
    output: u32,
    /// Why it did not leave, if it was discarded.
    forwarding_status: Option<u8>,
    records: Octets<'a>,
    count: u32,
}

/// A record of a flow sample.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    /// The enterprise in the upper 20 bits, which is 0 for what sFlow defines.
    format: u32,
    content: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a datagram. Its header has no time of day, so the time of arrival stands for it.
    ///
    /// ```text
    /// | Version (5)                           |   sFlow Version 5, section 5
    /// | Kind of address (1: IPv4, 2: IPv6)    |
    /// | Agent address, 4 or 16 octets         |
    /// | Sub agent                             |
    /// | Sequence number                       |
    /// | Uptime, milliseconds                  |
    /// | Number of samples                     |
    /// ```
    pub(crate) fn read(octets: &'a [u8], received: Timestamp) -> Result<Self, Malformed> {
        let mut rest = Octets(octets);
        let _version = rest.u32()?;
        let agent = rest.address()?;
        let [domain, sequence, uptime_ms, count] = rest.numbers()?;
        let header = Header {
            protocol: ExportProtocol::Sflow5,
            export_time: received,
            uptime_ms: Some(uptime_ms),
            sequence,
            domain,
            sampling_interval: 0,
        };
        let mut datagram = Self { header, agent, is_longer: false, samples: rest, count };
        if count > SFLOW_SAMPLES_MAX {
            return Err(Malformed);
        }
        for _ in 0..count {
            Sample::read(&mut rest)?;
        }
        datagram.is_longer = rest.0.iter().any(|octet| *octet != 0);
        Ok(datagram)
    }

    /// The samples.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sample<'a>> {
        let mut rest = self.samples;
        (0..self.count).map_while(move |_| Sample::read(&mut rest).ok())
    }
}

impl<'a> Sample<'a> {
    fn read(rest: &mut Octets<'a>) -> Result<Self, Malformed> {
        let format = rest.u32()?;
        let content = Octets(rest.opaque()?);
        match format {
            1 => FlowSample::read(content).map(Self::Flow),
            3 => FlowSample::read_expanded(content).map(Self::Flow),
            2 => CounterSample::read(content).map(Self::Counters),
            4 => CounterSample::read_expanded(content).map(Self::Counters),
            5 => FlowSample::read_discard(content).map(Self::Flow),
            _ => Ok(Self::Other),
        }
    }
}

impl<'a> FlowSample<'a> {
    /// The upper two bits of an interface are the form of its number.
    ///
    /// ```text
    /// | Sequence number        | Source        | Sampling rate | Sample pool |
    /// | Drops | Input | Output | Number of records |
    /// ```
    fn read(mut rest: Octets<'a>) -> Result<Self, Malformed> {
        let [sequence, source, sampling_rate, _pool, drops, input, output, count] =
            rest.numbers()?;
        let source = [source >> 24, source & 0xff_ffff];
        let parts = |interface: u32| (interface >> 30, interface & 0x3fff_ffff);
        let sample = Self::checked(sampling_rate, parts(input), parts(output), count, rest)?;
        Ok(Self { sequence, source, drops, ..sample })
    }

    /// Source and interfaces have two numbers each: kind or form, and the number.
    fn read_expanded(mut rest: Octets<'a>) -> Result<Self, Malformed> {
        let [sequence, kind, number, sampling_rate, _pool, drops] = rest.numbers()?;
        let [input_form, input, output_form, output, count] = rest.numbers()?;
        let (input, output) = ((input_form, input), (output_form, output));
        let sample = Self::checked(sampling_rate, input, output, count, rest)?;
        Ok(Self { sequence, source: [kind, number], drops, ..sample })
    }

    /// A discarded packet. Its interfaces have plain numbers.
    ///
    /// ```text
    /// | Sequence number | Kind of source | Number of source | Drops | Input | Output | Reason
    /// | Number of records |                         sFlow Dropped Packet Notification Structures
    /// ```
    fn read_discard(mut rest: Octets<'a>) -> Result<Self, Malformed> {
        let [sequence, kind, number, drops, input, output, reason, count] = rest.numbers()?;
        let sample = Self::checked(1, (0, input), (0, output), count, rest)?;
        let forwarding_status = Some(forwarding_status(reason));
        let source = [kind, number];
        Ok(Self { is_discard: true, sequence, source, drops, forwarding_status, ..sample })
    }

    fn checked(
        sampling_rate: u32,
        input: (u32, u32),
        output: (u32, u32),
        count: u32,
        records: Octets<'a>,
    ) -> Result<Self, Malformed> {
        checked_records(records, count)?;
        Ok(Self {
            is_discard: false,
            sequence: 0,
            source: [0; 2],
            drops: 0,
            sampling_rate,
            input: interface(input),
            output: interface(output),
            forwarding_status: (output.0 == 1).then(|| forwarding_status(output.1)),
            records,
            count,
        })
    }

    fn records(&self) -> impl Iterator<Item = Record<'a>> {
        let mut rest = self.records;
        (0..self.count).map_while(move |_| Record::read(&mut rest).ok())
    }
}

impl<'a> Record<'a> {
    fn read(rest: &mut Octets<'a>) -> Result<Self, Malformed> {
        Ok(Self { format: rest.u32()?, content: rest.opaque()? })
    }
}

/// Checks the form of the records of a sample.
fn checked_records(mut records: Octets<'_>, count: u32) -> Result<(), Malformed> {
    if count > SFLOW_RECORDS_MAX {
        return Err(Malformed);
    }
    (0..count).try_for_each(|_| Record::read(&mut records).map(drop))
}

/// The number of an interface by its form. Form 1 is a reason to discard, form 2 a number of
/// interfaces.
fn interface((form, value): (u32, u32)) -> u32 {
    if form == 0 && !LOCAL.contains(&value) { value } else { 0 }
}

/// The forwardingStatus (IANA element 89) of a reason to discard. Reasons below 256 are codes of
/// ICMP Destination Unreachable.
fn forwarding_status(reason: u32) -> u8 {
    const DROPPED: u8 = 0x80;
    DROPPED
        | match reason {
            9 | 10 | 13 | 258 => 1, // denied by an access list
            0 | 1 | 6 | 7 => 3,     // no route
            4 | 262 => 5,           // must not be fragmented
            257 => 9,               // TTL
            261 => 10,              // policer
            260 => 11,              // random early detection
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_forms() {
        let cases = [((0, 27), 27), ((0, LOCAL[0]), 0), ((0, LOCAL[1]), 0), ((1, 2), 0)];
        for (form, number) in cases.into_iter().chain([((2, 7), 0), ((3, 7), 0)]) {
            assert_eq!(interface(form), number, "{form:?}");
        }
    }

    #[test]
    fn reasons_to_discard_are_forwarding_statuses() {
        for (reason, status) in [(1, 131), (13, 129), (4, 133), (256, 128), (257, 137), (262, 133)]
        {
            assert_eq!(forwarding_status(reason), status, "{reason}");
        }
    }
}
