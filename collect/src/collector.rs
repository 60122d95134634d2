//! The collector: datagrams in, records out.

use std::net::SocketAddr;
use std::sync::Arc;

use flow::{Details, Exporter, FlowRecord, Timestamp, Tpids};

use crate::counts::Counts;
use crate::exporter::ExporterReport;
use crate::given::{give, read_flows};
use crate::known::{Current, Exporters, SflowExporter, State, TemplateScope};
use crate::limits::{Limits, TEMPLATE_LIFETIME_MS};
use crate::message::{Header, Malformed, Message, TemplateRecord};
use crate::names::ExporterNames;
use crate::netflow5;
use crate::options::OptionsRecord;
use crate::record::Common;
use crate::scale::SamplingSettings;
use crate::sets::MessageReader;
use crate::sflow::{self, Sample};
use crate::store::StoredTemplate;
use crate::template::Template;

/// Takes the records of a collector.
pub trait Sink {
    /// Takes a record of this exporter.
    fn record(&mut self, exporter: &Arc<Exporter>, record: FlowRecord, details: Details);

    /// Takes an options record of this exporter, if they are told.
    fn options(&mut self, _exporter: &Arc<Exporter>, _record: OptionsRecord) {}
}

/// Collects the messages of exporters.
#[derive(Debug)]
pub struct Collector {
    limits: Limits,
    exporters: Exporters,
    netflow5: Template,
    sflow_exporter: SflowExporter,
    state: State,
}

/// A datagram's sender and the time of its arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) received: Timestamp,
}

impl Collector {
    /// A collector that knows nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            exporters: Exporters::default(),
            netflow5: netflow5::template(),
            sflow_exporter: SflowExporter::default(),
            state: State::default(),
        }
    }

    /// The same with further tag protocols in the frames that exporters sample.
    #[must_use]
    pub fn with_tpids(mut self, tpids: Tpids) -> Self {
        self.state.tpids = tpids;
        self
    }

    /// The same with another exporter of datagrams of sFlow.
    #[must_use]
    pub fn with_sflow_exporter(self, sflow_exporter: SflowExporter) -> Self {
        Self { sflow_exporter, ..self }
    }

    /// The same with what the user says of sampling.
    #[must_use]
    pub fn with_sampling(mut self, sampling: SamplingSettings) -> Self {
        self.state.shared.sampling = sampling;
        self
    }

    /// The same, which gives options records too.
    #[must_use]
    pub fn with_options(mut self, tells_options: bool) -> Self {
        self.state.tells_options = tells_options;
        self
    }

    /// The same with what the user calls exporters.
    #[must_use]
    pub fn with_names(mut self, names: &ExporterNames) -> Self {
        self.exporters.names.clone_from(names);
        self.state.shared.originals.names.clone_from(names);
        self
    }

    /// The same with another scope of templates in datagrams.
    #[must_use]
    pub fn with_scope(mut self, scope: TemplateScope) -> Self {
        self.exporters.scope = scope;
        self
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
            self.exporters.note_malformed(from, octets);
        }
    }

    /// Takes a message of IPFIX that came over a connection, which has this number. False if it is
    /// malformed: the connection is then to be reset (RFC 7011 section 9.1).
    pub fn message_of(
        &mut self,
        connection: u64,
        from: SocketAddr,
        received: Timestamp,
        octets: &[u8],
        sink: &mut impl Sink,
    ) -> bool {
        let Self { limits, exporters, state, .. } = self;
        state.turn += 1;
        state.counts.datagrams += 1;
        state.counts.octets += octets.len() as u64;
        let message = match octets {
            [0, 10, ..] => Message::ipfix(octets),
            _ => Err(Malformed),
        };
        let Ok(message) = message else {
            state.counts.malformed += 1;
            exporters.note_malformed_of(connection, octets);
            return false;
        };
        let (arrival, header) = (Arrival { from, received }, message.header);
        let known = exporters.connected(connection, from);
        let reader = MessageReader { limits, state: &mut *state, known, arrival, header };
        reader.read(&message, sink);
        exporters.make_room(Current::Connection(connection), state, limits);
        true
    }

    /// A connection has ended, and its templates with it.
    pub fn end_connection(&mut self, connection: u64, from: SocketAddr) {
        self.exporters.end(connection, from, &mut self.state, &self.limits);
    }

    /// Gives up what still waits for templates: it counts as lost.
    pub fn finish(&mut self) {
        self.exporters.finish(&mut self.state);
    }

    /// The counters.
    pub fn counts(&self) -> Counts {
        let (kept, exporters) = (self.state.kept.templates as u64, self.exporters.len() as u64);
        Counts { templates: kept, exporters, ..self.state.counts }
    }

    /// What is known of the exporters that were heard last, of this number of Observation Domains
    /// at most.
    pub fn exporters(&self, most: usize) -> Vec<ExporterReport> {
        self.exporters.reports().take(most).collect()
    }

    /// All templates, to be stored.
    pub fn templates(&self) -> impl Iterator<Item = StoredTemplate> {
        self.exporters.templates()
    }

    /// A number that grows whenever [`Self::templates`] may have changed.
    pub fn template_changes(&self) -> u64 {
        self.state.kept.changes
    }

    /// Learns a template that was stored, unless it has expired.
    pub fn restore(&mut self, stored: &StoredTemplate, now: Timestamp) {
        if stored.sent > now || now.millis_since(stored.sent) > TEMPLATE_LIFETIME_MS {
            return;
        }
        let Self { limits, exporters, state, .. } = self;
        let address = SocketAddr::new(stored.address, 0);
        state.turn += 1;
        let turn = state.turn;
        let known = exporters.find(address, state, limits);
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
        exporters.make_room(Current::Address(address), state, limits);
    }

    fn netflow5(
        &mut self,
        arrival: Arrival,
        octets: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        let (header, count, records) = netflow5::read(octets)?;
        let Self { limits, exporters, netflow5, state, .. } = self;
        state.counts.decoded(header.protocol);
        let known = exporters.find(arrival.from, state, limits);
        let domain = known.domain(&header, arrival.from, state.turn, limits, &mut state.counts);
        let received = arrival.received;
        domain.hear(&header, received, Some(count.into()), &mut state.counts);
        domain.heard.records += u64::from(count);
        let exporter = Arc::clone(&domain.exporter);
        let (template, template_id, header) = (&*netflow5, 0, &header);
        let tpids = state.tpids;
        let common = Common { template, template_id, header, received, init_time: None, tpids };
        let State { shared, counts, .. } = state;
        let told = (&known.samplers, &known.names);
        read_flows(common, records, &exporter, told, shared, (counts, sink));
        Ok(())
    }

    /// The exporter is the agent that the datagram names, or the source of the datagram, as the
    /// settings say.
    fn sflow(
        &mut self,
        arrival: Arrival,
        octets: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        let datagram = sflow::Datagram::read(octets, arrival.received)?;
        let Self { limits, exporters, sflow_exporter, state, .. } = self;
        let header = datagram.header;
        state.counts.decoded(header.protocol);
        let agent = datagram.agent.filter(|_| *sflow_exporter == SflowExporter::Agent);
        let address = agent.unwrap_or_else(|| arrival.from.ip());
        let from = SocketAddr::new(address, arrival.from.port());
        let known = exporters.find(SocketAddr::new(address, 0), state, limits);
        let domain = known.domain(&header, from, state.turn, limits, &mut state.counts);
        domain.hear(&header, arrival.received, Some(1), &mut state.counts);
        let exporter = Arc::clone(&domain.exporter);
        let State { turn, shared, interfaces, tpids, counts, .. } = state;
        let (before, mut interval) = (counts.records, 0);
        counts.sflow_longer += u64::from(datagram.is_longer);
        let common = sflow::Common { header: &header, received: arrival.received, tpids: *tpids };
        for sample in datagram.samples() {
            match sample {
                Sample::Flow(sample) => {
                    if sample.is_discard {
                        counts.sflow_discards += 1;
                    } else {
                        interval = sample.sampling_rate;
                    }
                    let kept = (&mut shared.places, &mut known.sources);
                    if let Some(given) = sflow::record(&sample, common, kept, counts) {
                        give(given, &exporter, &shared.sampling, (counts, sink));
                    }
                }
                Sample::Counters(sample) => {
                    counts.sflow_counter_samples += 1;
                    known.interfaces.learn(header.domain, &sample, interfaces, counts);
                }
                Sample::Other => counts.sflow_other_samples += 1,
            }
        }
        let heard = &mut known.domain(&header, from, *turn, limits, counts).heard;
        heard.records += counts.records - before;
        if interval != 0 {
            heard.sampling_interval = interval;
        }
        Ok(())
    }

    fn message(&mut self, arrival: Arrival, message: &Message<'_>, sink: &mut impl Sink) {
        let Self { limits, exporters, state, .. } = self;
        let (from, header) = (arrival.from, message.header);
        let known = exporters.find(from, state, limits);
        let reader = MessageReader { limits, state: &mut *state, known, arrival, header };
        reader.read(message, sink);
        exporters.make_room(Current::Address(from), state, limits);
    }
}
