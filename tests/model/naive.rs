//! A naive model of what a flow is: each rule of the design one piece of code over simple maps,
//! with no thought of speed or memory.

use std::collections::BTreeMap;

use flow::{
    FlowDirection, FlowEndReason, FlowKey, Ignored, IpVersion, KeyField, MeterCounts, Unread,
};

use crate::clocks::{Clocks, Read};
use crate::record::{Identity, Record, identity};
use crate::script::{
    Content, DCCP, ICMP, ICMPV6, Ip, Length, Packet, Part, SCTP, Settings, TCP, UDP, UDP_LITE,
    ipv4_address, ipv6_address,
};

/// All records and counts of a script.
pub fn meter(settings: &Settings, packets: &[Packet]) -> (Vec<Record>, MeterCounts) {
    let mut meter = Meter::new(settings);
    let mut flows = Flows::default();
    let mut records = Vec::new();
    for packet in packets {
        for seen in meter.packet(packet) {
            records.extend(flows.add(settings, &seen));
        }
    }
    if let Some(seen) = meter.finish() {
        records.extend(flows.add(settings, &seen));
    }
    records.extend(flows.end_all(settings, meter.now()));
    (records, meter.counts)
}

/// A packet as the meter sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub identity: Identity,
    /// Now at the packet.
    pub now: i64,
    /// In trace time; its own time without a clock.
    pub time: i64,
    /// None when all clocks are in use.
    pub clock: Option<usize>,
    /// Of the clock.
    offset: i64,
    vlan_id: u16,
    direction: FlowDirection,
    octets: u32,
    pub tcp_control_bits: u8,
    ttl: u8,
    ports_known: bool,
    exceeds_wire: bool,
}

/// A datagram that comes in fragments. In IPv6 the protocol is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Datagram {
    version: IpVersion,
    source: u8,
    destination: u8,
    identification: u16,
    protocol: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
struct FirstFragment {
    time: i64,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
}

const DAY: i64 = 24 * 3600 * 1000;
const FRAGMENT_LIFETIME: i64 = 30_000;

/// Everything that comes before flows: clock, sampling, what a packet says, ports of fragments.
#[derive(Debug)]
pub struct Meter<'a> {
    settings: &'a Settings,
    clocks: Clocks,
    frames: u64,
    first_fragments: BTreeMap<Datagram, FirstFragment>,
    pub counts: MeterCounts,
}

impl<'a> Meter<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            clocks: Clocks::default(),
            frames: 0,
            first_fragments: BTreeMap::new(),
            counts: MeterCounts::default(),
        }
    }

    pub fn now(&self) -> i64 {
        self.clocks.now
    }

    /// What is metered by a packet: a held one, the packet itself, both or nothing.
    pub fn packet(&mut self, packet: &Packet) -> Vec<Seen> {
        let idle = i64::from(self.settings.idle_ms);
        let time = packet.time;
        if self.clocks.clocks.is_empty() {
            self.clocks.now = time;
            self.clocks.clocks.push((0, time));
        }
        let is_sampled = self.frames.is_multiple_of(self.settings.sampling.into());
        let read = Read { packet: packet.clone(), is_sampled };
        self.frames += 1;
        let mut seen = Vec::new();
        if let Some(held) = self.clocks.held.take() {
            let fits = self.clocks.find(time, idle).is_some();
            seen.extend(self.release(&held, !fits && time >= held.packet.time - idle / 2));
        }
        let clocks = &mut self.clocks;
        if let Some(clock) = clocks.find(time, idle) {
            clocks.enter(clock, time);
            seen.extend(self.place(&read, Some(clock)));
        } else if time + clocks.clocks[clocks.current].0 > clocks.now {
            clocks.held = Some(read);
        } else {
            self.counts.clock_steps_back += 1;
            let clock = self.begin(time);
            seen.extend(self.place(&read, clock));
            if let Some(clock) = clock {
                self.clocks.enter(clock, time);
            }
        }
        seen
    }

    /// The end of the input believes a packet that is held.
    pub fn finish(&mut self) -> Option<Seen> {
        let held = self.clocks.held.take()?;
        self.release(&held, true)
    }

    fn release(&mut self, held: &Read, is_real: bool) -> Option<Seen> {
        let current = self.clocks.current;
        let trace = held.packet.time + self.clocks.clocks[current].0;
        let clock = if is_real && trace <= flow::Timestamp::MAX.as_millis().try_into().unwrap() {
            self.counts.clock_jumps += u64::from(trace - self.clocks.now > DAY);
            self.clocks.enter(current, held.packet.time);
            Some(current)
        } else {
            self.counts.clock_jumps_refused += 1;
            self.begin(held.packet.time)
        };
        self.place(held, clock)
    }

    fn begin(&mut self, time: i64) -> Option<usize> {
        let unused =
            i64::from(self.settings.longest_idle_ms()) + i64::from(self.settings.active_ms);
        let clock = self.clocks.begin(time, unused.max(60_000));
        match clock {
            Some(_) => self.counts.clocks_added += 1,
            None => self.counts.without_clock += 1,
        }
        clock
    }

    /// Meters or ignores a packet at its place in trace time.
    fn place(&mut self, read: &Read, clock: Option<usize>) -> Option<Seen> {
        let Read { packet, is_sampled } = read;
        let wire_length = u64::from(packet.frame().1);
        self.counts.received.count(wire_length);
        let time = packet.time + clock.map_or(0, |clock| self.clocks.clocks[clock].0);
        let seen =
            if *is_sampled { self.see(packet, time, clock) } else { Err(Ignored::NotSampled) };
        match &seen {
            Ok(seen) => {
                self.counts.metered.count(seen.octets.into());
                self.counts.exceeding_wire += u64::from(seen.exceeds_wire);
                self.counts.fragments_unknown += u64::from(!seen.ports_known);
            }
            Err(reason) => {
                self.counts.ignored[*reason as usize].count(wire_length);
                if *reason == Ignored::NotIp {
                    self.counts.unread.count(ARP, wire_length.try_into().unwrap());
                }
            }
        }
        seen.ok()
    }

    fn see(&mut self, packet: &Packet, time: i64, clock: Option<usize>) -> Result<Seen, Ignored> {
        let ip = match &packet.content {
            Content::Arp => return Err(Ignored::NotIp),
            Content::Ip(ip) => ip,
        };
        if ip.captured.is_some_and(|captured| captured < ip.header()) {
            return Err(Ignored::CutShort);
        }
        let octets = octets(ip).ok_or(Ignored::Malformed)?;
        let (mut source_port, mut destination_port, tcp_control_bits) = ports(ip, octets);
        let mut protocol = ip.transport.protocol;
        let mut ports_known = true;
        match ip.part {
            Part::Whole | Part::Atomic(_) => {}
            Part::First(id) => {
                let first = FirstFragment { time, protocol, source_port, destination_port };
                self.first_fragments.insert(datagram(ip, id), first);
            }
            Part::Later(id) => match self.first_fragments.get(&datagram(ip, id)) {
                Some(first) if (time - first.time).abs() <= FRAGMENT_LIFETIME => {
                    protocol = first.protocol;
                    (source_port, destination_port) = (first.source_port, first.destination_port);
                }
                Some(_) | None => ports_known = false,
            },
        }
        // The VLAN id is the low 12 bits of the tag.
        let vlan_id = packet.tags.first().map_or(0, |tag| tag & 0x0fff);
        let key = FlowKey {
            ip_version: ip.version,
            source: address(ip.version, ip.source),
            destination: address(ip.version, ip.destination),
            source_port,
            destination_port,
            protocol,
            type_of_service: ip.type_of_service,
            interface: packet.point.interface,
        };
        let key = keep(self.settings, key);
        let direction = packet.point.direction;
        Ok(Seen {
            identity: identity(self.settings, key, vlan_id, direction),
            now: self.clocks.now,
            time,
            clock,
            offset: clock.map_or(0, |clock| self.clocks.clocks[clock].0),
            vlan_id,
            direction,
            octets: octets.min(ip.on_wire()).try_into().unwrap(),
            tcp_control_bits,
            ttl: ip.ttl,
            ports_known,
            exceeds_wire: octets > ip.on_wire(),
        })
    }
}

/// Octets of the IP packet; none if the length is less than the header's.
fn octets(ip: &Ip) -> Option<usize> {
    match (ip.version, ip.length) {
        (_, Length::True) => Some(ip.header() + ip.carried()),
        (_, Length::Says(length)) => Some(ip.header() + usize::from(length)),
        (IpVersion::V4, Length::Zero) => Some(ip.on_wire()),
        (IpVersion::V6, Length::Zero) if ip.on_wire() - 40 > 60 => Some(ip.on_wire()),
        (IpVersion::V6, Length::Zero) => Some(40),
        (_, Length::BelowHeader) => None,
    }
}

/// Source port, destination port and TCP control bits, as far as the capture and the packet's own
/// length go.
fn ports(ip: &Ip, octets: usize) -> (u16, u16, u8) {
    let captured = ip.captured.unwrap_or(usize::MAX);
    let readable = octets.min(captured) - ip.header();
    let readable = readable.saturating_sub(ip.extension());
    let transport = &ip.transport;
    let (source, destination) = (transport.source_port, transport.destination_port);
    if matches!(ip.part, Part::Later(_)) {
        return (0, 0, 0);
    }
    match (ip.version, transport.protocol) {
        (_, TCP) if readable >= 14 => (source, destination, transport.tcp_control_bits),
        (_, TCP | UDP | SCTP | DCCP | UDP_LITE) if readable >= 4 => (source, destination, 0),
        (IpVersion::V4, ICMP) | (IpVersion::V6, ICMPV6) if readable >= 2 => (0, destination, 0),
        _ => (0, 0, 0),
    }
}

fn datagram(ip: &Ip, identification: u16) -> Datagram {
    Datagram {
        version: ip.version,
        source: ip.source,
        destination: ip.destination,
        identification,
        protocol: (ip.version == IpVersion::V4).then_some(ip.transport.protocol),
    }
}

fn address(version: IpVersion, host: u8) -> [u8; 16] {
    match version {
        IpVersion::V4 => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&ipv4_address(host));
            octets
        }
        IpVersion::V6 => ipv6_address(host),
    }
}

/// The key with the fields that it has; the others are 0.
fn keep(settings: &Settings, mut key: FlowKey) -> FlowKey {
    for dropped in KeyField::ALL.into_iter().filter(|field| !settings.key.contains(field)) {
        match dropped {
            KeyField::Source => key.source = [0; 16],
            KeyField::Destination => key.destination = [0; 16],
            KeyField::SourcePort => key.source_port = 0,
            KeyField::DestinationPort => key.destination_port = 0,
            KeyField::Protocol => key.protocol = 0,
            KeyField::TypeOfService => key.type_of_service = 0,
            KeyField::Interface => key.interface = 0,
            KeyField::Vlan | KeyField::Direction => {}
        }
    }
    key
}

const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const LINGER_MS: i64 = 2000;

/// A flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub identity: Identity,
    offset: i64,
    vlan_id: u16,
    direction: FlowDirection,
    pub first: i64,
    pub last: i64,
    packets: u64,
    octets: u64,
    tcp_control_bits: u8,
    minimum_ttl: u8,
    maximum_ttl: u8,
    /// It saw a FIN or RST.
    pub closed: bool,
}

impl Flow {
    pub fn new(settings: &Settings, seen: &Seen) -> Self {
        let mut flow = Self {
            identity: seen.identity,
            offset: seen.offset,
            vlan_id: seen.vlan_id,
            direction: seen.direction,
            first: seen.time,
            last: seen.time,
            packets: 0,
            octets: 0,
            tcp_control_bits: 0,
            minimum_ttl: seen.ttl,
            maximum_ttl: seen.ttl,
            closed: false,
        };
        flow.add(settings, seen);
        flow
    }

    /// Late or not, a packet widens its flow.
    pub fn add(&mut self, settings: &Settings, seen: &Seen) {
        self.first = self.first.min(seen.time);
        self.last = self.last.max(seen.time);
        self.packets += 1;
        self.octets += u64::from(seen.octets);
        self.tcp_control_bits |= seen.tcp_control_bits;
        self.minimum_ttl = self.minimum_ttl.min(seen.ttl);
        self.maximum_ttl = self.maximum_ttl.max(seen.ttl);
        if is_connection(settings) && seen.tcp_control_bits & (FIN | RST) != 0 {
            self.closed = true;
        }
    }

    /// How long it may be idle.
    pub fn idle_timeout(&self, settings: &Settings) -> i64 {
        let idle = settings.idle_ms(self.identity.0.protocol).into();
        if self.closed { LINGER_MS.min(idle) } else { idle }
    }

    /// Why the flow is over, if it is: the reason of the earlier deadline.
    pub fn over(&self, settings: &Settings, now: i64) -> Option<FlowEndReason> {
        let idle_deadline = self.last + self.idle_timeout(settings);
        let active_deadline = self.first + i64::from(settings.active_ms);
        if now <= idle_deadline.min(active_deadline) {
            return None;
        }
        Some(if active_deadline <= idle_deadline {
            FlowEndReason::ActiveTimeout
        } else if self.closed {
            FlowEndReason::EndOfFlow
        } else {
            FlowEndReason::IdleTimeout
        })
    }

    pub fn record(&self, reason: FlowEndReason) -> Record {
        Record {
            key: self.identity.0,
            vlan_id: self.vlan_id,
            direction: self.direction,
            first: self.first - self.offset,
            last: self.last - self.offset,
            packets: self.packets,
            octets: self.octets,
            tcp_control_bits: self.tcp_control_bits,
            minimum_ttl: self.minimum_ttl,
            maximum_ttl: self.maximum_ttl,
            reason,
        }
    }
}

/// FIN, RST and SYN mean something while the five-tuple is whole.
fn is_connection(settings: &Settings) -> bool {
    use KeyField::*;
    [Source, Destination, SourcePort, DestinationPort, Protocol]
        .iter()
        .all(|field| settings.key.contains(field))
}

/// The flows that have not ended.
#[derive(Debug, Default)]
struct Flows(BTreeMap<(Identity, usize), Flow>);

impl Flows {
    /// Adds a packet. The record of what ended by that, if anything did.
    fn add(&mut self, settings: &Settings, seen: &Seen) -> Option<Record> {
        let Some(clock) = seen.clock else {
            return Some(Flow::new(settings, seen).record(FlowEndReason::ForcedEnd));
        };
        let Some(flow) = self.0.get_mut(&(seen.identity, clock)) else {
            self.0.insert((seen.identity, clock), Flow::new(settings, seen));
            return None;
        };
        // The number of a clock is used again only after the flows of the one before are over.
        let reason = flow.over(settings, seen.now).or_else(|| reopened(flow, seen));
        let Some(reason) = reason else {
            flow.add(settings, seen);
            return None;
        };
        let record = flow.record(reason);
        *flow = Flow::new(settings, seen);
        Some(record)
    }

    /// Ends all: those that are over for their own reason.
    fn end_all(&mut self, settings: &Settings, now: i64) -> Vec<Record> {
        let flows = std::mem::take(&mut self.0).into_values();
        let end = |flow: Flow| {
            let reason = flow.over(settings, now).unwrap_or(FlowEndReason::ForcedEnd);
            flow.record(reason)
        };
        flows.map(end).collect()
    }
}

/// A SYN on a closed flow ends it.
pub fn reopened(flow: &Flow, seen: &Seen) -> Option<FlowEndReason> {
    (flow.closed && seen.tcp_control_bits & SYN != 0).then_some(FlowEndReason::EndOfFlow)
}

/// The one thing besides IP.
const ARP: Unread = Unread::Ethertype(0x0806);
