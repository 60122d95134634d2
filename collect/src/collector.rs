//! The collector: datagrams in, records out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use flow::{Details, ExportProtocol, Exporter, FlowRecord, Timestamp, Tpids};

use crate::counts::Counts;
use crate::exporter::{ExporterReport, Kept, KnownExporter};
use crate::given::{give, read_flows, read_set};
use crate::limits::{Limits, TEMPLATE_LIFETIME_MS};
use crate::message::{Header, Malformed, Message, Set, SetKind, TemplateRecord};
use crate::netflow5;
use crate::record::{Common, Places};
use crate::sflow::{self, Sample};
use crate::store::StoredTemplate;
use crate::template::Template;
use crate::waiting::WaitingSet;

/// Takes the records of a collector.
pub trait Sink {
    /// Takes a record of this exporter.
    fn record(&mut self, exporter: &Arc<Exporter>, record: FlowRecord, details: Details);
}

/// Collects the messages of exporters.
#[derive(Debug)]
pub struct Collector {
    limits: Limits,
    exporters: BTreeMap<IpAddr, KnownExporter>,
    /// The exporters in the order of their last use.
    order: BTreeMap<u64, IpAddr>,
    netflow5: Template,
    /// Further tag protocols in sampled frames.
    tpids: Tpids,
    state: State,
}

/// What all exporters have in common.
#[derive(Debug, Default)]
struct State {
    /// Datagrams so far: the number of a use.
    turn: u64,
    kept: Kept,
    /// What records of all exporters share.
    places: Places,
    /// Octets of all waiting sets.
    waiting_octets: usize,
    counts: Counts,
}

/// A datagram's sender and the time of its arrival.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    from: SocketAddr,
    received: Timestamp,
}

impl Collector {
    /// A collector that knows nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            exporters: BTreeMap::new(),
            order: BTreeMap::new(),
            netflow5: netflow5::template(),
            tpids: Tpids::default(),
            state: State::default(),
        }
    }

    /// The same with further tag protocols in the frames that sFlow samples.
    #[must_use]
    pub fn with_tpids(self, tpids: Tpids) -> Self {
        Self { tpids, ..self }
    }

    /// Takes a datagram, and gives the records in it. Records that waited for a template in it come
    /// with them.
    pub fn datagram(
        &mut self,
        from: SocketAddr,
        received: Timestamp,
        octets: &[u8],
        sink: &mut impl Sink,
    ) {
        self.state.turn += 1;
        self.state.counts.datagrams += 1;
        self.state.counts.octets += octets.len() as u64;
        let arrival = Arrival { from, received };
        let decoded = match *octets {
            [0, 5, ..] => self.netflow5(arrival, octets, sink),
            [0, 9, ..] => Message::netflow9(octets).map(|it| self.message(arrival, &it, sink)),
            [0, 10, ..] => Message::ipfix(octets).map(|it| self.message(arrival, &it, sink)),
            [0, 0, 0, 5, ..] => self.sflow(arrival, octets, sink),
            _ => {
                self.state.counts.unknown_version += 1;
                return;
            }
        };
        if decoded.is_err() {
            self.state.counts.malformed += 1;
        }
    }

    /// Gives up what still waits for templates: it counts as lost.
    pub fn finish(&mut self) {
        let State { waiting_octets, counts, .. } = &mut self.state;
        self.exporters.values_mut().for_each(|it| it.waiting.clear(waiting_octets, counts));
    }

    /// The counters.
    pub fn counts(&self) -> Counts {
        let (kept, exporters) = (self.state.kept.templates as u64, self.exporters.len() as u64);
        Counts { templates: kept, exporters, ..self.state.counts }
    }

    /// What is known of the exporters that were heard last, of this number of Observation Domains
    /// at most.
    pub fn exporters(&self, most: usize) -> Vec<ExporterReport> {
        let latest = self.order.values().rev().filter_map(|address| self.exporters.get(address));
        latest.flat_map(KnownExporter::reports).take(most).collect()
    }

    /// All templates, to be stored.
    pub fn templates(&self) -> impl Iterator<Item = StoredTemplate> {
        self.exporters.iter().flat_map(|(address, known)| known.templates.to_store(*address))
    }

    /// Learns a template that was stored, unless it has expired.
    pub fn restore(&mut self, stored: &StoredTemplate, now: Timestamp) {
        if stored.sent > now || now.millis_since(stored.sent) > TEMPLATE_LIFETIME_MS {
            return;
        }
        let Self { limits, exporters, order, state, .. } = self;
        state.turn += 1;
        let turn = state.turn;
        let known = find(exporters, order, stored.address, state, limits);
        let header = Header {
            protocol: stored.protocol,
            export_time: stored.sent,
            uptime_ms: None,
            sequence: 0,
            domain: stored.domain,
            sampling_interval: 0,
        };
        let State { kept, counts, .. } = &mut *state;
        let (record, when) = (TemplateRecord::of_store(stored), (stored.sent, turn));
        known.templates.learn(&record, &header, when, limits, (kept, counts));
        make_room(exporters, order, stored.address, state, limits);
    }

    fn netflow5(
        &mut self,
        arrival: Arrival,
        octets: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        let (header, count, records) = netflow5::read(octets)?;
        let Self { limits, exporters, order, netflow5, state, .. } = self;
        state.counts.decoded(header.protocol);
        let known = find(exporters, order, arrival.from.ip(), state, limits);
        let domain = known.domain(&header, arrival.from, state.turn, limits);
        let received = arrival.received;
        domain.hear(&header, received, Some(count.into()), &mut state.counts);
        domain.heard.records += u64::from(count);
        let exporter = Arc::clone(&domain.exporter);
        let common = Common { template: netflow5, header: &header, received, init_time: None };
        let kept = (&mut known.samplers, &mut state.places);
        read_flows(common, records, &exporter, kept, (&mut state.counts, sink));
        Ok(())
    }

    /// An agent of sFlow is an exporter, whoever forwards its datagrams.
    fn sflow(
        &mut self,
        arrival: Arrival,
        octets: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        let datagram = sflow::Datagram::read(octets, arrival.received)?;
        let Self { limits, exporters, order, tpids, state, .. } = self;
        let header = datagram.header;
        state.counts.decoded(header.protocol);
        let agent = datagram.agent.unwrap_or_else(|| arrival.from.ip());
        let from = SocketAddr::new(agent, arrival.from.port());
        let known = find(exporters, order, agent, state, limits);
        let domain = known.domain(&header, from, state.turn, limits);
        domain.hear(&header, arrival.received, Some(1), &mut state.counts);
        let exporter = Arc::clone(&domain.exporter);
        let (turn, counts) = (state.turn, &mut state.counts);
        let before = counts.records;
        counts.sflow_longer += u64::from(datagram.is_longer);
        let common = sflow::Common { header: &header, received: arrival.received, tpids: *tpids };
        for sample in datagram.samples() {
            match sample {
                Sample::Flow(sample) => {
                    let kept = (&mut state.places, &mut known.drops);
                    if let Some(given) = sflow::record(&sample, common, kept, counts) {
                        give(given, &exporter, (counts, sink));
                    }
                }
                Sample::Counters => counts.sflow_counter_samples += 1,
                Sample::Other => counts.sflow_other_samples += 1,
            }
        }
        known.domain(&header, from, turn, limits).heard.records += counts.records - before;
        Ok(())
    }

    fn message(&mut self, arrival: Arrival, message: &Message<'_>, sink: &mut impl Sink) {
        let Self { limits, exporters, order, state, .. } = self;
        let header = message.header;
        state.counts.decoded(header.protocol);
        let before = state.counts.records;
        let known = find(exporters, order, arrival.from.ip(), state, limits);
        let mut at = At { limits, state: &mut *state, known: &mut *known, arrival, header };
        let mut records = Some(0_u32);
        for set in message.sets() {
            let added = match set.kind {
                SetKind::Templates | SetKind::OptionsTemplates => {
                    at.templates(set, sink);
                    Some(0)
                }
                SetKind::Data(id) => at.data(id, set.content, sink),
                SetKind::Unknown => {
                    at.state.counts.unknown_sets += 1;
                    Some(0)
                }
            };
            records = records.zip(added).map(|(records, added)| records.wrapping_add(added));
        }
        // NetFlow v9 counts messages, IPFIX counts records.
        let units = if header.protocol == ExportProtocol::Netflow9 { Some(1) } else { records };
        let domain = known.domain(&header, arrival.from, state.turn, limits);
        domain.hear(&header, arrival.received, units, &mut state.counts);
        domain.heard.records += state.counts.records - before;
        make_room(exporters, order, arrival.from.ip(), state, limits);
    }
}

/// Finds or adds an exporter. The one that was not used for longest goes if there are too many.
fn find<'a>(
    exporters: &'a mut BTreeMap<IpAddr, KnownExporter>,
    order: &mut BTreeMap<u64, IpAddr>,
    address: IpAddr,
    state: &mut State,
    limits: &Limits,
) -> &'a mut KnownExporter {
    if !exporters.contains_key(&address) {
        while exporters.len() >= limits.exporters
            && let Some((_, oldest)) = order.pop_first()
        {
            forget(exporters, oldest, state);
            state.counts.exporters_evicted += 1;
        }
    }
    let known = exporters.entry(address).or_default();
    order.remove(&known.used);
    known.used = state.turn;
    order.insert(state.turn, address);
    known
}

/// Lets exporters go while there are too many templates or fields: those first that were not used
/// for longest, but not this one.
fn make_room(
    exporters: &mut BTreeMap<IpAddr, KnownExporter>,
    order: &mut BTreeMap<u64, IpAddr>,
    current: IpAddr,
    state: &mut State,
    limits: &Limits,
) {
    while (state.kept.templates > limits.templates || state.kept.fields > limits.fields)
        && let Some((used, oldest)) = order.pop_first()
    {
        if oldest == current {
            // The only one that is left has fewer templates than this in any case.
            order.insert(used, oldest);
            return;
        }
        forget(exporters, oldest, state);
        state.counts.exporters_evicted += 1;
    }
}

fn forget(exporters: &mut BTreeMap<IpAddr, KnownExporter>, address: IpAddr, state: &mut State) {
    if let Some(mut known) = exporters.remove(&address) {
        known.waiting.clear(&mut state.waiting_octets, &mut state.counts);
        state.counts.templates_evicted += known.templates.len() as u64;
        known.templates.clear(&mut state.kept);
    }
}

/// A message that is read.
struct At<'a> {
    limits: &'a Limits,
    state: &'a mut State,
    known: &'a mut KnownExporter,
    arrival: Arrival,
    header: Header,
}

impl At<'_> {
    /// Learns the templates of a set, and reads what waited for them.
    fn templates(&mut self, set: Set<'_>, sink: &mut impl Sink) {
        let (now, turn, header) = (self.arrival.received, self.state.turn, self.header);
        for record in set.templates(header.protocol) {
            let State { kept, waiting_octets, counts, .. } = &mut *self.state;
            let templates = &mut self.known.templates;
            if !templates.learn(&record, &header, (now, turn), self.limits, (kept, counts)) {
                continue;
            }
            let is_for = |set: &WaitingSet| {
                let of = set.header;
                (of.protocol, of.domain, set.template)
                    == (header.protocol, header.domain, record.id)
            };
            let waiting = self.known.waiting.take(is_for, now, waiting_octets, counts);
            let own = (self.arrival, self.header);
            for set in waiting {
                self.arrival = Arrival { from: set.from, received: set.received };
                self.header = set.header;
                self.data_with(set.template, &set.content, now, sink);
            }
            (self.arrival, self.header) = own;
        }
    }

    /// Reads a Data Set, or keeps it until its template comes. The number of its records; `None`
    /// if that is not known.
    fn data(&mut self, id: u16, content: &[u8], sink: &mut impl Sink) -> Option<u32> {
        let records = self.data_with(id, content, self.arrival.received, sink);
        if records.is_none() {
            let set = WaitingSet {
                template: id,
                header: self.header,
                from: self.arrival.from,
                received: self.arrival.received,
                content: content.into(),
            };
            let State { waiting_octets, counts, .. } = &mut *self.state;
            self.known.waiting.push(set, self.limits, waiting_octets, counts);
        }
        records
    }

    fn data_with(
        &mut self,
        id: u16,
        content: &[u8],
        now: Timestamp,
        sink: &mut impl Sink,
    ) -> Option<u32> {
        let (header, turn) = (self.header, self.state.turn);
        let domain = self.known.domain(&header, self.arrival.from, turn, self.limits);
        let (exporter, init_time) = (Arc::clone(&domain.exporter), domain.init_time);
        let State { kept, places, counts, .. } = &mut *self.state;
        let KnownExporter { templates, samplers, .. } = &mut *self.known;
        let template = templates.get(&header, id, (now, turn), (kept, counts))?;
        if template.scope.is_none() {
            let received = self.arrival.received;
            let common = Common { template, header: &header, received, init_time };
            return Some(read_flows(
                common,
                content,
                &exporter,
                (samplers, places),
                (counts, sink),
            ));
        }
        let mut init_time = init_time;
        let records = read_set(template, content, counts, |reading, counts| {
            counts.options += 1;
            samplers.learn(header.domain, &reading.sampling);
            init_time = reading.init_time.or(init_time);
        });
        self.known.domain(&header, self.arrival.from, turn, self.limits).init_time = init_time;
        Some(records)
    }
}
