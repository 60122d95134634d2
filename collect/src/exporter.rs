//! What is known of an exporter: its Observation Domains, templates and samplers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use flow::{ExportProtocol, Exporter, Timestamp};

use crate::counts::Counts;
use crate::limits::Limits;
use crate::message::Header;
use crate::names::Names;
use crate::sampling::Samplers;
use crate::sequence::Sequence;
use crate::sflow::{InterfaceReport, Interfaces, Sources};
use crate::templates::Templates;
use crate::waiting::Waiting;

/// An exporter: an address.
#[derive(Debug, Default)]
pub(crate) struct KnownExporter {
    /// The number of its last use.
    pub(crate) used: u64,
    domains: BTreeMap<(ExportProtocol, u32), Domain>,
    pub(crate) templates: Templates,
    pub(crate) waiting: Waiting,
    pub(crate) samplers: Samplers,
    pub(crate) names: Names,
    /// What the user calls it.
    pub(crate) name: Option<Arc<str>>,
    /// Of an agent of sFlow.
    pub(crate) sources: Sources,
    pub(crate) interfaces: Interfaces,
}

/// What is known of an exporter's Observation Domain. Counts are of the time since it was last
/// forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterReport {
    /// The exporter and its domain.
    pub exporter: Arc<Exporter>,
    /// Datagrams that were decoded.
    pub datagrams: u64,
    /// Records in them.
    pub records: u64,
    /// Datagrams that contradict themselves, since it was first heard.
    pub malformed: u64,
    /// Records or datagrams that are missing, by the sequence numbers.
    pub lost: u64,
    /// Sequences that began again.
    pub restarts: u64,
    /// Templates kept.
    pub templates: usize,
    /// The last interval in headers of NetFlow v5 or in samples of sFlow, else the one that options
    /// tell for records that name no sampler; 0 if it is not known.
    pub sampling_interval: u32,
    /// Its clock less that of the collector, in milliseconds: the median of the last datagrams,
    /// within 24 days.
    pub clock_offset_ms: i32,
    /// When its last datagram came.
    pub last_seen: Timestamp,
    /// sFlow: the counters of interfaces.
    pub interfaces: Vec<InterfaceReport>,
}

/// What was heard of a domain.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    datagrams: u64,
    pub(crate) records: u64,
    malformed: u64,
    lost: u64,
    restarts: u64,
    last_seen: Timestamp,
    /// The last one that was not in options; 0 if there was none.
    pub(crate) sampling_interval: u32,
    /// Export time less time of arrival of the last datagrams, in milliseconds, in a ring.
    offsets_ms: [i32; OFFSETS],
}

/// Datagrams whose median is the offset of a clock.
const OFFSETS: usize = 16;

impl Heard {
    fn clock_offset_ms(&self) -> i32 {
        let mut offsets = self.offsets_ms;
        let Some(offsets) = offsets.get_mut(..self.offsets()) else { return 0 };
        offsets.sort_unstable();
        offsets.get(offsets.len() / 2).copied().unwrap_or(0)
    }

    /// The number of offsets that are known.
    fn offsets(&self) -> usize {
        OFFSETS.min(usize::try_from(self.datagrams).unwrap_or(OFFSETS))
    }

    /// Notes a datagram with this offset of the clock.
    fn note(&mut self, offset_ms: i32) {
        let place = usize::try_from(self.datagrams % OFFSETS as u64).unwrap_or(0);
        if let Some(place) = self.offsets_ms.get_mut(place) {
            *place = offset_ms;
        }
        self.datagrams += 1;
    }

    /// Adds what was heard later, over a connection.
    fn join(&mut self, later: &Self) {
        let known = later.offsets();
        later.offsets_ms.iter().take(known).for_each(|offset_ms| self.note(*offset_ms));
        self.datagrams += later.datagrams - known as u64;
        self.records += later.records;
        self.malformed += later.malformed;
        self.lost += later.lost;
        self.restarts += later.restarts;
        self.last_seen = self.last_seen.max(later.last_seen);
    }
}

impl Domain {
    /// Learns a name from options. That of the user counts first.
    pub(crate) fn learn_name(&mut self, name: &str) {
        if !self.is_named_by_user && self.exporter.name.as_deref() != Some(name) {
            let name = Some(name.into());
            self.exporter = Arc::new(Exporter { name, ..Exporter::clone(&self.exporter) });
        }
    }

    /// Notes a datagram. `units` is the number of what its sequence number counts; `None` if that
    /// is not known.
    pub(crate) fn hear(
        &mut self,
        header: &Header,
        received: Timestamp,
        units: Option<u32>,
        counts: &mut Counts,
    ) {
        let (lost, restarts) = (counts.lost, counts.restarts);
        self.sequence.check(header.sequence, units, counts);
        let heard = &mut self.heard;
        heard.lost += counts.lost - lost;
        heard.restarts += counts.restarts - restarts;
        let millis = |time: Timestamp| time.as_millis().cast_signed();
        let offset_ms = millis(header.export_time).saturating_sub(millis(received));
        let within = offset_ms.clamp(i64::from(-i32::MAX), i64::from(i32::MAX));
        if header.sampling_interval != 0 {
            heard.sampling_interval = header.sampling_interval;
        }
        heard.last_seen = heard.last_seen.max(received);
        heard.note(i32::try_from(within).unwrap_or(0));
    }
}

/// An Observation Domain.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) exporter: Arc<Exporter>,
    sequence: Sequence,
    pub(crate) heard: Heard,
    is_named_by_user: bool,
    /// The time that sysUpTime counts from, if options told it.
    pub(crate) init_time: Option<Timestamp>,
    used: u64,
}

impl KnownExporter {
    /// One that the user calls so.
    pub(crate) fn named(name: Option<Arc<str>>) -> Self {
        Self { name, ..Self::default() }
    }

    /// One with a connection.
    pub(crate) fn connected(name: Option<Arc<str>>) -> Self {
        let templates = Templates::connected();
        Self { templates, name, ..Self::default() }
    }

    /// Adds what was heard of this exporter over a connection that has ended.
    pub(crate) fn join(&mut self, ended: Self, used: u64, limits: &Limits, counts: &mut Counts) {
        for ((protocol, number), domain) in ended.domains {
            let key = (protocol, number);
            let known = self.domain_of(key, domain.exporter.address, used, limits, counts);
            known.heard.join(&domain.heard);
        }
    }

    /// What is known of its domains.
    pub(crate) fn reports(&self) -> impl Iterator<Item = ExporterReport> {
        self.domains.iter().map(|((protocol, number), domain)| ExporterReport {
            exporter: Arc::clone(&domain.exporter),
            datagrams: domain.heard.datagrams,
            records: domain.heard.records,
            malformed: domain.heard.malformed,
            lost: domain.heard.lost,
            restarts: domain.heard.restarts,
            templates: self.templates.of_domain(*protocol, *number),
            sampling_interval: match domain.heard.sampling_interval {
                0 => self.samplers.common(*number),
                interval => interval,
            },
            clock_offset_ms: domain.heard.clock_offset_ms(),
            last_seen: domain.heard.last_seen,
            interfaces: if *protocol == ExportProtocol::Sflow5 {
                self.interfaces.of(*number).collect()
            } else {
                Vec::new()
            },
        })
    }

    /// Notes a datagram that contradicts itself, if its domain is known: what it says may be wrong.
    pub(crate) fn note_malformed(&mut self, octets: &[u8]) {
        let domain = domain_in(octets).and_then(|key| self.domains.get_mut(&key));
        domain.into_iter().for_each(|domain| domain.heard.malformed += 1);
    }

    /// Finds or adds a domain. The one that was not used for longest goes if there are too many.
    pub(crate) fn domain(
        &mut self,
        header: &Header,
        from: SocketAddr,
        used: u64,
        limits: &Limits,
        counts: &mut Counts,
    ) -> &mut Domain {
        self.domain_of((header.protocol, header.domain), from, used, limits, counts)
    }

    fn domain_of(
        &mut self,
        key: (ExportProtocol, u32),
        from: SocketAddr,
        used: u64,
        limits: &Limits,
        counts: &mut Counts,
    ) -> &mut Domain {
        if !self.domains.contains_key(&key) && self.domains.len() >= limits.domains_of_exporter {
            let oldest = self.domains.iter().min_by_key(|(_, domain)| domain.used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.domains.remove(&oldest);
                counts.domains_evicted += 1;
            }
        }
        let of_user = &self.name;
        let exporter = |name: Option<&Arc<str>>| {
            let (protocol, domain) = key;
            let name = of_user.as_ref().or(name).cloned();
            Arc::new(Exporter { address: from, domain, protocol, name })
        };
        let domain = self.domains.entry(key).or_insert_with(|| Domain {
            exporter: exporter(None),
            sequence: Sequence::default(),
            heard: Heard::default(),
            is_named_by_user: of_user.is_some(),
            init_time: None,
            used,
        });
        domain.used = used;
        if domain.exporter.address != from {
            domain.exporter = exporter(domain.exporter.name.as_ref());
        }
        domain
    }
}

/// The protocol of a datagram that may be cut or wrong, and the domain where it should be.
fn domain_in(octets: &[u8]) -> Option<(ExportProtocol, u32)> {
    let number = |at: usize| {
        let octets = octets.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*octets))
    };
    Some(match *octets {
        [0, 5, ..] => (ExportProtocol::Netflow5, number(20)? >> 16),
        [0, 9, ..] => (ExportProtocol::Netflow9, number(16)?),
        [0, 10, ..] => (ExportProtocol::Ipfix, number(12)?),
        // The sub agent, behind an address of IPv4 or of IPv6.
        [0, 0, 0, 5, 0, 0, 0, 1, ..] => (ExportProtocol::Sflow5, number(12)?),
        [0, 0, 0, 5, 0, 0, 0, 2, ..] => (ExportProtocol::Sflow5, number(24)?),
        _ => return None,
    })
}
