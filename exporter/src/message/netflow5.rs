//! NetFlow v5 datagrams: a header and up to 30 records of fixed format.
//!
//! The sequence number counts the flows in earlier datagrams. Counters have 32 bits: a flow with
//! larger counts is split into several records, so that sums are correct. IPv6 flows are not
//! exportable. Interface numbers have 16 bits: a larger one is replaced by 0, and counted. A larger
//! AS number is 23456 (AS_TRANS, RFC 6793). Unknown AS numbers and masks are 0, and the next hop is
//! always 0.
//!
//! Both time fields of the header are moved forward equally, to the last millisecond of their
//! second. All collectors then compute the same flow times, also those that lose a borrow when they
//! subtract the milliseconds.

use element::{Element, FixedOctets, Flow, PutOctets, saturate32};
use flow::{Details, FlowRecord, IpVersion, Place, RecordTally, Timestamp};

use super::builder::{Full, MessageBuilder};
use super::encoder::{Inexact, MessageEncoder, NotAdded};
use super::uptime::{self, Uptime};
use crate::content::Message;

/// Octets of the header.
const HEADER: usize = 24;

/// Octets of a record.
const RECORD: usize = 48;

const VERSION: u16 = 5;

/// Maximum records that collectors accept.
const RECORDS_MAX: usize = 30;

/// The largest sampling interval of the header field.
pub(crate) const SAMPLING_INTERVAL_MAX: u32 = (1 << 14) - 1;

/// Turns flow records into NetFlow v5 datagrams.
#[derive(Debug)]
pub(crate) struct Encoder {
    engine_id: u8,
    sampling: u16,
    builder: MessageBuilder,
    uptime: Uptime,
    /// Flows in earlier datagrams.
    sequence: u32,
    /// Flows in this datagram.
    flows: u16,
    flows_max: u16,
    /// Parts of the current split record that are already in a datagram.
    parts_done: u64,
    /// Flows with an interface number of more than 16 bits.
    interfaces_unsaid: u64,
}

impl Encoder {
    /// `sampling_interval` is at most [`SAMPLING_INTERVAL_MAX`]; 1 means no sampling.
    pub(crate) fn new(engine_id: u8, sampling_interval: u32, limit: usize, uptime: Uptime) -> Self {
        let interval = u16::try_from(sampling_interval.min(SAMPLING_INTERVAL_MAX)).unwrap_or(0);
        let mut encoder = Self {
            engine_id,
            // Some collectors do not mask the mode bits, so these are 0 without sampling.
            sampling: if interval > 1 { DETERMINISTIC << 14 | interval } else { 0 },
            builder: MessageBuilder::new(HEADER, usize::MAX),
            uptime,
            sequence: 0,
            flows: 0,
            flows_max: 0,
            parts_done: 0,
            interfaces_unsaid: 0,
        };
        encoder.set_limit(limit);
        encoder
    }

    /// Adds a record with its times clamped to the last possible one.
    #[cold]
    #[inline(never)]
    fn add_clamped(
        &mut self,
        record: &FlowRecord,
        details: Option<&Details>,
        clock: Timestamp,
    ) -> Result<(), Full> {
        self.add_parts(&uptime::clamped(record), details, clock)
    }

    /// Adds a flow's record, or its remaining parts.
    #[inline(always)]
    fn add_parts(
        &mut self,
        record: &FlowRecord,
        details: Option<&Details>,
        clock: Timestamp,
    ) -> Result<(), Full> {
        let largest = record.octets.max(record.packets);
        let parts = largest.div_ceil(u32::MAX.into()).max(1);
        while self.parts_done < parts {
            if self.flows == self.flows_max {
                return Err(Full);
            }
            if self.builder.is_empty() {
                self.uptime.begin_with(record, clock);
            } else {
                self.uptime.join(record, clock)?;
            }
            let part = Part {
                packets: share(record.packets, parts, self.parts_done),
                octets: share(record.octets, parts, self.parts_done),
            };
            let uptime_base = self.uptime.base();
            let flow = Flow { record, details, exporter: None, uptime_base };
            self.builder.add_plain(&record_octets(&flow, part));
            self.builder.records += RecordTally {
                records: u64::from(self.parts_done == 0),
                packets: part.packets.into(),
                octets: part.octets.into(),
            };
            self.flows += 1;
            self.parts_done += 1;
        }
        self.parts_done = 0;
        Ok(())
    }
}

impl MessageEncoder for Encoder {
    const HAS_TEMPLATES: bool = false;

    /// Adds a flow's record, or several if its counters exceed 32 bits. If the datagram is full in
    /// between, the caller adds the same flow again to the next one.
    fn add(&mut self, flow: &Flow<'_>, clock: Timestamp) -> Result<(), NotAdded> {
        let Flow { record, details, .. } = *flow;
        if record.key.ip_version == IpVersion::V6 {
            return Err(NotAdded::NotExportable("IPv6 flows are not exported"));
        }
        if uptime::is_said(record.end) {
            self.add_parts(record, details, clock)?;
        } else {
            self.add_clamped(record, details, clock)?;
        }
        self.uptime.count(record);
        let interfaces = [flow.ingress_interface(), flow.egress_interface()];
        let is_unsaid = interfaces.into_iter().any(|number| interface(number).is_none());
        self.interfaces_unsaid += u64::from(is_unsaid);
        Ok(())
    }

    #[inline]
    fn can_reach(&self, clock: Timestamp) -> bool {
        self.uptime.can_reach(clock)
    }

    /// Finishes the datagram; `None` if it is empty.
    ///
    /// ```text
    /// | Version (5)       | Count             |   Cisco, NetFlow Export Datagram Formats
    /// | SysUptime, milliseconds               |
    /// | unix_secs                             |
    /// | unix_nsecs                            |
    /// | flow_sequence                         |
    /// | engine_type | engine_id | sampling    |
    /// ```
    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        let seconds = self.uptime.instant(clock).as_millis() / 1000;
        let uptime = self.uptime.base().of(Timestamp::from_millis(seconds * 1000 + 999));
        let (flows, sequence) = (std::mem::take(&mut self.flows), self.sequence);
        self.sequence = sequence.wrapping_add(flows.into());
        self.builder.finish(|out, _length| {
            out.put16(VERSION);
            out.put16(flows);
            out.put32(uptime);
            out.put32(saturate32(seconds));
            out.put32(999_000_000);
            out.put32(sequence);
            out.push(ENGINE_TYPE);
            out.push(self.engine_id);
            out.put16(self.sampling);
        })
    }

    fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    fn clear(&mut self) {
        self.builder.clear();
    }

    fn set_limit(&mut self, limit: usize) {
        let records = limit.saturating_sub(HEADER) / RECORD;
        self.flows_max = u16::try_from(records.clamp(1, RECORDS_MAX)).unwrap_or(1);
    }

    fn inexact(&self) -> Inexact {
        Inexact { times: self.uptime.clamped(), interfaces: self.interfaces_unsaid }
    }
}

#[derive(Clone, Copy, Debug)]
struct Part {
    packets: u32,
    octets: u32,
}

/// Part `index` of a count that is split into `parts` nearly equal parts.
fn share(count: u64, parts: u64, index: u64) -> u32 {
    saturate32(count / parts + u64::from(index < count % parts))
}

/// The number of an interface, if it has 16 bits.
fn interface(number: u32) -> Option<u16> {
    number.try_into().ok()
}

/// The AS number, [`AS_TRANS`] for one of more than 16 bits, or 0 if it is not known.
fn as_number(place: Option<&Place>) -> u16 {
    let number = place.and_then(|place| place.as_number).unwrap_or(0);
    number.try_into().unwrap_or(AS_TRANS)
}

fn record_octets(flow: &Flow<'_>, part: Part) -> [u8; RECORD] {
    let mut out = FixedOctets::<RECORD>::new();
    Element::SourceIpv4Address.put_of_flow(flow, &mut out);
    Element::DestinationIpv4Address.put_of_flow(flow, &mut out);
    out.put32(0); // nexthop
    out.put16(interface(flow.ingress_interface()).unwrap_or(0)); // input
    out.put16(interface(flow.egress_interface()).unwrap_or(0)); // output
    out.put32(part.packets);
    out.put32(part.octets);
    Element::FlowStartSysUpTime.put_of_flow(flow, &mut out);
    Element::FlowEndSysUpTime.put_of_flow(flow, &mut out);
    Element::SourceTransportPort.put_of_flow(flow, &mut out);
    Element::DestinationTransportPort.put_of_flow(flow, &mut out);
    out.put(&[0]); // pad1
    Element::TcpControlBits.put_of_flow(flow, &mut out);
    Element::ProtocolIdentifier.put_of_flow(flow, &mut out);
    Element::IpClassOfService.put_of_flow(flow, &mut out);
    out.put16(as_number(flow.source())); // src_as
    out.put16(as_number(flow.destination())); // dst_as
    Element::SourceIpv4PrefixLength.put_of_flow(flow, &mut out); // src_mask
    Element::DestinationIpv4PrefixLength.put_of_flow(flow, &mut out); // dst_mask
    out.put16(0); // pad2
    *out.whole()
}

/// AS number in place of larger ones (RFC 6793 section 9).
const AS_TRANS: u16 = 23_456;

const ENGINE_TYPE: u8 = 0;

/// Sampling mode: every n-th packet.
const DETERMINISTIC: u16 = 1;
